"""What goes over the wire. PyGithub calls this in the place of its own connections, for the tokens of an App too.

Its own would read an answer of any size for any time, follow a redirect without the query, and let through whatever
is not JSON. Each request has a connection of its own, so that none is lost to one that went stale.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester
from urllib3 import exceptions

from publisher.core.redact import redact
from publisher.errors import ApiError

MAX_BODY = 16 * 1024 * 1024
"""Bytes of one answer."""
_CHUNK = 64 * 1024
WHOLE = 4
"""Time-outs that one answer may take in all."""


class Unsettled(ApiError):
    """No usable answer; GitHub may have done what was asked nevertheless."""


class Limited(ApiError):
    """GitHub did nothing, since there were too many requests; ``retry_after`` is never None."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What PyGithub reads of an answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    def getheaders(self) -> Iterable[tuple[str, str]]:
        return self.headers.items()

    def read(self) -> str:
        return self.text


class _Careful:
    """Asks once; raises ApiError for anything but an answer 2xx that is JSON, or has no body."""

    protocol: str
    host: str
    port: int
    session: requests.Session
    timeout: Any
    """In milliseconds: PyGithub wants a whole number, and asks for nothing without us."""
    verb: str
    url: str
    input: Any
    headers: dict[str, str]

    def getresponse(self) -> Any:
        """Give the answer, read to its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        try:
            with (
                self.session,
                self.session.request(
                    self.verb,
                    f"{self.protocol}://{host}:{self.port}{self.url}",
                    headers={**self.headers, "Connection": "close"},
                    data=self.input,
                    timeout=self.timeout / 1000,
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                body = self._read(response)
        except (OSError, exceptions.HTTPError) as error:  # what requests raises is an OSError
            raise self._translated(error) from error
        except ValueError as error:  # its text may quote a header with a token
            raise ApiError("GitHub: its address or the credentials for it are not valid") from error
        if not 200 <= response.status_code < 300:
            raise _refusal(self.verb, self.url, response.status_code, body, response.headers)
        try:
            text = body.decode()
            if text:
                json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Unsettled(f"GitHub: HTTP {response.status_code}: the answer is not JSON ({_GATEWAY})") from error
        return _Answer(response.status_code, response.headers, text)

    def _read(self, response: requests.Response) -> bytes:
        most = WHOLE * self.timeout / 1000
        deadline = time.monotonic() + most
        chunks = []
        size = 0
        while chunk := response.raw.read1(_CHUNK, decode_content=True):  # read() would wait for all of it
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY:
                raise Unsettled(f"GitHub: the answer is larger than {MAX_BODY >> 20} MiB ({_GATEWAY})")
            if time.monotonic() > deadline:
                raise Unsettled(f"GitHub: the answer took longer than {most:g} s (try again later)")
        return b"".join(chunks)

    def _translated(self, error: Exception) -> ApiError:
        """Put a failure of the network into words."""
        if isinstance(error, requests.Timeout | exceptions.TimeoutError | TimeoutError):
            return Unsettled(
                f"GitHub: no answer within {self.timeout / 1000:g} s (check the network, or try again later)"
            )
        if isinstance(error, requests.exceptions.SSLError):
            return ApiError(f"GitHub: TLS: {_innermost(error)} (check the address, and REQUESTS_CA_BUNDLE)")
        if isinstance(error, requests.exceptions.InvalidHeader | requests.exceptions.InvalidProxyURL):
            return ApiError("GitHub: its address, the proxy's, or the credentials are not valid")
        return Unsettled(f"GitHub: no complete answer: {_innermost(error)} (check the network, or try again later)")


_GATEWAY = "check GITHUB_API_URL, and what stands between here and GitHub"


def _innermost(error: BaseException) -> str:
    """Say what is at the bottom of a failure: those who pass it on quote addresses and each other."""
    seen = {id(error)}
    while True:
        reasons = (getattr(error, "reason", None), error.__cause__, *error.args)
        cause = next((found for found in reasons if isinstance(found, BaseException) and id(found) not in seen), None)
        if cause is None:
            return redact(getattr(error, "strerror", None) or str(error) or type(error).__name__, 200)
        seen.add(id(cause))
        error = cause


def _refusal(verb: str, url: str, status: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
    """Put an answer that is not 2xx into words. A body that is not GitHub's own is dropped: it may hold anything."""
    message = _message(body)
    told = f"GitHub: HTTP {status}" + (f": {redact(message, 300)}" if message else "")
    if status == 429 or (status == 403 and limited(message, headers)):
        return too_many(told, headers, status)
    if status >= 500:
        after = _number(headers.get("retry-after"))
        return Unsettled(f"{told} (GitHub is in trouble; try again later)", status=status, retry_after=after)
    if 300 <= status < 400:
        told += ": the repository has moved"
    return ApiError(f"{told} ({_hint(status, verb, url, headers)})", status=status)


def limited(message: str, headers: Mapping[str, str]) -> bool:
    """Tell a rate limit from a missing permission. Headers go by their names in small letters, here and below."""
    used_up = headers.get("x-ratelimit-remaining") == "0"
    return used_up or "retry-after" in headers or "rate limit" in message.lower()


def too_many(told: str, headers: Mapping[str, str], status: int) -> Limited:
    """Say when it may go on, as GitHub documents it: Retry-After, else the reset, else a minute."""
    wait = _number(headers.get("retry-after"))
    reset = _number(headers.get("x-ratelimit-reset"))
    if wait is None and reset is not None and headers.get("x-ratelimit-remaining") == "0":
        wait = max(0.0, reset - time.time() + 1)
    wait = 60.0 if wait is None else wait
    until = time.strftime("%H:%M:%S", time.gmtime(time.time() + wait))
    return Limited(
        f"{told} (too many requests; go on in {wait:.0f} s, at {until} UTC)", status=status, retry_after=wait
    )


def _number(header: str | None) -> float | None:
    return float(header) if header and header.isdecimal() and len(header) < 12 else None


def _message(body: bytes) -> str:
    """Read GitHub's message, and what it says of single fields."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict) or not isinstance(document.get("message"), str):
        return ""
    errors = document.get("errors")
    return "; ".join([document["message"], *map(_field, errors if isinstance(errors, list) else ())])


def _field(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    return str(error.get("message") or f"{error.get('resource')}.{error.get('field')}: {error.get('code')}")


def permission(path: str) -> str:
    """Name the permission that a request needs."""
    if "/statuses" in path:
        return "statuses: write"
    return "contents: write" if "/git/" in path or path.endswith("graphql") else "pull-requests: write"


def _hint(status: int, verb: str, url: str, headers: Mapping[str, str]) -> str:
    if status == 403:
        told = redact(headers.get("x-accepted-github-permissions", ""), 100)
        return f"the token needs {told or ('' if verb == 'GET' else permission(url)) or 'access to the repository'}"
    if status == 404 and url.endswith("/installation"):
        return "the App is not installed there: install it for the repository"
    if 300 <= status < 400:
        return "set the remote, or GITHUB_REPOSITORY, to its new name"
    return {
        401: "the token is not known or has expired: set PUBLISHER_GITHUB_TOKEN, GITHUB_TOKEN or the App's key anew",
        404: "there is no such thing, or the token may not see it: check GITHUB_REPOSITORY and the token's access",
        409: "somebody else was at work there, or the repository is empty: run it again",
        410: "it is gone, or switched off in the repository's settings",
        422: "GitHub does not take these values",
    }.get(status, "check GITHUB_API_URL")


class _Http(_Careful, HTTPRequestsConnectionClass):
    """To a loopback address."""


class _Https(_Careful, HTTPSRequestsConnectionClass):
    """To everywhere else."""


Requester.injectConnectionClasses(_Http, _Https)
logging.getLogger("github.Requester").setLevel(logging.WARNING)  # else it logs answers, and a token of an App is one
