"""A Repo whose only lock are client certificates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trustme


@pytest.fixture
def rig(new_rig: Callable[..., Any]) -> Any:
    """Run a Repo with TLS."""
    return new_rig(tls=True)


def options(rig: Any, name: str) -> list[str]:
    """Give the options for a certificate."""
    return [
        f"--pipy-{option}={rig.folder / file}" for option, file in (("cert", f"{name}.pem"), ("key", f"{name}.key"))
    ]


def test_a_certificate_opens_it(world: Any, rig: Any) -> None:
    """For the syncer as for workers."""
    trusted = [f"--pipy-ca={rig.folder / 'ca.pem'}", *options(rig, "tls")]
    assert world.sync(*trusted, url=rig.url).code == 0
    world.has()
    worker = rig.worker("w1")
    served = world.content()[world.cluster]
    world.wait(lambda: rig.served(worker, world.cluster) == served, "the worker to load")


@pytest.mark.parametrize("with_what", ["nothing", "another's", "no trust"])
def test_nothing_else_does(world: Any, rig: Any, with_what: str) -> None:
    """Exit code 1, nothing published, and a line that says what to do."""
    rig.write(trustme.CA().issue_cert("client"), "other")
    given = {
        "nothing": [f"--pipy-ca={rig.folder / 'ca.pem'}"],
        "another's": [f"--pipy-ca={rig.folder / 'ca.pem'}", *options(rig, "other")],
        "no trust": options(rig, "tls"),
    }
    done = world.sync(*given[with_what], url=rig.url)
    assert (done.code, done.place["result"]) == (1, "failed")
    assert ("--pipy-ca" if with_what == "no trust" else "--pipy-cert") in done.place["message"]
    assert not world.rig.info()
