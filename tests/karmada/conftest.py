"""A small fleet behind real HTTPS sockets, read page by page, whose answers a test may spoil."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from publisher import settings
from publisher.commands.pipeline import Outcome, build
from publisher.core.model import Topology, Unknown
from publisher.core.policy import Access, Policy
from publisher.demo.fleet import Fleet
from publisher.demo.server import FleetServer, Reply, Request
from publisher.edge.karmada import Connection, KarmadaFleet, Timing, from_kubeconfig, lists
from publisher.errors import ApiError, PublisherError

QUICK = Timing(connect=5, read=5, total=20, attempts=2, backoff=0.01, longest=2)
"""For faults that show at once."""

PUBLISHER_YAML = b"""\
publisher: edge
guards: {removed-targets: false, no-targets: false, empty-cluster: false, deleted-service: false,
  shifted-traffic: false}
services:
  default/flask: {routes: ["/env/*"], weights: {member1: 60, member2: 30, member3: 10}}
grants: [{namespaces: ["*"], paths: ["/*"]}]
"""


class World:
    """A fleet, its API servers, and a publisher that reads it."""

    def __init__(self, server: FleetServer, kubeconfig: Path) -> None:
        self.server = server
        self.fleet = server.fleet
        self.kubeconfig = kubeconfig
        self.policy = settings.load(PUBLISHER_YAML)
        self.seen: list[Request] = []
        """Every request that came, in order."""
        self._answers: list[Callable[[Request], Reply | None]] = []
        self._connections: list[Connection] = []
        self._lock = threading.Lock()
        server.intercept = self._intercept
        self.write_kubeconfig()

    def _intercept(self, request: Request) -> Reply | None:
        with self._lock:
            self.seen.append(request)
        return next((reply for answer in self._answers if (reply := answer(request))), None)

    def answer(self, answer: Callable[[Request], Reply | None]) -> None:
        """Let a function answer in the servers' place, where it does not give None."""
        self._answers.append(answer)

    def asked(self, plane: str, path: str) -> list[Request]:
        """List the requests that a cluster, or karmada itself, got for a path."""
        return [request for request in self.seen if (request.plane, request.path) == (plane, path)]

    def write_kubeconfig(self, **user: object) -> None:
        """Write the kubeconfig anew, maybe with another user."""
        config = self.server.kubeconfig()
        if user:
            config["users"] = [{"name": config["current-context"], "user": user}]
        self.kubeconfig.write_text(json.dumps(config))

    def set_policy(self, **karmada: object) -> Policy:
        """Change what publisher.yaml says under karmada."""
        self.policy = replace(self.policy, karmada=replace(self.policy.karmada, **karmada))
        return self.policy

    def change(self, resource: str, name: str, change: Callable[[dict], object], namespace: str = "") -> None:
        """Change an object of Karmada's API server."""
        obj = self.fleet.karmada.get(resource, namespace, name)
        change(obj)
        self.fleet.karmada.put(resource, obj)

    def connect(self, timing: Timing = QUICK, **given: object) -> Connection:
        """Connect to Karmada; closed when the test is over."""
        options = {"file": str(self.kubeconfig), "context": "", "size": 8} | given
        connection = from_kubeconfig(**options, timing=timing)
        self._connections.append(connection)
        return connection

    def read(self, timing: Timing = QUICK, progress: Callable[[int, int], None] = lambda done, of: None) -> Topology:
        """Read the fleet as the verbs do."""
        connection = self.connect(timing)
        try:
            return KarmadaFleet(connection, self.policy, timing).read(progress)
        finally:
            connection.close()

    def fails(self, timing: Timing = QUICK) -> str:
        """Read the fleet, which has to fail, and give the error: one line, for exit code 1."""
        with pytest.raises(ApiError) as caught:
            self.read(timing)
        assert caught.value.exit_code == 1
        return one_line(str(caught.value))

    def plan(self, tree: dict[str, bytes], topology: Topology) -> Outcome:
        """Work out what a topology changes in a tree."""
        return build(self.policy, PUBLISHER_YAML, topology, tree)

    def close(self) -> None:
        """Close what a test opened."""
        for connection in self._connections:
            connection.close()


def one_line(text: str) -> str:
    """Give a message back that is one line of some length."""
    assert text.strip() == text
    assert "\n" not in text
    assert 10 < len(text) < 500
    return text


def make_fleet() -> Fleet:
    """Make three members, each with more than one page of Nodes, Services and EndpointSlices of two."""
    made = Fleet()
    for number in (1, 2, 3):
        name = f"member{number}"
        nodes = {f"n{number}{index}": f"10.0.{number}.{index}" for index in (1, 2, 3)}
        made.add_member(name, region="cn-north", nodes=nodes)
        hello = {"annotations": {"pipy-publisher.io/routes": "/hello/*"}}
        local = {"annotations": {"pipy-publisher.io/routes": "/local/*"}, "external_traffic_policy": "Local"}
        made.add_service(name, "default/flask", node_port=31193)
        made.add_service(name, "default/hello", node_port=31200 + number, **hello)
        made.add_service(name, "team/local", node_port=31300, endpoint_nodes=[f"n{number}1", f"n{number}3"], **local)
    solo = {"pipy-publisher.io/routes": "/solo/*"}
    made.add_service("member2", "team/solo", node_port=31400, annotations=solo)
    return made


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is published of the fleet before a test changes it."""
    with FleetServer(make_fleet()) as server:
        made = World(server, tmp_path_factory.mktemp("published") / "kubeconfig")
        outcome = made.plan({}, made.read())
    assert not outcome.plan.findings
    return {file.path: file.content for file in outcome.plan.files if file.content is not None}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterable[World]:
    """Serve the fleet, two objects a page."""
    monkeypatch.setattr(lists, "PAGE", 2)
    with FleetServer(make_fleet()) as server:
        made = World(server, tmp_path / "kubeconfig")
        yield made
        made.close()


@pytest.fixture(params=list(Access))
def access(request: pytest.FixtureRequest, world: World) -> Access:
    """Have the fleet read in each way."""
    world.set_policy(access=request.param)
    return request.param


@pytest.fixture
def unknown() -> Callable[[Topology], dict[tuple[str, str], str]]:
    """Give what of a topology is unknown, by cluster and kind, with the reasons, which are one line each."""

    def find(topology: Topology) -> dict[tuple[str, str], str]:
        return {
            (cluster.name, kind): one_line(part.reason)
            for cluster in topology.clusters.values()
            for kind in ("nodes", "services", "endpoints")
            if isinstance(part := getattr(cluster, kind), Unknown)
        }

    return find


@pytest.fixture
def raises_line() -> Callable[[type[PublisherError], Callable[[], object]], str]:
    """Call what has to fail in a way that the user is told of, and give that one line."""

    def call(kind: type[PublisherError], work: Callable[[], object]) -> str:
        with pytest.raises(kind) as caught:
            work()
        return one_line(str(caught.value))

    return call
