"""Serve a fleet over HTTPS, as Karmada and its members would."""

from __future__ import annotations

import base64
import selectors
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress

from publisher.demo.answers import HEALTH, connection_refused, method_not_allowed, not_found, unauthorized
from publisher.demo.fleet import Fleet
from publisher.demo.listener import Listener
from publisher.demo.messages import Intercept, Reply, Request
from publisher.demo.plane import Plane
from publisher.demo.rbac import Asked, Caller, asked_by
from publisher.demo.routes import answer
from publisher.demo.running import Running
from publisher.demo.watch import events

__all__ = ["Asked", "FleetServer", "Intercept", "Reply", "Request"]

_CONTEXT = "karmada-apiserver"
_KARMADA = "karmada"


class FleetServer(Running):
    """The API servers of a fleet, each on a port of 127.0.0.1, for as long as the context lasts."""

    def __init__(self, fleet: Fleet, *, intercept: Intercept | None = None, bookmark_seconds: float = 60) -> None:
        """Prepare to serve a fleet; `intercept` may answer in the server's place and may be changed at any time."""
        self.fleet = fleet
        self.intercept = intercept
        self.callers: defaultdict[str, Caller] = defaultdict(Caller)
        """Who is taken to ask, by the name of the API server: `karmada`, or a member's."""
        self._bookmark_seconds = bookmark_seconds
        self._listeners: dict[str, Listener] = {}

    def start(self) -> None:
        """Listen for Karmada and for every member."""
        self._selector = selectors.DefaultSelector()
        self._wake, woken = socket.socketpair()
        self._selector.register(woken, selectors.EVENT_READ)
        self._accepting = threading.Thread(target=self._accept, args=(woken,), daemon=True)
        self._accepting.start()
        self.open(_KARMADA, self.fleet.karmada)
        self.fleet.attach(self)

    def stop(self) -> None:
        """End every connection, watch and hanging answer, and stop listening."""
        self.fleet.attach(None)
        for name in reversed(tuple(self._listeners)):  # a watch through Karmada waits for changes in a member
            self.close(name)
        self._wake.close()
        self._accepting.join()
        self._selector.close()

    @property
    def url(self) -> str:
        """Where Karmada's API server listens."""
        return f"https://127.0.0.1:{self._listeners[_KARMADA].port}"

    @property
    def token(self) -> str:
        """The bearer token that Karmada's API server knows."""
        return self.fleet.karmada.token

    @property
    def ca_pem(self) -> bytes:
        """The CA of Karmada's API server."""
        return self.fleet.karmada.ca.cert_pem.bytes()

    def kubeconfig(self) -> dict[str, object]:
        """Build a kubeconfig whose only context is Karmada's API server."""
        cluster = {"server": self.url, "certificate-authority-data": base64.b64encode(self.ca_pem).decode()}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": _CONTEXT, "cluster": cluster}],
            "users": [{"name": _CONTEXT, "user": {"token": self.token}}],
            "contexts": [{"name": _CONTEXT, "context": {"cluster": _CONTEXT, "user": _CONTEXT}}],
            "current-context": _CONTEXT,
        }

    def stop_member(self, name: str) -> None:
        """Take a member's API server down; its port stays its own."""
        listener = self._listeners[name]
        with suppress(KeyError, ValueError):
            self._selector.unregister(listener)
        listener.close()

    def start_member(self, name: str) -> None:
        """Bring a member's API server back on its port."""
        self._listen(self._listeners[name].plane, self._listeners[name].port)

    def open(self, name: str, plane: Plane) -> str:
        """Serve the API server of a member, for the fleet."""
        return f"https://127.0.0.1:{self._listen(plane, 0).port}"

    def close(self, name: str) -> None:
        """Stop serving a member, for the fleet."""
        self.stop_member(name)
        del self._listeners[name]

    def _listen(self, plane: Plane, port: int) -> Listener:
        listener = Listener(plane, port, self._answer)
        self._listeners[plane.name] = listener
        self._selector.register(listener, selectors.EVENT_READ, listener)
        return listener

    def _accept(self, woken: socket.socket) -> None:
        with woken:
            while True:
                for key, _ in self._selector.select():
                    if key.fileobj is woken:
                        return
                    with suppress(OSError, ValueError):  # closed since
                        key.data.handle_request()

    def _answer(self, listener: Listener, request: Request) -> Reply | Iterator[bytes]:
        if self.intercept and (reply := self.intercept(request)):
            return reply
        if request.full_path not in HEALTH and request.headers.get("authorization") != f"Bearer {listener.plane.token}":
            return unauthorized()
        backend = listener
        if request.via_proxy:
            proxy = Asked("get", "cluster.karmada.io", "clusters/proxy", name=request.plane)
            if not self.callers[_KARMADA].may(proxy):
                return self.callers[_KARMADA].forbid(proxy)
            member = self._listeners.get(request.plane)
            if not member or not self.fleet.karmada.get("clusters", "", request.plane):
                return not_found(self.fleet.karmada.resources["clusters"], request.plane)
            if member.closed.is_set():
                return connection_refused(member.port)
            backend = member
        caller = self.callers[backend.plane.name]
        if reply := caller.review(request):
            return reply
        if request.method != "GET":
            return method_not_allowed()
        if (asked := asked_by(request)) and not caller.may(asked):
            return caller.forbid(asked)
        outcome = answer(backend.plane, request.path, request.query)
        if isinstance(outcome, Reply):
            return outcome

        def stopped() -> bool:
            return listener.closed.is_set() or backend.closed.is_set()

        return events(backend.plane, outcome, self._bookmark_seconds, stopped)
