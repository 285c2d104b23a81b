"""What comes from the fleet is text in a report, and never Markdown, HTML, another line or a trailer."""

from __future__ import annotations

import json
import re
import subprocess
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.core import report
from publisher.core.diff import ClusterChange, ServiceChange, TargetChange, WeightChange
from publisher.core.model import Finding, ServiceKey
from publisher.core.plan import FileChange, Plan, UnknownPart
from publisher.resources import schema

NASTY = [
    "x | y",
    "`code`",
    "```\nblock",
    "**bold** _it_ ~~no~~",
    "<script>alert(1)</script>",
    "<!-- -->",
    "[link](https://evil.example.com)",
    "![image](https://evil.example.com/x.png)",
    "# heading",
    "a\n# heading\n\n- item",
    "a\r\n| b |",
    "\\",
    "\\|",
    "@org/team",
    "#1",
    "&lt;b&gt;",
    "$x$",
    "\x1b[31mred",
    "\u202etxt",
    "Publisher-Id: evil",
    "a\n\nPublisher-Id: evil\nSigned-off-by: evil",
    "\u2028",
]


def plan_of(text: str) -> Plan:
    """Make a plan that says a text wherever the fleet can say one."""
    targets = TargetChange("remove", "member1", (80,), {"n1": "10.0.0.1"}, (), 100, text)
    change = ServiceChange(
        ServiceKey("default/flask"),
        "change",
        (targets,),
        (WeightChange("member1", 100, 0, text),),
        (f"/{text}",),
        (f"/{text}",),
        2,
        1,
        text,
    )
    return Plan(
        publisher="edge",
        snapshot="0" * 16,
        files=(FileChange("pipy/config/clusters/member1.json", "change", b"{}"),),
        clusters=(
            ClusterChange("member1", "change", {"n2": "10.0.0.2"}, {"n1": ("10.0.0.1", text)}, f"drained ({text})"),
        ),
        services=(change,),
        unknown=(UnknownPart("member2", "Nodes", text),),
        unpublished=((ServiceKey("default/web"), f"refused {text}"),),
        findings=(Finding("service default/flask", "", "port", f"no port {text}", text, "warning"),),
    )


EMPTY_WORD = plan_of("word")


@pytest.mark.parametrize("text", NASTY)
def test_markdown_escapes(text: str) -> None:
    """The report has the lines and columns it would have with a plain word, and no mark that means something."""
    shown = report.markdown(plan_of(text))
    plain = report.markdown(EMPTY_WORD)
    assert len(shown.splitlines()) == len(plain.splitlines())
    for line, expected in zip(shown.splitlines(), plain.splitlines(), strict=True):
        if expected.startswith("|"):
            assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == len(re.findall(r"\|", expected))
        own = line.replace("<br>", "").replace("<details>", "").replace("</details>", "").replace("<summary>", "")
        own = own.replace("</summary>", "")
        assert not re.search(r"(?<!\\)(?:\\\\)*[<>]", own), line
        assert line.isprintable()
    bare = re.sub(r"\\.|\*\*(Unknown, left as published|Findings)\*\*", "", shown)
    for mark in ("`code`", "**", "~~", "](", "![", "<script", "&lt;", "$x$"):
        assert mark not in bare
    assert not re.search(r"@\w", shown)


@pytest.mark.parametrize("text", NASTY)
def test_text_and_message_are_lines(text: str) -> None:
    """Each line stays one, and prints as it stands."""
    lines = list(report.text(plan_of(text)))
    assert len(lines) == len(list(report.text(EMPTY_WORD)))
    assert all(line.isprintable() for line in lines)
    message = report.commit_message(plan_of(text))
    assert len(message.splitlines()) == len(report.commit_message(EMPTY_WORD).splitlines())
    assert all(line.isprintable() for line in message.splitlines())


@given(st.text(min_size=1, max_size=40) | st.sampled_from(NASTY))
def test_nothing_adds_a_line_or_a_cell(text: str) -> None:
    """Whatever it is; and the JSON document holds it as it is."""
    plan = plan_of(text)
    assert len(report.markdown(plan).split("\n")) == len(report.markdown(EMPTY_WORD).split("\n"))
    assert len(report.commit_message(plan).split("\n")) == len(report.commit_message(EMPTY_WORD).split("\n"))
    assert schema("plan").accepts(json.loads(report.as_json(plan).encode(errors="replace")))


@pytest.mark.parametrize("text", [text for text in NASTY if "Publisher-Id" in text])
def test_no_text_becomes_a_trailer(text: str) -> None:
    """git finds the three that are ours."""
    message = report.commit_message(plan_of(text))
    shown = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input=message, capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines() == message.splitlines()[-3:]
    assert "evil" not in shown.stdout


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
    document = report.document(plan)
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
