"""Which clusters are asked, how many at a time, and how reading ends early."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from publisher.core.model import Topology, Unknown
from publisher.core.policy import Access, ClusterSelect
from publisher.demo.fleet import Fleet
from publisher.demo.server import FleetServer, Reply
from publisher.edge.karmada import Timing, lists
from publisher.edge.karmada.fleet import KarmadaFleet

CLUSTERS = "/apis/cluster.karmada.io/v1alpha1/clusters"
ALL = {("member2", kind) for kind in ("nodes", "services", "endpoints")}
STUBBORN = Timing(connect=60, read=60, total=60)
"""So patient that a test which waits for it fails."""


@pytest.fixture
def not_asked(world, published, unknown):
    """Publish the fleet; later read it, when member2 is not asked for anything: its parts are unknown."""
    world.seen.clear()

    def read() -> tuple[str, set[str]]:
        topology = world.read()
        found = unknown(topology)
        assert set(found) == ALL
        assert "member2" not in {request.plane for request in world.seen}
        assert not [request for request in world.seen if request.path.endswith("secrets/member2")]
        (reason,) = set(found.values())
        return reason, {file.path for file in world.plan(published, topology).plan.files}

    return read


def test_a_cluster_that_is_not_ready(world, access, not_asked, unknown):
    """Karmada says it cannot be reached: it is not asked, and what is published of it stays."""
    world.fleet.set_ready("member2", False)
    assert not_asked() == ("Cluster is not Ready (ClusterNotReachable)", set())
    world.fleet.set_ready("member2", True)
    assert not unknown(world.read())


@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        ([], "has not yet said whether the cluster is Ready"),
        (None, "has not yet said whether the cluster is Ready"),
        ([{"type": "CompleteAPIEnablements", "status": "True"}], "has not yet said"),
        ([{"type": "Ready", "status": "Unknown"}], "Cluster is not Ready (no reason given)"),
        ([{"type": "Ready", "status": "true", "reason": "Odd"}], "Cluster is not Ready (Odd)"),
        ([{"type": "Ready", "status": "False", "reason": "token eyJhbGciOiJSUzI1NiJ9\n."}], "(token *** .)"),
    ],
)
def test_conditions(world, not_asked, conditions, says):
    """Only status "True" of condition Ready is ready."""
    world.change("clusters", "member2", lambda cluster: cluster["status"].update(conditions=conditions))
    reason, changed = not_asked()
    assert says in reason
    assert not changed


def test_no_cluster_is_ready(world, published, unknown):
    """That is known, no failure, and changes nothing."""
    world.seen.clear()
    for number in (1, 2, 3):
        world.fleet.set_ready(f"member{number}", False)
    topology = world.read()
    assert len(unknown(topology)) == 9
    assert {request.plane for request in world.seen} == {"karmada"}
    assert not world.plan(published, topology).plan.files


@pytest.mark.parametrize("how", ["exclude", "labels", "annotation"])
def test_a_cluster_that_does_not_count(world, access, not_asked, how):
    """publisher.yaml or an annotation leaves it out: it is not asked, and goes from what is published."""
    if how == "exclude":
        world.set_policy(clusters=ClusterSelect(exclude=("*2",)))
    elif how == "labels":
        for name in ("member1", "member3"):
            world.change("clusters", name, lambda cluster: cluster["metadata"].update(labels={"env": "prod"}))
        world.set_policy(clusters=ClusterSelect(labels="env=prod"))
    else:
        world.change(
            "clusters",
            "member2",
            lambda cluster: cluster["metadata"].update(annotations={"pipy-publisher.io/exclude": "true"}),
        )
    reason, changed = not_asked()
    assert reason == "it did not count when the snapshot was taken"
    assert "pipy/config/clusters/member2.json" in changed
    assert "pipy/config/clusters/member1.json" not in changed


def test_a_cluster_that_left(world, published, unknown):
    """A complete list of Clusters that does not name it is what removes it."""
    world.fleet.remove_member("member2")
    topology = world.read()
    assert (list(topology.clusters), unknown(topology)) == (["member1", "member3"], {})
    changed = {file.path: file.action for file in world.plan(published, topology).plan.files}
    assert changed["pipy/config/clusters/member2.json"] == "delete"


def test_a_cluster_that_leaves_meanwhile(world, access, unknown):
    """It was in the list and is not there when it is asked: unknown in this run."""

    def answer(request):
        if request.plane == "member2" and "member2" in world.fleet.members:
            world.fleet.remove_member("member2")

    world.answer(answer)
    assert set(unknown(world.read())) == ALL
    assert list(world.read().clusters) == ["member1", "member3"]


@pytest.mark.parametrize("name", ["Member1", "member_1", "../member1", "member1/../x", "a..b", "", "-a", "a" * 254, 7])
def test_a_name_that_is_none(world, name):
    """It would become a file name and part of a path: the whole list is not to be trusted."""
    items = [{"metadata": {"name": name}, "spec": {}, "status": {}}]
    body = json.dumps({"kind": "ClusterList", "metadata": {}, "items": items}).encode()
    world.answer(lambda request: Reply(200, {}, body))
    assert world.fails() == "Karmada: ClusterList: a Cluster has no metadata.name that is a name"
    assert len(world.seen) == 1


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("metadata", {"name": "member2", "labels": [1]}),
        ("metadata", {"name": "member2", "annotations": "x"}),
        ("spec", []),
        ("spec", {"apiEndpoint": 7}),
        ("spec", {"secretRef": "karmada-cluster/member2"}),
        ("status", "x"),
        ("status", {"conditions": [None]}),
        ("status", {"conditions": 7}),
        ("status", {"nodeSummary": [1]}),
        ("status", {"remedyActions": 7}),
    ],
)
def test_a_cluster_that_is_laid_out_otherwise(world, part, value):
    item = {"metadata": {"name": "member2"}, "spec": {}, "status": {}} | {part: value}
    body = json.dumps({"kind": "ClusterList", "metadata": {}, "items": [item]}).encode()
    world.answer(lambda request: Reply(200, {}, body))
    assert world.fails().startswith("Karmada: ClusterList: ")


def test_no_clusters(world):
    for number in (1, 2, 3):
        world.fleet.remove_member(f"member{number}")
    steps = []
    assert world.read(progress=lambda done, of: steps.append((done, of))) == Topology({})
    assert steps == [(0, 0)]


def test_fewer_nodes_than_karmada_counts(world, access):
    """The list is complete for the API server, and an account may see less than there is: that is said, not guarded."""
    for name, total in (("member1", 3), ("member2", 5), ("member3", 1)):
        summary = {"totalNum": total, "readyNum": total}
        world.change("clusters", name, lambda cluster, new=summary: cluster["status"].update(nodeSummary=new))
    topology = world.read()
    (finding,) = topology.findings
    assert (finding.where, finding.rule, finding.severity) == ("cluster member2", "node-count", "warning")
    assert finding.message == "the list has 3 Nodes, status.nodeSummary.totalNum says 5"
    assert len(topology.clusters["member2"].nodes) == 3


def test_no_count_is_no_finding(world):
    world.change("clusters", "member2", lambda cluster: cluster["status"].pop("nodeSummary"))
    assert not world.read().findings


def test_unknown_nodes_are_not_counted(world):
    world.answer(lambda request: Reply(403) if (request.plane, request.path) == ("member2", "/api/v1/nodes") else None)
    assert not world.read().findings


def test_progress(world, access):
    """From none to all, one at a time, in the thread of whoever asks."""
    steps, threads = [], set()
    world.answer(lambda request: Reply(500) if request.plane == "member2" else None)
    world.fleet.set_ready("member3", False)

    def progress(done, of):
        steps.append((done, of))
        threads.add(threading.current_thread())

    world.read(progress=progress)
    assert steps == [(0, 2), (1, 2), (2, 2)]
    assert threads == {threading.current_thread()}


@pytest.mark.parametrize("concurrency", [1, 2, 5])
def test_concurrency(world, access, concurrency):
    """As many members at a time as publisher.yaml says, and no more."""
    for number in range(4, 9):
        world.fleet.add_member(f"member{number}", nodes={"n1": f"10.0.{number}.1"})
    world.set_policy(concurrency=concurrency)
    lock, reached = threading.Lock(), threading.Event()
    now: set[str] = set()
    most = 0

    def answer(request):
        nonlocal most
        if request.plane != "karmada":
            with lock:
                assert request.plane not in now
                now.add(request.plane)
                most = max(most, len(now))
            if most == concurrency:
                reached.set()
            reached.wait(20)
            with lock:
                now.remove(request.plane)

    world.answer(answer)
    assert len(world.read().clusters) == 8
    assert most == concurrency


def test_members_are_independent(world, access):
    """One that does not answer holds up nobody: the others are done before it."""
    release = threading.Event()
    order = []

    def answer(request):
        if request.plane == "member1":
            release.wait(20)

    def progress(done, of):
        order.append(done)
        if done == 2:
            release.set()

    world.answer(answer)
    topology = world.read(progress=progress)
    assert (order, release.is_set()) == ([0, 1, 2, 3], True)
    assert not isinstance(topology.clusters["member1"].nodes, Unknown)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("done_before", [0, 1, 2])
def test_an_interrupt_while_a_member_hangs(world, access, done_before):
    """Ctrl-C does not wait for it, and nothing more is asked of anybody."""
    hangs, release = threading.Event(), threading.Event()

    def answer(request):
        if request.plane == "member2":
            hangs.set()
            release.wait(60)

    def progress(done, of):
        if done == done_before:
            if done:
                hangs.wait(60)
            raise KeyboardInterrupt

    world.answer(answer)
    with pytest.raises(KeyboardInterrupt):
        world.read(STUBBORN, progress)
    assert not release.is_set()
    assert gc.isenabled()
    release.set()
    for thread in threading.enumerate():
        if thread.name == "cluster":
            thread.join(20)
    asked = [request for request in world.seen if request.plane == "member2"]
    assert len(asked) == (1 if done_before else 0)


@pytest.mark.timeout(60)
def test_an_interrupted_program_ends(world, tmp_path):
    """The whole program, by its signal, while a member hangs for longer than anybody waits here."""
    (tmp_path / "publisher.yaml").write_text("publisher: edge\n")
    hangs = threading.Event()

    def answer(request):
        if request.plane == "member2":
            hangs.set()
            return Reply(hang=True)
        return None

    world.answer(answer)
    command = [
        sys.executable,
        "-m",
        "publisher",
        "plan",
        "--repo",
        str(tmp_path),
        "--kubeconfig",
        str(world.kubeconfig),
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert hangs.wait(30)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in error


def test_a_bug_in_one_thread_is_not_swallowed(world, monkeypatch):
    """What is no ApiError ends the run: unknown is for what could not be read."""

    def broken(item, prefix):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("publisher.core.topology.node", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        world.read()
    assert gc.isenabled()


def test_reading_twice_gives_the_same(world, access):
    """Order of arrival and revisions leave no trace."""
    first = world.read()
    world.fleet.members["member2"].compact()
    world.answer(lambda request: Reply(500) if request.plane == "member1" and len(world.seen) % 3 == 0 else None)
    again = world.read(Timing(attempts=9, backoff=0.001))
    assert again == first
    assert list(again.clusters) == ["member1", "member2", "member3"]


def test_a_fleet_in_pages_of_usual_size(monkeypatch, tmp_path, world):
    """Every page is asked for with a limit, and what is on the last is there."""
    monkeypatch.setattr(lists, "PAGE", 500)
    big = Fleet()
    big.add_member("member1", nodes={f"n{index}": f"10.1.{index // 250}.{index % 250 + 1}" for index in range(1001)})
    seen = []
    with FleetServer(big) as server:
        (tmp_path / "big").write_text(json.dumps(server.kubeconfig()))
        server.intercept = lambda request: seen.append(request)
        connection = world.connect(file=str(tmp_path / "big"))
        topology = KarmadaFleet(connection, world.policy, STUBBORN).read(lambda done, of: None)
    assert len(topology.clusters["member1"].nodes) == 1001
    nodes = [request.query for request in seen if request.path == "/api/v1/nodes"]
    assert [query["limit"] for query in nodes] == ["500"] * 3
    assert all("resourceVersion" not in query for query in nodes)


def test_requests_say_who_asks(world):
    world.read()
    for request in world.seen:
        assert request.method == "GET"
        assert request.headers["accept"] == "application/json"
        assert re.fullmatch(r"publisher/\S+", request.headers["user-agent"])


def test_only_what_is_needed_is_asked(world, access):
    """The account needs to list Clusters, and Nodes, Services and EndpointSlices of members; direct, to get Secrets."""
    world.read()
    paths = {("karmada" if request.plane == "karmada" else "member", request.path) for request in world.seen}
    needed = {
        ("karmada", CLUSTERS),
        ("member", "/api/v1/nodes"),
        ("member", "/api/v1/services"),
        ("member", "/apis/discovery.k8s.io/v1/endpointslices"),
    }
    if access is Access.DIRECT:
        secrets = "/api/v1/namespaces/karmada-cluster/secrets"
        needed |= {("karmada", f"{secrets}/member{number}") for number in (1, 2, 3)}
    assert paths == needed
