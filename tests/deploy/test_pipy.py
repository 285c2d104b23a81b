"""A real Pipy, started as the manifests start it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import trustme

PIPY = shutil.which(os.environ.get("PIPY_BIN") or "pipy")
pytestmark = pytest.mark.skipif(PIPY is None, reason="no Pipy: neither PIPY_BIN nor one on PATH")
CODEBASE = "/api/v1/repo/edge"
DEADLINE = 60


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[list[str]], subprocess.Popen[bytes]]]:
    """Start Pipy with some arguments, and end it."""
    started: list[subprocess.Popen[bytes]] = []

    def run(arguments: list[str]) -> subprocess.Popen[bytes]:
        assert PIPY
        with (tmp_path / f"log-{len(started)}").open("wb") as log:
            started.append(subprocess.Popen([PIPY, *arguments], stdout=log, stderr=log, cwd="/"))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def certificates(tmp_path: Path) -> ssl.SSLContext:
    """Write the Secrets of a Repo and a worker; gives what a client with a certificate of its own needs."""
    ca = trustme.CA()
    for name in ("pipy-repo", "pipy", "syncer"):
        folder = tmp_path / name
        folder.mkdir()
        issued = ca.issue_cert("localhost")
        issued.private_key_pem.write_to_path(folder / "tls.key")
        for number, pem in enumerate(issued.cert_chain_pems):
            pem.write_to_path(folder / "tls.crt", append=bool(number))
        ca.cert_pem.write_to_path(folder / "ca.crt")
    context = ssl.create_default_context(cafile=str(tmp_path / "syncer/ca.crt"))
    context.load_cert_chain(tmp_path / "syncer/tls.crt", tmp_path / "syncer/tls.key")
    return context


def eventually(what: Callable[[], Any]) -> Any:
    """Wait until something is so."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        with suppress(OSError):  # not there yet
            if found := what():
                return found
        time.sleep(0.1)
    raise AssertionError("it did not come to it in time")


def taken(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("manifests", ["written", "tls"], indirect=True)
def test_repo_and_worker(manifests: Any, start: Any, certificates: ssl.SSLContext, tmp_path: Path) -> None:
    """A worker finds its codebase in the Repo and reports what it runs; both stop to listen as their Pods tell them."""
    with socket.socket() as free, socket.socket() as another:
        for item in (free, another):
            item.bind(("127.0.0.1", 0))
        port, listening = (item.getsockname()[1] for item in (free, another))

    def arguments(name: str) -> list[str]:
        container = manifests.containers[name]
        assert container["command"] == ["pipy"]
        put_in = {
            "--admin-port=6060": f"--admin-port=127.0.0.1:{port}",
            "pipy-repo:6060": f"localhost:{port}",
            "$(POD_NAME)": "pipy-0",
            "/tls/": f"{tmp_path}/{name}/",
        }
        found = []
        for argument in container["args"]:
            for old, new in put_in.items():
                argument = argument.replace(old, new)
            found.append(argument)
        return found

    repo = start(arguments("pipy-repo"))
    worker_arguments = arguments("pipy")
    top = worker_arguments[-1].removesuffix("/repo/edge/")

    def ask(path: str, method: str = "GET", body: bytes | None = None, context: Any = certificates) -> bytes:
        request = urllib.request.Request(top + path, body, method=method)
        with urllib.request.urlopen(request, timeout=DEADLINE, context=context) as answer:
            return bytes(answer.read())

    probe = manifests.containers["pipy-repo"]["readinessProbe"]
    eventually(lambda: ask(probe.get("httpGet", {"path": "/api/v1/repo"})["path"]) is not None)
    ask(CODEBASE, "POST", b"{}")
    program = f"pipy.listen('127.0.0.1:{listening}', $=>$.serveHTTP(() => new Message('ok')))\n"
    ask("/api/v1/repo-files/edge/main.js", "POST", program.encode())

    def publish(version: str) -> None:
        ask(CODEBASE, "PATCH", json.dumps({"version": version, "main": "/main.js"}).encode())

    def workers() -> list[Any]:
        return [item["status"] for item in json.loads(ask(CODEBASE))["instances"].values()]

    publish("one")
    worker = start(worker_arguments)
    assert [item["name"] for item in eventually(workers)] == ["pipy-0"]
    publish("two")
    eventually(lambda: [item["version"] for item in workers()] == ["two"])
    if top.startswith("https"):
        stranger = ssl.create_default_context(cafile=str(tmp_path / "syncer/ca.crt"))
        with pytest.raises((URLError, OSError)):
            ask(CODEBASE, context=stranger)
    for name, process, listener in (("pipy", worker, listening), ("pipy-repo", repo, port)):
        assert taken(listener)
        assert manifests.containers[name]["lifecycle"]["preStop"]["exec"]["command"][-1].endswith("kill -INT 1")
        process.send_signal(signal.SIGINT)
        eventually(lambda listener=listener: not taken(listener))
