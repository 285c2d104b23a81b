"""A plan says what really changes: its targets, counts, documents, digest and commit message."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.commands.explain import explain
from publisher.core import documents, report
from publisher.core.markdown import markdown
from publisher.errors import UsageError
from publisher.resources import schema

SEED = st.integers(0, 2**32)
STEPS = st.lists(st.integers(0, 2**16), max_size=12)


@settings(max_examples=120)
@given(seed=SEED, steps=STEPS)
def test_explain_and_counts_are_what_the_files_say(fleets: ModuleType, seed: int, steps: list[int]) -> None:
    """Targets of explain, before and after of the plan, and what comes and goes: all equal to the joined files."""
    fleet = fleets.make(seed)
    tree: dict[str, bytes] = {}
    for number in [0, *steps]:
        fleets.step(fleet, number)
        outcome = fleets.build(fleet, tree)
        after = fleets.applied(tree, outcome)
        old, new = fleets.joined(tree), fleets.joined(after)
        for key in outcome.selection.services:
            found = explain(outcome, key)
            assert sorted(tuple(target) for target in found.targets) == sorted(new.get(key, []))
            assert bool(found.unpublished) == (key not in new)
        changed = {change.service: change for change in outcome.plan.services}
        for key in old.keys() | new.keys():
            gone = {target[:3] for target in old.get(key, [])} - {target[:3] for target in new.get(key, [])}
            come = {target[:3] for target in new.get(key, [])} - {target[:3] for target in old.get(key, [])}
            if key not in changed:
                assert not gone
                assert not come
                continue
            change = changed[key]
            assert (change.targets_before, change.targets_after) == (len(old.get(key, [])), len(new.get(key, [])))
            for action, targets in (("add", come), ("remove", gone)):
                groups = [item for item in change.targets if item.action == action]
                told = [(item.cluster, *pair) for item in groups for pair in report.addresses(item)]
                assert sorted(told) == sorted(targets)
                assert sum(item.total for item in groups) == len(targets)
                assert all(item.reason for item in groups)
            for weight in change.weights:
                assert {target[3] for target in old[key] if target[0] == weight.cluster} <= {weight.before}
                assert {target[3] for target in new[key] if target[0] == weight.cluster} <= {weight.after}
        tree = after


@settings(max_examples=80)
@given(seed=SEED, steps=STEPS)
def test_explain_is_what_the_tutorial_files_say(fleets: ModuleType, seed: int, steps: list[int]) -> None:
    """The addresses with a weight are those in balancer.json, the routes those in router.json."""
    fleet = fleets.make(seed, "tutorial")
    tree: dict[str, bytes] = {}
    for number in [0, *steps]:
        fleets.step(fleet, number)
        outcome = fleets.build(fleet, tree)
        tree = fleets.applied(tree, outcome)
        balancer = json.loads(tree.get("pipy/config/balancer.json", b'{"services": {}}'))["services"]
        router = json.loads(tree.get("pipy/config/router.json", b'{"routes": {}}'))["routes"]
        told: dict[str, list[str]] = {}
        routes: dict[str, str] = {}
        for key in outcome.selection.services:
            found = explain(outcome, key)
            if not found.unpublished:
                name = key.removeprefix("default/").replace("/", ".")
                told[name] = sorted(target.address for target in found.targets if target.weight)
                routes |= dict.fromkeys(found.routes, name)
        assert told == balancer
        assert routes == router


@pytest.mark.parametrize("layout", ["native", "tutorial"])
@settings(max_examples=60)
@given(seed=SEED, steps=STEPS)
def test_documents_and_messages(fleets: ModuleType, layout: str, seed: int, steps: list[int]) -> None:
    """The JSON of a plan fits its schema, everything is made anew the same, and the message ends in its trailers."""
    fleet = fleets.make(seed, layout)
    tree = fleets.publish(fleet)
    for number in steps:
        fleets.step(fleet, number)
    outcome = fleets.build(fleet, tree)
    plan, *configs = outcome.plan, outcome.current, outcome.desired.config
    again = fleets.build(fleet, tree).plan
    assert schema("plan").findings(json.loads(documents.as_json(plan)), "plan") == ()
    assert documents.as_json(again) == documents.as_json(plan)
    assert markdown(again, *configs) == markdown(plan, *configs)
    message = report.commit_message(plan)
    assert report.commit_message(again) == message
    assert message.splitlines()[-3:] == [
        "Publisher-Id: edge",
        f"Publisher-Plan: {plan.digest}",
        f"Publisher-Snapshot: {plan.snapshot}",
    ]
    for key in outcome.selection.services:
        document = explain(outcome, key).document()
        assert json.loads(json.dumps(document)) == document


@settings(max_examples=12)
@given(seed=SEED, steps=STEPS)
def test_git_reads_the_trailers(fleets: ModuleType, seed: int, steps: list[int]) -> None:
    """All three, and nothing of the rest of the message."""
    fleet = fleets.make(seed)
    tree = fleets.publish(fleet)
    for number in steps:
        fleets.step(fleet, number)
    plan = fleets.build(fleet, tree).plan
    parse = ["git", "interpret-trailers", "--parse"]
    message = report.commit_message(plan)
    shown = subprocess.run(parse, input=message, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == message.splitlines()[-3:]


@settings(max_examples=150)
@given(seed=SEED, one=STEPS, other=STEPS)
def test_digests_tell_plans_apart(fleets: ModuleType, seed: int, one: list[int], other: list[int]) -> None:
    """Digests are equal if and only if the changes to the files are."""
    plans = []
    for steps in (one, other):
        fleet = fleets.make(seed)
        tree = fleets.publish(fleet)
        for number in steps:
            fleets.step(fleet, number)
        plans.append(fleets.build(fleet, tree).plan)
    assert (plans[0].digest == plans[1].digest) == (plans[0].files == plans[1].files)


def test_digests_look_at_path_action_and_content(fleets: ModuleType) -> None:
    """And at nothing else of a plan."""
    plan = fleets.build(small(fleets), {}).plan
    file = plan.files[0]
    others = [
        replace(file, path="pipy/config/clusters/other.json"),
        replace(file, action="change"),
        replace(file, content=b"{}"),
        replace(file, action="delete", content=None),
    ]
    digests = {replace(plan, files=(item,)).digest for item in [file, *others]}
    assert len(digests) == 5
    assert replace(plan, files=()).digest not in digests
    assert replace(plan, findings=(), services=(), unknown=(), snapshot="other").digest == plan.digest


def small(fleets: ModuleType) -> Any:
    """Make a fleet of one cluster with two nodes and one service."""
    fleet = fleets.Fleet()
    nodes = {"n1": fleets.NodeModel("10.0.0.1"), "n2": fleets.NodeModel("10.0.0.2")}
    fleet.clusters["member1"] = fleets.ClusterModel(
        nodes=nodes, services={"default/flask": fleets.ServiceModel(31193)}, region="cn-north"
    )
    fleet.settings["services"] = {"default/flask": {"routes": ["/env/*"]}}
    return fleet


def test_the_files_to_the_byte(fleets: ModuleType) -> None:
    """As the design shows them: one entry a line, keys sorted, final newline."""
    fleet = small(fleets)
    tree = fleets.publish(fleet)
    assert tree[fleets.cluster_file("member1")].decode() == (
        '{\n  "$schema": "../../../schemas/cluster.schema.json",\n  "cluster": "member1",\n  "publisher": "edge",\n'
        '  "region": "cn-north",\n  "state": "active",\n  "nodes": {\n    "n1": "10.0.0.1",\n    "n2": "10.0.0.2",\n'
        '    "$end": true\n  }\n}\n'
    )
    assert tree[fleets.service_file("default/flask")].decode() == (
        '{\n  "$schema": "../../../schemas/service.schema.json",\n  "service": "default/flask",\n'
        '  "publisher": "edge",\n  "routes": [\n    {"path": "/env/*", "port": "http"}\n  ],\n  "clusters": {\n'
        '    "member1": {"ports": {"http": 31193}, "weight": 100},\n    "$end": true\n  }\n}\n'
    )


def test_the_message_to_the_byte(fleets: ModuleType) -> None:
    """A subject that names what changes, what comes and goes and why, and the trailers."""
    fleet = small(fleets)
    tree = fleets.publish(fleet)
    fleet.clusters["member1"].nodes["n2"].ready = False
    plan = fleets.build(fleet, tree).plan
    assert report.commit_message(plan) == (
        "member1: remove n2\n\n~ cluster member1\n    - node n2 10.0.0.2 (Node is not Ready)\n"
        "~ service default/flask: 2 -> 1 target\n    - member1: 10.0.0.2:31193 (Node is not Ready)\n\n"
        f"Publisher-Id: edge\nPublisher-Plan: {plan.digest}\nPublisher-Snapshot: {plan.snapshot}\n"
    )


def _no_node(fleet: Any) -> None:
    del fleet.clusters["member1"].nodes["n2"]


def _no_service(fleet: Any) -> None:
    del fleet.clusters["member1"].services["default/flask"]


def _no_cluster(fleet: Any) -> None:
    del fleet.clusters["member1"]


def _no_route(fleet: Any) -> None:
    fleet.settings["services"] = {}


def _not_published(fleet: Any) -> None:
    fleet.settings["services"]["default/flask"]["publish"] = False


def _no_endpoint(fleet: Any) -> None:
    fleet.clusters["member1"].services["default/flask"].endpoints = {}


def _another_address(fleet: Any) -> None:
    fleet.clusters["member1"].nodes["n2"].ip = "10.0.0.3"


def _another_port(fleet: Any) -> None:
    fleet.clusters["member1"].services["default/flask"].node_port = 31194


def _not_selected(fleet: Any) -> None:
    fleet.settings["karmada"] = {"clusters": {"exclude": ["member*"]}}


def _local(fleet: Any) -> None:
    service = fleet.clusters["member1"].services["default/flask"]
    service.local = True
    service.endpoints = {"n1": True, "n2": False}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_no_node, "the cluster no longer has the Node"),
        (_no_service, "the cluster has no such Service"),
        (_no_cluster, "Karmada no longer has the cluster"),
        (_no_route, "it has no route"),
        (_not_published, "publisher.yaml says publish: false"),
        (_no_endpoint, "no endpoint: nothing of it runs there"),
        (_another_address, "its address changed"),
        (_another_port, "nodePort changed from 31193 to 31194"),
        (_not_selected, "karmada.clusters.exclude names it"),
        (_local, "no ready endpoint on it"),
    ],
)
def test_a_target_goes_for_a_reason(fleets: ModuleType, change: Any, reason: str) -> None:
    """Each way to lose a target has its own words."""
    fleet = small(fleets)
    fleet.clusters["other"] = fleets.ClusterModel()
    tree = fleets.publish(fleet)
    change(fleet)
    (found,) = fleets.build(fleet, tree).plan.services
    assert {item.reason for item in found.targets if item.action == "remove"} == {reason}


def test_explain_knows_only_what_there_is(fleets: ModuleType) -> None:
    """A service that no cluster and no file has is a usage error that names some that there are."""
    with pytest.raises(UsageError, match="default/flask"):
        explain(fleets.build(small(fleets), {}), "default/flaks")


def test_explain_gives_the_reason_of_each_exclusion(fleets: ModuleType) -> None:
    """Clusters, and nodes of clusters that are in."""
    fleet = small(fleets)
    fleet.clusters["member1"].nodes["n2"].ready = False
    fleet.clusters["member2"] = fleets.ClusterModel()
    fleet.clusters["member3"] = fleets.ClusterModel(annotations={"exclude": "true"})
    fleet.clusters["member4"] = fleets.ClusterModel(unknown={"Services"})
    fleet.clusters["member5"] = fleets.ClusterModel(
        nodes={"n1": fleets.NodeModel("10.0.1.1")}, services={"default/flask": fleets.ServiceModel(31193, local=True)}
    )
    found = explain(fleets.build(fleet, {}), "default/flask")
    assert {(item.cluster, item.node): item.reason for item in found.excluded} == {
        ("member1", "n2"): "Node is not Ready",
        ("member2", ""): "the cluster has no such Service",
        ("member3", ""): "annotation exclude",
        ("member5", "n1"): "no ready endpoint on it, and externalTrafficPolicy is Local",
    }
    assert [(item.cluster, item.reason) for item in found.unknown] == [("member4", "services: timeout")]
    assert [target.address for target in found.targets] == ["10.0.0.1:31193"]


def test_a_file_that_is_not_ours_changes_nothing_in_the_plan(fleets: ModuleType) -> None:
    """The plan and explain say what will be in the tree, not what was wished for."""
    fleet = small(fleets)
    path = fleets.service_file("default/flask")
    theirs = json.dumps({"service": "default/flask", "publisher": "they", "routes": [], "clusters": {}}).encode()
    outcome = fleets.build(fleet, {path: theirs})
    assert [file.path for file in outcome.plan.files] == [fleets.cluster_file("member1")]
    assert outcome.plan.services == ()
    assert [item.rule for item in outcome.plan.errors] == ["not-ours"]
    assert not explain(outcome, "default/flask").targets
    assert explain(outcome, "default/flask").unpublished == "refused, see the findings"
