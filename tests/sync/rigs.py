"""A Pipy Repo with workers: the embedded stand-in, or processes of a real Pipy."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trustme

from publisher.cli.pipy import free_ports
from publisher.demo.repo import Repo
from publisher.demo.worker import Worker, loads

DEADLINE = 30.0
"""Seconds after which what is waited for does not come any more."""


def pipy() -> str:
    """Find Pipy; empty where there is none."""
    return os.environ.get("PIPY_BIN") or shutil.which("pipy") or ""


def wait(for_what: Callable[[], Any], why: str) -> Any:
    """Wait until something is true, and give it."""
    deadline = time.monotonic() + DEADLINE
    while not (found := for_what()):
        assert time.monotonic() < deadline, f"did not come: {why}"
        time.sleep(0.02)
    return found


class Rig:
    """What both have in common."""

    url: str
    """Of the Repo, without a path."""
    report_seconds: float
    """How often workers report."""

    def __init__(self, folder: Path, tls: bool) -> None:
        self.folder = folder
        self.ca = trustme.CA() if tls else None
        self.workers: list[Any] = []
        if self.ca:
            self.write(self.ca, "ca")
            self.write(self.ca.issue_cert("127.0.0.1"), "admin-tls")
            self.write(self.ca.issue_cert("client"), "tls")

    def write(self, made: trustme.CA | trustme.LeafCert, name: str) -> None:
        """Write a certificate, and the key of one that is no CA's."""
        if isinstance(made, trustme.CA):
            made.cert_pem.write_to_path(self.folder / f"{name}.pem")
        else:
            made.cert_chain_pems[0].write_to_path(self.folder / f"{name}.pem")
            made.private_key_pem.write_to_path(self.folder / f"{name}.key")

    def ask(self, method: str, path: str, body: str | bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        """Ask the Repo: status, headers in lower case, body."""
        scheme, _, host = self.url.partition("://")
        connection: http.client.HTTPConnection
        if scheme == "https":
            connection = http.client.HTTPSConnection(host, context=self.client_tls(), timeout=DEADLINE)
        else:
            connection = http.client.HTTPConnection(host, timeout=DEADLINE)
        with_body = body.encode() if isinstance(body, str) else body
        try:
            connection.request(method, path, with_body)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def do(self, method: str, path: str, body: str | bytes | None = None) -> None:
        """Have the Repo do something, as somebody else's tool."""
        status = self.ask(method, path, body)[0]
        assert status in (201, 204), (method, path, status)

    def info(self) -> dict[str, Any]:
        """Tell what the Repo has of the codebase; empty where it has none."""
        status, _, body = self.ask("GET", "/api/v1/repo/edge")
        return json.loads(body) if status == 200 else {}

    def published(self) -> dict[str, bytes]:
        """Download what workers would, by path below the codebase."""
        status, _, listed = self.ask("GET", "/repo/edge/")
        if status != 200:
            return {}
        return {path[1:]: self.ask("GET", f"/repo/edge{path}")[2] for path in listed.decode().splitlines()}

    def reports(self) -> dict[str, str]:
        """Tell which version each worker reports, by name."""
        return {item["status"]["name"]: item["status"]["version"] for item in self.info()["instances"].values()}

    def client_tls(self) -> ssl.SSLContext:
        """Give what a client connects with."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.load_cert_chain(self.folder / "tls.pem", self.folder / "tls.key")
        return context


class StandIn(Rig):
    """The stand-in, with workers that report often."""

    report_seconds = 0.05

    def __init__(self, folder: Path, tls: bool) -> None:
        super().__init__(folder, tls)
        self.repo = Repo(self.ca)
        self.repo.start()
        self.url = self.repo.url

    def restart(self) -> None:
        """Lose everything."""
        self.repo.restart()

    def worker(self, name: str, loads: Any = loads) -> Worker:
        """Start a worker."""
        made = Worker(self.repo, "edge", name, loads=loads, report_seconds=self.report_seconds)
        made.start()
        self.workers.append(made)
        return made

    def served(self, worker: Worker, file: str) -> bytes:
        """Give a file of the program that a worker runs."""
        return worker.running.get(f"/{file}", b"")

    def close(self) -> None:
        """Stop everything."""
        for worker in self.workers:
            worker.stop()
        self.repo.stop()


class Process:
    """A real worker."""

    def __init__(self, rig: Pipy, name: str) -> None:
        (self.port,) = free_ports(1)
        self.name = name
        self._rig = rig
        command = [pipy(), f"{rig.url}/repo/edge/", f"--instance-name={name}", "--admin-port-off", "--no-graph"]
        self.process = rig.run(f"{name}.log", *command, *rig.tls("tls"), PORT=str(self.port))

    def start(self) -> None:
        """Go on."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Go silent."""
        self.process.send_signal(signal.SIGSTOP)


class Pipy(Rig):
    """The real one: a process for the Repo and one for each worker."""

    report_seconds = 5

    def __init__(self, folder: Path, tls: bool) -> None:
        super().__init__(folder, tls)
        self._processes: list[subprocess.Popen[bytes]] = []
        (self._port,) = free_ports(1)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._port}"
        self._start()

    def _start(self) -> None:
        command = [pipy(), f"--admin-port=127.0.0.1:{self._port}", *self.tls("admin-tls")]
        self.repo = self.run("repo.log", *command)
        wait(self._listens, "Pipy's Repo to listen")

    def _listens(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self._port)) == 0

    def tls(self, name: str) -> list[str]:
        """Give the options for TLS."""
        if not self.ca:
            return []
        files = {"cert": f"{name}.pem", "key": f"{name}.key", "trusted": "ca.pem"}
        return [f"--{name}-{option}={self.folder / file}" for option, file in files.items()]

    def run(self, log: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a process."""
        with (self.folder / log).open("ab") as out:
            made = subprocess.Popen(
                command, cwd=self.folder, stdout=out, stderr=out, env={"HOME": str(self.folder), **environment}
            )
        self._processes.append(made)
        return made

    def restart(self) -> None:
        """Lose everything."""
        self.repo.kill()
        self.repo.wait()
        self._start()

    def worker(self, name: str, loads: Any = None) -> Process:
        """Start a worker."""
        made = Process(self, name)
        self.workers.append(made)
        return made

    def served(self, worker: Process, file: str) -> bytes:
        """Ask a worker's program, which serves a file."""
        connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=DEADLINE)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read()
        except OSError:
            return b""
        finally:
            connection.close()

    def close(self) -> None:
        """Stop everything."""
        for process in self._processes:
            process.kill()
            process.wait()
