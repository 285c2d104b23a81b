"""Classes of changes: each is told for what it is, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.core.classes import CLASSES, classes
from publisher.resources import schema

FLASK, WEB = "default/flask", "default/web"


def _join(fleet: Any) -> None:
    fleet.clusters["a"].nodes["new"] = type(fleet.clusters["a"].nodes["a1"])("10.9.9.9")


def _not_ready(fleet: Any) -> None:
    fleet.clusters["a"].nodes["a1"].ready = False


def _leave(fleet: Any) -> None:
    del fleet.clusters["a"].nodes["a1"]


def _marked(fleet: Any) -> None:
    fleet.clusters["a"].nodes["a1"].annotations = {"drain": "true"}


def _not_ready_and_leave(fleet: Any) -> None:
    _not_ready(fleet)
    del fleet.clusters["a"].nodes["a2"]


def _move(fleet: Any) -> None:
    fleet.clusters["a"].nodes["a1"].ip = "10.9.9.9"


def _drain(fleet: Any) -> None:
    fleet.clusters["a"].remedies = ("TrafficControl",)


def _weight(fleet: Any) -> None:
    fleet.settings["services"][FLASK]["weights"] = {"a": 1}


def _route(fleet: Any) -> None:
    fleet.settings["services"][FLASK]["routes"] = ["/env/*", "/new"]


def _no_route(fleet: Any) -> None:
    fleet.settings["services"][FLASK]["routes"] = ["/env/*"]


def _born(fleet: Any) -> None:
    fleet.clusters["a"].services[WEB] = type(fleet.clusters["a"].services[FLASK])(31194)
    fleet.settings["services"][WEB] = {"routes": ["/web"]}


def _dies(fleet: Any) -> None:
    for cluster in fleet.clusters.values():
        cluster.services.pop(FLASK, None)


def _to_more(fleet: Any) -> None:
    fleet.clusters["c"].services[FLASK] = fleet.clusters["a"].services[FLASK]


def _to_fewer(fleet: Any) -> None:
    del fleet.clusters["a"].services[FLASK]


def _port(fleet: Any) -> None:
    fleet.clusters["a"].services[FLASK].node_port = 32000


def _cluster_goes(fleet: Any) -> None:
    del fleet.clusters["a"]


def _empty_cluster(fleet: Any) -> None:
    fleet.clusters["d"] = type(fleet.clusters["a"])()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_join, {"a": "added-targets", FLASK: "added-targets"}),
        (_not_ready, {"a": "not-ready-nodes", FLASK: "not-ready-nodes"}),
        (_leave, {"a": "removed-targets", FLASK: "removed-targets"}),
        (_marked, {"a": "removed-targets", FLASK: "removed-targets"}),
        (_not_ready_and_leave, dict.fromkeys(("a", FLASK), "not-ready-nodes removed-targets")),
        (_move, {"a": "removed-targets", FLASK: "added-targets removed-targets"}),
        (_drain, {"a": "weights", FLASK: "weights"}),
        (_weight, {FLASK: "weights"}),
        (_route, {FLASK: "routes"}),
        (_no_route, {FLASK: "routes"}),
        (_born, {WEB: "added-services"}),
        (_dies, {FLASK: "removed-services"}),
        (_to_more, {FLASK: "added-targets"}),
        (_to_fewer, {FLASK: "removed-targets"}),
        (_port, {FLASK: "added-targets removed-targets"}),
        (_cluster_goes, {"a": "removed-targets", FLASK: "removed-targets"}),
        (_empty_cluster, {"d": ""}),
    ],
)
def test_each_class(fleets: ModuleType, change: Callable[[Any], None], expected: dict[str, str]) -> None:
    """Of one change, at the cluster and at the service that it reaches."""
    fleet = fleets.Fleet()
    for name in ("a", "b", "c"):
        nodes = {f"{name}{number}": fleets.NodeModel(fleet.address()) for number in (1, 2)}
        fleet.clusters[name] = fleets.ClusterModel(nodes=nodes)
    for name in ("a", "b"):
        fleet.clusters[name].services[FLASK] = fleets.ServiceModel(31193)
    fleet.settings["services"] = {FLASK: {"routes": ["/env/*"] if change is not _no_route else ["/env/*", "/old"]}}
    tree = fleets.publish(fleet)
    change(fleet)
    found = classes(fleets.build(fleet, tree).plan)
    assert {name: " ".join(sorted(kinds)) for name, kinds in found.items()} == expected


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.integers(0, 2**16), max_size=8))
def test_every_change_has_known_classes(fleets: ModuleType, seed: int, steps: list[int]) -> None:
    """Each cluster and service that a plan changes is there, and what loses targets says so."""
    fleet = fleets.make(seed)
    tree = fleets.publish(fleet)
    for number in steps:
        fleets.step(fleet, number)
    plan = fleets.build(fleet, tree).plan
    found = classes(plan)
    assert found.keys() == {item.cluster for item in plan.clusters} | {item.service for item in plan.services}
    assert set().union(*found.values()) <= set(CLASSES)
    for item in plan.services:
        assert found[item.service], "a service changes in something"
        if any(target.action == "remove" for target in item.targets):
            assert found[item.service] & {"removed-targets", "removed-services", "not-ready-nodes"}


def test_publisher_yaml_takes_all_classes_and_no_other() -> None:
    """publish.direct names them."""
    assert schema("publisher").accepts({"publisher": "edge", "publish": {"mode": "auto", "direct": list(CLASSES)}})
    assert not schema("publisher").accepts({"publisher": "edge", "publish": {"mode": "auto", "direct": ["all"]}})
