"""What a real Karmada and its members answered is read as it was meant."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from publisher.core.model import Address, Endpoints, Port, Unknown
from publisher.demo.server import Reply, Request
from publisher.edge.karmada import lists
from publisher.errors import ApiError, Expired

DATA = Path(__file__).parents[1] / "data" / "karmada"
CLUSTERS = "/apis/cluster.karmada.io/v1alpha1/clusters"
KINDS = {
    "/api/v1/nodes": "nodes",
    "/api/v1/services": "services",
    "/apis/discovery.k8s.io/v1/endpointslices": "endpointslices",
}
DIAL = "Karmada: HTTP 500: dial tcp 127.0.0.1:5483: connect: connection refused"


def recorded(name: str, status: int = 200, **headers: str) -> Reply:
    """Answer as was recorded."""
    path = DATA / name
    return Reply(status, headers, path.read_bytes())


@pytest.fixture
def rig(world):
    """Serve what was recorded of both members, and another answer for those paths that a test names."""
    instead: dict[tuple[str, str], Reply] = {("karmada", CLUSTERS): recorded("karmada-clusters.json")}

    def answer(request: Request) -> Reply | None:
        place = (request.plane, request.path)
        if place in instead:
            return instead[place]
        return recorded(f"{request.plane}-{KINDS[request.path]}.json") if request.path in KINDS else None

    world.answer(answer)
    return instead


def test_both_members(world, rig):
    """Names, addresses, ports and endpoints; none of the annotations, which are not ours."""
    clusters = world.read().clusters
    assert list(clusters) == ["member1", "member2"]
    for number, cluster in enumerate(clusters.values(), start=1):
        nodes = {name: (node.ready, node.addresses) for name, node in cluster.nodes.items()}
        assert nodes == {
            f"member{number}-node{index}": (True, (Address("InternalIP", f"127.1.{number}.{index}"),))
            for index in (1, 2)
        }
        assert list(cluster.services) == ["default/flask", "default/kubernetes"]
        flask = cluster.services["default/flask"]
        assert (flask.type, flask.local, flask.created) == ("NodePort", False, "2026-11-24T09:26:40Z")
        assert flask.ports == (Port("http", 80, 32627, "TCP"),)
        assert flask.labels["app"] == "flask"
        assert flask.annotations == {}
        assert cluster.services["default/kubernetes"].type == "ClusterIP"
        assert cluster.endpoints == {"default/flask": Endpoints(backed=True)}
        assert (cluster.region, cluster.remedies) == ("", ())
    assert [request.path for request in world.asked("member1", "/api/v1/nodes")] == ["/api/v1/nodes"]


def test_a_member_goes_down(world, rig, unknown):
    """From the first second its proxy answers 500; half a minute later its Cluster is NotReady and it is not asked."""
    before = world.read()
    rig |= {("member2", path): recorded("notready-early-proxy.json", 500) for path in KINDS}
    early = world.read()
    assert early.clusters["member1"] == before.clusters["member1"]
    assert unknown(early) == {("member2", kind): DIAL for kind in ("nodes", "services", "endpoints")}
    rig["karmada", CLUSTERS] = recorded("notready-clusters.json")
    world.seen.clear()
    late = world.read()
    assert late.clusters["member1"] == before.clusters["member1"]
    assert set(unknown(late).values()) == {"Cluster is not Ready (ClusterNotReachable)"}
    assert {request.plane for request in world.seen} == {"karmada", "member1"}


def test_a_remedy(world, rig):
    """status.remedyActions of a Cluster."""
    cluster = json.loads((DATA / "remedied-cluster.json").read_bytes())
    body = {"kind": "ClusterList", "metadata": {}, "items": [cluster]}
    rig["karmada", CLUSTERS] = Reply(200, {}, json.dumps(body).encode())
    assert world.read().clusters["member1"].remedies == ("TrafficControl",)


def test_an_empty_list(world, rig):
    """[] is a complete list of nothing, which is not the same as unknown; Karmada's count says otherwise."""
    rig["member2", "/api/v1/nodes"] = recorded("karmada-nodes.json")
    topology = world.read()
    assert topology.clusters["member2"].nodes == {}
    assert [(finding.where, finding.rule) for finding in topology.findings] == [("cluster member2", "node-count")]


def test_two_pages(world):
    """The recorded token is sent back as it came."""
    first = json.loads((DATA / "member1-nodes-limit1-page1.json").read_bytes())
    pages = {
        "": recorded("member1-nodes-limit1-page1.json"),
        first["metadata"]["continue"]: recorded("member1-nodes-limit1-page2.json"),
    }
    world.answer(lambda request: pages[request.query.get("continue", "")])
    found = lists.list_all(world.connect(), "", lists.NODES, lambda item: item["metadata"]["name"])
    assert found == ["member1-node1", "member1-node2"]
    assert [request.query for request in world.seen] == [
        {"limit": "2"},
        {"limit": "2", "continue": first["metadata"]["continue"]},
    ]


def test_an_expired_token(world):
    """410 carries a token to go on with, from an inconsistent state: it is not used, the list begins anew."""
    expired = recorded("member1-nodes-continue-expired.json", 410)
    answers = iter(
        [
            recorded("member1-nodes-limit1-page1.json"),
            expired,
            recorded("member1-nodes-limit1-page1.json"),
            recorded("member1-nodes-limit1-page2.json"),
        ]
    )
    world.answer(lambda request: next(answers))
    found = lists.list_all(world.connect(), "", lists.NODES, lambda item: item["metadata"]["name"])
    assert found == ["member1-node1", "member1-node2"]
    tokens = [request.query.get("continue") for request in world.seen]
    assert [bool(token) for token in tokens] == [False, True, False, True]
    assert json.loads(expired.body)["metadata"]["continue"] not in tokens


def test_a_token_that_expires_each_time(world):
    world.answer(
        lambda request: (
            recorded("member1-nodes-continue-expired.json", 410)
            if "continue" in request.query
            else recorded("member1-nodes-limit1-page1.json")
        )
    )
    with pytest.raises(ApiError, match=r"Karmada: the list of Nodes expired 3 times over$") as caught:
        lists.list_all(world.connect(), "", lists.NODES, lambda item: item)
    assert isinstance(caught.value.__cause__, Expired)
    assert "too old to display a consistent list" in str(caught.value.__cause__)
    assert len(world.seen) == 6


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("proxy-401.json", 401, "Karmada: HTTP 401: Unauthorized"),
        ("karmada-403-anonymous.json", 403, 'HTTP 403: nodes is forbidden: User "system:anonymous" cannot list'),
        ("proxy-unknown-cluster.json", 404, 'HTTP 404: clusters.cluster.karmada.io "nosuch" not found'),
        ("member1-404-group.txt", 404, "Karmada: HTTP 404"),
        ("member1-services-list-future.json", 504, "HTTP 504: Timeout: Too large resource version: 999999999"),
    ],
)
def test_refusals(world, rig, unknown, name, status, says):
    """The reason is the message of the Status, in one line."""
    rig["member2", "/api/v1/services"] = recorded(name, status, **({"Retry-After": "0"} if status == 504 else {}))
    topology = world.read()
    found = unknown(topology)
    assert set(found) == {("member2", "services"), ("member2", "endpoints")}
    assert all(says in reason for reason in found.values())
    assert not isinstance(topology.clusters["member2"].nodes, Unknown)


def test_the_recordings_hold_no_secret():
    """They are part of the repository."""
    for path in DATA.iterdir():
        text = path.read_text()
        assert "PRIVATE KEY" not in text
        for word in text.replace('"', " ").split():
            if word.startswith("eyJ"):
                assert '"v":"meta.k8s.io/v1"' in base64.urlsafe_b64decode(word + "==").decode()  # a continue token
