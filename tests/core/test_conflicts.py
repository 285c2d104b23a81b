"""Two services that want one route: one gets it, the other is told, and the rest goes on."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

FIRST, SECOND = "default/first", "team/second"


@pytest.fixture(params=["native", "tutorial"])
def fleet(fleets: ModuleType, request: pytest.FixtureRequest) -> Any:
    """One cluster, no service, every route granted."""
    made = fleets.Fleet()
    made.settings |= {"layout": request.param, "grants": [{"namespaces": ["*"]}], "services": {}}
    made.clusters["member1"] = fleets.ClusterModel(nodes={"n1": fleets.NodeModel("10.0.0.1")})
    return made


def add(fleets: ModuleType, fleet: Any, key: str, routes: str, created: str, cluster: str = "member1") -> Any:
    """Add a service that claims routes by annotation."""
    services = fleet.clusters[cluster].services
    services[key] = fleets.ServiceModel(
        30000 + 10 * len(services), created=f"2026-01-0{created}T00:00:00Z", annotations={"routes": routes}
    )
    return services[key]


def owners(fleets: ModuleType, fleet: Any, tree: dict[str, bytes]) -> dict[str, str]:
    """Give the service of each route, from the files."""
    assert fleets.check(fleet, tree) == ()
    if "pipy/config/router.json" in tree:
        routes = json.loads(tree["pipy/config/router.json"])["routes"]
        return {path: {"first": FIRST, "team.second": SECOND}[name] for path, name in routes.items()}
    documents = [fleets.document(tree, path) for path in tree if "/services/" in path]
    return {route["path"]: item["service"] for item in documents for route in item["routes"]}


def told(outcome: Any) -> list[tuple[str, str]]:
    """Give the service and text of each conflict."""
    return [(item.where, item.message) for item in outcome.plan.findings if item.rule == "route-conflict"]


@pytest.mark.parametrize("swap", [False, True])
def test_the_oldest_claim_wins(fleets: ModuleType, fleet: Any, swap: bool) -> None:
    """Whatever the names; the loser keeps its other routes and is told."""
    keys = (SECOND, FIRST) if swap else (FIRST, SECOND)
    add(fleets, fleet, keys[0], "/x /a", "2")
    add(fleets, fleet, keys[1], "/x /b", "1")
    outcome = fleets.build(fleet, {})
    assert owners(fleets, fleet, fleets.applied({}, outcome)) == {"/x": keys[1], "/a": keys[0], "/b": keys[1]}
    assert told(outcome) == [(f"service {keys[0]}", f"route /x belongs to {keys[1]}")]
    assert not outcome.plan.errors


def test_the_oldest_service_of_all_clusters_counts(fleets: ModuleType, fleet: Any) -> None:
    """A service is as old as its oldest Service."""
    fleet.clusters["member2"] = fleets.ClusterModel(nodes={"n1": fleets.NodeModel("10.0.0.2")})
    add(fleets, fleet, FIRST, "/x", "2")
    add(fleets, fleet, SECOND, "/x", "3")
    add(fleets, fleet, SECOND, "/x", "1", "member2")
    assert owners(fleets, fleet, fleets.publish(fleet)) == {"/x": SECOND}


def test_who_has_a_route_keeps_it(fleets: ModuleType, fleet: Any) -> None:
    """An older Service that asks later does not get it."""
    add(fleets, fleet, SECOND, "/x", "2")
    tree = fleets.publish(fleet)
    add(fleets, fleet, FIRST, "/x /a", "1")
    outcome = fleets.build(fleet, tree)
    assert owners(fleets, fleet, fleets.applied(tree, outcome)) == {"/x": SECOND, "/a": FIRST}
    assert told(outcome) == [(f"service {FIRST}", f"route /x belongs to {SECOND}")]


@pytest.mark.parametrize("other", ["", " /b"])
@pytest.mark.parametrize("swap", [False, True])
def test_publisher_yaml_wins(fleets: ModuleType, fleet: Any, other: str, swap: bool) -> None:
    """Also over a published route: its service is published without it, or goes where it has no other."""
    tenant, named = (SECOND, FIRST) if swap else (FIRST, SECOND)
    add(fleets, fleet, tenant, f"/x{other}", "1")
    tree = fleets.publish(fleet)
    add(fleets, fleet, named, "", "2")
    fleet.settings["services"] = {named: {"routes": ["/x"]}}
    outcome = fleets.build(fleet, tree)
    after = fleets.applied(tree, outcome)
    assert owners(fleets, fleet, after) == {"/x": named, **({"/b": tenant} if other else {})}
    assert told(outcome) == [(f"service {tenant}", f"route /x belongs to {named}")]
    changes = {change.service: change.action for change in outcome.plan.services}
    assert changes == {tenant: "change" if other else "delete", named: "create"}
    assert fleets.build(fleet, after).plan.files == ()


def test_two_of_publisher_yaml(fleets: ModuleType, fleet: Any) -> None:
    """The older one; the other is an error, since a person asked for it."""
    add(fleets, fleet, FIRST, "", "2")
    add(fleets, fleet, SECOND, "", "1")
    fleet.settings["services"] = {FIRST: {"routes": ["/x"]}, SECOND: {"routes": ["/x"]}}
    outcome = fleets.build(fleet, {})
    assert owners(fleets, fleet, fleets.applied({}, outcome)) == {"/x": SECOND}
    assert [item.where for item in outcome.plan.errors] == [f"service {FIRST}"]


def test_a_loser_with_no_other_route_is_not_published(fleets: ModuleType, fleet: Any) -> None:
    """It says so."""
    add(fleets, fleet, FIRST, "/x", "2")
    add(fleets, fleet, SECOND, "/x", "1")
    outcome = fleets.build(fleet, {})
    assert owners(fleets, fleet, fleets.applied({}, outcome)) == {"/x": SECOND}
    assert outcome.plan.unpublished == ((FIRST, "refused: others have its routes, see the findings"),)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("why", ["weights", "port", "endpoint"])
def test_who_cannot_be_published_takes_no_route(fleets: ModuleType, fleet: Any, swap: bool, why: str) -> None:
    """A mistake in publisher.yaml does not take a route from the service that answers for it."""
    tenant, named = (SECOND, FIRST) if swap else (FIRST, SECOND)
    add(fleets, fleet, tenant, "/x", "1")
    tree = fleets.publish(fleet)
    service = add(fleets, fleet, named, "", "2")
    fleet.settings["services"] = {named: {"routes": ["/x"]}}
    if why == "weights":
        fleet.settings["services"][named]["weights"] = {"member1": 0}
    elif why == "port":
        fleet.settings["services"][named]["port"] = "nosuch"
    else:
        service.endpoints = {}
    outcome = fleets.build(fleet, tree)
    assert outcome.plan.files == ()
    assert told(outcome) == []


@pytest.mark.parametrize("swap", [False, True])
def test_a_route_of_an_unknown_cluster_cannot_be_taken(fleets: ModuleType, fleet: Any, swap: bool) -> None:
    """Not even by publisher.yaml; it is, once the cluster can be read."""
    tenant, named = (SECOND, FIRST) if swap else (FIRST, SECOND)
    fleet.clusters["member2"] = fleets.ClusterModel(nodes={"n1": fleets.NodeModel("10.0.0.2")})
    add(fleets, fleet, tenant, "/x", "1", "member2")
    add(fleets, fleet, named, "", "2")
    tree = fleets.publish(fleet)
    fleet.clusters["member2"].unknown = set(fleets.KINDS)
    fleet.settings["services"] = {named: {"routes": ["/x", "/y"]}}
    outcome = fleets.build(fleet, tree)
    tree = fleets.applied(tree, outcome)
    assert owners(fleets, fleet, tree) == {"/x": tenant, "/y": named}
    assert told(outcome) == [(f"service {named}", f"route /x belongs to {tenant}")]
    fleet.clusters["member2"].unknown = set()
    assert owners(fleets, fleet, fleets.publish(fleet, tree)) == {"/x": named, "/y": named}


def test_a_service_with_a_mistake_keeps_its_routes(fleets: ModuleType, fleet: Any) -> None:
    """What is published of it stays; a newcomer does not get its route meanwhile."""
    service = add(fleets, fleet, SECOND, "/x", "2")
    tree = fleets.publish(fleet)
    service.more_ports = (("admin", 81, 32000, "TCP"),)
    service.annotations["routes"] = "/x /z"
    add(fleets, fleet, FIRST, "/x /z /a", "1")
    outcome = fleets.build(fleet, tree)
    assert owners(fleets, fleet, fleets.applied(tree, outcome)) == {"/x": SECOND, "/z": FIRST, "/a": FIRST}
    assert {item.rule for item in outcome.plan.findings} == {"port", "route-conflict"}


def test_a_conflict_that_stands_in_the_tree_is_not_settled_blindly(fleets: ModuleType) -> None:
    """Two published services of clusters that cannot be read keep the one route that both have, and it is told."""
    fleet: Any = fleets.Fleet()
    fleet.settings |= {"grants": [{"namespaces": ["*"]}], "services": {}}
    for number, key in enumerate((FIRST, SECOND)):
        fleet.clusters[f"member{number}"] = fleets.ClusterModel(nodes={"n1": fleets.NodeModel(fleet.address())})
        add(fleets, fleet, key, f"/{number}", "1", f"member{number}")
    tree = fleets.publish(fleet)
    path = fleets.service_file(SECOND)
    tree[path] = tree[path].replace(b"/1", b"/0")
    for cluster in fleet.clusters.values():
        cluster.unknown = set(fleets.KINDS)
    outcome = fleets.build(fleet, tree)
    assert outcome.plan.files == ()
    assert told(outcome) == [(f"service {SECOND}", f"route /0 belongs to {FIRST}")]


def test_a_service_with_a_mistake_leaves_a_cluster_that_is_gone(fleets: ModuleType, fleet: Any) -> None:
    """The cluster's file goes, and nothing may name it any more."""
    fleet.clusters["member2"] = fleets.ClusterModel(nodes={"n1": fleets.NodeModel("10.0.0.2")})
    service = add(fleets, fleet, FIRST, "/x", "1")
    add(fleets, fleet, FIRST, "/x", "1", "member2")
    tree = fleets.publish(fleet)
    service.more_ports = (("admin", 81, 32000, "TCP"),)
    del fleet.clusters["member2"]
    outcome = fleets.build(fleet, tree)
    assert owners(fleets, fleet, fleets.applied(tree, outcome)) == {"/x": FIRST}
    assert outcome.desired.config.services[FIRST].parts.keys() == {"member1"}
    assert [item.rule for item in outcome.plan.findings] == ["port"]


def test_hosts_keep_routes_apart(fleets: ModuleType, fleet: Any) -> None:
    """One path on two hosts is two routes, and so is one on any host."""
    add(fleets, fleet, FIRST, "a.com/x /x", "2")
    add(fleets, fleet, SECOND, "b.com/x *.a.com/x A.com/x", "1")
    outcome = fleets.build(fleet, {})
    assert told(outcome) == [(f"service {FIRST}", f"route a.com/x belongs to {SECOND}")]


@pytest.mark.parametrize(
    ("owner", "whose"),
    [
        ({"publisher": "other"}, "publisher 'other'"),
        ({"publisher": ""}, "no publisher"),
        ({"publisher": ["other"]}, "no publisher"),
        ({}, "no publisher"),
    ],
)
def test_a_published_route_that_somebody_writes_elsewhere_too(
    fleets: ModuleType, owner: dict[str, Any], whose: str
) -> None:
    """Ours stays while both have it; a person decides, and is told whose the other is."""
    fleet: Any = fleets.Fleet()
    fleet.settings["services"] = {FIRST: {"routes": ["/x"]}}
    fleet.clusters["member1"] = fleets.ClusterModel(nodes={"n1": fleets.NodeModel("10.0.0.1")})
    add(fleets, fleet, FIRST, "", "1")
    tree = fleets.publish(fleet)
    path = "pipy/config/services/by-hand.json"
    document = {"service": "by/hand", **owner, "routes": [{"path": "/x", "port": "http"}], "clusters": {}}
    tree[path] = json.dumps(document).encode()
    outcome = fleets.build(fleet, tree)
    assert outcome.plan.files == ()
    assert told(outcome) == [(f"service {FIRST}", f"route /x stands in {path}, which belongs to {whose}")]


def test_a_route_in_a_file_of_somebody_else(fleets: ModuleType, fleet: Any) -> None:
    """A new route does not get into a tree where it stands already, and a person's entry is never touched."""
    add(fleets, fleet, FIRST, "/x", "1")
    add(fleets, fleet, SECOND, "/b", "2")
    if fleet.settings["layout"] == "native":
        path = "pipy/config/services/by-hand.json"
        content = json.dumps({"service": "by/hand", "routes": [{"path": "/x", "port": "http"}], "clusters": {}})
    else:
        path, content = "pipy/config/router.json", '{"routes": {"/x": "by-hand"}}'
    outcome = fleets.build(fleet, {path: content.encode()})
    after = fleets.applied({path: content.encode()}, outcome)
    assert not any("first" in name for name in after)
    assert [item.where for item in outcome.plan.findings] == [f"service {FIRST}"]
    if fleet.settings["layout"] == "native":
        assert after[path] == content.encode()
        assert fleets.service_file(SECOND) in after
    else:
        assert json.loads(after[path]) == {"routes": {"/x": "by-hand", "/b": "team.second"}}
