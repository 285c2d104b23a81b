"""Every way in which a list can fail to come: unknown is not empty, and the rest of the fleet goes on (promise 5)."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate

import pytest

from publisher.demo.server import Reply, Request
from publisher.edge.karmada import Timing, connection

CLUSTERS = "/apis/cluster.karmada.io/v1alpha1/clusters"
PARTS = {
    "Node": ("/api/v1/nodes", {"nodes"}),
    "Service": ("/api/v1/services", {"services", "endpoints"}),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1/endpointslices", {"endpoints"}),
}
"""By kind: where it is listed, and what cannot be told without the list."""
LATER = {"Node": {"services", "endpoints"}, "Service": {"endpoints"}, "EndpointSlice": set()}
JOINED = b'    "n14": "10.0.1.4",\n'

QUICK = Timing(connect=5, read=5, total=20, attempts=2, backoff=0.01, longest=2)
SHORT = Timing(connect=5, read=0.3, total=0.4, attempts=2, backoff=0.01, longest=2)


@dataclass(frozen=True)
class Fault:
    """One way to fail, for as long as it is asked."""

    name: str
    reply: Callable[[str, int], Reply | Iterator[bytes]]
    """Of the kind that is listed, and how often it was asked before."""
    says: str
    """Part of the reason that is given."""
    requests: int = 1
    """How often the page is asked for before giving up."""
    silent: bool = False
    """There was no answer, so that the member is asked for nothing else."""
    timing: Timing = QUICK


def status(code: int, message: str, **headers: str) -> Callable[[str, int], Reply]:
    """Refuse as an API server does."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": code}
    return lambda kind, count: Reply(code, headers, json.dumps(body).encode())


def listed(*items: object, token: str = "") -> Callable[[str, int], Reply]:
    """Answer with a list of such items."""
    meta = {"resourceVersion": "7"} | ({"continue": token} if token else {})
    return lambda kind, count: body({"kind": f"{kind}List", "apiVersion": "v1", "metadata": meta, "items": list(items)})


def body(document: object) -> Reply:
    """Answer 200 with JSON."""
    return Reply(200, {"Content-Type": "application/json"}, json.dumps(document).encode())


def drip(kind: str, count: int) -> Iterator[bytes]:
    """Send a byte at a time, each well before the time-out, and never come to an end."""
    yield b"{"
    while True:
        time.sleep(0.05)
        yield b" "


def in_turn(kind: str, count: int) -> Reply:
    """Send the client round and round between two pages."""
    return listed(token=f"page{count % 2}")(kind, count)


HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
WHOLE = json.dumps({"kind": "NodeList", "metadata": {}, "items": []}).encode()
REFUSED = "dial tcp 127.0.0.1:5483: connect: connection refused"
NODE = {"metadata": {"labels": {"a": "b"}}}

FAULTS = [
    Fault("time-out", lambda kind, count: Reply(delay_seconds=2), "no answer within 0.3 s", 2, True, SHORT),
    Fault("hang", lambda kind, count: Reply(hang=True), "no answer within 0.3 s", 2, True, SHORT),
    Fault("slow-drip", drip, "took longer than 0.4 s", 2, True, SHORT),
    Fault("reset", lambda kind, count: Reply(reset=True), "onnection", 2, True),
    Fault("truncated", lambda kind, count: Reply(body=WHOLE, truncate_at=9), "the answer broke off", 2),
    Fault("truncated-to-nothing", lambda kind, count: Reply(body=WHOLE, truncate_at=0), "the answer broke off", 2),
    Fault("oversized", lambda kind, count: Reply(body=b" " * 300_000), "larger than"),
    Fault("400", status(400, "limit: Invalid value"), "HTTP 400: limit: Invalid value"),
    Fault("401", status(401, "Unauthorized"), "HTTP 401: Unauthorized"),
    Fault("403", status(403, 'nodes is forbidden: User "x" cannot list'), 'HTTP 403: nodes is forbidden: User "x"'),
    Fault("404-text", lambda kind, count: Reply(404, {}, b"404 page not found\n"), "HTTP 404"),
    Fault("404", status(404, 'clusters "x" not found'), 'HTTP 404: clusters "x" not found'),
    Fault("409", status(409, "the name is taken"), "HTTP 409"),
    Fault("410", status(410, "The provided continue parameter is too old"), "expired 3 times", 3),
    Fault("429", status(429, "too many requests"), "HTTP 429", 2),
    Fault("429-seconds", status(429, "slow down", **{"Retry-After": "0"}), "HTTP 429", 2),
    Fault("429-date", status(429, "slow down", **{"Retry-After": formatdate(usegmt=True)}), "HTTP 429", 2),
    Fault("429-too-long", status(429, "slow down", **{"Retry-After": "3600"}), "HTTP 429"),
    Fault("429-nonsense", status(429, "slow down", **{"Retry-After": "\u00b2 soon"}), "HTTP 429", 2),
    Fault("500", status(500, "etcdserver: leader changed"), "HTTP 500: etcdserver: leader changed", 2),
    Fault("500-dial", status(500, REFUSED), f"HTTP 500: {REFUSED}", 2),
    Fault("503-html", lambda kind, count: Reply(503, {"Content-Type": "text/html"}, HTML), "HTTP 503", 2),
    Fault("504", status(504, "Timeout: Too large resource version", **{"Retry-After": "0"}), "HTTP 504", 2),
    Fault("204", lambda kind, count: Reply(204), "HTTP 204"),
    Fault("redirect", lambda kind, count: Reply(302, {"Location": "/version"}), "HTTP 302"),
    Fault("html", lambda kind, count: Reply(200, {"Content-Type": "text/html"}, HTML), "not JSON"),
    Fault("nothing", lambda kind, count: Reply(200), "not JSON"),
    Fault("cut-json", lambda kind, count: Reply(200, {}, WHOLE[:-3]), "not JSON"),
    Fault("not-utf-8", lambda kind, count: Reply(200, {}, WHOLE[:-1] + b',"x":"\xff"}'), "not JSON"),
    Fault("other-kind", lambda kind, count: body({"kind": "PodList", "metadata": {}, "items": []}), "is PodList, not"),
    Fault("status-200", lambda kind, count: body({"kind": "Status", "code": 500}), "is Status, not"),
    Fault("an-array", lambda kind, count: body([]), "is no object, not"),
    Fault("no-kind", lambda kind, count: body({"metadata": {}, "items": []}), "is no kind, not"),
    Fault("no-items", lambda kind, count: body({"kind": f"{kind}List", "metadata": {}}), "no items"),
    Fault("null-items", lambda kind, count: body({"kind": f"{kind}List", "metadata": {}, "items": None}), "no items"),
    Fault("items-map", lambda kind, count: body({"kind": f"{kind}List", "metadata": {}, "items": {}}), "no items"),
    Fault("no-metadata", lambda kind, count: body({"kind": f"{kind}List", "items": []}), "no metadata"),
    Fault("item-null", listed(None), "has no metadata.name that is a name"),
    Fault("item-text", listed("n21"), "has no metadata.name that is a name"),
    Fault("item-without-metadata", listed({}), "has no metadata.name that is a name"),
    Fault("item-without-name", listed(NODE), "has no metadata.name that is a name"),
    Fault("item-that-climbs", listed({"metadata": {"name": "../../x"}}), "has no metadata.name that is a name"),
    Fault("garbage-token", listed(token="AAA"), ""),
    Fault("round-and-round", in_turn, ""),
]
faults = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
pages = pytest.mark.parametrize("page", [1, 2])


@pytest.fixture(autouse=True)
def _small_answers(monkeypatch):
    monkeypatch.setattr(connection, "MAX_BODY", 200_000)


def spoil(world, plane: str, path: str, page: int, fault: Fault) -> None:
    """Have every request for the first page, or for those after it, fail."""
    kind = next((kind for kind, (where, _) in PARTS.items() if where == path), "Cluster")
    counter = itertools.count()

    def answer(request: Request):
        if (request.plane, request.path) != (plane, path) or (page == 2) != ("continue" in request.query):
            return None
        return fault.reply(kind, next(counter))

    world.answer(answer)


def asked(world, plane: str, path: str, page: int) -> int:
    """Count the requests for the page that fails."""
    return sum(("continue" in request.query) == (page == 2) for request in world.asked(plane, path))


@faults
@pages
@pytest.mark.parametrize("kind", PARTS)
def test_a_list_of_a_member(world, published, access, kind, page, fault, unknown):
    """Exactly the list that failed is unknown, nothing published is lost, and the other clusters go on."""
    world.fleet.add_node("member1", "n14", "10.0.1.4")
    path, parts = PARTS[kind]
    spoil(world, "member2", path, page, fault)
    topology = world.read(fault.timing)
    found = unknown(topology)
    assert set(found) == {("member2", part) for part in parts | (LATER[kind] if fault.silent else set())}
    assert all(fault.says in reason for reason in found.values())
    if fault.says:
        assert asked(world, "member2", path, page) == fault.requests
    plan = world.plan(published, topology).plan
    (file,) = plan.files
    assert (file.path, file.action) == ("pipy/config/clusters/member1.json", "change")
    assert file.content.replace(JOINED, b"") == published[file.path]
    assert JOINED in file.content
    assert {(part.cluster, part.reason) for part in plan.unknown} == {("member2", one) for one in found.values()}
    assert not plan.findings


@faults
@pages
def test_the_list_of_clusters(world, access, page, fault):
    """Without it there is nothing to go by: the run ends, with one line that says why."""
    spoil(world, "karmada", CLUSTERS, page, fault)
    assert fault.says in world.fails(fault.timing)
    if fault.says:
        assert asked(world, "karmada", CLUSTERS, page) == fault.requests
    assert {request.plane for request in world.seen} == {"karmada"}


def test_a_member_that_is_down(world, published, access, unknown):
    """The cluster proxy answers 500 for it, itself it refuses the connection; what was published stays."""
    world.fleet.add_node("member1", "n14", "10.0.1.4")
    world.server.stop_member("member2")
    topology = world.read()
    found = unknown(topology)
    assert set(found) == {("member2", part) for part in ("nodes", "services", "endpoints")}
    assert all("onnection refused" in reason for reason in found.values())
    (file,) = world.plan(published, topology).plan.files
    assert file.path == "pipy/config/clusters/member1.json"
    world.server.start_member("member2")
    assert not unknown(world.read())


def test_what_a_member_lost_meanwhile(world, published, access):
    """A Node and a Service that went while the lists failed are removed by the first complete list, not before."""
    world.fleet.remove_node("member2", "n23")
    world.fleet.remove_service("member2", "team/solo")
    broken = True
    world.answer(lambda request: Reply(500) if broken and request.plane == "member2" else None)
    assert not world.plan(published, world.read()).plan.files
    broken = False
    changed = {
        file.path.removeprefix("pipy/config/"): file.action for file in world.plan(published, world.read()).plan.files
    }
    assert changed == {
        "clusters/member2.json": "change",
        "services/team.local.json": "change",
        "services/team.solo.json": "delete",
    }


@pytest.mark.parametrize("path", [path for path, _ in PARTS.values()])
def test_expired_once(world, access, path, unknown):
    """The list begins anew and is complete."""
    whole = world.read()
    pages = len(world.asked("member2", path))
    world.seen.clear()
    gone = iter([status(410, "The provided continue parameter is too old")("", 0)])

    def answer(request: Request):
        expires = (request.plane, request.path) == ("member2", path) and "continue" in request.query
        return next(gone, None) if expires else None

    world.answer(answer)
    assert world.read() == whole
    assert len(world.asked("member2", path)) == 2 + pages
    assert not unknown(whole)


def test_no_page_of_an_older_state(world):
    """A list that expires between two pages is read again from the start, with what changed meanwhile."""
    plane = world.fleet.members["member2"]
    once = iter([None])

    def answer(request: Request):
        if request.plane == "member2" and "continue" in request.query and next(once, "over") is None:
            world.fleet.remove_node("member2", "n21")
            plane.compact()

    world.answer(answer)
    assert sorted(world.read().clusters["member2"].nodes) == ["n22", "n23"]


def test_every_member_unreadable(world, access):
    """Where nothing of any cluster can be read, that is a failure and not a plan without changes."""
    world.answer(lambda request: status(403, "forbidden")("", 0) if request.plane != "karmada" else None)
    line = world.fails()
    assert line.startswith("none of 3 member clusters could be read: ")
    assert "HTTP 403: forbidden" in line


def test_one_kind_of_every_member_unreadable(world, published, access, unknown):
    """A role without EndpointSlices: that is unknown everywhere, and nothing changes."""
    path = PARTS["EndpointSlice"][0]
    world.answer(lambda request: status(403, "forbidden")("", 0) if request.path == path else None)
    topology = world.read()
    assert set(unknown(topology)) == {(f"member{number}", "endpoints") for number in (1, 2, 3)}
    assert not world.plan(published, topology).plan.files
