"""``publisher validate``: each rule fires on a small bad repository, just there, and a good one is silent."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from publisher.commands.validate import validate
from publisher.core.check import check_tree
from publisher.core.model import Finding
from publisher.errors import UsageError
from publisher.resources import schema

FLASK: Any = {
    "$schema": "../../../schemas/service.schema.json",
    "service": "default/flask",
    "publisher": "edge",
    "routes": [{"path": "/env/*", "port": "http"}, {"host": "*.a.com", "path": "/", "port": "http"}],
    "clusters": {
        "member1": {"weight": 50, "ports": {"http": 31193}},
        "member2": {"weight": 50, "ports": {"http": 30817}, "nodes": ["karmada4"]},
        "$end": True,
    },
}
GOOD: dict[str, Any] = {
    "clusters/member1.json": {
        "cluster": "member1",
        "publisher": "edge",
        "region": "cn-north",
        "state": "active",
        "nodes": {"karmada1": "10.211.55.61", "karmada2": "10.211.55.62", "$end": True},
    },
    "clusters/member2.json": {
        "cluster": "member2",
        "publisher": "people",
        "state": "drained",
        "nodes": {"karmada4": "2001:db8::4", "$end": True},
    },
    "services/default.flask.json": FLASK,
    "services/team.web.json": {
        "service": "team/web",
        "publisher": "people",
        "routes": [{"path": "/", "port": "http"}],
        "clusters": {
            "member1": {"addresses": ["192.0.2.1:80", "[2001:db8::9]:443"], "weight": 0},
            "member2": {"ports": {"http": 1}},
        },
    },
    "router.json": {"routes": {"/env/*": "flask", "a.com/x": "flask"}, "more": 1},
    "balancer.json": {"services": {"flask": ["10.211.55.61:31193", "flask.example.com:80"], "unused": []}},
}  # fmt: skip
SERVICE, CLUSTER = "services/default.flask.json", "clusters/member1.json"


def findings(files: dict[str, Any], allowed: tuple[str, ...] = ()) -> list[Finding]:
    """Check files below pipy/config; bytes are taken as they are."""
    tree = {
        f"pipy/config/{path}": item if isinstance(item, bytes) else json.dumps(item, indent=2).encode()
        for path, item in files.items()
    }
    return list(check_tree(tree, "pipy", allowed, schema))


def shown(found: list[Finding]) -> list[tuple[str, str, str]]:
    """Give file, pointer and rule."""
    return [(item.where.removeprefix("pipy/config/"), item.pointer, item.rule) for item in found]


def test_a_good_repository_is_silent() -> None:
    """In both layouts, with files of people and of a publisher."""
    assert findings(GOOD) == []
    assert findings(GOOD, ("10.211.0.0/16", "2001:db8::/32", "192.0.2.0/24")) == []
    assert findings({}) == []


def member(**values: Any) -> Any:
    """Change what member1 adds to the service."""
    return {SERVICE: {"clusters": {**FLASK["clusters"], "member1": {"weight": 50, "ports": {"http": 31193}, **values}}}}


BAD: list[tuple[str, dict[str, Any], list[tuple[str, str, str]]]] = [
    (
        "cluster-missing",
        {SERVICE: {"clusters": {**FLASK["clusters"], "member9": {"ports": {"http": 1}}}}},
        [(SERVICE, "/clusters/member9", "cluster-missing")],
    ),
    ("cluster file gone", {"clusters/member2.json": None}, [
        (SERVICE, "/clusters/member2", "cluster-missing"),
        ("services/team.web.json", "/clusters/member2", "cluster-missing"),
    ]),
    (
        "route-conflict",
        {"services/team.web.json": {"routes": [{"path": "/env/*", "port": "http"}]}},
        [("services/team.web.json", "/routes", "route-conflict")],
    ),
    (
        "weight-sum",
        {SERVICE: {"clusters": {"member1": {"weight": 0, "ports": {"http": 1}}}}},
        [(SERVICE, "/clusters", "weight-sum")],
    ),
    ("port 0", member(ports={"http": 0}), [(SERVICE, "/clusters/member1/ports/http", "schema-minimum")]),
    ("port 65536", member(ports={"http": 65536}), [(SERVICE, "/clusters/member1/ports/http", "schema-maximum")]),
    ("port text", member(ports={"http": "80"}), [(SERVICE, "/clusters/member1/ports/http", "schema-type")]),
    ("port true", member(ports={"http": True}), [(SERVICE, "/clusters/member1/ports/http", "schema-type")]),
    ("weight -1", member(weight=-1), [(SERVICE, "/clusters/member1/weight", "schema-minimum")]),
    ("weight 1.5", member(weight=1.5), [(SERVICE, "/clusters/member1/weight", "schema-type")]),
    ("port-missing", member(ports={"web": 80}), [(SERVICE, "/clusters/member1/ports", "port-missing")]),
    ("node-missing", member(nodes=["karmada1", "karmada9"]), [(SERVICE, "/clusters/member1/nodes", "node-missing")]),
    ("no cluster name", {SERVICE: {"clusters": {"Member1": {"ports": {"http": 1}}}}}, [
        (SERVICE, "/clusters", "schema-pattern")
    ]),
    ("file-name of a service", {SERVICE: {"service": "default/other"}}, [(SERVICE, "/service", "file-name")]),
    ("file-name of a cluster", {"clusters/other.json": {**GOOD[CLUSTER], "nodes": {}}}, [
        ("clusters/other.json", "/cluster", "file-name")
    ]),
    ("loopback", {CLUSTER: {"nodes": {"karmada1": "127.0.0.1"}}}, [(CLUSTER, "/nodes/karmada1", "address")]),
    ("multicast", {CLUSTER: {"nodes": {"karmada1": "224.0.0.1"}}}, [(CLUSTER, "/nodes/karmada1", "address")]),
    ("no address", {CLUSTER: {"nodes": {"karmada1": "300.1.1.1"}}}, [(CLUSTER, "/nodes/karmada1", "address")]),
    ("no address at all", {CLUSTER: {"nodes": {"karmada1": "host"}}}, [(CLUSTER, "/nodes/karmada1", "schema-pattern")]),
    (
        "an address named outright",
        {"services/team.web.json": {"clusters": {"member1": {"addresses": ["169.254.169.254:80", "10.0.0.1:80"]}}}},
        [("services/team.web.json", "/clusters/member1/addresses", "address")],
    ),
    (
        "a port of such",
        {"services/team.web.json": {"clusters": {"member1": {"addresses": ["10.0.0.1:65536"]}}}},
        [("services/team.web.json", "/clusters/member1/addresses", "address")],
    ),
    (
        "target-duplicate between clusters",
        {
            "clusters/member2.json": {"nodes": {"karmada4": "10.211.55.61"}},
            SERVICE: {
                "clusters": {"member1": {"ports": {"http": 31193}}, "member2": {"ports": {"http": 31193}}},
            },
        },
        [(SERVICE, "/clusters/member2", "target-duplicate")],
    ),
    (
        "target-duplicate within a cluster",
        {CLUSTER: {"nodes": {"karmada1": "10.211.55.61", "karmada2": "10.211.55.61"}}},
        [(SERVICE, "/clusters/member1", "target-duplicate")],
    ),
    ("one address, two ports", {"clusters/member2.json": {"nodes": {"karmada4": "10.211.55.61"}}}, []),
    ("a key twice", {CLUSTER: b'{\n  "cluster": "member1",\n  "cluster": "member1"\n}'}, [
        (CLUSTER, "line 3", "unreadable")
    ]),
    ("not JSON", {SERVICE: b'{\n  "service":\n}'}, [(SERVICE, "line 3", "unreadable")]),
    ("an unknown key", {CLUSTER: {"nods": {}}}, [(CLUSTER, "/nods", "unknown-key")]),
    ("no routes", {SERVICE: {"routes": []}}, [(SERVICE, "/routes", "schema-minItems")]),
    ("a route twice", {SERVICE: {"routes": [FLASK["routes"][0]] * 2}}, [(SERVICE, "/routes", "schema-uniqueItems")]),
    ("$end is not an entry", {SERVICE: {"clusters": {"$end": False}}}, [(SERVICE, "/clusters/$end", "schema-const")]),
    ("router: no such service", {"router.json": {"routes": {"/x": "nosuch"}}}, [
        ("router.json", "/routes/~1x", "service-missing")
    ]),
    ("router: no route", {"router.json": {"routes": {"x": "flask"}}}, [("router.json", "/routes", "schema-pattern")]),
    ("balancer: loopback", {"balancer.json": {"services": {"flask": ["127.0.0.1:80"]}}}, [
        ("balancer.json", "/services/flask/0", "address")
    ]),
    ("balancer: port", {"balancer.json": {"services": {"flask": ["a:1", "a:65536"]}}}, [
        ("balancer.json", "/services/flask/1", "address")
    ]),
    ("balancer: no port", {"balancer.json": {"services": {"flask": ["10.0.0.1"]}}}, [
        ("balancer.json", "/services/flask/0", "schema-pattern")
    ]),
    ("balancer: twice", {"balancer.json": {"services": {"flask": ["a:1", "a:1"]}}}, [
        ("balancer.json", "/services/flask", "schema-uniqueItems")
    ]),
    ("balancer gone", {"balancer.json": None}, [
        ("router.json", "/routes/a.com~1x", "service-missing"),
        ("router.json", "/routes/~1env~1*", "service-missing"),
    ]),
    ("balancer alone", {"router.json": None, "balancer.json": {"services": {"flask": ["127.0.0.1:80"]}}}, [
        ("balancer.json", "/services/flask/0", "address")
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), [item[1:] for item in BAD], ids=[item[0] for item in BAD])
def test_a_bad_repository(changes: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    """Just the findings expected: file, place and rule, each with what to do."""
    files = copy.deepcopy(GOOD)
    for path, change in changes.items():
        if change is None:
            del files[path]
        elif isinstance(change, bytes):
            files[path] = change
        else:
            files[path] = {**files.get(path, {}), **change}
    found = findings(files)
    assert shown(found) == sorted(expected)
    assert all(item.message for item in found)
    assert {item.rule for item in found if item.severity == "warning"} <= {"node-missing"}


def test_allowed_networks() -> None:
    """Nodes, addresses named outright and the tutorial's targets have to be inside."""
    found = findings(GOOD, ("10.211.55.61/32",))
    assert shown(found) == [
        ("clusters/member1.json", "/nodes/karmada2", "address"),
        ("clusters/member2.json", "/nodes/karmada4", "address"),
        ("services/team.web.json", "/clusters/member1/addresses", "address"),
        ("services/team.web.json", "/clusters/member1/addresses", "address"),
    ]


class Folder:
    """A config repository in memory."""

    settings_file = "publisher.yaml"

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def settings(self) -> bytes:
        """Give publisher.yaml."""
        return self.files["publisher.yaml"]

    def head(self) -> str:
        """Give no commit."""
        return ""

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        """Give the files below some paths."""
        return {path: data for path, data in self.files.items() if path.startswith(tuple(f"{top}/" for top in paths))}


def test_the_verb() -> None:
    """publisher.yaml first, then the files; a folder that is no config repository is a usage error."""
    files = {f"pipy/config/{path}": json.dumps(item).encode() for path, item in GOOD.items()}
    assert validate(Folder({"publisher.yaml": b"publisher: edge", **files})) == ()
    bad = validate(Folder({"publisher.yaml": b"publisher: Edge", **files, f"pipy/config/{CLUSTER}": b"{"}))
    assert [(item.where, item.pointer) for item in bad][:2] == [
        ("publisher.yaml", "line 1"),
        ("pipy/config/clusters/member1.json", "line 1"),
    ]
    with pytest.raises(UsageError, match="pipy/config"):
        validate(Folder({"publisher.yaml": b"publisher: edge"}))
