"""Runs a Pipy on a config repository and asks it for something. For the demo only."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from publisher.core.canonical import load_json
from publisher.core.config import ClusterConfig, Target, targets
from publisher.core.render.native import CLUSTERS, SERVICES, read_cluster, read_service


def find_pipy() -> str | None:
    """Find a Pipy: PIPY_BIN, or on PATH."""
    return os.environ.get("PIPY_BIN") or shutil.which("pipy")


def send_requests(pipy: str, repo: Path, scratch: Path, path: str, number: int) -> list[str]:
    """Start stand-ins for all targets and Pipy on a copy of the codebase; say who answered how often."""
    codebase = scratch / "pipy"
    shutil.copytree(repo / "pipy", codebase, dirs_exist_ok=True)
    wanted = _targets(codebase)
    with ExitStack() as stack:
        try:
            for target in wanted:
                stack.enter_context(_upstream(target))
        except OSError as error:
            return [f"Pipy is not started: this machine cannot listen on the nodes' addresses ({error.strerror})"]
        port = _configure(codebase)
        stack.enter_context(_running(pipy, codebase, scratch / "pipy.log"))
        if not _listening(port):
            return [f"Pipy did not start; see {scratch / 'pipy.log'}"]
        answered = Counter(_ask(port, path) for _ in range(number))
    return [f"{number} requests to http://127.0.0.1:{port}{path} went to:"] + [
        f"  {count:3}  {who}" for who, count in sorted(answered.items())
    ]


def _targets(codebase: Path) -> list[Target]:
    clusters: dict[str, ClusterConfig] = {}
    for file in sorted((codebase / CLUSTERS).glob("*.json")):
        cluster = read_cluster(load_json(file.read_bytes()))
        clusters[cluster.name] = cluster
    files = sorted((codebase / SERVICES).glob("*.json"))
    return [item for file in files for item in targets(read_service(load_json(file.read_bytes())), clusters)]


@contextmanager
def _upstream(target: Target) -> Iterator[None]:
    """Listen where a node would, and answer with its name."""
    host, _, port = target.address.rpartition(":")
    body = f"{target.cluster} {target.node} {target.address}".encode()

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


def _configure(codebase: Path) -> int:
    """Give the proxy ports of its own, so that it disturbs nobody."""
    ports = []
    with ExitStack() as stack:
        for _ in range(2):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    file = codebase / "config" / "proxy.json"
    settings = load_json(file.read_bytes())
    settings["listen"], settings["admin"] = f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}"
    file.write_text(json.dumps(settings))
    return int(ports[0])


@contextmanager
def _running(pipy: str, codebase: Path, log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen([pipy, str(codebase / "main.js")], stdout=out, stderr=out)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listening(port: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


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
