"""What goes over the wire: a request, the reply to it, and the hook that lets a test answer instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

_PROXY = re.compile(r"/apis/cluster\.karmada\.io/v1alpha1/clusters/([^/]+)/proxy(/.*)?")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, seen from the API server that is to answer it."""

    plane: str
    """`karmada`, or the member's name."""
    method: str
    path: str
    """Without the prefix of the cluster proxy."""
    full_path: str
    """As sent, without the query."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Keys in lower case."""
    via_proxy: bool
    body: bytes = b""

    @staticmethod
    def parse(plane: str, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Request:
        """Read the first line and the headers of a request that came to `plane`."""
        url = urlsplit(target)
        path = unquote(url.path)
        proxied = _PROXY.fullmatch(path) if plane == "karmada" else None
        return Request(
            plane=proxied[1] if proxied else plane,
            method=method,
            path=(proxied[2] or "/") if proxied else path,
            full_path=url.path,
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in headers.items()},
            via_proxy=proxied is not None,
            body=body,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer, or one of the ways in which an answer fails to come."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_seconds: float = 0
    truncate_at: int | None = None
    """Promise the whole body and cut the connection after so many bytes of it."""
    reset: bool = False
    """Reset the TCP connection instead of answering."""
    hang: bool = False
    """Never answer."""


Intercept = Callable[[Request], Reply | None]
"""Called once for each request, before anything else; None lets the server answer."""
