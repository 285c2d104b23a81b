"""A server that answers as it is told, on a real socket."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: str
    body: bytes


Respond = Callable[[Request], "bytes | str"]


class Server:
    """Gives each request to a function: its bytes are sent as they are; ``reset`` and ``hang`` are done."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.respond: Respond = lambda request: "reset"
        self.tls: ssl.SSLContext | None = None
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._threads: list[threading.Thread] = []
        self._thread.start()

    def answers(self, *given: bytes | str) -> None:
        """Give these answers one after the other, the last one for ever."""
        left = list(given)
        self.respond = lambda request: left.pop(0) if len(left) > 1 else left[0]

    def close(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in (self._thread, *self._threads):
            thread.join()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                self._answer(connection, stream)
        except OSError:
            connection.close()

    def _answer(self, connection: socket.socket, stream: Any) -> None:
        method, _, rest = stream.readline().decode().partition(" ")
        head = b"".join(iter(stream.readline, b"\r\n")).decode().lower()
        length = next((int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length")), 0)
        request = Request(method, rest.partition(" ")[0], head, stream.read(length))
        self.requests.append(request)
        answer = self.respond(request)
        if answer == "hang":
            self._over.wait(20)
        elif answer == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif isinstance(answer, bytes):
            connection.sendall(answer)


def _answer(status: int, body: bytes | str = b"", **headers: str) -> bytes:
    """Write an answer, after which the connection is closed."""
    data = body.encode() if isinstance(body, str) else body
    head = {"content-length": str(len(data)), "connection": "close"}
    head |= {name.replace("_", "-"): value for name, value in headers.items()}
    return b"\r\n".join(
        [f"HTTP/1.1 {status} Word".encode(), *(f"{n}: {v}".encode() for n, v in head.items()), b"", data]
    )


def _codebase(version: str = "0", files: tuple[str, ...] = ("/main.js",), **more: Any) -> bytes:
    """Write what a Repo says of a codebase."""
    facts = {
        "version": version,
        "path": "/edge",
        "main": "/main.js",
        "files": files,
        "editFiles": [],
        "erasedFiles": [],
    }
    return _answer(200, json.dumps({**facts, "baseFiles": [], "derived": [], "instances": {}, **more}))


@pytest.fixture(scope="session")
def answer() -> Callable[..., bytes]:
    return _answer


@pytest.fixture(scope="session")
def codebase() -> Callable[..., bytes]:
    return _codebase


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()
