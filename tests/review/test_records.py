"""Snapshots that publish records: with a change, at a heartbeat without one, whatever happened to the branch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from publisher.core import snapshot
from publisher.core.history import SNAPSHOT_TRAILER, trailers
from publisher.core.model import Cluster, Topology

GUARDS = "guards: {removed-targets: false, no-targets: false, empty-cluster: false}\n"
WAYS = pytest.mark.parametrize("mode", ["direct", "pull-request", "auto"])
DAY = 86_400


def beating(mode: str) -> str:
    """Write the settings of a publisher with a heartbeat."""
    return f"publish: {{mode: {mode}, heartbeat: 24h}}\n" + GUARDS


def members(flow: Any, **nodes: tuple[str, ...]) -> None:
    """Let the fleet have more than one member, each with these nodes."""
    clusters: dict[str, Cluster] = {}
    for name, some in nodes.items():
        flow.sees(*some)
        clusters[name] = replace(flow.topology.clusters["member1"], name=name)
    flow.topology = Topology(clusters)


def recorded(flow: Any) -> dict[str, bytes]:
    """Give the files of the newest snapshot."""
    names = flow.fake.git("ls-tree", "-r", "--name-only", flow.snapshots).split("\n")
    return {name: (flow.file(name, flow.snapshots) + "\n").encode() for name in names}


@WAYS
def test_equal_topology(flow: Any, mode: str) -> None:
    """A run that sees what the last one saw leaves no commit anywhere, before the heartbeat is due."""
    flow.set_up(beating(mode))
    flow.sees("node1")
    flow.publish()
    before, pushes = flow.refs(), len(flow.pushes())
    for _ in range(2):
        flow.now += DAY / 2 - 60
        flow.publish()
    assert (flow.refs(), len(flow.pushes())) == (before, pushes)


@WAYS
def test_heartbeat(flow: Any, mode: str) -> None:
    """Once the last snapshot is as old as that, a calm run records one, and just that."""
    flow.set_up(beating(mode))
    flow.sees("node1")
    flow.publish()
    before, first = flow.refs(), flow.tip(flow.snapshots)
    flow.now += DAY + 60
    flow.publish()
    assert flow.fake.git("rev-parse", f"{flow.snapshots}~") == first
    assert flow.changed(flow.snapshots) == set()
    assert flow.message(flow.snapshots) == flow.message(first)
    assert {**flow.refs(), f"refs/heads/{flow.snapshots}": first} == before


def test_heartbeat_of_another_fleet(flow: Any) -> None:
    """It records what is seen, though it makes no difference to what is published."""
    flow.set_up(beating("direct"))
    flow.sees("node1")
    flow.publish()
    flow.sees("node1", services=("flask", "unrouted"))
    flow.now += DAY + 60
    assert flow.publish().commit == ""
    assert flow.changed(flow.snapshots) == {"index.yaml", "clusters/member1.yaml"}
    assert recorded(flow) == snapshot.dump(flow.topology)


def test_heartbeat_without_a_branch(flow: Any) -> None:
    """Where there is no snapshot at all, the heartbeat is due."""
    flow.published("node1", text=beating("direct"))
    flow.fake.delete(flow.snapshots)
    flow.publish()
    assert recorded(flow) == snapshot.dump(flow.topology)


def test_no_heartbeat(flow: Any) -> None:
    """Where none is asked for, a calm run records nothing, ever."""
    flow.published("node1", text="publish: {mode: direct}\n" + GUARDS)
    before = flow.refs()
    flow.now += 1000 * DAY
    flow.publish()
    assert flow.refs() == before


def test_only_what_changed(flow: Any) -> None:
    """A snapshot's commit touches the index and the files of the clusters that changed, came or went."""
    flow.set_up("publish: {mode: direct}\n" + GUARDS)
    members(flow, east=("node1",), north=("node1",), west=("node1",))
    flow.publish()
    assert flow.changed(flow.snapshots) == {"index.yaml", *(f"clusters/{n}.yaml" for n in ("east", "north", "west"))}
    members(flow, east=("node1",), north=("node1", "node2"), south=("node3",))
    done = flow.publish()
    assert flow.changed(flow.snapshots) == {"index.yaml", *(f"clusters/{n}.yaml" for n in ("north", "south", "west"))}
    assert recorded(flow) == snapshot.dump(flow.topology)
    assert trailers(flow.message(flow.snapshots), SNAPSHOT_TRAILER) == (done.outcome.plan.snapshot,)
    assert trailers(flow.message("main"), SNAPSHOT_TRAILER) == (done.outcome.plan.snapshot,)


def deleted(flow: Any) -> None:
    """Delete the branch."""
    flow.fake.delete(flow.snapshots)


def diverged(flow: Any) -> None:
    """Put something else in its place that it does not come from."""
    flow.fake.commit(flow.snapshots, {"README.md": b"another\n"}, "another history", base="")


def rewound(flow: Any) -> None:
    """Take its newest commit off."""
    flow.fake.git("update-ref", f"refs/heads/{flow.snapshots}", f"{flow.snapshots}~")


RUBBISH = {
    "binary": b"\xff\xfe\x00",
    "text": b"hello\n",
    "list": b"- a\n",
    "clusters are a list": b"snapshot: 1\nclusters: [member1]\n",
    "numbers": b"snapshot: 1\nclusters: {1: 2}\n",
    "outside": b"snapshot: 1\nclusters: {../../x: 0123456789abcdef}\n",
    "not there": b"snapshot: 1\nclusters: {gone: 0123456789abcdef}\n",
    "version": b"snapshot: 2\nclusters: {member1: 0123456789abcdef}\n",
    "aliases": b"a: &a [*a]\n",
    "empty": b"",
}


@pytest.mark.parametrize("place", ["url", "checkout"])
@pytest.mark.parametrize("what", [deleted, diverged, rewound])
def test_a_branch_that_is_not_as_it_was(flow: Any, request: pytest.FixtureRequest, what: Any, place: str) -> None:
    """The next change records all that is seen, on top of what there is."""
    flow.set_up("publish: {mode: direct}\n" + GUARDS)
    repository = request.getfixturevalue("checkout") if place == "checkout" else None
    for nodes in ("node1",), ("node1", "node2"):
        flow.sees(*nodes)
        flow.publish(repository)
    what(flow)
    below = flow.tip(flow.snapshots)
    flow.sees("node1", "node2", "node3")
    done = flow.publish(repository)
    assert done.commit == flow.tip("main")
    assert {name: data for name, data in recorded(flow).items() if name != "README.md"} == snapshot.dump(flow.topology)
    parent = flow.fake.git("show", "-s", "--format=%P", flow.snapshots)
    assert parent == below


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_in_the_index(flow: Any, name: str) -> None:
    """What somebody wrote into the index hinders nobody: the next change writes it anew."""
    flow.set_up("publish: {mode: direct}\n" + GUARDS)
    flow.sees("node1")
    flow.publish()
    flow.person(flow.snapshots, {"index.yaml": RUBBISH[name]})
    flow.sees("node1", "node2")
    assert flow.typed().code == 0
    assert recorded(flow) == snapshot.dump(flow.topology)
    assert flow.typed().code == 0


def test_replaced_while_publishing(flow: Any) -> None:
    """Where somebody else was faster on the branch of snapshots, neither that nor main moves until both can."""
    flow.set_up("publish: {mode: direct}\n" + GUARDS)
    flow.sees("node1")
    flow.publish()
    hook, once = flow.fake.bare / "hooks/update", flow.folder / "once"
    hook.write_text(
        f"#!/bin/sh\n[ -e {once} ] && exit 0\ntouch {once}\n"
        f"unset GIT_QUARANTINE_PATH\ngit update-ref refs/heads/{flow.snapshots} refs/heads/main\n"
    )
    hook.chmod(0o755)
    flow.sees("node1", "node2")
    done = flow.publish()
    assert once.exists()
    assert flow.fake.git("log", "--format=%H", "main").split()[0] == done.commit
    assert flow.fake.git("rev-list", "--count", "main") == "5"
    assert {name: data for name, data in recorded(flow).items() if name in snapshot.dump(flow.topology)} == (
        snapshot.dump(flow.topology)
    )
