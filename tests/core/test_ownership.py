"""One publisher never touches another's files or a person's, and a file that cannot be read is left."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

KEY = "default/flask"
CLUSTER, SERVICE = "pipy/config/clusters/member1.json", "pipy/config/services/default.flask.json"
OWN, ROUTER, BALANCER = "pipy/config/publishers/edge.json", "pipy/config/router.json", "pipy/config/balancer.json"


@pytest.fixture
def fleet(fleets: ModuleType) -> Any:
    """One cluster, one node, one service."""
    made = fleets.Fleet()
    nodes = {"n1": fleets.NodeModel("10.0.0.1")}
    made.clusters["member1"] = fleets.ClusterModel(nodes=nodes, services={KEY: fleets.ServiceModel(31193)})
    made.settings["services"] = {KEY: {"routes": ["/env/*"]}}
    return made


def change(data: bytes, **values: Any) -> bytes:
    """Change keys of a file; None takes one out."""
    document = {**json.loads(data), **values}
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


# --- native ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [CLUSTER, SERVICE])
@pytest.mark.parametrize("owner", ["another", None, ""])
def test_files_of_others_stay(fleets: ModuleType, fleet: Any, path: str, owner: str | None) -> None:
    """They are not overwritten, not deleted when the fleet no longer has it, and reported while they are in the way."""
    tree = fleets.publish(fleet)
    theirs = change(tree[path], publisher=owner, extra="kept")
    tree[path] = theirs
    outcome = fleets.build(fleet, tree)
    assert fleets.applied(tree, outcome)[path] == theirs
    assert [(item.where, item.rule) for item in outcome.plan.errors] == [(path, "not-ours")]
    assert (owner or "no publisher") in outcome.plan.errors[0].message
    del fleet.clusters["member1"]
    outcome = fleets.build(fleet, tree)
    assert fleets.applied(tree, outcome) == {path: theirs}
    assert outcome.plan.errors == ()


def test_other_files_are_not_looked_at(fleets: ModuleType, fleet: Any) -> None:
    """What lies beside the generated files may be anything."""
    others = {
        "pipy/config/proxy.json": b"not JSON",
        "pipy/config/clusters/README.md": b"\xff",
        "pipy/config/services/sub/x.json.bak": b"{",
        "pipy/main.js": b"",
        "publisher.yaml": b"x: [",
    }
    outcome = fleets.build(fleet, others)
    assert {file.path for file in outcome.plan.files} == {CLUSTER, SERVICE}
    assert outcome.plan.findings == ()


BROKEN = {
    "not JSON": b"{",
    "empty": b"",
    "merge conflict": b"<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> other\n",
    "not UTF-8": b'{"publisher": "\xff"}',
    "UTF-16": '{"publisher": "edge"}'.encode("utf-16"),
    "a key twice": b'{"publisher": "edge", "publisher": "edge"}',
    "a list": b"[]",
    "NaN": b'{"publisher": "edge", "x": NaN}',
    "infinity": b'{"publisher": "edge", "x": -Infinity}',
    "too large a number": b'{"publisher": "edge", "x": 1e999}',
    "too long a number": b'{"publisher": "edge", "x": ' + b"9" * 5000 + b"}",
    "half a character": b'{"publisher": "edge", "x": "\\ud800"}',
    "half a character in a key": b'{"publisher": "edge", "\\ud800": 1}',
    "half a character in a key, twice": b'{"publisher": "edge", "\\ud800": 1, "\\ud800": 1}',
    "deep": b"[" * 100_000 + b"]" * 100_000,
}


@pytest.mark.parametrize("path", [CLUSTER, SERVICE])
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_file_that_cannot_be_read_is_left(fleets: ModuleType, fleet: Any, path: str, content: bytes) -> None:
    """It is reported once, and the other file is published."""
    outcome = fleets.build(fleet, {path: content})
    assert {file.path for file in outcome.plan.files} == {CLUSTER, SERVICE} - {path}
    assert [(item.where, item.rule) for item in outcome.plan.findings] == [(path, "unreadable")]


WRONG_CLUSTER = [
    {"cluster": 5},
    {"cluster": ["member1"]},
    {"nodes": []},
    {"nodes": {"n1": 5}},
    {"nodes": {"n1": "10.0.0.1\n"}},
    {"nodes": {"n1": None}},
    {"nodes": None},
    {"state": "resting"},
    {"state": None},
    {"region": 5},
    {"unknown": 1},
]
WRONG_SERVICE = [
    {"service": 5},
    {"service": None},
    {"routes": {}},
    {"routes": []},
    {"routes": ["x"]},
    {"routes": [{"path": 5, "port": "http"}]},
    {"routes": [{"path": "/x"}]},
    {"clusters": []},
    {"clusters": {"member1": []}},
    {"clusters": {"member1": {"weight": "x", "ports": {"http": 1}}}},
    {"clusters": {"member1": {"weight": -1, "ports": {"http": 1}}}},
    {"clusters": {"member1": {"weight": 1, "ports": ["http"]}}},
    {"clusters": {"member1": {"weight": 1, "ports": {"http": "x"}}}},
    {"clusters": {"member1": {"weight": 1, "ports": {"http": 70000}}}},
    {"clusters": {"member1": {"weight": 1, "ports": {"http": 1}, "nodes": "n1"}}},
    {"clusters": {"member1": {"weight": 1, "ports": {"http": 1}, "addresses": ["10.0.0.1:1"]}}},
    {"clusters": {"member1": {"weight": 1}}},
    {"clusters": {"member1": {"weight": 1, "addresses": [5]}}},
    {"clusters": {"$end": False}},
]


@pytest.mark.parametrize(
    ("path", "values"), [*((CLUSTER, item) for item in WRONG_CLUSTER), *((SERVICE, item) for item in WRONG_SERVICE)]
)
def test_a_file_of_ours_that_was_edited_wrongly_is_left(fleets: ModuleType, fleet: Any, path: str, values: Any) -> None:
    """Nothing is guessed: it stays, it is reported, also when the fleet changes, and the rest goes on."""
    tree = fleets.publish(fleet)
    edited = change(tree[path], **values)
    tree[path] = edited
    fleet.clusters["member1"].nodes["n2"] = fleets.NodeModel("10.0.0.2")
    fleet.clusters["member1"].services["default/other"] = fleets.ServiceModel(32000)
    fleet.settings["services"]["default/other"] = {"routes": ["/other"]}
    outcome = fleets.build(fleet, tree)
    after = fleets.applied(tree, outcome)
    assert after[path] == edited
    assert fleets.service_file("default/other") in after
    assert {item.where for item in outcome.plan.errors} == {path}


@pytest.mark.parametrize(
    ("path", "key", "other"), [(CLUSTER, "cluster", "member2"), (SERVICE, "service", "default/other")]
)
def test_a_file_with_another_name_in_it_is_left(
    fleets: ModuleType, fleet: Any, path: str, key: str, other: str
) -> None:
    """It is not this cluster's or service's file."""
    tree = fleets.publish(fleet)
    tree[path] = change(tree[path], **{key: other})
    outcome = fleets.build(fleet, tree)
    assert outcome.plan.files == ()
    assert [(item.where, item.rule) for item in outcome.plan.errors] == [(path, "file-name")]


def test_a_file_that_is_only_laid_out_differently_is_put_right(fleets: ModuleType, fleet: Any) -> None:
    """Spaces, the order of keys and 100.0 for 100 are no other content, and no change of a target."""
    tree = fleets.publish(fleet)
    edited = json.loads(tree[SERVICE])
    edited["clusters"]["member1"] = {"ports": {"http": 31193.0}, "weight": 100.0}
    edited["clusters"].pop("$end")
    outcome = fleets.build(fleet, {**tree, SERVICE: json.dumps(edited).encode()})
    assert [(file.path, file.content) for file in outcome.plan.files] == [(SERVICE, tree[SERVICE])]
    assert outcome.plan.services == ()


@pytest.mark.parametrize("output", ["pipy", "a", "deep/er/pipy"])
def test_the_output_folder(fleets: ModuleType, fleet: Any, output: str) -> None:
    """All files lie below it, and `$schema` finds its way up from there."""
    fleet.settings["output"] = output
    tree = fleets.publish(fleet)
    assert tree.keys() == {path.replace("pipy", output, 1) for path in (CLUSTER, SERVICE)}
    for path, data in tree.items():
        steps = json.loads(data)["$schema"].split("/")
        assert steps[: len(path.split("/")) - 1] == [".."] * (len(path.split("/")) - 1)
        assert steps[-2] == "schemas"


# --- tutorial --------------------------------------------------------------------------------------------------------


@pytest.fixture
def tutorial(fleet: Any) -> Any:
    """The same fleet in the tutorial's layout."""
    fleet.settings["layout"] = "tutorial"
    return fleet


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
ENTRY = st.lists(st.from_regex(r"[a-z]{1,6}:[1-9][0-9]{1,3}", fullmatch=True), max_size=3, unique=True)


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32),
    steps=st.lists(st.integers(0, 2**16), max_size=6),
    routes=st.dictionaries(st.from_regex(r"[a-z]{0,3}/[a-z*]{0,6}", fullmatch=True), st.text(min_size=1), max_size=4),
    services=st.dictionaries(st.text(max_size=8).map(lambda name: f"{name}!"), ENTRY, max_size=4),
    rest=st.dictionaries(st.text(max_size=6), JSON, max_size=3),
)
def test_entries_of_others_stay_as_they_are(
    fleets: ModuleType, seed: int, steps: list[int], routes: Any, services: Any, rest: Any
) -> None:
    """Whatever else stands in router.json and balancer.json means the same after any number of runs."""
    router = {"routes": routes, **{name: value for name, value in rest.items() if name != "routes"}}
    balancer = {**{name: value for name, value in rest.items() if name != "services"}, "services": services}
    tree = {ROUTER: json.dumps(router).encode(), BALANCER: json.dumps(balancer).encode()}
    fleet = fleets.make(seed, "tutorial")
    for number in [0, *steps]:
        fleets.step(fleet, number)
        tree = fleets.publish(fleet, tree)
        for path, before, key in ((ROUTER, router, "routes"), (BALANCER, balancer, "services")):
            after = json.loads(tree[path])
            assert after.keys() == before.keys()
            assert all(same(after[name], before[name]) for name in before if name != key)
            assert all(same(after[key][name], value) for name, value in before[key].items())


def same(one: Any, other: Any) -> bool:
    """Tell whether two JSON values are the same, with 1, 1.0 and true apart."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def test_the_two_files_to_the_byte(fleets: ModuleType, tutorial: Any) -> None:
    """As the tutorial shows them; namespace default is left out of names."""
    tutorial.clusters["member1"].services["team/web"] = fleets.ServiceModel(31194)
    tutorial.settings["services"]["team/web"] = {"routes": ["/"], "hosts": ["web.example.com"]}
    tree = fleets.publish(tutorial)
    assert tree.keys() == {OWN, ROUTER, BALANCER}
    assert json.loads(tree[ROUTER]) == {"routes": {"/env/*": "flask", "web.example.com/": "team.web"}}
    assert tree[BALANCER].decode() == (
        '{\n  "services": {\n    "flask": [\n      "10.0.0.1:31193"\n    ],\n'
        '    "team.web": [\n      "10.0.0.1:31194"\n    ]\n  }\n}\n'
    )


@pytest.mark.parametrize(
    ("router", "balancer", "clash"),
    [
        ({"/env/*": "flask"}, {"flask": ["10.0.0.1:31193"]}, ""),
        ({"/env/*": "flask"}, {}, ""),
        ({}, {"flask": ["10.0.0.1:31193"]}, ""),
        ({"/env/*": "other"}, {}, "/env/*"),
        ({}, {"flask": ["10.0.0.9:80"]}, "flask"),
        ({"/env/*": "other"}, {"flask": ["10.0.0.9:80"]}, "/env/*, flask"),
    ],
)
def test_entries_that_are_ours_to_the_letter_are_taken_over(
    fleets: ModuleType, tutorial: Any, router: Any, balancer: Any, clash: str
) -> None:
    """So that who moves from the old script need not clean up; one that differs is somebody else's."""
    shared = {
        ROUTER: json.dumps({"routes": {**router, "/kept": "kept"}}).encode(),
        BALANCER: json.dumps({"services": {**balancer, "kept": []}}).encode(),
    }
    outcome = fleets.build(tutorial, shared)
    tree = fleets.applied(shared, outcome)
    if clash:
        assert json.loads(tree[ROUTER])["routes"] == {**router, "/kept": "kept"}
        assert json.loads(tree[BALANCER])["services"] == {**balancer, "kept": []}
        assert [(item.where, item.rule) for item in outcome.plan.errors] == [(f"service {KEY}", "not-ours")]
        assert outcome.plan.errors[0].message.startswith(clash)
        assert outcome.plan.services == ()
        assert outcome.plan.unpublished == ((KEY, "refused, see the findings"),)
    else:
        assert outcome.plan.findings == ()
        assert json.loads(tree[ROUTER])["routes"] == {"/env/*": "flask", "/kept": "kept"}
    del tutorial.clusters["member1"].services[KEY]
    tree = fleets.publish(tutorial, tree)
    assert json.loads(tree[ROUTER])["routes"] == {**(router if clash else {}), "/kept": "kept"}
    assert json.loads(tree[BALANCER])["services"] == {**(balancer if clash else {}), "kept": []}


@pytest.mark.parametrize("path", [OWN, ROUTER, BALANCER])
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_tutorial_file_that_cannot_be_read_stops_it(
    fleets: ModuleType, tutorial: Any, path: str, content: bytes
) -> None:
    """The three files make sense only together: none is written."""
    tree = fleets.publish(tutorial)
    tutorial.clusters["member1"].nodes["n2"] = fleets.NodeModel("10.0.0.2")
    outcome = fleets.build(tutorial, {**tree, path: content})
    assert outcome.plan.files == ()
    assert {(item.where, item.rule) for item in outcome.plan.findings} == {(path, "unreadable")}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (OWN, {"publisher": "another"}),
        (OWN, {"publisher": None}),
        (OWN, {"clusters": []}),
        (OWN, {"services": {"default/flask": {}}}),
        (OWN, {"services": {"default/flask": {"service": 5, "routes": [], "clusters": {}}}}),
        (ROUTER, {"routes": []}),
        (ROUTER, {"routes": {"no slash": "x"}}),
        (ROUTER, {"routes": {"/x": 5}}),
        (BALANCER, {"services": {"x": "10.0.0.1:80"}}),
        (BALANCER, {"services": {"x": ["10.0.0.1"]}}),
    ],
)
def test_a_tutorial_file_that_was_edited_wrongly_stops_it(
    fleets: ModuleType, tutorial: Any, path: str, values: Any
) -> None:
    """Also where only one of the three does not fit its schema."""
    tree = fleets.publish(tutorial)
    tutorial.clusters["member1"].nodes["n2"] = fleets.NodeModel("10.0.0.2")
    outcome = fleets.build(tutorial, {**tree, path: change(tree[path], **values)})
    assert outcome.plan.files == ()
    assert outcome.plan.services == ()
    assert path in {item.where for item in outcome.plan.errors}
