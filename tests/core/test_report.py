"""What comes from the fleet is text in a report, and never another line or a trailer."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.core import documents, report
from publisher.core.history import trailers
from publisher.core.plan import Plan
from publisher.resources import schema


def test_text_and_message_are_lines(plan_of: Callable[[str], Plan], nasty: str) -> None:
    """Each line stays one, and prints as it stands."""
    plan, word = plan_of(nasty), plan_of("word")
    lines = list(report.text(plan))
    assert len(lines) == len(list(report.text(word)))
    assert all(line.isprintable() for line in lines)
    message = report.commit_message(plan)
    assert len(message.splitlines()) == len(report.commit_message(word).splitlines())
    assert all(line.isprintable() for line in message.splitlines())


@given(text=st.text(min_size=1, max_size=40))
def test_nothing_adds_a_line(plan_of: Callable[[str], Plan], text: str) -> None:
    """Whatever it is; and the JSON document holds it as it is."""
    plan, word = plan_of(text), plan_of("word")
    assert len(report.commit_message(plan).split("\n")) == len(report.commit_message(word).split("\n"))
    assert schema("plan").accepts(json.loads(documents.as_json(plan).encode(errors="replace")))


def test_no_text_becomes_a_trailer(plan_of: Callable[[str], Plan], nasty: str) -> None:
    """git finds the five that are ours; so do we, wherever they stand."""
    message = report.commit_message(plan_of(nasty))
    shown = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input=message, capture_output=True, text=True, check=True
    )
    found = shown.stdout.splitlines()
    names = ["Publisher-Id", "Publisher-Plan", "Publisher-Snapshot", "Publisher-Allow", "Publisher-Resume"]
    assert [line.partition(": ")[0] for line in found] == names
    assert found == message.splitlines()[-5:]
    assert trailers(message, "Publisher-Id") == ("edge",)


def test_long_lists_are_cut_for_people_and_whole_in_json(fleets: ModuleType) -> None:
    """Ten targets of a change, and how many more there are."""
    fleet: Any = fleets.Fleet()
    nodes = {f"n{number:03}": fleets.NodeModel(fleet.address()) for number in range(200)}
    fleet.clusters["member1"] = fleets.ClusterModel(nodes=nodes, services={"default/flask": fleets.ServiceModel(1)})
    fleet.settings["services"] = {"default/flask": {"routes": ["/env/*"]}}
    plan = fleets.build(fleet, {}).plan
    message = report.commit_message(plan)
    assert "and 190 more" in message
    assert "... and 190 more" in message
    assert len(message) < 3000
    document = documents.document(plan)
    assert len(document["services"][0]["targets"]["added"][0]["targets"]) == 200
    assert len(document["clusters"][0]["added"]) == 200


def test_many_services_are_cut_in_the_message(fleets: ModuleType) -> None:
    """A first publish of a large fleet has a message that people can read."""
    fleet: Any = fleets.Fleet()
    keys = [f"default/s{number:03}" for number in range(80)]
    services = {key: fleets.ServiceModel(30000 + number) for number, key in enumerate(keys)}
    fleet.clusters["member1"] = fleets.ClusterModel(nodes={"n1": fleets.NodeModel("10.0.0.1")}, services=services)
    fleet.settings["services"] = {key: {"routes": [f"/{key}/*"]} for key in keys}
    message = report.commit_message(fleets.build(fleet, {}).plan)
    assert message.startswith("update 1 cluster and 80 services\n\n")
    assert "... and 30 more services\n" in message


SUBJECTS = [
    ("node_joins", "member1: add n9"),
    ("node_leaves", "member1: remove n1"),
    ("drain", "member1: drained (Karmada remedy TrafficControl)"),
    ("weight", "update default/flask: 2 targets"),
    ("service", "publish default/new: 0 -> 2 targets"),
    ("gone", "remove default/flask: 2 -> 0 targets"),
    ("layout", "rewrite 1 file"),
]


@pytest.mark.parametrize(("what", "subject"), SUBJECTS)
def test_subjects(fleets: ModuleType, what: str, subject: str) -> None:
    """The first line says what happened."""
    fleet: Any = fleets.Fleet()
    nodes = {f"n{number}": fleets.NodeModel(fleet.address()) for number in (1, 2)}
    fleet.clusters["member1"] = fleets.ClusterModel(nodes=nodes, services={"default/flask": fleets.ServiceModel(1)})
    fleet.settings["services"] = {"default/flask": {"routes": ["/env/*"]}}
    tree = fleets.publish(fleet)
    if what == "node_joins":
        nodes["n9"] = fleets.NodeModel(fleet.address())
    elif what == "node_leaves":
        del nodes["n1"]
    elif what == "drain":
        fleet.clusters["member1"].remedies = ("TrafficControl",)
    elif what == "weight":
        fleet.settings["services"]["default/flask"]["weights"] = {"member1": 10}
    elif what == "service":
        fleet.clusters["member1"].services["default/new"] = fleets.ServiceModel(2)
        fleet.settings["services"]["default/new"] = {"routes": ["/new"]}
    elif what == "gone":
        del fleet.clusters["member1"].services["default/flask"]
    else:
        tree[fleets.cluster_file("member1")] += b"\n"
    assert report.commit_message(fleets.build(fleet, tree).plan).splitlines()[0] == subject
