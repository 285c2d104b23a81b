"""Raw objects: what is read of them, and that anything else is Malformed and nothing worse."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.core import topology
from publisher.core.model import Address, Endpoints, Node, Port, Service, ServiceKey
from publisher.core.policy import ANNOTATION_PREFIX
from publisher.core.topology import Malformed

KEY = ServiceKey("default/flask")
LOCAL = {KEY: Service("default", "flask", "NodePort", (), local=True)}

CLUSTER: Any = {
    "metadata": {"name": "member1", "labels": {"env": "prod"}, "annotations": {"pipy-publisher.io/drain": "true"}},
    "spec": {
        "apiEndpoint": "https://10.0.0.1:6443",
        "region": "cn-north",
        "secretRef": {"namespace": "karmada-cluster", "name": "member1"},
        "caBundle": "Y2E=",
        "insecureSkipTLSVerification": True,
        "proxyURL": "http://proxy:3128",
        "proxyHeader": {"x": "y"},
    },
    "status": {
        "conditions": [{"type": "Ready", "status": "True", "reason": "ClusterReady"}],
        "nodeSummary": {"totalNum": 2, "readyNum": 2},
        "remedyActions": ["TrafficControl"],
    },
}
NODE: Any = {
    "metadata": {"name": "n1", "labels": {"edge": "true"}, "annotations": {"pipy-publisher.io/exclude": "true"}},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [
            {"type": "InternalIP", "address": "10.0.0.1"},
            {"type": "ExternalIP", "address": "2001:DB8::1"},
            {"type": "Hostname", "address": "n1"},
        ],
    },
}
SERVICE: Any = {
    "metadata": {
        "name": "flask",
        "namespace": "default",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": "flask"},
        "annotations": {"pipy-publisher.io/routes": "/x"},
    },
    "spec": {
        "type": "NodePort",
        "externalTrafficPolicy": "Local",
        "ports": [{"name": "http", "port": 80, "nodePort": 31193, "protocol": "TCP", "targetPort": "x"}],
    },
}
SLICE: Any = {
    "metadata": {"name": "flask-x", "namespace": "default", "labels": {"kubernetes.io/service-name": "flask"}},
    "endpoints": [
        {"conditions": {"ready": True}, "nodeName": "n1"},
        {"conditions": {"ready": False}, "nodeName": "n2"},
        {"conditions": {}, "nodeName": "n3"},
        {"nodeName": "n4"},
        {"conditions": {"ready": None}, "nodeName": "n5"},
        {"conditions": {"ready": True}},
    ],
}
READERS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "Cluster": (CLUSTER, lambda item: topology.member(item, ANNOTATION_PREFIX)),
    "Node": (NODE, lambda item: topology.node(item, ANNOTATION_PREFIX)),
    "Service": (SERVICE, lambda item: topology.service(item, ANNOTATION_PREFIX)),
    "EndpointSlice": (SLICE, lambda item: topology.endpoint_slice(item, LOCAL)),
}


def test_what_is_read() -> None:
    """All that routing needs."""
    member = READERS["Cluster"][1](CLUSTER)
    assert (member.name, member.ready, member.reason, member.region) == ("member1", True, "", "cn-north")
    assert (member.secret, member.total_nodes, member.remedies) == (
        ("karmada-cluster", "member1"),
        2,
        ("TrafficControl",),
    )
    assert (member.insecure, member.proxy_url, member.proxy_headers) == (True, "http://proxy:3128", {"x": "y"})
    assert READERS["Node"][1](NODE) == Node(
        "n1",
        True,
        (Address("ExternalIP", "2001:db8::1"), Address("InternalIP", "10.0.0.1")),
        {"edge": "true"},
        {"exclude": "true"},
    )
    assert READERS["Service"][1](SERVICE) == Service(
        "default",
        "flask",
        "NodePort",
        (Port("http", 80, 31193, "TCP"),),
        True,
        "2026-01-01T00:00:00Z",
        {"app": "flask"},
        {"routes": "/x"},
    )


def test_endpoints_are_joined() -> None:
    """A missing `ready` is true; any endpoint backs a Service, ready or not; other Services' slices are passed over."""
    read = READERS["EndpointSlice"][1]
    assert read(SLICE) == (KEY, True, ("n1", "n3", "n4", "n5"))
    other = copy.deepcopy(SLICE)
    other["metadata"]["labels"] = {}
    assert read(other) is None
    unready = {**SLICE, "endpoints": SLICE["endpoints"][1:2]}
    empty = {**SLICE, "endpoints": None}
    cluster = {KEY: Service("default", "flask", "NodePort", ())}
    assert topology.endpoints([read(SLICE), None, read(empty)], LOCAL) == {
        KEY: Endpoints(True, ("n1", "n3", "n4", "n5"))
    }
    assert topology.endpoints([read(unready)], LOCAL) == {KEY: Endpoints(True, ())}
    assert topology.endpoints([read(empty)], LOCAL) == {KEY: Endpoints(False, ())}
    assert topology.endpoints([], LOCAL) == {KEY: Endpoints(False, ())}
    assert topology.endpoints([topology.endpoint_slice(SLICE, cluster)], cluster) == {KEY: Endpoints(True, ())}
    assert topology.endpoints([], {KEY: Service("default", "flask", "ClusterIP", ())}) == {}


@pytest.mark.parametrize("kind", READERS)
def test_little_is_enough(kind: str) -> None:
    """Everything but the name may be missing or null, as the API leaves it out."""
    template, read = READERS[kind]
    meta = {key: template["metadata"][key] for key in ("name", "namespace") if key in template["metadata"]}
    read({"metadata": meta})
    nothing = {key: None for key in template if key != "metadata"}
    read({"metadata": {**dict.fromkeys(template["metadata"]), **meta}, **nothing})
    for part in ("spec", "status"):
        if part in template:
            read({"metadata": meta, part: dict.fromkeys(template[part])})


@pytest.mark.parametrize(
    ("conditions", "ready", "reason"),
    [
        ([], False, "Karmada has not yet said whether the cluster is Ready"),
        ([{"type": "Ready", "status": "False", "reason": "Gone"}], False, "Cluster is not Ready (Gone)"),
        ([{"type": "Ready", "status": "Unknown"}], False, "Cluster is not Ready (no reason given)"),
        ([{"type": "Other", "status": "True"}], False, "Karmada has not yet said whether the cluster is Ready"),
        ([{"type": "Ready", "status": "True"}], True, ""),
    ],
)
def test_readiness(conditions: Any, ready: bool, reason: str) -> None:
    """Only the condition Ready with status True is ready."""
    member = READERS["Cluster"][1]({"metadata": {"name": "a"}, "status": {"conditions": conditions}})
    assert (member.ready, member.reason) == (ready, reason)
    assert READERS["Node"][1]({"metadata": {"name": "a"}, "status": {"conditions": conditions}}).ready is ready


WRONG: list[tuple[str, tuple[str | int, ...], Any]] = [
    *((kind, ("metadata", "name"), name) for kind in READERS for name in
      (None, "", 5, "A", "a/b", "../a", "a..b", ".a", "a.", "-a", "a\n", "a b", "ä", "a" * 254, ["a"], {})),
    *((kind, ("metadata",), value) for kind in READERS for value in (None, [], "x", 5)),
    *(("Service", ("metadata", "namespace"), name) for name in (None, "", "a/b", "..", "a.b", 5)),
    *(("Service", ("metadata", "name"), name) for name in ("a.b", "a" * 64)),
    *((kind, ("metadata", "labels"), value) for kind in READERS for value in ([], "x", 5)),
    *((kind, ("metadata", "annotations"), value) for kind in ("Cluster", "Node", "Service") for value in ([], "x", 5)),
    *((kind, ("status",), value) for kind in ("Cluster", "Node") for value in ([], "x", 5)),
    *((kind, ("status", "conditions"), value) for kind in ("Cluster", "Node") for value in ({}, "x", 5, ["x"], [None])),
    *(("Node", ("status", "addresses"), value) for value in ({}, "x", 5, True, ["x"], [None], [5])),
    *(("Node", ("status", "addresses", 0, "address"), value) for value in
      (None, 5, True, "", "host", "10.0.0", "10.0.0.0/8", "10.0.0.01", "2001:db8::1%eth0", [], {})),
    *(("Cluster", ("spec",), value) for value in ([], "x", 5)),
    *(("Cluster", ("spec", key), value) for key in ("apiEndpoint", "region", "caBundle", "proxyURL") for value in
      (5, ["x"], {"x": 1})),
    *(("Cluster", ("spec", key), value) for key in ("secretRef", "proxyHeader") for value in ("x", 5, ["x"])),
    *(("Cluster", ("status", "nodeSummary"), value) for value in ("x", 5, ["x"])),
    *(("Cluster", ("status", "nodeSummary", "totalNum"), value) for value in ("2", 1.5, [2], True)),
    *(("Cluster", ("status", "remedyActions"), value) for value in ("x", 5, {"x": 1}, [5], [None])),
    *(("Service", ("spec",), value) for value in ([], "x", 5)),
    *(("Service", ("spec", "type"), value) for value in (5, ["x"])),
    *(("Service", ("spec", "ports"), value) for value in ({}, "x", 5, ["x"], [None], [{}])),
    *(("Service", ("spec", "ports", 0, "port"), value) for value in (None, "80", 1.5, -1, 65536, True, [80])),
    *(("Service", ("spec", "ports", 0, "nodePort"), value) for value in ("80", 1.5, -1, 65536, True, [80])),
    *(("Service", ("spec", "ports", 0, "name"), value) for value in (5, ["x"])),
    *(("Service", ("spec", "ports", 0, "protocol"), value) for value in (5, ["x"])),
    *(("Service", ("metadata", "creationTimestamp"), value) for value in (5, ["x"])),
    *(("EndpointSlice", ("endpoints",), value) for value in ({"x": 1}, "x", 5, ["x"], [None])),
    *(("EndpointSlice", ("endpoints", 0, "conditions"), value) for value in ("x", 5, ["x"])),
    *(("EndpointSlice", ("endpoints", 0, "nodeName"), value) for value in (5, "A", "a/b", ["x"])),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "path", "value"), WRONG)
def test_what_is_not_right_is_malformed(kind: str, path: tuple[str | int, ...], value: Any) -> None:
    """And says so in one short line, without the value."""
    template, read = READERS[kind]
    item = copy.deepcopy(template)
    place = item
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(Malformed) as caught:
        read(item)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 70000)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["a", "True"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["type", "status", "address", "port", "name", "ready", "x"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=400)
@given(kind=st.sampled_from(sorted(READERS)), steps=st.lists(st.integers(0, 50), max_size=6), value=JSON)
def test_anything_is_read_or_malformed(kind: str, steps: list[int], value: Any) -> None:
    """Any JSON at any place raises Malformed or nothing, and what is read can be used."""
    template, read = READERS[kind]
    item = copy.deepcopy(template)
    place: Any = item
    for step in steps:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = keys[step % len(keys)]
        if step == steps[-1] or not isinstance(place[key], dict | list):
            place[key] = value
            break
        place = place[key]
    else:
        item = value if not steps else item
    try:
        found = read(item)
    except Malformed:
        return
    hash(repr(found))
    if kind == "Cluster":
        topology.node_count(found, 1)
    elif kind == "EndpointSlice":
        topology.endpoints([found], LOCAL)


@pytest.mark.parametrize(("total", "nodes", "told"), [(None, 0, 0), (0, 0, 0), (2, 2, 0), (2, 3, 0), (3, 2, 1)])
def test_a_list_that_is_shorter_than_karmadas_own_count(total: int | None, nodes: int, told: int) -> None:
    """It may be that the account sees only some of the Nodes: a warning."""
    item = copy.deepcopy(CLUSTER)
    item["status"]["nodeSummary"] = None if total is None else {"totalNum": total}
    assert len(topology.node_count(READERS["Cluster"][1](item), nodes)) == told


def test_only_the_annotations_that_are_read_are_kept(fleets: ModuleType) -> None:
    """No other annotation, and none of another prefix."""
    model = fleets.NodeModel("10.0.0.1", annotations=dict.fromkeys([*topology.ANNOTATIONS, "other"], "x"))
    assert READERS["Node"][1](fleets.raw_node("n1", model)).annotations == dict.fromkeys(topology.ANNOTATIONS, "x")
    model = fleets.NodeModel("10.0.0.1")
    assert READERS["Node"][1](fleets.raw_node("n1", model)).annotations == {}
