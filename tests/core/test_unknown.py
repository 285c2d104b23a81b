"""Unknown is not empty: what could not be read keeps what is published of it."""

from __future__ import annotations

import copy
import json
import random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

SEED = st.integers(0, 2**32)
STEPS = st.lists(st.integers(0, 2**16), max_size=12)
DARK = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(("Nodes", "Services", "EndpointSlices"))), min_size=1)


def steps_of(fleets: ModuleType) -> tuple[Any, ...]:
    """Give the steps that the fleet takes; what people say in publisher.yaml about a cluster is another matter."""
    left_out = {"cluster_is_deselected", "cluster_goes_dark", "cluster_comes_back"}
    return tuple(step for step in fleets.STEPS if step.__name__ not in left_out)


def live(fleets: ModuleType, seed: int, before: list[int], after: list[int], dark: Any, layout: str) -> Any:
    """Publish a fleet, let it live on with some kinds of some clusters unknown, and publish it again.

    Gives the fleet as it was published, as it is, and both trees. A route stays in publisher.yaml once it is there.
    """
    fleet = fleets.make(seed, layout)
    tree: dict[str, bytes] = {}
    for number in before:
        fleets.step(fleet, number, steps_of(fleets))
        tree = fleets.publish(fleet, tree)
    tree = fleets.publish(fleet, tree)
    then = copy.deepcopy(fleet)
    names = sorted(fleet.clusters)
    for place, kind in dark:
        fleet.clusters[names[place % len(names)]].unknown.add(kind)
    for number in after:
        fleets.step(fleet, number, steps_of(fleets))
        for key, item in then.settings["services"].items():
            if "routes" in item:
                routes = fleet.settings["services"][key].get("routes", [])
                fleet.settings["services"][key]["routes"] = sorted({*item["routes"], *routes})
    return then, fleet, tree, fleets.publish(fleet, tree)


def entries(fleets: ModuleType, tree: dict[str, bytes], name: str) -> dict[str, Any]:
    """Give what a cluster adds to each service file."""
    found = {}
    for path in tree:
        item = fleets.document(tree, path)
        if name in item.get("clusters", {}) and "service" in item:
            found[path] = item["clusters"][name]
    return found


@settings(max_examples=250)
@given(seed=SEED, before=STEPS, after=STEPS, dark=DARK)
def test_unknown_parts_stay_as_they_are(
    fleets: ModuleType, seed: int, before: list[int], after: list[int], dark: Any
) -> None:
    """Cluster files to the byte; of service files the cluster's entry and every route; no file goes."""
    then, now, old, new = live(fleets, seed, before, after, dark, "native")
    for name, cluster in now.clusters.items():
        if name not in then.clusters:  # it left and another one of its name joined
            continue
        path = fleets.cluster_file(name)
        if "Nodes" in cluster.unknown:
            assert new.get(path) == old.get(path)
        for file, entry in entries(fleets, old, name).items():
            key = json.loads(old[file])["service"]
            service = cluster.services.get(key)
            counts = service is not None and service.type == "NodePort"  # the Service itself is known, and is there
            if "Services" in cluster.unknown or ("EndpointSlices" in cluster.unknown and counts):
                assert file in new
                assert fleets.document(new, file)["clusters"][name] == entry
                routes = fleets.document(new, file)["routes"]
                assert all(route in routes for route in fleets.document(old, file)["routes"])


@settings(max_examples=150)
@given(seed=SEED, before=STEPS, after=STEPS, dark=DARK)
def test_unknown_targets_stay_in_the_tutorial(
    fleets: ModuleType, seed: int, before: list[int], after: list[int], dark: Any
) -> None:
    """The targets and routes of a cluster of which nothing could be read stay in the two shared files."""
    then, now, old, new = live(fleets, seed, before, after, [(place, "Nodes") for place, _ in dark] + dark, "tutorial")
    services = fleets.document(old, "pipy/config/publishers/edge.json")["services"] if old else {}
    balancer = {path: json.loads(tree["pipy/config/balancer.json"]) for path, tree in (("old", old), ("new", new))}
    router = {path: json.loads(tree["pipy/config/router.json"]) for path, tree in (("old", old), ("new", new))}
    clusters = fleets.document(old, "pipy/config/publishers/edge.json")["clusters"]
    for name, cluster in now.clusters.items():
        if not cluster.unknown >= {"Nodes", "Services"} or name not in then.clusters or name not in clusters:
            continue
        for key, service in services.items():
            if name not in service["clusters"]:
                continue
            part = service["clusters"][name]
            short = key.removeprefix("default/").replace("/", ".")
            nodes = clusters[name]["nodes"]
            (port,) = part["ports"].values()
            ours = {f"{nodes[node]}:{port}" for node in part.get("nodes", nodes) if node in nodes}
            assert ours & {*balancer["old"]["services"][short]} <= {*balancer["new"]["services"][short]}
            gone = {route for route, where in router["old"]["routes"].items() if where == short}
            assert all(router["new"]["routes"].get(route) == short for route in gone)


@pytest.mark.parametrize("layout", ["native", "tutorial"])
@settings(max_examples=60)
@given(seed=SEED, before=STEPS)
def test_nothing_changes_while_all_is_unknown(fleets: ModuleType, layout: str, seed: int, before: list[int]) -> None:
    """A fleet of which only the names of the clusters are known changes nothing, and everything is named."""
    then, _, tree, _ = live(fleets, seed, before, [], [], layout)
    for cluster in then.clusters.values():
        cluster.unknown = set(fleets.KINDS)
    plan = fleets.build(then, tree).plan
    assert plan.files == ()
    assert len(plan.unknown) == 3 * len(then.clusters)


@settings(max_examples=100)
@given(seed=SEED, before=STEPS, which=st.integers(0))
def test_a_complete_list_takes_away(fleets: ModuleType, seed: int, before: list[int], which: int) -> None:
    """A known cluster that no longer has the Service loses its entry, though another cluster is unknown."""
    fleet = fleets.make(seed)
    for number in before:
        fleets.step(fleet, number, steps_of(fleets))
    tree = fleets.publish(fleet)
    files = [path for path in sorted(tree) if len(fleets.document(tree, path).get("clusters", ())) > 1]
    assume(files)
    file = files[which % len(files)]
    key = fleets.document(tree, file)["service"]
    dark, bright = random.Random(seed).sample(sorted(fleets.document(tree, file)["clusters"]), 2)
    fleet.clusters[dark].unknown = set(fleets.KINDS)
    del fleet.clusters[bright].services[key]
    outcome = fleets.build(fleet, tree)
    assume(not outcome.plan.errors)  # only a weight of 0 may be left, and then the service stays as it is
    after = fleets.applied(tree, outcome)
    assert bright not in fleets.document(after, file)["clusters"]
    assert dark in fleets.document(after, file)["clusters"]


def test_a_cluster_that_is_gone_goes_though_others_are_unknown(fleets: ModuleType) -> None:
    """Its file and its entries, also where nothing else is known of the service."""
    fleet = two_clusters(fleets)
    tree = fleets.publish(fleet)
    del fleet.clusters["member2"]
    fleet.clusters["member1"].unknown = set(fleets.KINDS)
    after = fleets.publish(fleet, tree)
    assert after.keys() == tree.keys() - {fleets.cluster_file("member2")}
    assert [*fleets.document(after, fleets.service_file("default/flask"))["clusters"]] == ["member1"]
    assert fleets.check(fleet, after) == ()


def test_a_cluster_that_was_never_read_is_not_published(fleets: ModuleType) -> None:
    """Without its Nodes a new cluster has no file, and no service names it."""
    fleet = two_clusters(fleets)
    fleet.clusters["member2"].unknown = {"Nodes"}
    tree = fleets.publish(fleet)
    assert tree.keys() == {fleets.cluster_file("member1"), fleets.service_file("default/flask")}
    assert [*fleets.document(tree, fleets.service_file("default/flask"))["clusters"]] == ["member1"]


@pytest.mark.parametrize("kind", ["Nodes", "Services", "EndpointSlices"])
def test_the_plan_names_what_is_unknown(fleets: ModuleType, kind: str) -> None:
    """Cluster, kind and reason."""
    fleet = two_clusters(fleets)
    fleet.clusters["member2"].unknown = {kind}
    named = {(item.cluster, item.kind) for item in fleets.build(fleet, {}).plan.unknown}
    expected = {"Services", "EndpointSlices"} if kind == "Services" else {kind}
    assert named == {("member2", name) for name in expected}


def test_a_local_service_keeps_its_nodes_while_they_are_unknown(fleets: ModuleType) -> None:
    """Which nodes answer cannot be told without the Nodes."""
    fleet = two_clusters(fleets)
    service = fleet.clusters["member2"].services["default/flask"]
    service.local = True
    service.endpoints = {"n1": True}
    tree = fleets.publish(fleet)
    service.endpoints = {"n1": False}
    fleet.clusters["member2"].unknown = {"Nodes"}
    assert fleets.build(fleet, tree).plan.files == ()


def test_annotated_routes_of_an_unknown_cluster_stay(fleets: ModuleType) -> None:
    """A route that a known cluster does not claim may be claimed by the unknown one."""
    fleet = two_clusters(fleets)
    del fleet.settings["services"]["default/flask"]
    fleet.settings["grants"] = [{"namespaces": ["default"]}]
    fleet.clusters["member1"].services["default/flask"].annotations = {"routes": "/a/*"}
    fleet.clusters["member2"].services["default/flask"].annotations = {"routes": "/a/* /b/*"}
    tree = fleets.publish(fleet)
    fleet.clusters["member2"].unknown = {"Services"}
    fleet.clusters["member1"].services["default/flask"].annotations = {"routes": "/a/* /c/*"}
    after = fleets.publish(fleet, tree)
    routes = fleets.document(after, fleets.service_file("default/flask"))["routes"]
    assert [route["path"] for route in routes] == ["/a/*", "/b/*", "/c/*"]


def two_clusters(fleets: ModuleType) -> Any:
    """Make a fleet of two clusters that both have one service."""
    fleet = fleets.Fleet()
    for name in ("member1", "member2"):
        nodes = {f"n{number}": fleets.NodeModel(fleet.address()) for number in (1, 2)}
        services = {"default/flask": fleets.ServiceModel(31193)}
        fleet.clusters[name] = fleets.ClusterModel(nodes=nodes, services=services)
    fleet.settings["services"] = {"default/flask": {"routes": ["/env/*"]}}
    return fleet
