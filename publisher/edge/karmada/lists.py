"""Complete lists, page by page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from publisher.core.redact import redact
from publisher.core.topology import Malformed
from publisher.edge.karmada.connection import Connection
from publisher.errors import ApiError, Expired

PAGE = 500
MAX_ITEMS = 200_000
_MAX_PAGES = 10_000
_RESTARTS = 3
_parsing = threading.Lock()
"""Parsing holds the interpreter anyway; one answer at a time keeps only one parsed answer in memory."""

T = TypeVar("T")


class Resource(NamedTuple):
    """What is listed."""

    path: str
    kind: str


CLUSTERS = Resource("/apis/cluster.karmada.io/v1alpha1/clusters", "Cluster")
NODES = Resource("/api/v1/nodes", "Node")
SERVICES = Resource("/api/v1/services", "Service")
ENDPOINT_SLICES = Resource("/apis/discovery.k8s.io/v1/endpointslices", "EndpointSlice")


def list_all(connection: Connection, prefix: str, resource: Resource, convert: Callable[[Any], T]) -> list[T]:
    """Read a complete list; each item is cut down by ``convert`` before the next page is fetched.

    Raises ApiError where the list is not complete or not what it should be.
    """
    for _ in range(_RESTARTS):
        try:
            return _pages(connection, prefix + resource.path, resource.kind, convert)
        except Expired as error:
            expired = error
    raise ApiError(
        f"{connection.name}: the list of {resource.kind}s expired {_RESTARTS} times over", status=expired.status
    ) from expired


def first_page(connection: Connection, prefix: str, resource: Resource) -> None:
    """Ask for one object of a list; raises ApiError where the answer is not such a list."""
    _page(connection, connection.get(prefix + resource.path, {"limit": "1"}), resource.kind)


def _pages(connection: Connection, path: str, kind: str, convert: Callable[[Any], T]) -> list[T]:
    found: list[T] = []
    query = {"limit": str(PAGE)}
    tokens: set[str] = set()
    for _ in range(_MAX_PAGES):
        body = connection.get(path, query)
        with _parsing:
            items, token = _page(connection, body, kind)
            try:
                found.extend(convert(item) for item in items)
            except (Malformed, AttributeError, TypeError, KeyError, ValueError) as error:
                detail = str(error) if isinstance(error, Malformed) else "an item is not laid out as it should be"
                raise ApiError(f"{connection.name}: {kind}List: {redact(detail, 200)}", status=200) from error
            del items
        if not token:
            return found
        if len(found) > MAX_ITEMS or token in tokens:
            break
        tokens.add(token)
        query["continue"] = token
    raise ApiError(f"{connection.name}: the list of {kind}s does not come to an end", status=200)


def _page(connection: Connection, body: bytes, kind: str) -> tuple[list[Any], str]:
    """Give the items of a page and the token of the next one, empty where this is the last."""
    document = connection.parse(body)
    if not isinstance(document, dict) or document.get("kind") != f"{kind}List":
        got = document.get("kind", "no kind") if isinstance(document, dict) else "no object"
        raise ApiError(f"{connection.name}: the answer is {redact(str(got), 60)}, not {kind}List", status=200)
    items = document.get("items")  # null would be nobody's empty list: API servers write []
    meta = document.get("metadata")
    if not isinstance(items, list) or not isinstance(meta, dict):
        raise ApiError(f"{connection.name}: the {kind}List has no items or no metadata", status=200)
    return items, str(meta.get("continue") or "")
