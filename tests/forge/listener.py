"""The port, and answers that are none."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Fault:
    """An answer that is none, or not the right one."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None
    """Content-Length, where it is not that of the body."""
    kind: str = ""
    """reset, hang or drip; empty: the answer above."""


class Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, fake: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that clients ended; anything else is a mistake in here."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self.fake.wrong.append(f"the fake failed: {error!r}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        given = self.server.fake.answer(self.command, self.path, self.headers, body)
        if isinstance(given, Fault):
            self._fail(given)
            return
        status, answer, headers = given
        content = b"" if answer is None else json.dumps(answer).encode()
        self._begin(status, {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers})
        self.wfile.write(content)

    do_POST = do_PATCH = do_DELETE = do_GET

    def _fail(self, fault: Fault) -> None:
        self.close_connection = True
        if fault.kind == "hang":
            self.server.fake.closed.wait()
        elif fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.close(self.connection.detach())
        else:
            length = len(fault.body) if fault.length is None else fault.length
            self._begin(fault.status, {"Content-Length": str(length), **fault.headers})
            self.wfile.write(fault.body)
            while fault.kind == "drip":
                self.wfile.write(b" ")
                self.server.fake.closed.wait(0.05)

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
