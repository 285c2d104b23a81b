"""Whatever GitHub answers to any request of the flow: one line, and the next run makes it whole."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
FAULTS: dict[str, dict[str, Any]] = {
    "401": {"status": 401},
    "403": {"status": 403},
    "limited": {"status": 403, "headers": {"Retry-After": "60"}, "body": json.dumps({"message": SECONDARY}).encode()},
    "404": {"status": 404},
    "409": {"status": 409},
    "422": {"status": 422},
    "500": {"status": 500},
    "502, done": {"status": 502},
    "reset": {"kind": "reset"},
    "reset, done": {"kind": "reset"},
    "hang": {"kind": "hang"},
}
TELLING = ("403", "502, done", "reset, done")
"""Those that every step is put through; the others do the same to each, and are tried on one."""
NAMES = ("opened", "updated", "closed", "stopped", "auto", "api", "direct-api")


@pytest.mark.parametrize(
    ("name", "fault"), [(name, fault) for name in NAMES for fault in FAULTS if name == "updated" or fault in TELLING]
)
def test_every_request(step: Any, forge: ModuleType, name: str, fault: str) -> None:
    """It ends with exit 1 and a line that says what to do, or as if nothing had been; the second run repairs."""
    here = step(name)
    assert here.requests
    lasting = not fault.startswith("4") and fault != "limited"
    for number, request in enumerate(here.requests):
        here.again()
        here.flow.fake.fail(
            "", ".*", forge.Fault(**FAULTS[fault]), after=fault.endswith("done"), down=lasting, skip=number
        )
        out = here.flow.typed()
        assert "Traceback" not in out.err
        assert here.flow.fake.token not in out.out + out.err
        if out.code == 1:
            assert out.err.startswith("publisher: GitHub: "), request
            assert out.err.count("\n") == 1, request
            assert len(out.err) < 500
        else:
            assert (out.code, here.flow.state()) == (here.code, here.state), request
        here.repaired()


@pytest.mark.parametrize("name", NAMES)
def test_git_fails(step: Any, name: str) -> None:
    """A server that takes no push leaves no trace on GitHub either."""
    here = step(name)
    here.again()
    before = here.flow.refs()
    hook = here.flow.fake.bare / "hooks/pre-receive"
    kept = hook.read_text()
    hook.write_text("#!/bin/sh\necho no room left >&2\nexit 1\n")
    out = here.flow.typed()
    if name in ("closed", "stopped"):
        assert (out.code, here.flow.state()) == (here.code, here.state)
    else:
        assert (out.code, out.err.count("\n")) == (1, 1)
        assert out.err.startswith("publisher: git push: "), out.err
        assert "no room left" in out.err
        assert (here.flow.refs(), here.flow.fake.writes) == (before, [])
    hook.write_text(kept)
    here.repaired()
