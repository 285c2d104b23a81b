"""Stands between a syncer and a Repo: counts requests, and lets them fail or wait at any point."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from publisher.demo.listener import Port

BEFORE = "before"
"""The connection is cut before the request gets through."""
WITHIN = "within"
"""The same, in the middle of the request."""
AFTER = "after"
"""The request is carried out, and the connection is cut before the answer."""
STALL = "stall"
"""The request is carried out; the answer never comes."""

Fault = str | int | None
"""One of these, or the status of an answer in the Repo's place."""


@dataclass(frozen=True)
class Asked:
    """One request."""

    number: int
    """1 is the first."""
    method: str
    path: str

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.method not in ("GET", "HEAD")


class Proxy(Port):
    """A port that passes requests on, one after the other."""

    def __init__(self, target: str) -> None:
        """Listen for a Repo at ``host:port``."""
        super().__init__(0, _Handler, None)
        self.target = target
        self.asked: list[Asked] = []
        """All requests, in order."""
        self.fault: Callable[[Asked], Fault] = lambda asked: None
        """Called before each is passed on; may take its time, or do something else meanwhile."""
        self.passing = threading.RLock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def writes(self) -> list[Asked]:
        """Give the requests that may change something."""
        return [asked for asked in self.asked if asked.writes]

    def uploads(self) -> list[str]:
        """Give the files that were uploaded."""
        found = [asked.path for asked in self.asked if asked.method == "POST" and "/repo-files/" in asked.path]
        return [path.partition("/repo-files/edge/")[2] for path in found]

    def clear(self) -> None:
        """Forget what was asked, and have no faults."""
        self.asked = []
        self.fault = lambda asked: None

    def close(self) -> None:
        """Stop."""
        self.shutdown()
        self._thread.join()
        super().close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Proxy

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy = self.server
        with proxy.passing:
            asked = Asked(len(proxy.asked) + 1, self.command, self.path)
            proxy.asked.append(asked)
            fault = proxy.fault(asked)
            if isinstance(fault, int):
                self._answer(fault, {}, b"")
                return
            if fault == WITHIN:
                self._send_half(body)
            if fault in (BEFORE, WITHIN):
                raise ConnectionAbortedError
            answer = self._pass(body)
        if fault == STALL:
            proxy.closed.wait()
        if fault in (AFTER, STALL):
            raise ConnectionAbortedError
        self._answer(*answer)

    do_HEAD = do_POST = do_PATCH = do_DELETE = do_GET

    def _pass(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.server.target, timeout=30)
        try:
            connection.request(self.command, self.path, body or None)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _send_half(self, body: bytes) -> None:
        connection = http.client.HTTPConnection(self.server.target, timeout=30)
        connection.putrequest(self.command, self.path)
        connection.putheader("Content-Length", str(len(body) + 1))
        connection.endheaders()
        connection.send(body)
        connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        kept = {name: value for name, value in headers.items() if name.lower() not in ("content-length", "connection")}
        length = {} if status == 204 else {"content-length": str(len(body))}
        for name, value in {**kept, **length}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
