"""Which clusters, nodes and services count, and the reason why another does not."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from publisher.commands.explain import explain

KEY = "default/flask"


@pytest.fixture
def fleet(fleets: ModuleType) -> Any:
    """Two clusters with two nodes each, and one service that publisher.yaml routes."""
    made = fleets.Fleet()
    for number in (1, 2):
        nodes = {f"n{node}": fleets.NodeModel(f"10.0.{number}.{node}") for node in (1, 2)}
        services = {KEY: fleets.ServiceModel(31000 + number)}
        made.clusters[f"member{number}"] = fleets.ClusterModel(nodes=nodes, services=services)
    made.settings["services"] = {KEY: {"routes": ["/env/*"]}}
    return made


def targets(fleets: ModuleType, fleet: Any, tree: dict[str, bytes] | None = None) -> dict[str, int]:
    """Give the weight of each target that would be published."""
    found = fleets.joined(fleets.publish(fleet, tree))
    return {address: weight for _, _, address, weight in found.get(KEY, [])}


def part(fleets: ModuleType, fleet: Any, cluster: str = "member1") -> Any:
    """Give what a cluster adds to the service's file."""
    return fleets.document(fleets.publish(fleet), fleets.service_file(KEY))["clusters"].get(cluster)


def why(fleets: ModuleType, fleet: Any) -> dict[str, str]:
    """Give the reason of each exclusion."""
    found = explain(fleets.build(fleet, {}), KEY).excluded
    return {f"{item.cluster}/{item.node}".rstrip("/"): item.reason for item in found}


# --- clusters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "annotations", "select", "reason"),
    [
        ({}, {}, {"exclude": ["member1"]}, "karmada.clusters.exclude names it"),
        ({}, {}, {"exclude": ["*1"]}, "karmada.clusters.exclude names it"),
        ({"env": "dev"}, {}, {"labels": "env=prod"}, "its labels do not match karmada.clusters.labels"),
        ({}, {"exclude": "true"}, {}, "annotation exclude"),
        ({}, {"exclude": "True"}, {}, ""),
        ({}, {"exclude": "false"}, {}, ""),
        ({"env": "prod"}, {}, {"labels": "env=prod", "exclude": ["member"]}, ""),
    ],
)
def test_clusters(fleets: ModuleType, fleet: Any, labels: Any, annotations: Any, select: Any, reason: str) -> None:
    """By name, label and annotation."""
    fleet.clusters["member1"].labels = labels
    fleet.clusters["member1"].annotations = annotations
    fleet.clusters["member2"].labels = {"env": "prod"}
    fleet.settings["karmada"] = {"clusters": select}
    assert why(fleets, fleet).get("member1", "") == reason
    assert (fleets.cluster_file("member1") in fleets.publish(fleet)) == (not reason)


@pytest.mark.parametrize(
    ("annotations", "remedies", "reason"),
    [
        ({"drain": "true"}, (), "annotation drain"),
        ({}, ("TrafficControl",), "Karmada remedy TrafficControl"),
        ({"drain": "true"}, ("TrafficControl",), "annotation drain"),
        ({"drain": "yes"}, ("SomethingElse",), ""),
    ],
)
def test_drained_clusters(
    fleets: ModuleType, fleet: Any, annotations: Any, remedies: tuple[str, ...], reason: str
) -> None:
    """They stay, with the state drained: known, takes no new traffic."""
    fleet.clusters["member1"].annotations = annotations
    fleet.clusters["member1"].remedies = remedies
    outcome = fleets.build(fleet, {})
    document = fleets.document(fleets.applied({}, outcome), fleets.cluster_file("member1"))
    assert document["state"] == ("drained" if reason else "active")
    assert outcome.selection.clusters["member1"].state_reason == reason
    weight = 0 if reason else 100
    assert targets(fleets, fleet) == {
        "10.0.1.1:31001": weight,
        "10.0.1.2:31001": weight,
        "10.0.2.1:31002": 100,
        "10.0.2.2:31002": 100,
    }
    state = next(item.state for item in outcome.plan.clusters if item.cluster == "member1")
    assert state == (f"drained ({reason})" if reason else "")


# --- nodes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "select", "reason"),
    [
        ({"ready": False}, {}, "Node is not Ready"),
        ({"annotations": {"drain": "true"}}, {}, "annotation drain"),
        ({"annotations": {"exclude": "true"}}, {}, "annotation exclude"),
        ({"annotations": {"drain": "false", "exclude": "no"}}, {}, ""),
        ({}, {"labels": "edge=true"}, "its labels do not match select.nodes.labels"),
        ({"labels": {"edge": "true"}}, {"labels": "edge=true"}, ""),
        ({}, {"addresses": ["ExternalIP"]}, "it has no ExternalIP of IPv4"),
        ({}, {"families": ["IPv6"]}, "it has no InternalIP of IPv6"),
        ({"ip": ""}, {"addresses": ["InternalIP", "ExternalIP"]}, "it has no InternalIP or ExternalIP of IPv4"),
        ({"ip": "127.0.0.1"}, {}, "127.0.0.1 is a loopback or link-local address"),
        ({"ip": "169.254.169.254"}, {}, "169.254.169.254 is a loopback or link-local address"),
        ({"ip": "0.0.0.0"}, {}, "0.0.0.0 is a multicast, broadcast or unspecified address"),
        ({"ip": "192.0.2.1"}, {}, "192.0.2.1 is outside allowedNetworks"),
    ],
)
def test_nodes(fleets: ModuleType, fleet: Any, change: Any, select: Any, reason: str) -> None:
    """By condition, annotation, label and address."""
    node = fleet.clusters["member1"].nodes["n1"]
    for name, value in change.items():
        setattr(node, name, value)
    fleet.settings["allowedNetworks"] = ["10.0.0.0/8"]
    fleet.settings["select"] = {"nodes": select}
    assert why(fleets, fleet).get("member1/n1", "") == reason
    nodes = fleets.document(fleets.publish(fleet), fleets.cluster_file("member1"))["nodes"]
    assert ("n1" in nodes) == (not reason)


@pytest.mark.parametrize(
    ("select", "address"),
    [
        ({}, "10.0.1.1"),
        ({"addresses": ["ExternalIP"]}, "192.0.2.5"),
        ({"addresses": ["ExternalIP", "InternalIP"]}, "192.0.2.5"),
        ({"addresses": ["InternalIP", "ExternalIP"]}, "10.0.1.1"),
        ({"families": ["IPv6", "IPv4"]}, "2001:db8::5"),
        ({"families": ["IPv4", "IPv6"]}, "10.0.1.1"),
        ({"families": ["IPv6"], "addresses": ["ExternalIP"]}, "2001:db8::6"),
        ({"families": ["IPv6", "IPv4"], "addresses": ["ExternalIP"]}, "2001:db8::6"),
    ],
)
def test_the_best_address_of_a_node(fleets: ModuleType, fleet: Any, select: Any, address: str) -> None:
    """Families first, then types, each in the order of publisher.yaml; IPv6 in brackets before a port."""
    node = fleet.clusters["member1"].nodes["n1"]
    node.others = (
        ("ExternalIP", "192.0.2.5"),
        ("InternalIP", "2001:0DB8:0:0::5"),
        ("ExternalIP", "2001:db8::6"),
        ("InternalDNS", "n1.example.com"),
    )
    fleet.settings["select"] = {"nodes": select}
    shown = f"[{address}]" if ":" in address else address
    assert f"{shown}:31001" in targets(fleets, fleet)


def test_an_address_that_may_not_be_gives_way_to_the_next(fleets: ModuleType, fleet: Any) -> None:
    """A node is left out only where none of its addresses may be a target."""
    node = fleet.clusters["member1"].nodes["n1"]
    node.ip = "127.0.0.1"
    node.others = (("ExternalIP", "192.0.2.5"),)
    fleet.settings["select"] = {"nodes": {"addresses": ["InternalIP", "ExternalIP"]}}
    assert "192.0.2.5:31001" in targets(fleets, fleet)


# --- services --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "ClusterIP"}, "Service is of type ClusterIP, not NodePort"),
        ({"type": "LoadBalancer"}, "Service is of type LoadBalancer, not NodePort"),
        ({"annotations": {"exclude": "true"}}, "annotation exclude"),
        ({"annotations": {"publish": "false"}}, ""),  # publisher.yaml wins
        ({"labels": {"app": "other"}}, ""),
        ({"node_port": 0}, "port http has no nodePort yet"),
        ({"endpoints": {}}, "no endpoint: nothing of it runs there"),
        ({"endpoints": {"n1": False}}, ""),
    ],
)
def test_services(fleets: ModuleType, fleet: Any, change: Any, reason: str) -> None:
    """By type, annotation, port and endpoints; what publisher.yaml names needs no label or annotation."""
    for name, value in change.items():
        setattr(fleet.clusters["member1"].services[KEY], name, value)
    fleet.settings["select"] = {"services": {"labels": "app=flask", "annotated": True}}
    assert why(fleets, fleet).get("member1", "") == reason
    assert (part(fleets, fleet) is None) == bool(reason)
    assert part(fleets, fleet, "member2") == {"weight": 100, "ports": {"http": 31002}}


@pytest.mark.parametrize(
    ("select", "labels", "publish", "reason"),
    [
        ({}, {}, None, ""),
        ({}, {}, "true", ""),
        ({}, {}, "false", 'annotation publish is "false"'),
        ({"annotated": True}, {}, None, 'annotation publish is not "true"'),
        ({"annotated": True}, {}, "false", 'annotation publish is "false"'),
        ({"annotated": True}, {}, "yes", 'annotation publish is not "true"'),
        ({"annotated": True}, {}, "true", ""),
        ({"labels": "app=flask"}, {}, "true", "its labels do not match select.services.labels"),
        ({"labels": "app=flask"}, {"app": "flask"}, None, ""),
        ({"labels": "app=flask", "annotated": True}, {"app": "flask"}, None, 'annotation publish is not "true"'),
    ],
)
def test_services_that_publisher_yaml_does_not_name(
    fleets: ModuleType, fleet: Any, select: Any, labels: Any, publish: str | None, reason: str
) -> None:
    """Labels and the annotation publish decide."""
    del fleet.settings["services"]
    fleet.settings |= {"select": {"services": select}, "grants": [{"namespaces": ["default"]}]}
    del fleet.clusters["member2"]
    service = fleet.clusters["member1"].services[KEY]
    service.labels = labels
    service.annotations = {"routes": "/env/*", **({"publish": publish} if publish else {})}
    assert why(fleets, fleet).get("member1", "") == reason
    assert bool(targets(fleets, fleet)) == (not reason)


@pytest.mark.parametrize(
    ("namespaces", "named", "counts"),
    [
        (["*"], False, True),
        (["default"], False, True),
        (["def*"], False, True),
        (["team-*"], False, False),
        ([], False, False),
        (["team-*"], True, True),
    ],
)
def test_namespaces(fleets: ModuleType, fleet: Any, namespaces: list[str], named: bool, counts: bool) -> None:
    """Names and patterns; a service that publisher.yaml names counts in any."""
    if not named:
        del fleet.settings["services"]
        fleet.settings["grants"] = [{"namespaces": ["*"]}]
        for cluster in fleet.clusters.values():
            cluster.services[KEY].annotations = {"routes": "/env/*"}
    fleet.settings["select"] = {"namespaces": namespaces}
    assert bool(targets(fleets, fleet)) == counts


def test_a_namespace_that_no_longer_counts_takes_its_services_away(fleets: ModuleType, fleet: Any) -> None:
    """With the reason."""
    del fleet.settings["services"]
    fleet.settings["grants"] = [{"namespaces": ["*"]}]
    fleet.clusters["member1"].services[KEY].annotations = {"routes": "/env/*"}
    tree = fleets.publish(fleet)
    fleet.settings["select"] = {"namespaces": ["other"]}
    (change,) = fleets.build(fleet, tree).plan.services
    assert (change.action, change.reason) == ("delete", "select.namespaces does not name its namespace")


@pytest.mark.parametrize(
    ("wanted", "ports", "expected"),
    [
        ("", [("http", 80, 1, "TCP")], {"http": 1}),
        ("", [("", 80, 1, "TCP")], {"80": 1}),
        ("", [("http", 80, 1, "TCP"), ("dns", 53, 2, "UDP")], {"http": 1}),
        ("", [("http", 80, 1, "TCP"), ("admin", 81, 2, "TCP")], None),
        ("", [("dns", 53, 2, "UDP")], None),
        ("", [], None),
        ("http", [("http", 80, 1, "TCP"), ("admin", 81, 2, "TCP")], {"http": 1}),
        ("admin", [("http", 80, 1, "TCP"), ("admin", 81, 2, "TCP")], {"admin": 2}),
        ("81", [("http", 80, 1, "TCP"), ("admin", 81, 2, "TCP")], {"admin": 2}),
        (81, [("http", 80, 1, "TCP"), ("admin", 81, 2, "TCP")], {"admin": 2}),
        ("80", [("", 80, 1, "TCP")], {"80": 1}),
        ("other", [("http", 80, 1, "TCP")], None),
        ("dns", [("http", 80, 1, "TCP"), ("dns", 53, 2, "UDP")], None),
        ("53", [("dns", 53, 1, "TCP"), ("dns-udp", 53, 2, "UDP")], {"dns": 1}),
        # a name that is another one's number
        ("81", [("http", 81, 1, "TCP"), ("81", 82, 2, "TCP")], None),
    ],
)
@pytest.mark.parametrize("from_annotation", [False, True])
def test_ports(
    fleets: ModuleType, fleet: Any, wanted: str | int, ports: list[Any], expected: Any, from_annotation: bool
) -> None:
    """By name or number, of publisher.yaml or the annotation; the only TCP port where there is one."""
    del fleet.clusters["member2"]
    service = fleet.clusters["member1"].services[KEY]
    service.ports = tuple(ports)
    if from_annotation:
        service.annotations = {"port": str(wanted)} if wanted else {}
    elif wanted:
        fleet.settings["services"][KEY]["port"] = wanted
    outcome = fleets.build(fleet, {})
    found = outcome.desired.config.services.get(KEY)
    assert (dict(found.parts["member1"].ports) if found else None) == expected
    assert [item.rule for item in outcome.plan.findings if item.rule == "port"] == ([] if expected else ["port"])


def test_publisher_yaml_wins_over_annotations(fleets: ModuleType, fleet: Any) -> None:
    """Port, routes and hosts of the annotations are not looked at where publisher.yaml says them."""
    for cluster in fleet.clusters.values():
        service = cluster.services[KEY]
        service.more_ports = (("admin", 81, 32000, "TCP"),)
        service.annotations = {"port": "admin", "routes": "/theirs/*", "hosts": "theirs.example.com"}
    fleet.settings["grants"] = [{"namespaces": ["*"]}]
    fleet.settings["services"][KEY] = {"port": 80, "routes": ["/ours/*"], "hosts": ["ours.example.com"]}
    document = fleets.document(fleets.publish(fleet), fleets.service_file(KEY))
    assert document["routes"] == [{"host": "ours.example.com", "path": "/ours/*", "port": "http"}]
    assert document["clusters"]["member1"]["ports"] == {"http": 31001}


def test_publisher_yaml_may_leave_the_routes_to_annotations(fleets: ModuleType, fleet: Any) -> None:
    """Weights of publisher.yaml, and routes of all clusters' annotations, together."""
    fleet.settings["services"][KEY] = {"weights": {"member1": 7}}
    fleet.settings["grants"] = [{"namespaces": ["default"], "hosts": ["a.com"], "paths": ["/x/*"]}]
    fleet.clusters["member1"].services[KEY].annotations = {"routes": " /x/1,/x/2 ", "hosts": "a.com"}
    fleet.clusters["member2"].services[KEY].annotations = {"routes": "a.com/x/3\n/x/4", "port": "80"}
    outcome = fleets.build(fleet, {})
    document = fleets.document(fleets.applied({}, outcome), fleets.service_file(KEY))
    assert [f"{route.get('host', '')}{route['path']}" for route in document["routes"]] == [
        "a.com/x/1",
        "a.com/x/2",
        "a.com/x/3",
    ]
    assert {name: item["weight"] for name, item in document["clusters"].items()} == {"member1": 7, "member2": 100}
    assert [item.rule for item in outcome.plan.findings] == ["route-not-granted"]


@pytest.mark.parametrize("layout", ["native", "tutorial"])
def test_without_a_grant_annotations_claim_nothing(fleets: ModuleType, fleet: Any, layout: str) -> None:
    """A tenant's word alone publishes nothing; it is a warning, not an error of the run."""
    fleet.settings |= {"services": {}, "layout": layout}
    for cluster in fleet.clusters.values():
        cluster.services[KEY].annotations = {"routes": "/env/*"}
    plan = fleets.build(fleet, {}).plan
    assert not plan.services
    assert not plan.errors
    assert [item.rule for item in plan.findings] == ["route-not-granted"]
    assert plan.unpublished == ((KEY, "it has no route"),)


@pytest.mark.parametrize("text", ["/a*b", "/..", "bad_host/x", "*", "/ok /a*b"])
def test_an_annotation_that_cannot_be_read(fleets: ModuleType, fleet: Any, text: str) -> None:
    """It is reported; what is published of the service stays, and other services are published."""
    fleet.settings |= {"services": {}, "grants": [{"namespaces": ["*"]}]}
    for cluster in fleet.clusters.values():
        cluster.services[KEY].annotations = {"routes": "/env/*"}
    tree = fleets.publish(fleet)
    for cluster in fleet.clusters.values():
        cluster.services[KEY].annotations = {"routes": text}
    fleet.clusters["member1"].services["default/other"] = fleets.ServiceModel(32000, annotations={"routes": "/o/*"})
    plan = fleets.build(fleet, tree).plan
    assert [file.path for file in plan.files] == [fleets.service_file("default/other")]
    assert [(item.rule, item.severity) for item in plan.findings] == [("route", "warning")]


@pytest.mark.parametrize(
    ("weights", "drain", "expected"),
    [
        ({}, (), {"member1": 100, "member2": 100}),
        ({"member1": 90, "member2": 10}, (), {"member1": 90, "member2": 10}),
        ({"member1": 0}, (), {"member1": 0, "member2": 100}),
        ({"member2": 1}, ("member1",), {"member1": 0, "member2": 1}),
        ({"member1": 90}, ("member1",), {"member1": 0, "member2": 100}),
        ({"member1": 1000000}, (), {"member1": 1000000, "member2": 100}),
    ],
)
def test_weights(fleets: ModuleType, fleet: Any, weights: Any, drain: tuple[str, ...], expected: Any) -> None:
    """Of publisher.yaml, 100 where nothing is said; the annotation drain is 0."""
    fleet.settings["services"][KEY]["weights"] = weights
    for name in drain:
        fleet.clusters[name].services[KEY].annotations = {"drain": "true"}
    document = fleets.document(fleets.publish(fleet), fleets.service_file(KEY))
    assert {name: item["weight"] for name, item in document["clusters"].items()} == expected


@pytest.mark.parametrize(
    ("weights", "drain"),
    [({"member1": 0, "member2": 0}, ()), ({}, ("member1", "member2")), ({"member1": 0}, ("member2",))],
)
def test_weights_that_sum_to_0_are_refused(
    fleets: ModuleType, fleet: Any, weights: Any, drain: tuple[str, ...]
) -> None:
    """What is published stays; a new service is not published."""
    tree = fleets.publish(fleet)
    fleet.settings["services"][KEY]["weights"] = weights
    for name in drain:
        fleet.clusters[name].services[KEY].annotations = {"drain": "true"}
    outcome = fleets.build(fleet, tree)
    assert outcome.plan.files == ()
    assert [item.rule for item in outcome.plan.errors] == ["weight-sum"]
    assert explain(outcome, KEY).kept
    new = fleets.build(fleet, {})
    assert not new.plan.services
    assert new.plan.unpublished == ((KEY, "refused, see the findings"),)


@pytest.mark.parametrize("local", [True, False])
def test_local_services(fleets: ModuleType, fleet: Any, local: bool) -> None:
    """Only nodes that count and have a ready endpoint answer for a Service with externalTrafficPolicy Local."""
    fleet.clusters["member1"].nodes["n3"] = fleets.NodeModel("10.0.1.3")
    fleet.clusters["member1"].nodes["n4"] = fleets.NodeModel("10.0.1.4", ready=False)
    service = fleet.clusters["member1"].services[KEY]
    service.local = local
    service.endpoints = {"n3": True, "n1": True, "n2": False, "n4": True, "gone": True}
    expected = {"weight": 100, "ports": {"http": 31001}}
    assert part(fleets, fleet) == {**expected, **({"nodes": ["n1", "n3"]} if local else {})}
    answering = {address for address in targets(fleets, fleet) if address.startswith("10.0.1.")}
    assert answering == {f"10.0.1.{node}:31001" for node in ((1, 3) if local else (1, 2, 3))}


def test_publish_false_takes_a_service_away(fleets: ModuleType, fleet: Any) -> None:
    """publisher.yaml can say no for good."""
    tree = fleets.publish(fleet)
    fleet.settings["services"][KEY]["publish"] = False
    plan = fleets.build(fleet, tree).plan
    assert [(file.action, file.path) for file in plan.files] == [("delete", fleets.service_file(KEY))]
    assert plan.services[0].reason == "publisher.yaml says publish: false"


def test_what_publisher_yaml_names_and_nobody_has_is_reported_with_its_line(fleets: ModuleType, fleet: Any) -> None:
    """Services and clusters of weights: warnings that point into publisher.yaml."""
    fleet.settings["services"] = {KEY: {"routes": ["/env/*"], "weights": {"member9": 1}}, "default/nosuch": {}}
    plan = fleets.build(fleet, {}).plan
    found = {item.rule: item for item in plan.findings}
    assert found.keys() == {"cluster-missing", "service-missing"}
    assert all(
        (item.where, item.pointer, item.severity) == ("publisher.yaml", "line 1", "warning") for item in found.values()
    )
    assert "weights.member9" in found["cluster-missing"].message
    assert "default/nosuch" in found["service-missing"].message


def test_ports_of_one_service_need_one_name(fleets: ModuleType, fleet: Any) -> None:
    """A route leads to a port by its name; a service whose clusters differ in it stays as it is."""
    tree = fleets.publish(fleet)
    fleet.clusters["member2"].services[KEY].port_name = "web"
    outcome = fleets.build(fleet, tree)
    assert outcome.plan.files == ()
    assert [item.rule for item in outcome.plan.errors] == ["port-name"]
    assert fleets.build(fleet, {}).plan.services == ()


def test_nodes_of_two_clusters_with_one_address(fleets: ModuleType, fleet: Any) -> None:
    """A service that would have a target twice is refused; one that has another port is not."""
    fleet.clusters["member2"].nodes["n1"].ip = "10.0.1.1"
    assert fleets.joined(fleets.publish(fleet))
    fleet.clusters["member2"].services[KEY].node_port = 31001
    plan = fleets.build(fleet, {}).plan
    assert [item.rule for item in plan.errors] == ["target-duplicate"]
    assert plan.services == ()


# --- what goes -------------------------------------------------------------------------------------------------------


def test_what_is_gone_goes(fleets: ModuleType, fleet: Any) -> None:
    """A service in one cluster, in all, a cluster, everything: each leaves nothing behind."""
    tree = fleets.publish(fleet)
    del fleet.clusters["member1"].services[KEY]
    tree = fleets.publish(fleet, tree)
    assert [*fleets.document(tree, fleets.service_file(KEY))["clusters"]] == ["member2"]
    del fleet.clusters["member2"].services[KEY]
    tree = fleets.publish(fleet, tree)
    assert sorted(tree) == [fleets.cluster_file("member1"), fleets.cluster_file("member2")]
    del fleet.clusters["member1"]
    tree = fleets.publish(fleet, tree)
    assert sorted(tree) == [fleets.cluster_file("member2")]
    fleet.settings["karmada"] = {"clusters": {"exclude": ["*"]}}
    assert fleets.publish(fleet, tree) == {}
