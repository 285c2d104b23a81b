"""Routes: their text, who may claim them, and who wins when two services do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from publisher.core.model import Route, ServiceKey
from publisher.core.policy import Grant

_HOST = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PATH = re.compile(r"/[!$-)+->@-\[\]-~]*\*?")


class RouteError(ValueError):
    """A text is not a route."""


class Claim(NamedTuple):
    """A service asks for a route. The smallest claim on a route gets it."""

    movable: bool
    """False where the route is published and has to stay, since not all of its service is known or right."""
    tenant: bool
    """It comes from an annotation; publisher.yaml goes first."""
    newcomer: bool
    """The route is not yet published for this service."""
    created: str
    """creationTimestamp of the oldest Service behind it."""
    service: ServiceKey


def parse_route(text: str) -> Route:
    """Read ``/path/*`` or ``host/path/*``, where ``*`` stands for a whole rest and only at the end."""
    host, _, path = text.partition("/")
    route = Route(host.lower(), f"/{path}")
    if host and (len(host) > 253 or not _HOST.fullmatch(route.host)):
        raise RouteError(f"{_short(text)}: {_short(host)} is not a host name or *.host")
    odd_star = route.path.endswith("*") and not route.path.endswith("/*")
    if not _PATH.fullmatch(route.path) or odd_star or {".", ".."} & set(route.path.split("/")):
        raise RouteError(f"{_short(text)}: {_short(route.path)} is not a path such as /env or /env/*")
    return route


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def expand(routes: Iterable[str], hosts: Iterable[str]) -> tuple[Route, ...]:
    """Combine each path with each host; hosts alone take every path, a route with a host of its own keeps it."""
    hosts = tuple(hosts)
    paths = [parse_route(text) for text in routes] or ([Route("", "/*")] if hosts else [])
    found = set()
    for route in paths:
        if route.host or not hosts:
            found.add(route)
        else:
            found.update(parse_route(f"{host}{route.path}") for host in hosts)
    return tuple(sorted(found))


def granted(route: Route, namespace: str, grants: Iterable[Grant]) -> bool:
    """Tell whether annotations in a namespace may claim a route."""
    return any(
        any(fnmatchcase(namespace, pattern) for pattern in grant.namespaces)
        and (not grant.hosts or any(_covers_host(host, route.host) for host in grant.hosts))
        and any(_covers_path(path, route.path) for path in grant.paths)
        for grant in grants
    )


def _covers_host(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        return host == pattern or (host.removeprefix("*.").endswith(pattern[1:]))
    return host == pattern


def _covers_path(pattern: str, path: str) -> bool:
    return path == pattern or (pattern.endswith("/*") and path.startswith(pattern[:-1]))


def winners(claims: Mapping[Route, Iterable[Claim]]) -> dict[Route, Claim]:
    """Settle each route: what has to stay, publisher.yaml before annotations, who has it, then the oldest Service."""
    return {route: min(asked) for route, asked in claims.items()}
