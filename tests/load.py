"""Load for a proxy: targets that count what they get, clients that keep connections busy, and the proxy itself."""

from __future__ import annotations

import json
import math
import re
import selectors
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from publisher.core.canonical import dump_json
from publisher.core.config import ClusterConfig, ServiceConfig
from publisher.core.render import native
from publisher.resources import folder

PATIENCE = 30
"""Seconds that anything may take; nothing asserts that it is faster."""

_TARGETS = """
var counts = {}
var addresses = ADDRESSES
addresses.forEach(address => {
  counts[address] = 0
  pipy.listen(address, $=>$.serveHTTP(() => (counts[address]++, new Message(address))))
})
pipy.listen('CONTROL', $=>$.serveHTTP(() => new Message(JSON.stringify(counts))))
"""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


def free_ports(number: int, ip: str = "127.0.0.1") -> list[int]:
    """Find ports that nobody listens on."""
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind((ip, 0))
    found = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return found


@contextmanager
def running(command: list[str], address: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for as long as the context lasts, from when it listens at an address."""
    host, _, port = address.rpartition(":")
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            assert process.poll() is None, log.read_text(errors="replace")
            try:
                socket.create_connection((host, int(port)), PATIENCE).close()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, log.read_text(errors="replace")
                time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


@dataclass
class Targets:
    """A running process that listens at addresses, and answers with the one that was asked."""

    control: str
    process: subprocess.Popen[bytes]

    def counts(self) -> dict[str, int]:
        """Give the number of requests so far by address."""
        found: dict[str, int] = get(self.control, "/")
        return found


@contextmanager
def targets(pipy: str, addresses: Iterable[str], folder: Path) -> Iterator[Targets]:
    """Run targets: a Pipy of their own, since in Python they would be the slowest part."""
    control = f"127.0.0.1:{free_ports(1)[0]}"
    program = folder / f"targets-{control.rpartition(':')[2]}.js"
    program.write_text(_TARGETS.replace("ADDRESSES", json.dumps(list(addresses))).replace("CONTROL", control))
    command = [pipy, "--admin-port-off", str(program)]
    with running(command, control, program.with_suffix(".log")) as process:
        yield Targets(control, process)


def get(address: str, path: str) -> Any:
    """Give the JSON that a path answers with."""
    with urllib.request.urlopen(f"http://{address}{path}", timeout=PATIENCE) as answer:
        return json.load(answer)


def eventually(what: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "nothing came of it in time"
        time.sleep(0.05)


class Codebase:
    """A codebase as publisher writes it, with the program of the template, and ports of its own to listen at."""

    def __init__(self, root: Path, **settings: object) -> None:
        """Lay the program down; ``settings`` go into proxy.json."""
        self.root = root
        self.output = root.name
        shutil.copytree(folder("config-repo-template") / "pipy", root)
        self.port, admin = free_ports(2)
        self.admin = f"127.0.0.1:{admin}"
        listening = {"listen": f"127.0.0.1:{self.port}", "admin": self.admin}
        file = root / "config/proxy.json"
        file.write_text(json.dumps({**json.loads(file.read_bytes()), **listening, **settings}))

    def add(self, *items: ClusterConfig | ServiceConfig) -> None:
        """Write clusters and services."""
        for item in items:
            if isinstance(item, ClusterConfig):
                path, found = native.cluster_path(self.output, item.name), native.cluster_document(item)
            else:
                path, found = native.service_path(self.output, item.key), native.service_document(item)
            file = self.root.parent / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(dump_json({"publisher": "edge", **found}))

    def replace(self, tree: Mapping[str, bytes]) -> None:
        """Put generated files in the place of all that there are."""
        for name in (native.CLUSTERS, native.SERVICES):
            shutil.rmtree(self.root / name, ignore_errors=True)
        for path, data in tree.items():
            file = self.root.parent / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)

    def remove(self, key: str) -> None:
        """Remove a service."""
        (self.root.parent / native.service_path(self.output, key)).unlink()

    def files(self) -> dict[str, bytes]:
        """Read all files by path from the top of the codebase."""
        return {
            file.relative_to(self.root).as_posix(): file.read_bytes()
            for file in sorted(self.root.rglob("*"))
            if file.is_file()
        }


class Repo:
    """A Pipy Repo with one codebase."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.url = f"http://{address}/repo/edge/"
        self._known: dict[str, bytes] = {}
        self._version = 0
        self._ask("POST", "repo/edge", b"{}")

    def publish(self, files: Mapping[str, bytes]) -> None:
        """Upload what differs from the last time, and publish."""
        for path in sorted(files.keys() | self._known.keys()):
            if path not in files:
                self._ask("DELETE", f"repo-files/edge/{path}", None)
            elif self._known.get(path) != files[path]:
                self._ask("POST", f"repo-files/edge/{path}", files[path])
        self._known = dict(files)
        self._version += 1
        self._ask("PATCH", "repo/edge", json.dumps({"version": str(self._version), "main": "/main.js"}).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> None:
        request = urllib.request.Request(f"http://{self.address}/api/v1/{path}", body, method=method)
        urllib.request.urlopen(request, timeout=PATIENCE).close()


@dataclass
class _Connection:
    waiting: int = 0
    """Requests that have no answer yet."""
    left: float = math.inf
    """Requests that may still be sent on it."""
    data: bytes = b""


@dataclass
class Load:
    """Keeps connections to one port busy with GET requests, in a thread of its own.

    It ends after ``number`` answers, or when it is told to stop; every request that was sent has then been answered
    or is among the failures.
    """

    port: int
    path: str
    connections: int = 32
    depth: int = 1
    """Requests that are under way on a connection at a time."""
    number: float = math.inf
    renew: float = math.inf
    """Requests after which a connection is closed and another opened."""
    answered: int = 0
    """Answers with status 200."""
    failures: list[tuple[float, str]] = field(default_factory=list)
    """When (monotonic) and how each request failed: a status other than 200, or no answer."""
    _left: float = 0
    _stopping: bool = False

    def __post_init__(self) -> None:
        self._left = self.number
        self._request = f"GET {self.path} HTTP/1.1\r\nHost: load.test\r\n\r\n".encode()
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self.wait()

    def wait(self) -> Load:
        """Wait for its end."""
        self._thread.join()
        return self

    def wait_for(self, number: int) -> None:
        """Wait until so many more requests were answered or failed."""
        wanted, deadline = self.done() + number, time.monotonic() + PATIENCE
        while self.done() < wanted:
            assert time.monotonic() < deadline, f"{self.answered} answered, {self.failures[-3:]}"
            time.sleep(0.01)

    def done(self) -> int:
        """Count the requests that were answered or failed."""
        return self.answered + len(self.failures)

    def _run(self) -> None:
        with self._selector:
            for _ in range(self.connections):
                self._open()
            while self._selector.get_map():
                ready = self._selector.select(PATIENCE)
                for key, _ in ready or [(key, 0) for key in list(self._selector.get_map().values())]:
                    self._read(key.fileobj, key.data, silent=not ready)  # type: ignore[arg-type]

    def _open(self) -> None:
        try:
            sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        except OSError as error:
            self._left -= 1
            self._fail(str(error), 1)
            return
        connection = _Connection(left=self.renew)
        self._selector.register(sock, selectors.EVENT_READ, connection)
        self._send(sock, connection, self.depth)

    def _send(self, sock: socket.socket, connection: _Connection, number: int) -> None:
        number = 0 if self._stopping else int(min(number, self._left, connection.left))
        connection.waiting += number
        connection.left -= number
        self._left -= number
        try:
            sock.sendall(self._request * number)
        except OSError as error:
            self._close(sock, connection, str(error))
        else:
            if not connection.waiting:
                self._close(sock, connection, "")

    def _read(self, sock: socket.socket, connection: _Connection, silent: bool) -> None:
        try:
            data = b"" if silent else sock.recv(1 << 16)
        except OSError as error:
            self._close(sock, connection, str(error))
            return
        if not data:
            self._close(sock, connection, "no answer" if silent else "closed without an answer")
            return
        connection.data += data
        done = self._take(connection)
        if done:
            self._send(sock, connection, done)

    def _take(self, connection: _Connection) -> int:
        """Take the whole answers off what has come; gives their number."""
        data, start, done = connection.data, 0, 0
        while (end := data.find(b"\r\n\r\n", start)) >= 0:
            length = _LENGTH.search(data, start, end + 2)
            following = end + 4 + int(length[1] if length else 0)
            if following > len(data):
                break
            status = data[start + 9 : start + 12].decode()
            if _LAST.search(data, start, end + 2):
                connection.left = 0
            if status == "200":
                self.answered += 1
            else:
                self._fail(f"{status} {data[end + 4 : following].decode()}".strip(), 1)
            start, done = following, done + 1
        connection.data = data[start:]
        connection.waiting -= done
        return done

    def _close(self, sock: socket.socket, connection: _Connection, why: str) -> None:
        self._selector.unregister(sock)
        sock.close()
        self._fail(why, connection.waiting)
        if self._left > 0 and not self._stopping:
            self._open()

    def _fail(self, why: str, number: int) -> None:
        self.failures += [(time.monotonic(), why)] * number
