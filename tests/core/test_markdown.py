"""Pull requests and comments: what comes from the fleet is text there, the picture can be drawn, the trailers last."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.core.config import ClusterConfig, Config, RoutedPort, ServiceConfig, shared_part
from publisher.core.history import trailers
from publisher.core.markdown import body, labels, markdown, title
from publisher.core.model import Route, ServiceKey
from publisher.core.plan import Plan

PlanOf = Callable[[str], Plan]
FLASK = ServiceKey("default/flask")
MARKS = "|`*_~<>[]()#@\\$&!\"'{};:-=% \t\r\n\u2028\x1bé4"

DECLARED = r'(?P<{0}>[src][0-9]+(x[0-9]+)?)(\["(?P<box>[^"]+)"\]|\(\["(?P<pill>[^"]+)"\]\)|\[\("(?P<drum>[^"]+)"\)\])'
NODE = re.compile("  " + DECLARED.format("one"))
ROUTE = re.compile("  " + DECLARED.format("one") + r" (==>|-->|-\.->) (?P<other>s[0-9]+)")
SHARE = re.compile(
    r'  (?P<one>s[0-9]+) (==>|-->|-\.->)\|"[0-9]+ %( → [0-9]+ %)?"\| (?P<other>c[0-9]+)(\[\("(?P<drum>[^"]+)"\)\])?'
)
LABEL = re.compile(r"([^\W_]|[ ./\-*:_]|#[0-9]+;)+")


def configs(text: str) -> tuple[Config, Config]:
    """Give what is published before and after, with a route that says a text."""
    found = []
    for nodes in ({"n1": "10.0.0.1", "n2": "10.0.0.2"}, {"n2": "10.0.0.2"}):
        routes = (RoutedPort(Route("", f"/{text}"), "http"),)
        service = ServiceConfig(FLASK, routes, {"member1": shared_part(100, (("http", 80),))})
        found.append(Config({"member1": ClusterConfig("member1", nodes)}, {FLASK: service}))
    return found[0], found[1]


def picture(shown: str) -> list[str]:
    """Give the lines of the Mermaid picture."""
    found = re.search(r"^```mermaid\n(.*?)\n```$", shown, re.MULTILINE | re.DOTALL)
    assert found
    return found[1].split("\n")


def drawn(shown: str) -> dict[str, str]:
    """Read the picture by a small grammar; gives the label of each node, and fails on an edge that leads nowhere."""
    first, *lines = picture(shown)
    assert first == "flowchart LR"
    known: dict[str, str] = {}
    used: set[str] = set()
    for line in lines:
        match = NODE.fullmatch(line) or ROUTE.fullmatch(line) or SHARE.fullmatch(line)
        assert match, line
        groups = match.groupdict()
        if label := next((groups[name] for name in ("box", "pill", "drum") if groups.get(name)), ""):
            assert LABEL.fullmatch(label), label
            node = groups["other"] if line.startswith("  s") and "other" in groups else groups["one"]
            assert node not in known
            known[node] = label
        used |= {groups[name] for name in ("one", "other") if groups.get(name)}
    assert used == known.keys()
    return known


def prose(shown: str) -> str:
    """Give all but the picture and the trailers, which nobody reads as Markdown."""
    kept = re.sub(r"^```mermaid\n.*?\n```$", "", shown, flags=re.MULTILINE | re.DOTALL)
    return "\n".join(line for line in kept.split("\n") if not line.startswith("Publisher-"))


@pytest.mark.parametrize("write", [markdown, body])
def test_nothing_that_the_fleet_says_means_something(write: Any, plan_of: PlanOf, nasty: str) -> None:
    """The report has the lines and columns it would have with a plain word, and no mark that means something."""
    shown = write(plan_of(nasty), *configs(nasty))
    plain = write(plan_of("word"), *configs("word"))
    assert len(shown.splitlines()) == len(plain.splitlines())
    for line, expected in zip(prose(shown).splitlines(), prose(plain).splitlines(), strict=True):
        if expected.startswith("|"):
            assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == len(re.findall(r"\|", expected))
        own = re.sub("<br>|</?details>|</?summary>", "", line)
        assert not re.search(r"(?<!\\)(?:\\\\)*[<>]", own), line
        assert line.isprintable()
    headings = "Unknown, left as published|Held: a person has the last word|Refused, left as published|Allowed|Resumed"
    bare = re.sub(rf"\\.|\*\*({headings}|Findings|Roll back\.)\*\*", "", prose(shown))
    for mark in ("`code`", "**", "~~", "](", "![", "<script", "&lt;", "$x$"):
        assert mark not in bare
    assert not re.search(r"@\w", prose(shown))


@settings(max_examples=60)
@given(text=st.text(st.sampled_from(MARKS), min_size=1, max_size=30) | st.text(min_size=1, max_size=30))
def test_nothing_adds_a_line_a_node_or_a_trailer(plan_of: PlanOf, text: str) -> None:
    """Whatever it is: as many lines, the same picture but for its labels, and our trailers alone."""
    shown = body(plan_of(text), *configs(text))
    plain = body(plan_of("word"), *configs("word"))
    assert len(shown.split("\n")) == len(plain.split("\n"))
    assert drawn(shown).keys() == drawn(plain).keys()
    started = [line.partition(": ")[0] for line in shown.splitlines() if line.lstrip(" -*>").startswith("Publisher-")]
    mine = started[-5:]
    assert mine == ["Publisher-Id", "Publisher-Plan", "Publisher-Snapshot", "Publisher-Allow", "Publisher-Resume"]
    assert trailers(shown, "Publisher-Id") == ("edge",)
    assert trailers(shown, "Publisher-Resume") == ("default/flask",)


def test_git_reads_the_trailers_of_a_body(plan_of: PlanOf, nasty: str) -> None:
    """They are its last paragraph, so that a squash merge keeps them."""
    shown = body(plan_of(nasty), *configs(nasty))
    last = shown.rstrip("\n").split("\n\n")[-1].splitlines()
    for message in (shown, f"{title(plan_of(nasty))} (#7)\n\n{shown}"):
        parsed = subprocess.run(
            ["git", "interpret-trailers", "--parse"], input=message, capture_output=True, text=True, check=True
        )
        assert parsed.stdout.splitlines() == last
    assert [line.partition(": ")[0] for line in last] == [
        "Publisher-Id",
        "Publisher-Plan",
        "Publisher-Snapshot",
        "Publisher-Allow",
        "Publisher-Resume",
    ]


def test_a_body_says_all_that_a_reviewer_needs(plan_of: PlanOf) -> None:
    """The table, what is unknown, held, refused and allowed, the files, the digests, and how to take it back."""
    plan = plan_of("word")
    shown = body(plan, *configs("word"))
    for text in (
        "| service | targets | share of its traffic | change |",
        "| `default/flask` | 2 → 1 | member1 100 % |",
        "**Unknown, left as published**",
        "- member2: Nodes unknown, left as published: word",
        "**Held: a person has the last word**",
        r"- service default/api: held, since 2026-01-01 00:00 UTC by word in 0123456789ab (word)",
        "  - would become: word",
        "**Refused, left as published**",
        "- moved-route /word: word; --allow moved-route=/word lets it pass",
        "**Allowed**",
        "**Resumed**",
        "- change `pipy/config/clusters/member1.json`",
        f"Plan `{plan.digest}`, snapshot `{plan.snapshot}`",
        "`git revert COMMIT` (`-m 1` for a merge commit)",
        "`publisher rollback COMMIT`",
    ):
        assert text in shown


@pytest.mark.parametrize(
    ("emptied", "expected"),
    [
        ({}, ("publisher/edge", "publisher/held", "publisher/refused", "publisher/unknown")),
        ({"held": ()}, ("publisher/edge", "publisher/refused", "publisher/unknown")),
        ({"refusals": ()}, ("publisher/edge", "publisher/held", "publisher/unknown")),
        ({"held": (), "refusals": (), "unknown": ()}, ("publisher/edge",)),
    ],
)
def test_labels(plan_of: PlanOf, emptied: dict[str, Any], expected: tuple[str, ...]) -> None:
    """One for the publisher, and one for each thing that people have to look at; a warning is none."""
    assert labels(replace(plan_of("word"), **emptied)) == expected


def test_an_error_is_labelled_as_refused(plan_of: PlanOf) -> None:
    """It kept something from being published as well."""
    plan = plan_of("word")
    wrong = tuple(replace(finding, severity="error") for finding in plan.findings)
    assert "publisher/refused" in labels(replace(plan, refusals=(), findings=wrong))


def moved(fleets: ModuleType) -> Any:
    """Publish a service on two clusters, then move it from one of them to a third, and give it another route."""
    fleet = fleets.Fleet()
    for name in ("a", "b", "c"):
        nodes = {f"{name}{number}": fleets.NodeModel(fleet.address()) for number in (1, 2)}
        fleet.clusters[name] = fleets.ClusterModel(nodes=nodes)
    for name in ("a", "b"):
        fleet.clusters[name].services["default/flask"] = fleets.ServiceModel(31193)
    fleet.settings["services"] = {"default/flask": {"routes": ["/old", "/env/*"], "weights": {"a": 50, "b": 50}}}
    tree = fleets.publish(fleet)
    fleet.clusters["c"].services["default/flask"] = fleet.clusters["b"].services.pop("default/flask")
    fleet.settings["services"] = {"default/flask": {"routes": ["/new", "/env/*"], "weights": {"a": 90, "c": 10}}}
    return fleets.build(fleet, tree)


def test_share_before_and_after(fleets: ModuleType) -> None:
    """Of each cluster that takes traffic before or after."""
    outcome = moved(fleets)
    shown = markdown(outcome.plan, outcome.current, outcome.desired.config)
    assert "| `default/flask` | 4 → 4 | a 50 % → 90 %<br>b 50 % → 0 %<br>c 0 % → 10 % |" in shown


def test_the_picture_marks_what_comes_and_goes(fleets: ModuleType) -> None:
    """Thick for what is new, dotted for what goes, plain for what stays."""
    outcome = moved(fleets)
    shown = markdown(outcome.plan, outcome.current, outcome.desired.config)
    assert drawn(shown) == {
        "s0": "default/flask",
        "r0x0": "/env/*",
        "r0x1": "/new",
        "r0x2": "/old",
        "c0": "a",
        "c1": "b",
        "c2": "c",
    }
    assert picture(shown)[2:] == [
        '  r0x0(["/env/*"]) --> s0',
        '  r0x1(["/new"]) ==> s0',
        '  r0x2(["/old"]) -.-> s0',
        '  s0 -->|"50 % → 90 %"| c0[("a")]',
        '  s0 -.->|"50 % → 0 %"| c1[("b")]',
        '  s0 ==>|"0 % → 10 %"| c2[("c")]',
    ]


def test_many_services_are_cut(fleets: ModuleType) -> None:
    """The table ends somewhere, and says how many more there are; the picture has eight and stays readable."""
    fleet: Any = fleets.Fleet()
    keys = [f"default/s{number:03}" for number in range(300)]
    services = {key: fleets.ServiceModel(30000 + number) for number, key in enumerate(keys)}
    fleet.clusters["member1"] = fleets.ClusterModel(nodes={"n1": fleets.NodeModel("10.0.0.1")}, services=services)
    fleet.settings["services"] = {key: {"routes": [f"/{key}/*"]} for key in keys}
    outcome = fleets.build(fleet, {})
    shown = body(outcome.plan, outcome.current, outcome.desired.config)
    rows = len(re.findall(r"^\| `default/s", shown, re.MULTILINE))
    assert 200 <= rows < 300
    assert f"|\n\n... and {300 - rows} more services\n" in shown
    assert len([node for node in drawn(shown) if node.startswith("s")]) == 8
    assert len(shown) < 65_536, "more than GitHub takes"


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.integers(0, 2**16), max_size=8))
def test_any_plan_can_be_drawn(fleets: ModuleType, seed: int, steps: list[int]) -> None:
    """Whatever happens to a fleet: every edge has its nodes, and every cluster that takes traffic is there."""
    fleet = fleets.make(seed)
    tree = fleets.publish(fleet)
    for number in steps:
        fleets.step(fleet, number)
    outcome = fleets.build(fleet, tree)
    shown = markdown(outcome.plan, outcome.current, outcome.desired.config)
    if not outcome.plan.services:
        assert "mermaid" not in shown
        return
    known = drawn(shown).values()
    for change in outcome.plan.services[:8]:
        taking = {target[0] for target in fleets.joined(tree).get(change.service, []) if target[3]}
        assert {change.service, *taking} <= {label.replace("#58;", ":") for label in known}


def test_the_largest_plan_fits_a_pull_request(fleets: ModuleType) -> None:
    """GitHub takes 65,536 characters: what is too long is cut line by line, and everything is there in its place."""
    fleet: Any = fleets.Fleet()
    names = [f"member-with-a-long-name-{number:03}" for number in range(60)]
    keys = [f"a-namespace/service-with-a-long-name-{number:03}" for number in range(60)]
    for name in names:
        nodes = {f"node-{number:02}": fleets.NodeModel(fleet.address()) for number in range(12)}
        services = {key: fleets.ServiceModel(30000 + number) for number, key in enumerate(keys)}
        fleet.clusters[name] = fleets.ClusterModel(nodes=nodes, services=services, unknown=set())
    fleet.settings["services"] = {key: {"routes": [f"/{key}/{place}/*" for place in range(30)]} for key in keys}
    outcome = fleets.build(fleet, {})
    shown = body(outcome.plan, outcome.current, outcome.desired.config)
    assert len(shown) < 65_536
    assert len(drawn(shown)) > 8
    assert re.search(r"<br>\.\.\. and [0-9]+ more \|\n", shown)
    for noun in ("cluster", "service", "file"):
        assert re.search(rf"\n\.\.\. and [0-9]+ more {noun}s\n\n", shown)
    assert shown.endswith(f"Publisher-Snapshot: {outcome.plan.snapshot}\n")
