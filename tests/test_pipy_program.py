"""The Pipy program of the template, run by a real Pipy in front of real HTTP servers."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

import pytest

from publisher.core.canonical import dump_json
from publisher.core.config import ClusterConfig, Part, RoutedPort, ServiceConfig
from publisher.core.model import Route, ServiceKey
from publisher.core.render import native
from publisher.resources import folder

PIPY = os.environ.get("PIPY_BIN") or shutil.which("pipy")
PATIENCE = 20
"""Seconds that anything may take; nothing asserts that it is faster."""

if PIPY is None:
    pytest.skip("no Pipy: set PIPY_BIN or put pipy on PATH", allow_module_level=True)

CLUSTERS = (
    ClusterConfig("member1", {"a": "127.1.1.1", "b": "127.1.1.2"}),
    ClusterConfig("member2", {"c": "127.1.2.1"}),
    ClusterConfig("member3", {"d": "127.1.3.1"}),
    ClusterConfig("tired", {"e": "127.1.4.1"}, state="drained"),
    ClusterConfig("empty", {}),
)
OUTRIGHT, NOBODY = "127.1.5.1", "127.1.9.1"
LISTENING = sorted({ip for cluster in CLUSTERS for ip in cluster.nodes.values()} | {OUTRIGHT})


class Upstreams(NamedTuple):
    """Servers at all the nodes' addresses, at two ports each."""

    http: int
    other: int


class Answer(NamedTuple):
    """What a client gets."""

    status: int
    type: str
    body: bytes

    @property
    def document(self):
        return json.loads(self.body)


class Proxy(NamedTuple):
    """A running Pipy."""

    codebase: Path
    port: int
    admin: int
    process: subprocess.Popen

    def ask(self, path, method="GET", **headers):
        return ask(self.port, path, method, {name.replace("_", "-"): value for name, value in headers.items()})

    def config(self):
        return ask(self.admin, "/__config").document


def ask(port, path, method="GET", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers.get("content-type", ""), response.read())
    finally:
        connection.close()


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "nothing came of it in time"
        time.sleep(0.05)


class Upstream(BaseHTTPRequestHandler):
    """Answers with what it was asked, and where; /hang-up gets no answer."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.endswith("/hang-up"):
            self.close_connection = True
            return
        host, port = self.server.server_address[:2]
        body = json.dumps({"host": host, "port": port, "path": self.path, "headers": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


class Server(socketserver.ThreadingTCPServer):
    """Listens at one address."""

    allow_reuse_address = True
    daemon_threads = True


class Server6(Server):
    """Listens at one IPv6 address."""

    address_family = socket.AF_INET6


@contextmanager
def serving(server):
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def bind_all(stack, tries=10):
    """Find a port that is free at all addresses: a Service has the same nodePort on every node."""
    for _ in range(tries):
        with ExitStack() as bound:
            port = 0
            try:
                for ip in LISTENING:
                    port = bound.enter_context(serving(Server((ip, port), Upstream)))
            except OSError as error:
                if not port:
                    pytest.skip(f"this machine does not listen on {LISTENING[0]}: {error.strerror}")
                continue
            stack.push(bound.pop_all())
            return port
    raise AssertionError("no port is free at all addresses")


@pytest.fixture(scope="module")
def upstreams():
    with ExitStack() as stack:
        yield Upstreams(bind_all(stack), bind_all(stack))


def service(name, routes, **parts):
    routed = tuple(RoutedPort(Route(host, path), port) for host, path, port in routes)
    return ServiceConfig(ServiceKey(f"shop/{name}"), routed, parts)


def services(up):
    ports = {"http": up.http}

    def everywhere(name, *routes):
        return service(name, [(host, path, "http") for host, path in routes], member1=Part(100, ports))

    return (
        service(
            "canary",
            [("", "/canary/*", "http")],
            member1=Part(70, ports),
            member2=Part(30, ports),
            member3=Part(0, ports),
        ),
        service("drained", [("", "/drained", "http")], member2=Part(1, ports), tired=Part(99, ports)),
        service("narrowed", [("", "/narrowed", "http")], member1=Part(100, ports, nodes=("b", "gone"))),
        service("outright", [("", "/outright", "http")], member1=Part(100, addresses=(f"{OUTRIGHT}:{up.http}",))),
        service(
            "ports",
            [("", "/ports/http", "http"), ("", "/ports/other", "other")],
            member2=Part(100, {"http": up.http, "other": up.other}),
        ),
        everywhere("paths", ("", "/canary/deep/*"), ("", "/exact")),
        everywhere("hosts", ("api.test", "/*"), ("*.wild.test", "/wild/*")),
        service("empty", [("", "/empty", "http")], empty=Part(100, ports)),
        service("partly", [("", "/partly", "http")], member2=Part(1, ports), empty=Part(99, ports)),
        service("unwanted", [("", "/unwanted", "http")], member1=Part(0, ports), tired=Part(100, ports)),
        service("refused", [("", "/refused", "http")], member1=Part(100, addresses=(f"{NOBODY}:{up.http}",))),
        service("stray", [("", "/stray", "http")], member2=Part(100, ports), nowhere=Part(100, ports)),
        # a second claim on a route of canary, behind it by name
        everywhere("claim", ("", "/canary/*"), ("", "/claim")),
    )


def write(codebase, document, path):
    file = codebase.parent / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(dump_json({"publisher": "edge", **document}))


def write_codebase(codebase, up):
    shutil.copytree(folder("config-repo-template") / "pipy", codebase)
    for cluster in CLUSTERS:
        write(codebase, native.cluster_document(cluster), native.cluster_path(codebase.name, cluster.name))
    for item in services(up):
        write(codebase, native.service_document(item), native.service_path(codebase.name, item.key))


def configure(codebase, **changes):
    """Give the proxy ports of its own."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        port, admin = one.getsockname()[1], two.getsockname()[1]
    file = codebase / "config/proxy.json"
    settings = json.loads(file.read_bytes()) | changes
    file.write_text(json.dumps(settings | {"listen": f"127.0.0.1:{port}", "admin": f"127.0.0.1:{admin}"}))
    return port, admin


def stop(process):
    """End Pipy, which at times hangs where it should exit."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def healthy(admin):
    try:
        return ask(admin, "/__health").status == 200
    except OSError:
        return False


@contextmanager
def running(codebase, **changes):
    port, admin = configure(codebase, **changes)
    log = codebase.parent / "pipy.log"
    with log.open("wb") as out:
        process = subprocess.Popen([PIPY, str(codebase / "main.js")], stdout=out, stderr=out)
        try:
            wait_for(lambda: process.poll() is not None or healthy(admin))
            assert process.poll() is None, log.read_text()
            yield Proxy(codebase, port, admin, process)
        except BaseException:
            print(log.read_text())
            raise
        finally:
            stop(process)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory, upstreams):
    codebase = tmp_path_factory.mktemp("config-repo") / "pipy"
    write_codebase(codebase, upstreams)
    (codebase / "config/services/shop.broken.json").write_text('{"service": "shop/broken", ')
    (codebase / "config/services/shop.odd.json").write_text('{"service": "shop/odd", "clusters": {"$end": true}}')
    routeless = native.service_document(service("routeless", [("", "/fine", "http"), ("host:80", "/", "http")]))
    write(codebase, routeless, native.service_path(codebase.name, "shop/routeless"))
    (codebase / "config/clusters/broken.json").write_text("[]")
    with running(codebase) as started:
        yield started


@pytest.fixture
def own(tmp_path, upstreams):
    """Give a codebase that a test may change."""
    write_codebase(tmp_path / "pipy", upstreams)
    return tmp_path / "pipy"


def hosts(proxy, path, number, **headers):
    return Counter(proxy.ask(path, **headers).document["host"] for _ in range(number))


def test_weights_share_out_the_requests(proxy):
    """Clusters get their weights' shares whatever their sizes; nodes of one cluster take turns."""
    assert hosts(proxy, "/canary/x", 100) == {"127.1.1.1": 35, "127.1.1.2": 35, "127.1.2.1": 30}


def test_a_drained_cluster_takes_nothing(proxy):
    """The state of the cluster counts more than its weight."""
    assert hosts(proxy, "/drained", 10) == {"127.1.2.1": 10}


def test_a_cluster_without_targets_is_passed_over(proxy):
    """Its share goes to the others."""
    assert hosts(proxy, "/partly", 10) == {"127.1.2.1": 10}


def test_nodes_narrow_a_cluster(proxy):
    """Only the nodes that are named answer, and of those only such as the cluster has."""
    assert hosts(proxy, "/narrowed", 4) == {"127.1.1.2": 4}


def test_addresses_are_targets_outright(proxy):
    """Addresses are used as they are."""
    assert hosts(proxy, "/outright", 2) == {OUTRIGHT: 2}


def test_a_route_leads_to_its_port(proxy, upstreams):
    """Each route has the port that it names."""
    assert proxy.ask("/ports/http").document["port"] == upstreams.http
    assert proxy.ask("/ports/other").document["port"] == upstreams.other


def test_ipv6_targets(own):
    """IPv6 addresses are written in brackets."""
    try:
        server = Server6(("::1", 0), Upstream)
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error.strerror}")
    with serving(server) as port:
        cluster = ClusterConfig("six", {"f": "::1"})
        item = service("six", [("", "/six", "http")], six=Part(100, {"http": port}))
        write(own, native.cluster_document(cluster), native.cluster_path(own.name, "six"))
        write(own, native.service_document(item), native.service_path(own.name, item.key))
        with running(own) as proxy:
            assert hosts(proxy, "/six", 2) == {"::1": 2}


@pytest.mark.parametrize("path", ["/canary/deep", "/canary/deep/x?y=1", "/exact?y=1"])
def test_the_longest_path_wins(proxy, path):
    """A path goes to the service with the longest route that fits, and is left as it is."""
    answer = proxy.ask(path).document
    assert (answer["host"].startswith("127.1.1."), answer["path"]) == (True, path)
    assert set(hosts(proxy, path, 10)) == {"127.1.1.1", "127.1.1.2"}


@pytest.mark.parametrize("host", ["api.test", "API.Test", "api.test:8080", "API.TEST:8080"])
def test_hosts_are_found_however_written(proxy, host):
    """Case and port of the host do not matter."""
    assert proxy.ask("/anything", host=host).status == 200


@pytest.mark.parametrize(
    ("host", "status"), [("a.wild.test", 200), ("A.WILD.TEST:1", 200), ("wild.test", 404), ("a.b.wild.test", 404)]
)
def test_a_wildcard_host_is_one_label(proxy, host, status):
    """*.host takes exactly one label more."""
    assert proxy.ask("/wild/x", host=host).status == status


@pytest.mark.parametrize("host", ["other.test", "api.test.", "127.0.0.1:80", "[::1]:80", "::1", ":", ""])
def test_routes_without_a_host_serve_every_host(proxy, host):
    """Where no route names the host, those without one count."""
    assert proxy.ask("/exact", host=host).status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_404_without_a_route(proxy, method):
    """A request that fits no route is told so in JSON."""
    answer = proxy.ask("/nowhere", method)
    assert answer == (404, "application/json", b'{"error":"no route"}\n')


@pytest.mark.parametrize("path", ["/empty", "/unwanted"])
def test_503_without_a_target(proxy, path):
    """A service without nodes, or without a cluster that takes traffic, is told in JSON."""
    assert proxy.ask(path) == (503, "application/json", b'{"error":"no target"}\n')


@pytest.mark.parametrize("path", ["/refused", "/canary/hang-up"])
def test_a_failing_target_is_a_bare_502(proxy, path):
    """A target that cannot be reached, or hangs up, is a 502 that says nothing of the inside."""
    assert proxy.ask(path) == (502, "", b"")


def forwarded(answer):
    headers = {name.lower(): value for name, value in answer.document["headers"].items()}
    return [headers[f"x-forwarded-{name}"] for name in ("for", "proto", "host")]


SPOOFED = {"x_forwarded_for": "192.0.2.1", "x_forwarded_proto": "https", "x_forwarded_host": "evil.test"}


def test_targets_are_told_who_asks(proxy):
    """X-Forwarded-* say what the proxy sees, not what a client claims."""
    answer = proxy.ask("/exact", host="shop.test", **SPOOFED)
    assert forwarded(answer) == ["127.0.0.1", "http", "shop.test"]


def test_a_trusted_proxy_in_front_is_believed(own):
    """With trustForwarded the chain is added to, and host and protocol are kept."""
    with running(own, trustForwarded=True) as proxy:
        assert forwarded(proxy.ask("/exact", host="shop.test", **SPOOFED)) == [
            "192.0.2.1, 127.0.0.1",
            "https",
            "evil.test",
        ]
        assert forwarded(proxy.ask("/exact", host="shop.test")) == ["127.0.0.1", "http", "shop.test"]


def test_broken_files_cost_nothing_but_themselves(proxy):
    """Files that cannot be used are named; the others are served, without what is no entry."""
    assert proxy.config() == {
        "clusters": len(CLUSTERS),
        "services": 13,
        "targets": 22,
        "skipped": [
            "config/clusters/broken.json",
            "config/services/shop.broken.json",
            "config/services/shop.odd.json",
            "config/services/shop.routeless.json",
        ],
    }
    assert proxy.ask("/fine").status == 404


def test_a_cluster_without_a_file_is_left_out(proxy):
    """A service is served from the clusters that are known."""
    assert hosts(proxy, "/stray", 3) == {"127.1.2.1": 3}


def test_a_route_belongs_to_one_service(proxy):
    """The first service by name has a route that two claim; the other keeps the rest."""
    assert proxy.ask("/claim").status == 200
    assert "127.1.2.1" in hosts(proxy, "/canary/x", 10)


def test_health(proxy):
    """Probes get a 200 from the admin listener, and only from there."""
    assert ask(proxy.admin, "/__health") == (200, "application/json", b'{"status":"ok"}\n')
    assert ask(proxy.admin, "/other").status == 404
    assert proxy.ask("/__health").status == 404


def test_defaults_fill_in_for_proxy_json(own):
    """Only what differs from the defaults has to stand in proxy.json."""
    (own / "config/proxy.json").write_text("{}")
    with running(own, timeouts={"connect": 1}) as proxy:
        assert proxy.ask("/exact").status == 200


def test_no_configuration_yet(tmp_path):
    """A fresh config repository runs, and has no route."""
    shutil.copytree(folder("config-repo-template") / "pipy", tmp_path / "pipy")
    with running(tmp_path / "pipy") as proxy:
        assert proxy.config() == {"clusters": 0, "services": 0, "targets": 0, "skipped": []}
        assert proxy.ask("/").status == 404


def test_a_reload_takes_up_changes(own):
    """SIGHUP loads what has changed on disk."""
    with running(own) as proxy:
        before = proxy.config()
        (own / "config/services/shop.canary.json").unlink()
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda: proxy.config()["services"] == before["services"] - 1)


def test_a_reload_with_broken_settings_changes_nothing(own):
    """Where proxy.json cannot be read, the program that runs goes on."""
    with running(own) as proxy:
        before = proxy.config()
        (own / "config/services/shop.canary.json").unlink()
        (own / "config/proxy.json").write_text("{")
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "Failed reloading" in (own.parent / "pipy.log").read_text())
        assert proxy.config() == before
        assert proxy.ask("/canary/x").status == 200
