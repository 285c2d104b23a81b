"""Snapshots: there and back, errors all at once, digests."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.commands import snapshot as verb
from publisher.core import snapshot
from publisher.core.canonical import dump_yaml, load_plain_yaml
from publisher.core.model import (
    Address,
    Cluster,
    Endpoints,
    Finding,
    Node,
    Port,
    Service,
    ServiceKey,
    Topology,
    Unknown,
)
from publisher.errors import UsageError
from publisher.resources import schema

TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        ["", "null", "~", "true", "no", "1", "1.0", "0x10", "1e3", "2026-01-01", "2026-01-01T00:00:00Z", "12:30:00",
         "- a", "a: b", "#", "&a", "*a", "!x", "|", ">", "'", '"', "%", "@", "`", " a ", "a\nb", "\x00", "\x1b", "\x85",
         "\ufeff", "=", "<<", ".inf", "x" * 300, "\u2028", "💥"]
    ),
)  # fmt: skip
NAME = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,5}[a-z0-9])?", fullmatch=True)
LABELS = st.dictionaries(TEXT, TEXT, max_size=3)
MARKS = st.dictionaries(st.sampled_from(["publish", "routes", "hosts", "port", "drain", "exclude"]), TEXT, max_size=3)
KEY = st.builds(lambda namespace, name: ServiceKey(f"{namespace}/{name}"), NAME, NAME)
UNKNOWN = st.builds(Unknown, TEXT)
ADDRESS = st.builds(Address, st.sampled_from(["InternalIP", "ExternalIP"]), st.ip_addresses().map(str))
PORT = st.builds(
    Port, NAME | st.just(""), st.integers(0, 65535), st.integers(0, 65535), st.sampled_from(["TCP", "UDP", "SCTP"])
)


@st.composite
def clusters(draw: st.DrawFn, name: str) -> Cluster:
    """Draw what was read of a cluster."""
    nodes = draw(st.lists(NAME, max_size=3, unique=True))
    services = draw(st.lists(KEY, max_size=3, unique=True))
    known_nodes = {
        node: Node(
            node,
            draw(st.booleans()),
            tuple(sorted(draw(st.lists(ADDRESS, max_size=3, unique=True)))),
            draw(LABELS),
            draw(MARKS),
        )
        for node in nodes
    }
    known_services = {
        key: Service(
            *key.split("/"),
            draw(TEXT),
            tuple(draw(st.lists(PORT, max_size=2))),
            draw(st.booleans()),
            draw(TEXT),
            draw(LABELS),
            draw(MARKS),
        )
        for key in services
    }
    known_endpoints = {
        key: Endpoints(draw(st.booleans()), tuple(sorted(draw(st.lists(NAME, max_size=2, unique=True)))))
        for key in services
    }
    return Cluster(
        name,
        draw(UNKNOWN | st.just(known_nodes)),
        draw(UNKNOWN | st.just(known_services)),
        draw(UNKNOWN | st.just(known_endpoints)),
        draw(TEXT),
        draw(LABELS),
        draw(MARKS),
        tuple(draw(st.lists(TEXT, max_size=2))),
    )


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Draw a fleet."""
    names = draw(st.lists(NAME, max_size=3, unique=True))
    word = TEXT.filter(bool)
    finding = st.builds(Finding, word, TEXT, word, word, TEXT, st.sampled_from(["error", "warning"]))
    findings = draw(st.lists(finding, max_size=2, unique=True))
    return Topology({name: draw(clusters(name)) for name in sorted(names)}, tuple(sorted(findings)))


@settings(max_examples=120)
@given(topologies())
def test_there_and_back(topology: Topology) -> None:
    """What was dumped is loaded as it was, fits its schemas, and has the same digest."""
    files = snapshot.dump(topology)
    for path, data in files.items():
        assert schema("snapshot-cluster" if "/" in path else "snapshot").findings(load_plain_yaml(data), path) == ()
    loaded = verb.load(files)
    assert loaded == topology
    assert snapshot.digest(loaded) == snapshot.digest(topology)
    assert snapshot.dump(loaded) == files


@pytest.mark.parametrize("layout", ["native", "tutorial"])
@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.integers(0, 2**16), max_size=10))
def test_a_plan_from_a_snapshot_is_the_plan(fleets: ModuleType, layout: str, seed: int, steps: list[int]) -> None:
    """Offline is the same as live."""
    from publisher import settings as publisher_yaml
    from publisher.commands import pipeline

    fleet = fleets.make(seed, layout)
    for number in steps:
        fleets.step(fleet, number)
    data = fleets.settings_of(fleet)
    loaded = verb.load(snapshot.dump(fleets.read(fleet)))
    assert pipeline.build(publisher_yaml.load(data), data, loaded, {}).plan == fleets.build(fleet, {}).plan


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), one=st.integers(0, 2**16), other=st.integers(0, 2**16))
def test_digests(fleets: ModuleType, seed: int, one: int, other: int) -> None:
    """Equal if and only if what was read is."""
    read = []
    for number in (one, other):
        fleet = fleets.make(seed)
        fleets.step(fleet, number)
        read.append(fleets.read(fleet))
    assert (snapshot.digest(read[0]) == snapshot.digest(read[1])) == (read[0] == read[1])


def dumped(fleets: ModuleType) -> dict[str, bytes]:
    """Dump a fleet of two clusters."""
    fleet: Any = fleets.Fleet()
    for name in ("member1", "member2"):
        nodes = {"n1": fleets.NodeModel(fleet.address())}
        services = {"default/flask": fleets.ServiceModel(31193)}
        fleet.clusters[name] = fleets.ClusterModel(nodes=nodes, services=services)
    return snapshot.dump(fleets.read(fleet))


def problems(files: dict[str, bytes]) -> list[tuple[str, str, str]]:
    """Give file, pointer and rule of all that is wrong with a snapshot."""
    with pytest.raises(UsageError) as caught:
        verb.load(files)
    assert caught.value.exit_code == 2
    return [(item.where, item.pointer, item.rule) for item in caught.value.findings]


def test_without_an_index(fleets: ModuleType) -> None:
    """It is no snapshot, and the message says how to make one."""
    with pytest.raises(UsageError, match=r"index\.yaml"):
        verb.load({})


ONE, TWO = "clusters/member1.yaml", "clusters/member2.yaml"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"index.yaml": b"{"}, [("index.yaml", "line 1", "unreadable")]),
        ({"index.yaml": b"snapshot: 2\nclusters: {}"}, [("index.yaml", "/snapshot", "schema-const")]),
        ({"index.yaml": b"snapshot: 1"}, [("index.yaml", "", "schema-required")]),
        ({"index.yaml": b"snapshot: 1\nclusters: {../../etc: 0123456789abcdef}"}, [
            ("index.yaml", "/clusters", "schema-pattern"),
        ]),
        ({"index.yaml": b"snapshot: 1\nclusters: {a: x}"}, [("index.yaml", "/clusters/a", "schema-pattern")]),
        ({"index.yaml": b"snapshot: 1\nclusters: {a: x, a: x}"}, [("index.yaml", "line 2", "unreadable")]),
        ({ONE: None}, [(ONE, "", "missing")]),
        ({ONE: None, TWO: b"a: b: c"}, [(ONE, "", "missing"), (TWO, "line 1", "unreadable")]),
        ({ONE: b"- x", TWO: b""}, [(ONE, "", "schema-type"), (TWO, "", "schema-type")]),
        ({ONE: b"cluster: x"}, [(ONE, "", "schema-required")]),
        ({ONE: (b'cluster: "member1"', b'cluster: "member2"')}, [(ONE, "/cluster", "file-name")]),
        ({ONE: (b'"ready": true', b'"ready": "maybe"'), TWO: (b'"ready": true', b'"redy": true')}, [
            (ONE, "/nodes/items/n1/ready", "schema-type"),
            (TWO, "/nodes/items/n1", "schema-required"),
            (TWO, "/nodes/items/n1/redy", "unknown-key"),
        ]),
        ({ONE: (b"10.0.0.1", b"999.0.0.1"), TWO: (b"10.0.0.2", b":::")}, [
            (ONE, "/nodes/items/n1/addresses/InternalIP/0", "address"),
            (TWO, "/nodes/items/n1/addresses/InternalIP/0", "address"),
        ]),
        ({ONE: (b"default/flask", b"flask")}, [
            (ONE, "/endpoints/items", "schema-pattern"),
            (ONE, "/services/items", "schema-pattern"),
        ]),
        ({ONE: (b'"nodePort": 31193', b'"nodePort": 99999')}, [
            (ONE, "/services/items/default~1flask/ports/0/nodePort", "schema-maximum")
        ]),
    ],
)  # fmt: skip
def test_everything_that_is_wrong_is_told(
    fleets: ModuleType, changes: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    """Of all files, before anything is used."""
    files = dumped(fleets)
    for path, change in changes.items():
        if change is None:
            del files[path]
        elif isinstance(change, tuple):
            assert change[0] in files[path]
            files[path] = files[path].replace(*change)
        else:
            files[path] = change
    assert problems(files) == expected


def test_addresses_are_read_in_one_form(fleets: ModuleType) -> None:
    """However a person has written them."""
    files = dumped(fleets)
    files[ONE] = files[ONE].replace(b"10.0.0.1", b"2001:db8:0:0:0::1")
    nodes = verb.load(files).clusters["member1"].nodes
    assert not isinstance(nodes, Unknown)
    assert nodes["n1"].addresses == (Address("InternalIP", "2001:db8::1"),)


def test_overview(fleets: ModuleType) -> None:
    """How much was read of each cluster, and why not."""
    fleet: Any = fleets.Fleet()
    fleet.clusters["a"] = fleets.ClusterModel(nodes={"n1": fleets.NodeModel("10.0.0.1")}, unknown={"Services"})
    assert verb.overview(fleets.read(fleet)) == [
        {
            "cluster": "a",
            "nodes": 1,
            "services": "unknown: services: timeout",
            "endpoints": "unknown: slices: timeout",
        }
    ]


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.integers(0, 2**16), max_size=3))
def test_what_is_known_is_left_out(fleets: ModuleType, seed: int, steps: list[int]) -> None:
    """With the digests of an earlier snapshot just the clusters that differ are written, and the index always."""
    fleet = fleets.make(seed, large=True)
    before = fleets.read(fleet)
    known = snapshot.digests(before)
    for number in steps:
        fleets.step(fleet, number)
    after = fleets.read(fleet)
    files = snapshot.dump(after, known)
    differ = {name for name, cluster in after.clusters.items() if before.clusters.get(name) != cluster}
    assert files.keys() == {snapshot.INDEX, *map(snapshot.cluster_path, differ)}
    whole = snapshot.dump(after)
    assert files.items() <= whole.items()
    assert load_plain_yaml(whole[snapshot.INDEX])["clusters"] == snapshot.digests(after)
    assert {**snapshot.dump(before), **files}.items() >= whole.items()


KEYS = st.one_of(TEXT, st.sampled_from(["y", "N", "on", "Off", "-", "?", ":", "a: b", "- a", "<<", "0", "1_0", "1:2"]))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=150)
@given(document=st.dictionaries(KEYS, PLAIN, min_size=1, max_size=4))
def test_yaml_is_read_back_as_it_was(document: dict[str, Any]) -> None:
    """Whatever its keys and texts look like, in the order given, and each entry on a line that people can read."""
    data = dump_yaml(document)
    loaded = load_plain_yaml(data)
    assert loaded == document
    assert json.dumps(loaded) == json.dumps(document), "with the types and the order"
    assert all(line.isprintable() for line in data.decode().split("\n"))
    assert len(data.decode().splitlines()) == lines_of(document, 0)


@pytest.mark.parametrize("key", ["y", "n", "Y", "Yes", "no", "ON", "off", "true", "False", "NULL", "~", "1", "-", ""])
def test_a_key_is_text_for_every_reader_of_yaml(key: str) -> None:
    """Also for one of YAML 1.1, that takes some words for something else."""
    assert dump_yaml({key: 1}) == f'"{key}": 1\n'.encode()


def lines_of(value: Any, depth: int) -> int:
    """Count an entry a line, down to the third map and of lists at the top."""
    if isinstance(value, dict) and value and depth < 3:
        return sum(1 + below(item, depth + 1) for item in value.values())
    return 0


def below(value: Any, depth: int) -> int:
    """Count the lines below the one of a key."""
    if isinstance(value, list):
        return len(value) if depth == 1 else 0
    return lines_of(value, depth)
