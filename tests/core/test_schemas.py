"""The schemas: valid, the same to both validators, and fitted by everything that is written."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.core import documents, rollout, snapshot
from publisher.core.canonical import load_plain_yaml
from publisher.core.check import check_file
from publisher.core.plan import Plan
from publisher.core.rollout import Result, Rollout, Synced, Worker, WorkerState
from publisher.core.validate import Schema
from publisher.resources import folder, schema

NAMES = sorted(path.name.removesuffix(".schema.json") for path in folder("schemas").glob("*.schema.json"))

PUBLISHER_YAML: Any = {
    "publisher": "edge",
    "karmada": {
        "context": "karmada-apiserver",
        "access": "proxy",
        "concurrency": 32,
        "insecureSkipTLSVerification": False,
        "clusters": {"labels": "env=prod", "exclude": ["member9"]},
    },
    "select": {
        "namespaces": ["default", "team-*"],
        "services": {"labels": "app=flask", "annotated": False},
        "nodes": {"labels": "edge=true", "addresses": ["InternalIP"], "families": ["IPv4", "IPv6"]},
    },
    "services": {
        "default/flask": {
            "publish": True,
            "port": "http",
            "routes": ["/env/*"],
            "hosts": ["*.example.com"],
            "weights": {"member1": 90},
        },
        "default/other": None,
        "default/number": {"port": 80},
    },
    "grants": [{"namespaces": ["team-*"], "hosts": ["a.example.com"], "paths": ["/x/*"]}],
    "allowedNetworks": ["10.0.0.0/8"],
    "annotationPrefix": "pipy-publisher.io/",
    "layout": "native",
    "output": "pipy",
    "git": {"branch": "main", "author": "Config Publisher <publisher@example.com>"},
    "publish": {"mode": "direct"},
}
PART: Any = {"weight": 50, "ports": {"http": 31193}, "nodes": ["n1", "n2"]}


@pytest.fixture(scope="module")
def valid(fleets: ModuleType, plan_of: Callable[[str], Plan]) -> dict[str, list[Any]]:
    """Give valid documents by schema: what is really written, and what shows off the rest."""
    found: dict[str, list[Any]] = {name: [] for name in NAMES}
    found["publisher"].append(PUBLISHER_YAML)
    for seed in range(6):
        native, tutorial = (fleets.make(seed, layout) for layout in ("native", "tutorial"))
        tree = fleets.publish(native)
        shared = fleets.publish(tutorial)
        for path, data in {**tree, **shared}.items():
            kind = path.removeprefix("pipy/config/").split("/")[0].removesuffix(".json")
            found[{"clusters": "cluster", "services": "service"}.get(kind, kind)].append(json.loads(data))
        for number in range(8):
            fleets.step(native, number)
        native.clusters["dark"] = fleets.ClusterModel(unknown=set(fleets.KINDS))
        found["plan"].append(documents.document(fleets.build(native, tree).plan))
        for path, data in snapshot.dump(fleets.read(native)).items():
            found["snapshot-cluster" if "/" in path else "snapshot"].append(load_plain_yaml(data))
    found["plan"].append(json.loads(documents.as_json(plan_of("word"), commit="c0ffee", pullRequest="/pull/7")))
    found["service"].append(
        {
            "service": "a/b",
            "publisher": "p",
            "routes": [{"host": "*.a.com", "path": "/x/*", "port": "http"}, {"path": "/", "port": "80"}],
            "clusters": {"c": PART, "d": {"addresses": ["10.0.0.1:80", "[2001:db8::1]:443"]}, "$end": True},
        }
    )
    finding = {"where": "x", "pointer": "/y", "rule": "z", "message": "m", "hint": "h", "severity": "warning"}
    found["snapshot"].append({"snapshot": 1, "clusters": {"a": "0123456789abcdef"}, "findings": [finding]})
    check = {"name": "git", "state": "not-checked", "message": "not checked: it takes settings", "advice": ""}
    found["doctor"].append({"healthy": False, "checks": [check, check | {"state": "fail", "advice": "mend it"}]})
    worker = Worker("w1", "350339fb", "10.0.0.1", "0" * 40, WorkerState.RUNNING)
    done = Synced("http://repo:6060/repo/edge", Result.PUT_BACK, "", "0" * 40, ("main.js",), ("a.js",), (worker,), "m")
    told = json.dumps({**rollout.document(Rollout("main", "0" * 40, (done,))), "dryRun": False})
    found["sync"].append(json.loads(told))
    proxy = folder("config-repo-template") / "pipy/config/proxy.json"
    found["proxy"].append(json.loads(proxy.read_bytes()))
    for name, good in found.items():
        assert good, f"no valid document for {name}"
        assert [problem for item in good for problem in schema(name).findings(item, name)] == []
    return found


def walk(value: Any) -> Iterator[tuple[Any, Any]]:
    """Give every container with each of its keys or places."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from walk(value[key])


ODD_TEXT = st.sampled_from(
    ["", "\n", "a\n", "A", "-", "a-", ".", "..", "a..b", "a/b", "a/b/c", "$end", "ü", "\u2028", "💥", "\ud7ff", "\x00",
     "10.0.0.1", "10.0.0.1\n", "999.1.1.1", "::1", "10.0.0.1:80", "10.0.0.1:80\n", "/x", "/x\n", "/x*", "*", "*.a.com",
     "a" * 64, "a" * 254, "true", "1", "main\n", "x <y@z>\n"]
)  # fmt: skip
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([1.0, 0.0, -0.0, 1.5, 1e300, 1e-9, 65535, 65536, 65535.0, 2**31, 2**53 + 1, 2**63, 2**64, 10**30]),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    ODD_TEXT,
    st.text(max_size=4),
    st.sampled_from([[], {}, [[]], {"": {}}, [1, True], [1, 1.0], ["a", "a"], [{"a": 1}, {"a": 1.0}], {"$end": 1.0}]),
)


@st.composite
def mutations(draw: st.DrawFn) -> list[tuple[int, str, Any, Any]]:
    """Draw what to do to a document."""
    change = st.tuples(
        st.integers(0, 2**16), st.sampled_from(["drop", "rename", "set", "add", "append", "twice"]), ODD_TEXT, ODD
    )
    return draw(st.lists(change, min_size=1, max_size=3))


def mutate(document: Any, changes: list[tuple[int, str, Any, Any]]) -> Any:
    """Change a document in a few places."""
    document = copy.deepcopy(document)
    for place, what, text, value in changes:
        places = [(document, None), *walk(document)] if isinstance(document, dict | list) else []
        if not places:
            return value
        container, key = places[place % len(places)]
        if key is None:
            if what == "set":
                document = copy.deepcopy(value)
            elif isinstance(container, dict):
                container[text] = copy.deepcopy(value)
        elif what == "drop":
            del container[key]
        elif what == "rename" and isinstance(container, dict):
            container[text] = container.pop(key)
        elif what == "twice" and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        elif what == "add" and isinstance(container[key], dict):
            container[key][text] = copy.deepcopy(value)
        elif what == "append" and isinstance(container[key], list):
            container[key].append(copy.deepcopy(value))
        else:
            container[key] = copy.deepcopy(value)
    return document


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150)
@given(which=st.integers(0, 2**16), changes=mutations())
def test_both_validators_agree(
    valid: dict[str, list[Any]], name: str, which: int, changes: list[tuple[int, str, Any, Any]]
) -> None:
    """What jsonschema-rs refuses, jsonschema has an explanation for, and what it takes has none."""
    document = mutate(valid[name][which % len(valid[name])], changes)
    judge = schema(name)
    accepted = judge.accepts(document)
    problems = [finding for error in explained(judge, document) for finding in error]
    assert accepted == (not problems), (document, problems)
    findings = judge.findings(document, "file")
    assert bool(findings) == (not accepted)
    assert "schema" not in {finding.rule for finding in findings}
    assert all(finding.where == "file" and finding.message and "\n" not in finding.message for finding in findings)


def explained(judge: Schema, document: Any) -> Iterator[list[str]]:
    """Ask jsonschema, with the pattern of core.validate, whatever jsonschema-rs says."""
    from publisher.core.validate import explainer

    for error in explainer(judge.document).iter_errors(document):
        yield [error.message]


@pytest.mark.parametrize("name", NAMES)
def test_each_schema_is_valid(name: str) -> None:
    """Draft 2020-12, to both, with a title, and closed against unknown keys but where the tutorial's files are open."""
    document = schema(name).document
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(document)
    assert jsonschema_rs.meta.is_valid(document)
    assert document["title"]
    for part, key in walk({"": document}):
        item = part[key]
        closed = isinstance(item, dict) and item.get("type") == "object" and "properties" in item
        if closed and name not in ("router", "balancer"):
            assert "additionalProperties" in item, item


def patterns(document: Any) -> Iterator[str]:
    """Give every pattern of a schema."""
    for part, key in walk(document):
        if key == "pattern" and isinstance(part[key], str):
            yield part[key]


@pytest.mark.parametrize("name", NAMES)
def test_every_pattern_compiles_in_both(name: str) -> None:
    """And starts and, but for the tutorial's routes, ends where the text does."""
    for pattern in patterns(schema(name).document):
        re.compile(pattern)
        jsonschema_rs.Draft202012Validator({"pattern": pattern})
        assert pattern.startswith("^")
        assert pattern.endswith("$") or name == "router"


@pytest.mark.parametrize("pattern", sorted({pattern for name in NAMES for pattern in patterns(schema(name).document)}))
@settings(max_examples=60)
@given(data=st.data())
def test_every_pattern_means_the_same_to_both(pattern: str, data: st.DataObject) -> None:
    """For texts that match and texts that nearly do."""
    text = data.draw(st.from_regex(pattern) | st.text(max_size=12))
    text += data.draw(st.sampled_from(["", "\n", "\r", "\u2028", " "]))
    text = "".join(char for char in text if not "\ud800" <= char <= "\udfff")
    judge = Schema({"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": pattern})
    assert judge.accepts(text) == (not list(explained(judge, text)))


@pytest.mark.parametrize("layout", ["native", "tutorial"])
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.integers(0, 2**16), max_size=10))
def test_every_file_that_is_written_fits(fleets: ModuleType, layout: str, seed: int, steps: list[int]) -> None:
    """Generated files, and the files of a snapshot."""
    fleet = fleets.make(seed, layout)
    for number in steps:
        fleets.step(fleet, number)
    for path, data in fleets.publish(fleet).items():
        assert check_file(path, data, "pipy", schema) == ()
    for path, data in snapshot.dump(fleets.read(fleet)).items():
        name = "snapshot-cluster" if "/" in path else "snapshot"
        assert schema(name).findings(load_plain_yaml(data), path) == ()


def test_a_generated_file_finds_its_schema(fleets: ModuleType) -> None:
    """`$schema` is a path that an editor can follow in a config repository."""
    for path, data in fleets.publish(fleets.make(1)).items():
        up, _, file = json.loads(data)["$schema"].rpartition("/")
        assert (folder("schemas") / file).is_file()
        assert up == "../../../schemas"
        assert path.count("/") == 3
