"""What the demo syncs to: a Repo and two workers of a Pipy that was found, or the stand-ins. For the demo only."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from publisher.demo.repo import Repo
from publisher.demo.worker import Worker
from publisher.errors import PublisherError

WORKERS = ("worker-1", "worker-2")
_PATIENCE = 10.0
"""Seconds that a program may take to start."""


@dataclass(frozen=True)
class Site:
    """A Repo with workers."""

    url: str
    """Of the codebase that the workers load."""
    told: Sequence[str]
    """What there is to say of it."""
    seconds: int
    """What a sync need not wait longer for its workers."""
    port: int = 0
    """Where the workers listen for clients; 0 where they are stand-ins, which do not."""

    def ask(self, path: str, number: int) -> list[str]:
        """Send requests, if there is somebody to answer; say who did how often, by cluster."""
        if not self.port:
            return []
        answered = Counter(_ask(self.port, path) for _ in range(number))
        lines = [f"{number} requests to http://127.0.0.1:{self.port}{path} went to:"]
        for cluster in sorted({who.partition(" ")[0] for who in answered}):
            nodes = {who.partition(" ")[2]: count for who, count in answered.items() if who.split(" ")[0] == cluster}
            parts = ", ".join(f"{node} {count}" for node, count in sorted(nodes.items()))
            lines.append(f"  {sum(nodes.values()):3}  {cluster}: {parts}")
        return lines


def find_pipy() -> str | None:
    """Find a Pipy: PIPY_BIN, or on PATH."""
    return os.environ.get("PIPY_BIN") or shutil.which("pipy")


def free_ports(number: int) -> list[int]:
    """Find ports that nobody listens on."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextmanager
def site(scratch: Path, port: int, targets: Mapping[str, str]) -> Iterator[Site]:
    """Run a Repo and workers that are to listen on a port.

    ``targets`` are the addresses of the nodes and what each says that it is.
    """
    with ExitStack() as stack:
        pipy = find_pipy()
        if pipy is None:
            yield stack.enter_context(_stand_ins("no Pipy found (PIPY_BIN, or pipy on PATH)"))
            return
        try:
            for address, name in targets.items():
                stack.enter_context(_upstream(address, name))
        except OSError as error:
            why = f"this machine cannot listen on the nodes' addresses ({error.strerror})"
            yield stack.enter_context(_stand_ins(why))
            return
        yield stack.enter_context(_real(pipy, scratch, port))


@contextmanager
def _stand_ins(why: str) -> Iterator[Site]:
    with ExitStack() as stack:
        repo = stack.enter_context(Repo())
        for name in WORKERS:
            stack.enter_context(Worker(repo, "edge", name, report_seconds=0.5))
        told = (f"{why}: a stand-in of its Repo and two stand-ins of workers run here; they serve no requests",)
        yield Site(f"{repo.url}/repo/edge", told, seconds=5)


@contextmanager
def _real(pipy: str, scratch: Path, port: int) -> Iterator[Site]:
    (admin,) = free_ports(1)
    url = f"http://127.0.0.1:{admin}/repo/edge"
    with ExitStack() as stack:
        stack.enter_context(_running([pipy, f"--admin-port=127.0.0.1:{admin}"], scratch / "pipy-repo.log"))
        _wait_for(admin, scratch / "pipy-repo.log")
        for name in WORKERS:
            # --force-start: there is nothing to load before the first sync; --reuse-port: both serve the same port
            options = ["--force-start", "--reuse-port", "--admin-port-off", f"--instance-name={name}", f"{url}/"]
            stack.enter_context(_running([pipy, *options], scratch / f"{name}.log"))
        version = subprocess.run([pipy, "--version"], capture_output=True, text=True, check=False).stdout
        number = version.partition(":")[2].split("\n")[0].strip()
        yield Site(url, (f"Pipy {number}: a Repo and two workers, {' and '.join(WORKERS)}",), seconds=20, port=port)


@contextmanager
def _upstream(address: str, name: str) -> Iterator[None]:
    """Listen where a node would, and answer with its name."""
    host, _, port = address.rpartition(":")
    body = name.encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((host, int(port)), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise PublisherError(f"the demo stops here: Pipy did not start; see {log}") from error
            time.sleep(0.05)
        else:
            return


def _ask(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode(errors="replace").strip()
        return body if response.status == 200 else f"HTTP {response.status}: {body}"
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({error})"
    finally:
        connection.close()
