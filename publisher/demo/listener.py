"""Ports with a thread a connection; on those of API servers, answers can fail in every way a network knows."""

from __future__ import annotations

import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from publisher.demo.messages import Reply, Request
from publisher.demo.plane import Plane

Answer = Callable[["Listener", Request], Reply | Iterator[bytes]]
"""Answers a request at once, or with a stream of lines that are sent as they come."""


class Port(socketserver.TCPServer):
    """A port of 127.0.0.1, from now until it is closed; each connection has a thread."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None) -> None:
        """Listen on a port, or on any where it is 0."""
        super().__init__(("127.0.0.1", port), handler)
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._tls = tls
        self.socket.setblocking(False)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def close(self) -> None:
        """Stop listening and end every connection and whatever waits to answer on it."""
        with self._lock:
            self.closed.set()
            connections = dict(self._connections)
        self.server_close()
        for connection in connections.values():
            _cut(connection)
        for thread in connections:
            if thread is not threading.current_thread():
                thread.join(timeout=5)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its handshake is left to its thread."""
        connection, address = self.socket.accept()
        connection.setblocking(True)
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        thread = threading.Thread(target=self._serve, args=(request, client_address), daemon=True)
        with self._lock:
            if self.closed.is_set():
                self.shutdown_request(request)
                return
            self._connections[thread] = request
            thread.start()

    def _serve(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:
            pass  # the client left, or the answer was to be cut off
        finally:
            self.shutdown_request(request)
            with self._lock:
                del self._connections[threading.current_thread()]


class Listener(Port):
    """The port of one API server."""

    timeout = 0

    def __init__(self, plane: Plane, port: int, answer: Answer) -> None:
        """Listen on a port of 127.0.0.1, or on any where it is 0."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        plane.ca.issue_cert("127.0.0.1", "localhost").configure_cert(tls)
        super().__init__(port, _Handler, tls)
        self.plane = plane
        self.answer = answer

    def close(self) -> None:
        """Stop listening and end every connection, watch and answer that hangs."""
        self.closed.set()
        self.plane.wake()
        super().close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Listener

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = dict(self.headers.items())
        request = Request.parse(self.server.plane.name, self.command, self.path, headers, body)
        answer = self.server.answer(self.server, request)
        if isinstance(answer, Reply):
            self._send(answer)
        else:
            self._stream(answer)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _send(self, reply: Reply) -> None:
        self.server.closed.wait(None if reply.hang else reply.delay_seconds)
        if reply.hang or reply.reset:
            _reset(self.connection)
            raise ConnectionAbortedError
        self._begin(reply.status, {"Content-Length": str(len(reply.body)), **reply.headers})
        self.wfile.write(reply.body[: reply.truncate_at])
        if reply.truncate_at is not None:
            self.wfile.flush()
            raise ConnectionAbortedError

    def _stream(self, lines: Iterator[bytes]) -> None:
        self._begin(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
        self.wfile.flush()
        for line in lines:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        headers = {"Cache-Control": "no-cache, private", "Date": self.date_time_string()} | headers
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _cut(connection: socket.socket) -> None:
    """End a TCP connection under a TLS one that another thread may be using."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _reset(connection: socket.socket) -> None:
    """End a TCP connection with a reset instead of a goodbye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.close(connection.detach())
