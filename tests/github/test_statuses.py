"""What is said of a commit: seldom, and short."""

from __future__ import annotations

from typing import Any

URL = "https://github.invalid/acme/config/actions/runs/1"


def said(world: Any) -> list[tuple[str, str]]:
    """Give what was said of the commit, oldest first."""
    found = world.fake.statuses[world.base]
    assert {status["context"] for status in found} == {"publisher/sync"}
    return [(status["state"], status["description"]) for status in found]


def test_from_the_start_to_the_end(world: Any) -> None:
    """A sync says that it is at work, then how it ended, with a link where there is one."""
    world.hub().set_status(world.base, "pending", "syncing", URL)
    world.hub().set_status(world.base, "success", "3/3 workers on 0123abc")
    assert said(world) == [("pending", "syncing"), ("success", "3/3 workers on 0123abc")]
    assert [status["target_url"] for status in world.fake.statuses[world.base]] == [URL, None]


def test_said_again(world: Any) -> None:
    """However often a commit is synced, nothing is said that stands there; what is new is."""
    for _ in range(3):
        world.hub().set_status(world.base, "pending", "syncing")
        world.hub().set_status(world.base, "success", "2/2 workers")
    world.hub().set_status(world.base, "failure", "1/2 workers")
    world.hub().set_status(world.base, "failure", "0/2 workers")
    assert said(world) == [
        ("pending", "syncing"), ("success", "2/2 workers"), ("failure", "1/2 workers"), ("failure", "0/2 workers"),
    ]  # fmt: skip


def test_others_say_something_too(world: Any) -> None:
    """Only what we said counts, however much others have said since, and however GitHub writes our name."""
    others = [{"context": f"ci/{number}", "state": "success", "description": None} for number in range(150)]
    ours = {"context": "Publisher/Sync", "state": "success", "description": "2/2 workers"}
    world.fake.statuses[world.base] = [ours, *others]
    world.hub().set_status(world.base, "success", "2/2 workers")
    assert world.fake.writes == []


def test_a_long_description(world: Any) -> None:
    """What is longer than GitHub takes is cut."""
    world.hub().set_status(world.base, "failure", "x" * 140)
    world.hub().set_status(world.base, "failure", "y" * 141)
    assert said(world) == [("failure", "x" * 140), ("failure", f"{'y' * 137}...")]


def test_a_commit_that_is_not_there(world: Any, fails: Any) -> None:
    """A commit that was not pushed there is told so."""
    line = fails(lambda: world.hub().set_status("0" * 40, "success", "x"))
    assert "HTTP 422: No commit found for SHA" in line


def test_a_token_that_may_not(world: Any, forge: Any, fails: Any) -> None:
    """A token without the permission is told which one it needs."""
    body = b'{"message": "Resource not accessible by integration"}'
    world.fake.fail("POST", "statuses/.*", forge.Fault(status=403, body=body))
    line = fails(lambda: world.hub().set_status(world.base, "success", "x"))
    assert "the token needs statuses: write" in line
