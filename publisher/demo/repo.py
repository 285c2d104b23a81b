"""A stand-in of Pipy's Repo, for where there is no Pipy: the part of its HTTP API that publishing and workers need.

It answers as Pipy 1.5.18 did when ``tests/data/pipy/repo.json`` was recorded. Not there: derived codebases, metrics,
logs, the files of the GUI, and the WebSocket on which a worker is told to reload, which is a call here (see `Worker`).
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import unquote

import trustme

from publisher.demo.codebases import Codebase, Codebases
from publisher.demo.listener import Port
from publisher.demo.running import Running

_API, _FILES, _WORKERS = "/api/v1/repo", "/api/v1/repo-files", "/repo"


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def text(cls, body: bytes | str, status: int = 200, **headers: str) -> Self:
        body = body.encode() if isinstance(body, str) else body
        return cls(status, body, {"content-type": "text/plain", **headers})


_NOT_FOUND, _NOT_ALLOWED, _CREATED, _DELETED = _Answer(404), _Answer(405), _Answer(201), _Answer(204)


class Repo(Running):
    """A Repo on a port of 127.0.0.1, for as long as the context lasts."""

    def __init__(self, ca: trustme.CA | None = None) -> None:
        """Prepare an empty one; with a CA over TLS, for clients with a certificate of that CA only."""
        self._ca = ca
        self.client_tls = self._make_client_tls()
        """What a worker connects with: the CA, and a certificate."""
        self._port = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Listen, on the port from before if there is one; nothing is there any more."""
        self._codebases = Codebases()
        self._door = _Door(self, self._port, self._server_tls())
        self._port = self._door.port
        self._thread = threading.Thread(target=self._door.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End every connection and forget everything, as Pipy does that has it in memory only."""
        self._door.shutdown()
        self._thread.join()
        self._door.close()

    def restart(self) -> None:
        """Start again, empty."""
        self.stop()
        self.start()

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http{'s' if self._ca else ''}://127.0.0.1:{self._port}"

    def link(self, uuid: str, signal: Callable[[], None] | None) -> None:
        """Call `signal` when there is something to load; with None, no longer."""
        with self._lock:
            self._codebases.link(uuid, signal)

    def answer(self, method: str, path: str, body: bytes, ip: str) -> _Answer:
        """Do what a request asks for, one at a time as Pipy does."""
        with self._lock:
            if path == _WORKERS or path.startswith(f"{_WORKERS}/"):
                return self._for_workers(method, path.removeprefix(_WORKERS), body, ip)
            if path.startswith(f"{_FILES}/"):
                return self._file(method, path.removeprefix(_FILES), body)
            if path == _API:
                return _Answer.text("\n".join(self._codebases)) if method == "GET" else _NOT_ALLOWED
            if path.startswith(f"{_API}/"):
                return self._codebase(method, path.removeprefix(_API), body)
            return _NOT_FOUND if method == "GET" else _NOT_ALLOWED

    def _codebase(self, method: str, path: str, body: bytes) -> _Answer:
        found = self._codebases.get(path)
        if method == "GET":
            if owner := self._codebases.owner(path):
                content = owner.read(path.removeprefix(owner.path))
                return _NOT_FOUND if content is None else _Answer.text(content)
            if not found:
                return _NOT_FOUND
            return _Answer(200, self._codebases.describe(found), {"content-type": "application/json"})
        if method not in ("POST", "PATCH", "DELETE"):
            return _NOT_ALLOWED
        if path.endswith("/"):
            return _Answer.text("Invalid codebase name", 400)
        if method == "DELETE" and found:
            self._codebases.delete(path)
            return _DELETED
        given = {} if method == "DELETE" else _object(body)
        version, main = given.get("version"), given.get("main")
        if "main" in given and not (isinstance(main, str) and main):
            return _Answer.text("Invalid main filename", 400)
        if "version" in given and not (isinstance(version, str) and version):  # numbers are not for people's versions
            return _Answer.text("Invalid version", 400)
        if method == "POST":
            if found:
                return _Answer.text("Codebase already exists", 400)
            self._codebases.create(path, version or "0")
            return _CREATED
        return self._publish(found, version, main) if found else _NOT_FOUND

    def _publish(self, codebase: Codebase, version: str | None, main: str | None) -> _Answer:
        codebase.main = main or codebase.main
        if not version:
            codebase.patch()
            return _CREATED
        codebase.publish(version)
        for instance in self._codebases.instances(codebase):
            if instance.link:
                instance.link()
        return _CREATED

    def _file(self, method: str, path: str, body: bytes) -> _Answer:
        codebase = None if path.endswith("/") else self._codebases.owner(path)
        if method == "GET":
            content = codebase.read(path.removeprefix(codebase.path)) if codebase else None
            return _NOT_FOUND if content is None else _Answer.text(content)
        if method not in ("POST", "PATCH", "DELETE"):
            return _NOT_ALLOWED
        if path.endswith("/"):
            return _Answer.text("Invalid filename", 400)
        if not codebase:
            return _NOT_FOUND if method == "DELETE" else _Answer.text("Codebase not found", 404)
        name = path.removeprefix(codebase.path)
        if method == "DELETE":
            codebase.erase(name)
            return _DELETED
        if method == "PATCH" and not body:
            codebase.unstage(name)
        else:
            codebase.write(name, body)
        return _CREATED

    def _for_workers(self, method: str, path: str, body: bytes, ip: str) -> _Answer:
        if method == "POST":
            codebase = self._codebases.get(path[:-1]) if path.endswith("/") else None
            if not codebase:
                return _NOT_ALLOWED
            if not (status := _object(body)):
                return _Answer.text("Invalid JSON", 400)
            self._codebases.report(codebase, status, ip)
            return _CREATED
        if method not in ("GET", "HEAD"):
            return _NOT_ALLOWED
        codebase = self._codebases.owner(path)
        served = codebase.served.get(path.removeprefix(codebase.path)) if codebase else None
        if served:
            return _Answer.text(served[1], etag=served[0])
        below = [name for name in self._codebases if name.startswith(f"{path.rstrip('/')}/")]
        return _Answer.text("".join(f"{name}/\n" for name in below)) if below and method == "GET" else _NOT_FOUND

    def _make_client_tls(self) -> ssl.SSLContext | None:
        if not self._ca:
            return None
        context = ssl.create_default_context(cadata=self._ca.cert_pem.bytes().decode())
        self._ca.issue_cert("worker").configure_cert(context)
        return context

    def _server_tls(self) -> ssl.SSLContext | None:
        if not self._ca:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        self._ca.configure_trust(context)
        self._ca.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        return context


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class _Door(Port):
    def __init__(self, repo: Repo, port: int, tls: ssl.SSLContext | None) -> None:
        super().__init__(port, _Handler, tls)
        self.repo = repo


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Door

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError
        answer = self.server.repo.answer(self.command, unquote(self.path), body, self.client_address[0])
        self.send_response_only(answer.status)
        length_told = {} if answer.status == 204 else {"content-length": str(len(answer.body))}
        headers = {"server": "pipy-repo", **answer.headers, **length_told, "connection": "keep-alive"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
