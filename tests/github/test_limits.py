"""Rate limits: waited for where that is soon over, else told with when to go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from publisher.edge.github.api import Timing
from publisher.errors import ApiError

SECONDARY = b'{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}'
PRIMARY = b'{"message": "API rate limit exceeded for installation ID 33."}'
FORBIDDEN = b'{"message": "Resource not accessible by integration"}'
IMPATIENT = Timing(attempts=2, backoff=0.01, patience=0.05)


def used_up(seconds: float) -> dict[str, str]:
    """Say when the next requests are free."""
    return {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-limit": "5000",
        "x-ratelimit-reset": f"{time.time() + seconds:.0f}",
    }


SOON = [
    (403, {"Retry-After": "0"}, SECONDARY),
    (429, {"Retry-After": "0"}, SECONDARY),
    (403, {"Retry-After": "0"}, b"<html>"),
    (403, used_up(-60), PRIMARY),
    (429, used_up(-60), PRIMARY),
]
LATER = [
    (403, {"Retry-After": "90"}, SECONDARY, 90),
    (429, {"Retry-After": "90", **used_up(0)}, SECONDARY, 90),
    (403, {}, SECONDARY, 60),
    (429, {}, b"", 60),
    (429, {"Retry-After": "soon"}, b"", 60),
    (403, used_up(1_000_000), PRIMARY, 1_000_000),
]


@pytest.mark.parametrize("call", ["find", "comment", "update", "commit"])
@pytest.mark.parametrize(("status", "headers", "body"), SOON)
def test_waited_for(world: Any, forge: Any, call: str, status: int, headers: dict[str, str], body: bytes) -> None:
    """Reads and writes are sent again after a limit that is over soon: GitHub did nothing."""
    work = world.call(call)
    for verb in ("GET", "POST", "PATCH"):
        world.fake.fail(verb, ".*", forge.Fault(status, headers, body), times=2)
    work(world.hub())
    fake = world.fake
    done = {
        "find": True,
        "comment": fake.comments and len(fake.comments) == 1,
        "update": fake.pulls and next(iter(fake.pulls.values()))["title"] == "New",
        "commit": fake.git("log", "-1", "--format=%s", "main") == "update b",
    }
    assert done[call]


@pytest.mark.parametrize(("status", "headers", "body", "seconds"), LATER)
@pytest.mark.parametrize("call", ["find", "comment"])
def test_told(
    world: Any,
    forge: Any,
    fails: Callable[..., str],
    call: str,
    status: int,
    headers: dict[str, str],
    body: bytes,
    seconds: int,
) -> None:
    """A limit that lasts longer than our patience is told at once, with when it may go on."""
    work = world.call(call)
    world.fake.fail("GET", ".*", forge.Fault(status, headers, body), times=9)
    with pytest.raises(ApiError) as caught:
        work(world.hub())
    assert caught.value.status == status
    assert caught.value.retry_after is not None
    assert seconds * 0.9 < caught.value.retry_after < seconds + 2  # the time of a reset has come nearer meanwhile
    assert len(world.fake.requests) == 1
    line = fails(lambda: work(world.hub()))
    assert f"HTTP {status}" in line
    assert "(too many requests; go on in " in line
    assert line.endswith(" UTC)")


def test_patience_ends(world: Any, forge: Any, fails: Callable[..., str]) -> None:
    """Limits that are each over soon, again and again, use up the patience of all together."""
    world.fake.fail("GET", ".*", forge.Fault(403, {"Retry-After": "0"}, SECONDARY), times=999)
    fails(lambda: world.hub(IMPATIENT).find(world.branch, "main"), ApiError)
    assert 3 <= len(world.fake.requests) <= 6


def test_a_missing_permission_is_no_limit(world: Any, forge: Any, fails: Callable[..., str]) -> None:
    """A plain 403 is told at once, with the permission that GitHub names."""
    headers = {"X-Accepted-GitHub-Permissions": "pull_requests=write", "x-ratelimit-remaining": "4999"}
    world.fake.fail("POST", "pulls", forge.Fault(403, headers, FORBIDDEN), times=9)
    line = fails(lambda: world.hub().open(world.branch, "main", "T", "", ()), ApiError)
    assert line == ("GitHub: HTTP 403: Resource not accessible by integration (the token needs pull_requests=write)")
    assert len(world.fake.requests) == 1


@pytest.mark.parametrize(
    ("call", "verb", "path", "needs"),
    [
        ("find", "GET", "pulls", "access to the repository"),
        ("open", "POST", "pulls", "pull-requests: write"),
        ("comment", "POST", "issues/.*/comments", "pull-requests: write"),
        ("commit", "POST", "graphql .*", "contents: write"),
    ],
)
def test_names_the_permission(
    world: Any, forge: Any, fails: Callable[..., str], call: str, verb: str, path: str, needs: str
) -> None:
    """Where GitHub does not name the permission, we do."""
    work = world.call(call)
    world.fake.fail(verb, path, forge.Fault(403, {}, FORBIDDEN))
    assert fails(lambda: work(world.hub()), ApiError).endswith(f"(the token needs {needs})")
