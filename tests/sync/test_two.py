"""Two syncers that bring different commits to one Repo at the same time."""

from __future__ import annotations

import threading
from typing import Any

import pytest


def commits(world: Any, second: str) -> tuple[str, str, str]:
    """Make a commit that is published, and two that are not; gives them."""
    base = world.head
    one = world.commit({f"pipy/{world.cluster}": world.write_cluster("10.1.0.2")})
    if second == "another change":
        world.git("checkout", "--quiet", "--detach", base)
    other = world.commit({"pipy/plugins/other.js": "// another\n"})
    return base, one, other


def whole(world: Any, *versions: str) -> None:
    """Fail unless what is published is the whole of one of these commits, under its own version."""
    version = world.rig.info()["version"]
    assert version in versions
    assert world.rig.published() == world.content(version)


@pytest.mark.parametrize("second", ["another change", "built on the first"])
def test_a_whole_sync_between_any_two_requests_of_another(world: Any, second: str) -> None:
    """In the end one of both is there, under its own version."""
    base, one, other = commits(world, second)
    number, asked = 0, 1
    while number <= asked:
        number += 1
        assert world.quick(base)
        world.has(base)
        world.proxy.clear()
        ended: list[bool] = []

        def meanwhile(asked: Any, number: int = number, ended: list[bool] = ended) -> None:
            if asked.number == number and not ended:
                ended.append(world.quick(other, url=world.rig.url))

        world.proxy.fault = meanwhile
        world.quick(one)
        assert ended in ([], [True])
        whole(world, one, other)
        asked = len(world.proxy.asked)
    assert number > 5


def test_somebody_stages_between_any_two_requests(world: Any) -> None:
    """It never goes out with ours, unless it comes after our last look; and then it is taken back at once."""
    old, _, new = commits(world, "another change")
    number, asked = 0, 1
    while number <= asked:
        number += 1
        assert world.quick(old)
        world.proxy.clear()
        publishing: list[int] = []
        mixed: list[int] = []

        def meanwhile(
            asked: Any, number: int = number, publishing: list[int] = publishing, mixed: list[int] = mixed
        ) -> None:
            if publishing and publishing[-1] == asked.number - 1 and "left.js" in world.rig.published():
                mixed.append(publishing[-1])
            if asked.path == "/api/v1/repo/edge" and asked.method == "PATCH":
                publishing.append(asked.number)
            if asked.number == number:
                world.rig.do("POST", "/api/v1/repo-files/edge/left.js", "// half of something\n")

        world.proxy.fault = meanwhile
        assert world.quick(new)
        assert mixed in ([], [number])
        whole(world, new)
        asked = len(world.proxy.asked)
    assert number > 5


def test_both_at_once(world: Any) -> None:
    """However they meet, in the end one of both is there, under its own version."""
    _, one, other = commits(world, "another change")
    for _ in range(5):
        ended: dict[str, int] = {}
        both = [
            threading.Thread(target=lambda ref=ref, ended=ended: ended.update({ref: world.run("--ref", ref)}))
            for ref in (one, other)
        ]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        assert set(ended.values()) <= {0, 1}
        whole(world, one, other)
