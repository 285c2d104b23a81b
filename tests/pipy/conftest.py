"""A real Pipy on a codebase, in front of real HTTP servers at addresses of nodes."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from publisher.cli.pipy import free_ports
from publisher.core.canonical import dump_json
from publisher.core.config import ClusterConfig, Part, RoutedPort, ServiceConfig
from publisher.core.model import Route, ServiceKey
from publisher.core.render import native
from publisher.resources import folder

PATIENCE = 20
"""Seconds that anything may take; nothing asserts that it is faster."""

CLUSTERS = (
    ClusterConfig("member1", {"a": "127.1.1.1", "b": "127.1.1.2"}),
    ClusterConfig("member2", {"c": "127.1.2.1"}),
    ClusterConfig("member3", {"d": "127.1.3.1"}),
    ClusterConfig("tired", {"e": "127.1.4.1"}, state="drained"),
    ClusterConfig("empty", {}),
)
OUTRIGHT, NOBODY = "127.1.5.1", "127.1.9.1"
LISTENING = sorted({ip for cluster in CLUSTERS for ip in cluster.nodes.values()} | {OUTRIGHT})


class Answer(NamedTuple):
    """What a client gets."""

    status: int
    type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str:
        return dict(self.headers).get(name, "")


class Upstream(BaseHTTPRequestHandler):
    """Answers with what it was asked, and where; some last segments of a path ask for trouble."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Any = self.server
        server.seen[self.command] += 1
        body = self._body()
        match self.path.split("?")[0].rsplit("/", 1)[1]:
            case "hang-up":
                self.close_connection = True
                return
            case "slow":
                server.woken.wait(PATIENCE)
            case "cut":
                self.send_response(200)
                self.send_header("content-length", "200000")
                self.end_headers()
                self.wfile.write(b"x" * 100000)
                self.close_connection = True
                return
            case "cut-short":
                self.send_response(200)
                self.send_header("content-length", "200")
                self.end_headers()
                self.wfile.write(b"x" * 100)
                self.close_connection = True
                return
        ip, port = server.server_address[:2]
        document = {
            "host": ip,
            "port": port,
            "method": self.command,
            "path": self.path,
            "headers": dict(self.headers),
            "body": len(body),
        }
        data = json.dumps(document).encode()
        self.send_response(server.status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(socketserver.ThreadingTCPServer):
    """Listens at one address, and can be made to fail."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler] = Upstream) -> None:
        self.status = 200
        self.seen: Counter[str] = Counter()
        self.woken = threading.Event()
        self.open: set[socket.socket] = set()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        request, address = super().get_request()
        self.open.add(request)
        return request, address

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that a test cut."""

    def kill(self) -> None:
        """Go away as a killed process does: nothing listens, and all connections break."""
        self.shutdown()
        self.server_close()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(server: Server) -> Iterator[int]:
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.woken.set()
        server.shutdown()
        server.server_close()


class Upstreams:
    """Servers at all the nodes' addresses, at two ports each: http and other."""

    def __init__(self, stack: ExitStack) -> None:
        self.servers: dict[tuple[str, int], Server] = {}
        self.http = self._bind_all(stack)
        self.other = self._bind_all(stack)

    def at(self, ip: str) -> Server:
        return self.servers[ip, self.http]

    def _bind_all(self, stack: ExitStack, tries: int = 10) -> int:
        """Find a port that is free at all addresses: a Service has the same nodePort on every node."""
        for _ in range(tries):
            with ExitStack() as bound:
                port, servers = 0, {}
                try:
                    for ip in LISTENING:
                        server = Server((ip, port))
                        port = bound.enter_context(serving(server))
                        servers[ip, port] = server
                except OSError as error:
                    if not port:
                        pytest.skip(f"this machine does not listen on {LISTENING[0]}: {error.strerror}")
                    continue
                stack.push(bound.pop_all())
                self.servers |= servers
                return port
        raise AssertionError("no port is free at all addresses")


def ask(port: int, path: str, method: str = "GET", headers: dict[str, str] | None = None, body: Any = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers or {}, encode_chunked=hasattr(body, "__next__"))
        response = connection.getresponse()
        found = tuple((name.lower(), value) for name, value in response.getheaders())
        return Answer(response.status, response.headers.get("content-type", ""), response.read(), found)
    finally:
        connection.close()


class Proxy(NamedTuple):
    """A running Pipy."""

    codebase: Path
    port: int
    admin: int
    process: subprocess.Popen[bytes]

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        return ask(self.port, path, method, {name.replace("_", "-"): value for name, value in headers.items()}, body)

    def config(self, of: str = "") -> Any:
        return ask(self.admin, f"/__config{of}").document

    def metrics(self) -> dict[str, float]:
        """Give all numbers of /metrics by name and labels."""
        lines = ask(self.admin, "/metrics").body.decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def hosts(self, path: str, number: int, **headers: str) -> Counter[str]:
        """Say which targets answered how often."""
        return Counter(self.ask(path, **headers).document["host"] for _ in range(number))

    def log(self) -> str:
        return (self.codebase.parent / "pipy.log").read_text()


def waiting(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "nothing came of it in time"
        time.sleep(0.02)


def put(codebase: Path, document: dict[str, Any], path: str) -> None:
    file = codebase.parent / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(dump_json({"publisher": "edge", **document}))


def healthy(admin: int) -> bool:
    try:
        return ask(admin, "/__health").status == 200
    except OSError:
        return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End Pipy, which at times hangs where it should exit."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def pipy_bin() -> str:
    """Find a Pipy: PIPY_BIN, or on PATH."""
    found = os.environ.get("PIPY_BIN") or shutil.which("pipy")
    if not found:
        pytest.skip("no Pipy: set PIPY_BIN or put pipy on PATH")
    return found


@pytest.fixture(scope="session")
def wait_for() -> Callable[[Callable[[], object]], None]:
    """Wait until something holds."""
    return waiting


@pytest.fixture(scope="session")
def addresses() -> SimpleNamespace:
    """Name addresses that are no node's: one that a server has, and one that none has."""
    return SimpleNamespace(outright=OUTRIGHT, nobody=NOBODY)


@pytest.fixture(scope="session")
def clusters() -> tuple[ClusterConfig, ...]:
    """Give the clusters that every codebase has: their nodes are where the upstreams listen."""
    return CLUSTERS


@pytest.fixture(scope="session")
def serve() -> Callable[[tuple[str, int], type[BaseHTTPRequestHandler]], AbstractContextManager[int]]:
    """Start one more server."""
    return lambda address, handler=Upstream: serving(Server(address, handler))


@pytest.fixture(scope="module")
def upstreams() -> Iterator[Upstreams]:
    """Start the targets."""
    with ExitStack() as stack:
        yield Upstreams(stack)


@pytest.fixture
def targets() -> Iterator[Upstreams]:
    """Start targets that a test may kill."""
    with ExitStack() as stack:
        yield Upstreams(stack)


@pytest.fixture(scope="session")
def service() -> Callable[..., ServiceConfig]:
    """Make a service of namespace shop: routes are (host, path, port), parts what each cluster adds."""

    def make(name: str, routes: Sequence[tuple[str, str, str]], **parts: Part) -> ServiceConfig:
        return ServiceConfig(
            ServiceKey(f"shop/{name}"), tuple(RoutedPort(Route(host, path), port) for host, path, port in routes), parts
        )

    return make


@pytest.fixture(scope="session")
def write_codebase() -> Callable[..., Path]:
    """Write the template's codebase with clusters, services and settings in proxy.json into a folder `pipy`."""

    def write(
        parent: Path,
        services: Sequence[ServiceConfig] = (),
        clusters: Sequence[ClusterConfig] = CLUSTERS,
        /,
        **settings: Any,
    ) -> Path:
        codebase = parent / "pipy"
        if not codebase.exists():
            shutil.copytree(folder("config-repo-template") / "pipy", codebase)
        for cluster in clusters:
            put(codebase, native.cluster_document(cluster), native.cluster_path("pipy", cluster.name))
        for item in services:
            put(codebase, native.service_document(item), native.service_path("pipy", item.key))
        file = codebase / "config/proxy.json"
        file.write_text(json.dumps(json.loads(file.read_bytes()) | settings))
        return codebase

    return write


@pytest.fixture(scope="session")
def running(pipy_bin: str) -> Callable[..., AbstractContextManager[Proxy]]:
    """Run Pipy on a codebase, at ports of its own."""

    @contextmanager
    def run(codebase: Path, *options: str, **settings: Any) -> Iterator[Proxy]:
        port, admin = free_ports(2)
        file = codebase / "config/proxy.json"
        own = {"listen": f"127.0.0.1:{port}", "admin": f"127.0.0.1:{admin}"}
        file.write_text(json.dumps(json.loads(file.read_bytes()) | own | settings))
        with (codebase.parent / "pipy.log").open("wb") as out:
            process = subprocess.Popen([pipy_bin, *options, str(codebase / "main.js")], stdout=out, stderr=out)
        proxy = Proxy(codebase, port, admin, process)
        try:
            waiting(lambda: process.poll() is not None or healthy(admin))
            assert process.poll() is None, proxy.log()
            yield proxy
        except BaseException:
            print(proxy.log())
            raise
        finally:
            stop(process)

    return run
