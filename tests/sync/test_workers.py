"""What a sync does when workers run, refuse, go silent, come late, or lose their Repo."""

from __future__ import annotations

from typing import Any


def states(done: Any) -> dict[str, str]:
    """Give what became of each worker."""
    return {worker["name"]: worker["state"] for worker in done.place["workers"]}


def versions(done: Any) -> dict[str, str]:
    """Give what each worker says it runs."""
    return {worker["name"]: worker["version"] for worker in done.place["workers"]}


def test_workers_run_what_was_published(world: Any) -> None:
    """Also one that joins later, which names no version until it loads the next one."""
    assert world.sync().place["workers"] == []
    worker = world.start("early")
    done = world.sync()
    assert (done.code, done.place["result"], states(done)) == (0, "unchanged", {"early": "running"})
    world.commit({f"pipy/{world.cluster}": world.write_cluster("10.1.0.2")})
    done = world.sync()
    assert (done.code, done.place["result"]) == (0, "published")
    assert (states(done), versions(done)) == ({"early": "running"}, {"early": world.head})
    assert world.rig.served(worker, world.cluster) == world.content()[world.cluster]
    world.proxy.clear()
    late = world.start("late")
    done = world.sync()
    assert (done.code, states(done)) == (0, {"early": "running", "late": "running"})
    assert not world.proxy.writes()
    assert world.rig.served(late, world.cluster) == world.content()[world.cluster]


def test_what_a_worker_refuses_is_put_back(world: Any) -> None:
    """Under a version that tells so; the commit is not tried again, the next one is."""
    world.sync()
    worker = world.start("w1")
    good = world.head
    world.commit({"pipy/plugins/new.js": "// new\n"})
    assert world.sync().code == 0
    good = world.head
    bad = world.commit({"pipy/main.js": world.refused, f"pipy/{world.cluster}": world.write_cluster("10.1.0.9")})
    done = world.sync()
    assert (done.code, done.place["result"]) == (1, "put-back")
    assert done.place["version"] == f"{good}+revert-of-{bad}"
    assert (states(done), versions(done)) == ({"w1": "running"}, {"w1": f"{good}+revert-of-{bad}"})
    assert "w1" in done.place["message"]
    assert world.rig.published() == world.content(good)
    assert world.rig.served(worker, world.cluster) == world.content(good)[world.cluster]
    world.proxy.clear()
    again = world.sync()
    assert (again.code, again.place["result"]) == (1, "refused-before")
    assert not world.proxy.writes()
    world.commit({"pipy/main.js": world.program})
    done = world.sync()
    assert (done.code, done.place["result"], versions(done)) == (0, "published", {"w1": world.head})
    world.has()


def test_a_silent_worker_is_told_apart(world: Any) -> None:
    """It neither stops the others nor counts as one that refuses; back again, it runs the version."""
    world.sync()
    world.start("w1")
    gone = world.start("w2")
    gone.stop()
    world.commit({f"pipy/{world.cluster}": world.write_cluster("10.1.0.2")})
    done = world.sync()
    assert (done.place["result"], states(done)) == ("published", {"w1": "running", "w2": "silent"})
    assert world.rig.published() == world.content()
    gone.start()
    world.wait(lambda: world.rig.reports()["w2"] == world.head, "w2 to run the version")
    done = world.sync()
    assert (done.code, states(done)) == (0, {"w1": "running", "w2": "running"})


def test_a_repo_that_lost_everything_while_workers_run(world: Any) -> None:
    """They keep what they run, and are there again."""
    world.sync()
    worker = world.start("w1")
    world.rig.restart()
    assert world.rig.served(worker, world.cluster) == world.content()[world.cluster]
    world.commit({f"pipy/{world.cluster}": world.write_cluster("10.1.0.2")})
    done = world.sync()
    assert (done.code, done.place["result"]) == (0, "published")
    world.has()
    world.wait(lambda: world.rig.reports().get("w1") == world.head, "w1 to run the version")
    assert world.rig.served(worker, world.cluster) == world.content()[world.cluster]
