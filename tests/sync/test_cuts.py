"""A connection that is cut at any request: what is published is always the whole of a commit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest


def whole(world: Any, *commits: str) -> str:
    """Give the version that is published, which is the whole of one of these commits; empty: nothing at all."""
    version = world.rig.info().get("version", "0")
    if version == "0":
        assert world.rig.published() == {}
        return ""
    assert version in commits
    assert world.rig.published() == world.content(version)
    return version


def cut(world: Any, commit: str, faults: tuple[Any, ...], number: int, lasting: bool) -> tuple[bool, int]:
    """Run a sync whose n-th request fails, alone or with all that follow: whether it went well, and its requests."""
    world.proxy.clear()
    world.proxy.fault = lambda asked: (
        faults[number % len(faults)] if asked.number == number or (lasting and asked.number > number) else None
    )
    good, asked = world.quick(commit), len(world.proxy.asked)
    world.proxy.clear()
    return good, asked


@pytest.mark.parametrize(
    ("faults", "lasting"),
    [(("before",), True), (("after",), True), (("within", 503, "after"), False)],
    ids=["before", "after", "once"],
)
def test_cut_at_every_single_request(world: Any, faults: tuple[Any, ...], lasting: bool) -> None:
    """The n-th request of a sync fails, for each n; the sync after that ends right."""
    old = world.head
    assert world.quick(old)
    edit = {f"pipy/{world.cluster}": world.write_cluster("10.1.0.2")}
    new = world.commit({**edit, "pipy/plugins/new.js": "// new\n", "pipy/plugins/empty.js": None})
    number, asked = 0, 1
    while number <= asked:
        number += 1
        good, asked = cut(world, new, faults, number, lasting)
        assert whole(world, old, new) == new or not good
        assert world.quick(new)
        world.has(new)
        old, new = new, old
    assert number > 5


def test_cut_at_every_single_request_of_the_first_sync(world: Any) -> None:
    """What is there is nothing, or all."""
    number, asked, commit = 0, 1, world.head
    while number <= asked:
        number += 1
        good, asked = cut(world, commit, ("before", "after"), number, True)
        assert whole(world, commit) or not good
        assert world.quick(commit)
        world.has(commit)
        world.rig.restart()
    assert number > 5


def test_the_repo_loses_everything_before_any_request(world: Any) -> None:
    """Half a codebase is never published into the emptiness; the sync, or else the next one, brings all of it."""
    old = world.head
    new = world.commit({"pipy/plugins/new.js": "// new\n", "pipy/plugins/empty.js": None})
    number, asked = 0, 1
    while number <= asked:
        number += 1
        assert world.quick(old)
        world.proxy.clear()
        world.proxy.fault = lambda asked, number=number: world.rig.restart() if asked.number == number else None
        good, asked = world.quick(new), len(world.proxy.asked)
        assert whole(world, new) or not good
        world.proxy.clear()
        assert world.quick(new)
        world.has(new)
    assert number > 5


def test_an_answer_that_never_comes(world: Any) -> None:
    """The sync gives up in time, and the next one ends right."""
    old = world.head
    assert world.sync().code == 0
    new = world.commit({"pipy/plugins/new.js": "// new\n"})
    world.timing = replace(world.timing, read=0.3, tries=2)
    world.proxy.clear()
    world.proxy.fault = lambda asked: "stall" if asked.writes else None
    assert world.sync().code == 1
    whole(world, old, new)
    world.proxy.clear()
    assert world.sync().code == 0
    world.has()


@pytest.mark.parametrize("kind", ["stand-in"], indirect=True)
@pytest.mark.parametrize(("fault", "at"), [("before", 1), ("after", 2), ("before", 4)])
def test_cut_while_putting_back(world: Any, fault: str, at: int) -> None:
    """What is published is the whole of the refused commit or of the one before; the next sync puts it back."""
    world.sync()
    worker = world.start("w1")
    good = world.commit({"pipy/plugins/new.js": "// new\n"})
    assert world.sync().code == 0
    bad = world.commit({"pipy/main.js": world.refused, "pipy/plugins/empty.js": None})
    putting_back: list[Any] = []

    def cut(asked: Any) -> str | None:
        published = [one for one in world.proxy.writes() if one.method == "PATCH"]
        if putting_back or (asked.writes and published and published[0].number < asked.number):
            putting_back.append(asked)
        return fault if len(putting_back) >= at else None

    world.proxy.clear()
    world.proxy.fault = cut
    assert world.sync().code == 1
    assert len(putting_back) >= at
    back = f"{good}+revert-of-{bad}"
    version = world.rig.info()["version"]
    assert version in (bad, back)
    assert world.rig.published() == world.content(version[:40])
    world.proxy.clear()
    assert world.sync().code == 1
    assert world.rig.info()["version"] == back
    assert world.rig.published() == world.content(good)
    world.wait(lambda: worker.running == {f"/{path}": data for path, data in world.content(good).items()}, "the old")
