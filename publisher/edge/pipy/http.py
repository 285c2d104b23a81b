"""HTTP to one server: kept connections, time-outs, limits, retries. The only place that knows urllib3."""

from __future__ import annotations

import random
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import Url, make_headers, parse_url

from publisher.core.redact import redact
from publisher.errors import RepoError, UsageError

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer."""
UPLOADS = 16
"""So many requests at the same time; the Repo answers them one after the other."""


@dataclass(frozen=True)
class Access:
    """Files that prove who is who; None for what the system trusts, and for no certificate of ours."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Give what TLS needs; raises UsageError naming the file that is wrong."""
        if self.key and not self.cert:
            raise UsageError("--pipy-key is the key of a certificate; name that too with --pipy-cert")
        for file in (self.ca, self.cert, self.key):
            if file and not file.is_file():
                raise UsageError(f"{file}: no such file; --pipy-ca, --pipy-cert and --pipy-key name PEM files")
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"{self.ca}: no certificates in PEM ({_reason(error)})") from error
        if self.cert:
            try:
                # a key with a password would make OpenSSL ask at the terminal
                context.load_cert_chain(self.cert, self.key, password=lambda: b"")
            except (OSError, ssl.SSLError) as error:
                hint = "the key belongs to another certificate, has a password, or these are no PEM files"
                raise UsageError(f"{self.cert}, {self.key or self.cert}: {hint} ({_reason(error)})") from error
        return context


@dataclass(frozen=True)
class Timing:
    """Seconds and tries."""

    connect: float = 5.0
    read: float = 30.0
    tries: int = 4
    backoff: float = 0.3
    """Before the second try; twice as long before each further one."""
    longest: float = 30.0
    """No wait is longer, whatever the server asks for."""


SYSTEM = Access()
"""Trusts what the system trusts, and shows no certificate."""
USUAL = Timing()

_HINTS = {
    401: "name a client certificate with --pipy-cert and --pipy-key, or credentials in the URL",
    403: "this account may not; name another client certificate with --pipy-cert and --pipy-key",
    404: "check the address: http://HOST:6060/repo/CODEBASE",
    405: "check the address: is this a Pipy Repo, and not a single Pipy?",
    413: "a proxy in between limits the size of files",
    429: "the server is busy; try again later",
}


class Server:
    """One HTTP server."""

    def __init__(self, url: Url, access: Access, timing: Timing) -> None:
        self.name = f"{url.scheme}://{url.netloc}"
        self._timing = timing
        which = "another" if access.cert else "a"
        self._hint = f"; does it want {which} client certificate (--pipy-cert)?" if url.scheme == "https" else ""
        self._headers = make_headers(basic_auth=unquote(url.auth)) if url.auth else {}
        host = (url.host or "").strip("[]")
        limits = Timeout(connect=timing.connect, read=timing.read)
        if url.scheme == "https":
            self._pool: HTTPConnectionPool = HTTPSConnectionPool(
                host, url.port, timeout=limits, maxsize=UPLOADS, block=True, ssl_context=access.context()
            )
        else:
            self._pool = HTTPConnectionPool(host, url.port, timeout=limits, maxsize=UPLOADS, block=True)

    def ask(
        self,
        method: str,
        path: str,
        what: str,
        body: bytes | None = None,
        *,
        expect: tuple[int, ...],
        once: bool = False,
    ) -> tuple[int, bytes]:
        """Send a request and give status and body of an answer that has an expected status.

        It is sent again, but with ``once``, where there was no complete answer, or the server could not just then.
        ``what`` says in an error what failed. Raises RepoError; its status is 0 where there was no complete answer.
        """
        for attempt in range(1, self._timing.tries + 1):
            try:
                status, data, wait = self._send(method, path, body)
                if status in expect:
                    return status, data
                problem = RepoError(self._answer(what, status, data), status=status, retry_after=wait)
            except HTTPError as error:
                problem = RepoError(self._failure(what, error))
                if isinstance(error, SSLError):
                    raise problem from error
            again = problem.status == 0 or problem.status == 429 or problem.status >= 500
            if once or not again or attempt == self._timing.tries:
                raise problem
            self.wait(attempt, problem.retry_after)
        raise AssertionError("unreachable")

    def wait(self, attempt: int, asked: float | None = None) -> None:
        """Wait before the next try, as long as the server asked for, or longer each time."""
        backoff = self._timing.backoff * 2 ** (attempt - 1) * random.uniform(0.5, 1)  # noqa: S311 - spreads load only
        time.sleep(min(max(asked or 0, backoff), self._timing.longest))

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes, float | None]:
        answer = self._pool.urlopen(
            method, path, body=body, headers=self._headers, retries=False, redirect=False, preload_content=False
        )
        try:
            data = answer.read(MAX_ANSWER + 1)
            if len(data) > MAX_ANSWER:
                raise RepoError(f"{self.name}: an answer of more than {MAX_ANSWER >> 20} MiB; is this a Pipy Repo?")
            answer.drain_conn()
        except BaseException:
            answer.close()
            raise
        finally:
            answer.release_conn()
        asked = answer.headers.get("retry-after", "")
        return answer.status, data, float(asked) if asked.isascii() and asked.isdigit() else None

    def _answer(self, what: str, status: int, data: bytes) -> str:
        said = redact(data[:200].decode(errors="replace"))
        hint = _HINTS.get(status, "see its log" if status >= 500 else "is this a Pipy Repo?")
        return f"{self.name}: {what}: HTTP {status}{f' ({said})' if said else ''}; {hint}"

    def _failure(self, what: str, error: HTTPError) -> str:
        if isinstance(error, NewConnectionError):
            return f"{self.name}: {what}: no connection ({_reason(error)}); is it running, and the address right?"
        if isinstance(error, ConnectTimeoutError):
            return f"{self.name}: {what}: no connection within {self._timing.connect:g} s; check address and network"
        if isinstance(error, ReadTimeoutError):
            return f"{self.name}: {what}: no answer within {self._timing.read:g} s; is it overloaded?"
        if isinstance(error, SSLError):
            hint = "name its authority with --pipy-ca, and a client certificate it takes with --pipy-cert"
            return f"{self.name}: {what}: TLS failed ({_reason(error)}); {hint}"
        return f"{self.name}: {what}: the answer broke off ({_reason(error)}){self._hint}"


def _reason(error: BaseException) -> str:
    """Give what the innermost error says."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return redact(text or type(error).__name__, 200)


def split(url: str) -> tuple[Url, str]:
    """Part the URL of a codebase into its server and the codebase's path; raises UsageError for any other URL."""
    form = "a codebase of a Pipy Repo is named http(s)://HOST:6060/repo/CODEBASE"
    try:
        found = parse_url(url)
    except LocationParseError as error:
        raise UsageError(f"{redact(url)}: not a URL; {form}") from error
    path = (found.path or "").strip("/")
    plain = found.scheme in ("http", "https") and found.host and not found.query and not found.fragment
    codebase = path.removeprefix("repo/")
    if not plain or codebase == path or not all(part.strip(".") for part in codebase.split("/")):
        raise UsageError(f"{redact(url)}: not a codebase; {form}")
    return found, codebase
