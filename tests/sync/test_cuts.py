"""A connection that is cut at any request: what is published is always the whole of a commit."""

from __future__ import annotations

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


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("fault", ["before", "within", "after", 503])
def test_cut_at_every_single_request(world: Any, fault: Any, lasting: bool) -> None:
    """The n-th request of a sync fails, alone or with all that follow, for each n."""
    old = world.head
    assert world.sync().code == 0
    edit = {f"pipy/{world.cluster}": world.write_cluster("10.1.0.2")}
    new = world.commit({**edit, "pipy/plugins/new.js": "// new\n", "pipy/plugins/empty.js": None})
    number = 0
    while number <= len(world.proxy.asked):
        number += 1
        world.proxy.clear()
        world.proxy.fault = lambda asked, number=number: (
            fault if asked.number == number or (lasting and asked.number > number) else None
        )
        done = world.sync("--ref", new)
        asked = list(world.proxy.asked)
        found = whole(world, old, new)
        assert done.code == 1 or (done.code, found) == (0, new)
        world.proxy.clear()
        assert world.sync("--ref", new).code == 0
        world.has(new)
        world.proxy.asked = asked
        old, new = new, old
    assert number > 5


@pytest.mark.parametrize("fault", ["before", "after"])
def test_cut_at_every_single_request_of_the_first_sync(world: Any, fault: str) -> None:
    """What is there is nothing, or all."""
    number = 0
    while number <= len(world.proxy.asked):
        number += 1
        world.proxy.clear()
        world.proxy.fault = lambda asked, number=number: fault if asked.number >= number else None
        done = world.sync()
        asked = list(world.proxy.asked)
        found = whole(world, world.head)
        assert done.code == 1 or (done.code, found) == (0, world.head)
        world.proxy.clear()
        assert world.sync().code == 0
        world.has()
        world.proxy.asked = asked
        world.rig.restart()
    assert number > 5


def test_an_answer_that_never_comes(world: Any) -> None:
    """The sync gives up in time, and the next one ends right."""
    old = world.head
    assert world.sync().code == 0
    new = world.commit({"pipy/plugins/new.js": "// new\n"})
    world.proxy.clear()
    world.proxy.fault = lambda asked: "stall" if asked.writes else None
    assert world.sync().code == 1
    whole(world, old, new)
    world.proxy.clear()
    assert world.sync().code == 0
    world.has()


@pytest.mark.parametrize("kind", ["stand-in"], indirect=True)
@pytest.mark.parametrize(("fault", "at"), [("before", 1), ("before", 2), ("after", 2), ("before", 4), ("after", 4)])
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
