"""The size of a diff is the size of the change."""

from __future__ import annotations

import difflib
import random
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from hypothesis import assume, given
from hypothesis import settings as limits
from hypothesis import strategies as st

SEED = st.integers(0, 2**32)
NODE = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,12}[a-z0-9])?", fullmatch=True).filter(lambda name: ".." not in name)


def numstat(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> dict[str, tuple[int, int]]:
    """Count the lines added and removed by file, as git does."""
    found = {}
    for path in sorted({path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}):
        old, new = (tree.get(path, b"").decode().splitlines(keepends=True) for tree in (before, after))
        lines = list(difflib.unified_diff(old, new, n=0))[2:]
        found[path] = (sum(line[0] == "+" for line in lines), sum(line[0] == "-" for line in lines))
    return found


def published(fleets: ModuleType, seed: int, drained: bool = False) -> tuple[Any, dict[str, bytes]]:
    """Make a fleet where every service has two clusters and a few nodes, and publish it."""
    rng = random.Random(seed)
    fleet = fleets.make(seed)
    for name in ("left", "right"):
        fleet.clusters.setdefault(name, fleets.ClusterModel())
        if drained:
            fleet.clusters[name].remedies = ("TrafficControl",)
        for key in sorted({key for _, key in fleet.parts()}):
            fleet.settings["services"].setdefault(key, {})["routes"] = [f"/{key}/*"]
            model = fleets.ServiceModel(rng.randint(30000, 32767), port_name=rng.choice(("http", "web")))
            fleet.clusters[name].services[key] = model
    for _, key in fleet.parts():
        fleet.settings["services"][key]["port"] = 80
    for cluster in fleet.clusters.values():
        for service in cluster.services.values():
            service.port_name = "http"
    return fleet, fleets.publish(fleet)


@limits(max_examples=80)
@given(seed=SEED, name=NODE, which=st.integers(0), drained=st.booleans())
def test_a_node_that_joins_is_one_added_line(
    fleets: ModuleType, seed: int, name: str, which: int, drained: bool
) -> None:
    """Whatever its name sorts before, however many services there are; and one removed line when it leaves."""
    fleet, before = published(fleets, seed, drained)
    cluster = sorted(fleet.clusters)[which % len(fleet.clusters)]
    assume(name not in fleet.clusters[cluster].nodes)
    fleet.clusters[cluster].nodes[name] = fleets.NodeModel(fleet.address())
    joined = fleets.publish(fleet, before)
    assert numstat(before, joined) == {fleets.cluster_file(cluster): (1, 0)}
    del fleet.clusters[cluster].nodes[name]
    left = fleets.publish(fleet, joined)
    assert numstat(joined, left) == {fleets.cluster_file(cluster): (0, 1)}
    assert left == before


@limits(max_examples=80)
@given(seed=SEED, which=st.integers(0), weights=st.tuples(st.integers(1, 99), st.integers(1, 99)))
def test_a_canary_step_is_one_changed_line(fleets: ModuleType, seed: int, which: int, weights: tuple[int, int]) -> None:
    """A weight that changes is one line of one service's file."""
    assume(weights[0] != weights[1])
    fleet, _ = published(fleets, seed)
    name, key = sorted(fleet.parts())[which % len(fleet.parts())]
    fleet.settings["services"][key]["weights"] = {name: weights[0]}
    before = fleets.publish(fleet)
    assume(name in fleets.document(before, fleets.service_file(key))["clusters"])
    fleet.settings["services"][key]["weights"] = {name: weights[1]}
    assert numstat(before, fleets.publish(fleet, before)) == {fleets.service_file(key): (1, 1)}


@limits(max_examples=80)
@given(seed=SEED, name=NODE, nodes=st.integers(0, 4))
def test_a_cluster_that_joins_is_one_file_and_one_line_for_each_of_its_services(
    fleets: ModuleType, seed: int, name: str, nodes: int
) -> None:
    """The same lines are removed when it leaves."""
    fleet, before = published(fleets, seed)
    assume(name not in fleet.clusters)
    keys = sorted({key for _, key in fleet.parts()})
    new = fleet.clusters[name] = fleets.ClusterModel()
    for number in range(nodes):
        new.nodes[f"node{number}"] = fleets.NodeModel(fleet.address())
    for number, key in enumerate(keys[: seed % (len(keys) + 1)]):
        new.services[key] = fleets.ServiceModel(30000 + number)
    joined = fleets.publish(fleet, before)
    changed = numstat(before, joined)
    lines, _ = changed.pop(fleets.cluster_file(name))
    assert lines == 9 + nodes
    assert changed == {fleets.service_file(key): (1, 0) for key in new.services}
    del fleet.clusters[name]
    assert fleets.publish(fleet, joined) == before


@limits(max_examples=40)
@given(seed=SEED, which=st.integers(0))
def test_a_cluster_that_is_drained_is_one_changed_line(fleets: ModuleType, seed: int, which: int) -> None:
    """Karmada's remedy changes the state, and no service."""
    fleet, before = published(fleets, seed)
    name = sorted(fleet.clusters)[which % len(fleet.clusters)]
    fleet.clusters[name].remedies = ("TrafficControl",)
    assert numstat(before, fleets.publish(fleet, before)) == {fleets.cluster_file(name): (1, 1)}


@limits(max_examples=40)
@given(seed=SEED, which=st.integers(0))
def test_a_node_port_that_moves_is_one_changed_line(fleets: ModuleType, seed: int, which: int) -> None:
    """A Service made anew in one cluster changes its entry there only."""
    fleet, before = published(fleets, seed)
    name, key = sorted(fleet.parts())[which % len(fleet.parts())]
    fleet.clusters[name].services[key].node_port = 31999 if fleet.clusters[name].services[key].node_port < 31999 else 1
    assume(name in fleets.document(before, fleets.service_file(key))["clusters"])
    assert numstat(before, fleets.publish(fleet, before)) == {fleets.service_file(key): (1, 1)}
