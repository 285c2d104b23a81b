"""Several Repos in one run, one wave after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_a_wave_that_does_not_follow_is_the_last(world: Any, new_rig: Callable[..., Any], new_proxy: Any) -> None:
    """What a worker of the first Repo refuses is put back there, and never gets to the second."""
    second = new_proxy(new_rig())
    both = f"{world.proxy.url} {second.url}"
    assert world.sync("--wave", "1,100%", url=both).code == 0
    good = world.head
    world.start("w1")
    world.commit({"pipy/main.js": world.refused})
    world.proxy.clear()
    second.clear()
    done = world.sync("--wave", "1,100%", url=both)
    assert done.code == 1
    assert [place["result"] for place in done.told["places"]] == ["put-back", "skipped"]
    assert not second.asked
    assert world.rig.published() == world.content(good)


def test_without_waves_every_repo_has_its_turn(world: Any, new_rig: Callable[..., Any], new_proxy: Any) -> None:
    """One that is away keeps none of the others from it; exit code 1."""
    away = new_proxy(new_rig())
    away.close()
    done = world.sync(url=f"{away.url} {world.proxy.url}")
    assert done.code == 1
    assert [place["result"] for place in done.told["places"]] == ["failed", "published"]
    world.has()
    assert "skipped" in [
        place["result"] for place in world.sync("--wave", "1", url=f"{away.url} {world.proxy.url}").told["places"]
    ]
