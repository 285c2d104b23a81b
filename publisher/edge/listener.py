"""A small web server beside a loop: takes push events, tells how the loop does. No client can keep it from either."""

from __future__ import annotations

import ipaddress
import re
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote_to_bytes

from publisher.core.push import NotAnEvent, genuine, ignored
from publisher.core.redact import redact
from publisher.errors import UsageError

MAX_BODY = 1024 * 1024
"""Bytes of one event."""
MOST = 32
"""Connections at once; the oldest ends where there would be more, for an honest one takes milliseconds."""
PATIENCE = 10.0
"""Seconds that a connection may take in all."""
_HOOKS = ("/", "/webhook")
_UNREAD = (404, 411, 413)
"""Answers that are given before the event is read."""
_DRAINED = 32 * 1024 * 1024


@dataclass(frozen=True)
class Service:
    """What is behind the port. All of it is called from other threads, and has to give an answer at once."""

    pushed: Callable[[], None]
    """Called when what is followed has moved."""
    metrics: Callable[[], str]
    """Gives them as Prometheus reads them."""
    sick: Callable[[], str]
    """Says why the process is to be started anew; empty where it is well."""
    unready: Callable[[], str]
    """Says why nobody is to rely on what was done; empty where they may."""
    ref: str = ""
    """The branch or tag that is followed; empty for HEAD."""
    secret: str = ""
    """What push events are signed with."""


class Listener(socketserver.ThreadingTCPServer):
    """The port, until it is closed."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: str, service: Service) -> None:
        """Listen on ``HOST:PORT``; port 0 is any that is free.

        Raises UsageError where that cannot be done, and where others could send events that nobody has signed.
        """
        self.service = service
        self._begun: dict[Any, float] = {}
        self._lock = threading.Lock()
        self.address_family, place = _place(address)
        if not service.secret and not ipaddress.ip_address(place[0].partition("%")[0]).is_loopback:
            raise UsageError(
                f"{address}: anybody could ask for a sync there; set PUBLISHER_WEBHOOK_SECRET, "
                "or listen on a loopback address such as 127.0.0.1"
            )
        try:
            super().__init__(place, _Handler)
        except OSError as error:
            raise UsageError(f"{address}: cannot listen there: {error.strerror}") from error
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        shown = f"[{host!s}]" if self.address_family == socket.AF_INET6 else host
        return f"http://{shown!s}:{port}"

    def close(self) -> None:
        """Stop listening, and end what is still connected."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        self._cut(0, 0.0)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        self._cut(MOST - 1, PATIENCE)
        with self._lock:
            self._begun[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection that is done with."""
        with self._lock:
            self._begun.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End, some times a second, what takes too long; a time-out for each read would let a slow client stay."""
        self._cut(MOST, PATIENCE)

    def _cut(self, most: int, patience: float) -> None:
        """End the oldest connections: all that are too old, and as many as are too many."""
        now = time.monotonic()
        with self._lock:
            oldest = list(self._begun)
            for place, connection in enumerate(oldest):
                if len(oldest) - place > most or now - self._begun[connection] > patience:
                    del self._begun[connection]
                    with suppress(OSError):  # its thread sees the end, and closes it
                        connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that broke: that is up to clients."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "publisher"
    sys_version = ""
    timeout = PATIENCE
    server: Listener

    def do_GET(self) -> None:
        service = self.server.service
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._say(200, service.metrics(), "text/plain; version=0.0.4; charset=utf-8")
        elif path in ("/healthz", "/readyz"):
            wrong = service.sick() if path == "/healthz" else service.unready()
            self._say(503 if wrong else 200, f"{wrong or 'ok'}\n")
        else:
            self._say(405 if path in _HOOKS else 404, "there is /metrics, /healthz, /readyz, and POST /webhook\n")

    def do_POST(self) -> None:
        status, told = self._event()
        self._say(status, f"{told}\n")
        if status in _UNREAD:
            self._drain()

    def _event(self) -> tuple[int, str]:
        """Take an event; gives the status and what to answer."""
        service = self.server.service
        if self.path.partition("?")[0] not in _HOOKS:
            return 404, "events are taken at /webhook"
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,12}", length):
            return 411, "Content-Length is missing, or no number"
        if int(length) > MAX_BODY:
            return 413, f"the event is larger than {MAX_BODY >> 20} MiB"
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionAbortedError
        if service.secret and not genuine(self.headers, body, service.secret):  # type: ignore[arg-type]
            return 403, "the signature is missing or wrong: the secret here and at the sender differ"
        if body.startswith(b"payload="):  # GitHub's way, unless it is told to send JSON
            body = unquote_to_bytes(body[len(b"payload=") :].partition(b"&")[0].replace(b"+", b" "))
        try:
            reason = ignored(self.headers, body, service.ref)  # type: ignore[arg-type]
        except NotAnEvent as error:
            return 400, str(error)
        if reason:
            return 200, f"ignored: {reason}"
        service.pushed()
        return 202, "a sync is under way"

    def _say(self, status: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        content = text.encode()
        self.send_response_only(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _drain(self) -> None:
        """Read on after a refusal: with bytes left unread, the other side would be told of a reset and nothing else."""
        self.connection.shutdown(socket.SHUT_WR)
        left = _DRAINED
        while left > 0 and (data := self.rfile.read1(1 << 16)):
            left -= len(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _place(address: str) -> tuple[socket.AddressFamily, Any]:
    """Read ``HOST:PORT``, such as ``127.0.0.1:9090`` or ``[::]:9090``."""
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\s]+)):([0-9]{1,5})", address)
    if not found or int(found[3]) > 65535:
        raise UsageError(f"{redact(address, 100)}: not HOST:PORT, such as 127.0.0.1:9090 or 0.0.0.0:9090")
    try:
        family, _, _, _, place = socket.getaddrinfo(found[1] or found[2], int(found[3]), type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UsageError(f"{address}: no such address here: {error.strerror}") from error
    return family, place
