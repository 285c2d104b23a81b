"""One API server: credentials and transport are the kubernetes client's, answers are read as bytes.

The typed models of the client are not used: they are tens of times slower than what is needed here.
"""

from __future__ import annotations

import binascii
import logging
import os
import random
import re
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import urllib3
from kubernetes import config as kubeconfig
from kubernetes.client import Configuration
from kubernetes.client.rest import RESTClientObject
from urllib3 import exceptions

from publisher import __version__
from publisher.core.redact import redact
from publisher.edge.karmada import dates
from publisher.errors import ApiError, Expired, UsageError

MAX_BODY = 64 * 1024 * 1024
"""Bytes of one answer; a page of 500 Nodes has some 10 MB."""
_CHUNK = 64 * 1024
_RETRIED = (429, 500, 502, 503, 504)
_TLS_ENDED = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long to wait, in seconds."""

    connect: float = 5.0
    read: float = 30.0
    """Without a byte."""
    total: float = 120.0
    """For one answer."""
    attempts: int = 4
    backoff: float = 0.5
    """Before the second attempt; doubles with each."""
    longest: float = 30.0
    """The longest Retry-After that is waited for."""


def from_kubeconfig(file: str | None, context: str, size: int, timing: Timing) -> Connection:
    """Connect as a kubeconfig says, or as a pod where there is none.

    ``file`` None means KUBECONFIG or ~/.kube/config. Raises UsageError where neither that nor a pod's account is there.
    """
    configuration: Any = Configuration()
    named = file or os.environ.get("KUBECONFIG") or "~/.kube/config"
    hint = (
        "name a kubeconfig with --kubeconfig or KUBECONFIG, and its context with karmada.context in publisher.yaml or "
        "--context"
    )
    try:
        there = any(path and Path(path).expanduser().exists() for path in named.split(os.pathsep))
        if there:
            with _complaints() as complaints:
                kubeconfig.load_kube_config(named, context or None, configuration, persist_config=False)  # type: ignore[no-untyped-call]
            if complaints:
                raise UsageError(f"no credentials for Karmada: {complaints[0]}")
        elif file or context:
            raise UsageError(f"no credentials for Karmada: {redact(named)} is not there; {hint}")
        else:
            kubeconfig.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
    except UsageError:
        raise
    except kubeconfig.ConfigException as error:
        what = f"is of no use: {_described(error)}" if there else f"is not there, nor is a pod's account: {error}"
        raise UsageError(f"no credentials for Karmada: {redact(named)} {what}; {hint}") from error
    except Exception as error:  # the client lets YAML, base64 and file errors through as they come
        raise UsageError(f"the kubeconfig cannot be used: {_described(error)}") from error
    return Connection("Karmada", configuration, size, timing)


def _described(error: Exception) -> str:
    """Say what is wrong with a kubeconfig without quoting from it: it is full of secrets."""
    if mark := getattr(error, "problem_mark", None):
        return f"{mark.name} is not YAML, see line {mark.line + 1}"
    if isinstance(error, kubeconfig.ConfigException):
        # the client names the file, and then an entry by all that it holds
        return redact(re.sub(r" in .*/.*", " in it", str(error), flags=re.DOTALL), 300)
    if isinstance(error, OSError):
        return redact(f"{error.filename}: {error.strerror}", 300)
    if isinstance(error, binascii.Error):
        return "a value in it is not base64"
    return f"it is not laid out as one ({type(error).__name__})"


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what the client only logs: that an exec plugin failed."""
    found: list[str] = []
    thread = threading.get_ident()

    def collect(record: logging.LogRecord) -> bool:
        if record.module != "kube_config" or record.thread != thread:
            return True
        found.append(redact(record.getMessage(), 300))
        return False

    logging.root.addFilter(collect)
    try:
        yield found
    finally:
        logging.root.removeFilter(collect)


class Connection:
    """An API server, with connections that are kept open."""

    def __init__(
        self, name: str, configuration: Any, size: int, timing: Timing, closed: threading.Event | None = None
    ) -> None:
        self.name = name
        self.closed = closed or threading.Event()
        """No further request is made once it is set; may be shared."""
        self.ahead: float | None = None
        """Seconds that the server's clock was ahead of ours at its last answer; None where it has not told yet."""
        self._configuration = configuration
        self._timing = timing
        self._credentials = threading.Lock()
        configuration.connection_pool_maxsize = size
        try:
            if configuration.proxy:
                configuration.proxy_headers = _proxy_headers(configuration.proxy, configuration.proxy_headers or {})
            self._pool: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
        except (OSError, ValueError, exceptions.HTTPError) as error:  # its text may quote a URL with a password
            raise ApiError(f"{name}: its address, or that of its proxy, cannot be used") from error
        except ImportError as error:
            raise ApiError(f"{name}: a SOCKS proxy needs the package PySocks") from error
        if not configuration.verify_ssl:  # said in settings, no need to say it again with each request
            urllib3.disable_warnings(exceptions.InsecureRequestWarning)

    def parse(self, body: bytes) -> Any:
        """Read JSON; raises ApiError where it is none."""
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ApiError(f"{self.name}: the answer is not JSON", status=200) from error

    def close(self) -> None:
        """End all waiting; no further request is made."""
        self.closed.set()
        self.release()

    def release(self) -> None:
        """Let go of the connections that are kept open."""
        self._pool.clear()

    def get(self, path: str, query: Mapping[str, str]) -> bytes:
        """Fetch the body of an answer 200; 429, 5xx and broken connections are tried again.

        Raises Expired on 410 and ApiError on anything else that is not a usable answer.
        """
        return self._steadily("GET", path, {"fields": dict(query)})

    def post(self, path: str, document: object) -> bytes:
        """Send a document that the server answers and does not keep, such as an access review; else as ``get``."""
        return self._steadily("POST", path, {"body": orjson.dumps(document)})

    def _steadily(self, verb: str, path: str, given: Mapping[str, Any]) -> bytes:
        wait = self._timing.backoff
        for attempt in range(1, self._timing.attempts + 1):
            if self.closed.is_set():
                raise ApiError(f"{self.name}: reading was broken off")
            try:
                return self._once(verb, path, given)
            except ApiError as error:
                passing = error.status in _RETRIED or isinstance(error, _Broken)
                if not passing or attempt == self._timing.attempts:
                    raise
                pause = error.retry_after if error.retry_after is not None else wait * random.uniform(0.75, 1.25)  # noqa: S311
                if pause > self._timing.longest or self.closed.wait(pause):
                    raise
                wait *= 2
        raise AssertionError("unreachable")

    def _once(self, verb: str, path: str, given: Mapping[str, Any]) -> bytes:
        headers = self._headers() | ({"Content-Type": "application/json"} if "body" in given else {})
        began = time.time()
        try:
            response = self._pool.request(
                verb,
                self._configuration.host + path,
                **given,
                headers=headers,
                timeout=urllib3.Timeout(connect=self._timing.connect, read=self._timing.read),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (exceptions.HTTPError, OSError, ValueError) as error:
            raise self._translated(error) from error
        self.ahead = dates.ahead(response.headers.get("Date"), (began + time.time()) / 2)
        try:
            body = self._body(response)
        except (exceptions.HTTPError, OSError) as error:
            response.close()
            raise self._translated(error, response.status) from error
        response.release_conn()
        if response.status == {"GET": 200, "POST": 201}[verb]:
            return body
        raise self._refusal(response.status, body, response.headers)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": f"publisher/{__version__}"}
        try:
            with self._credentials, _complaints() as complaints:  # may run an exec plugin or read a token file anew
                for setting in self._configuration.auth_settings().values():
                    if setting["in"] == "header" and setting["value"]:
                        headers[setting["key"]] = setting["value"].strip()
        except Exception as error:  # as in from_kubeconfig
            raise ApiError(f"{self.name}: the credentials cannot be renewed: {_described(error)}") from error
        if complaints:
            raise ApiError(f"{self.name}: the credentials cannot be renewed: {complaints[0]}")
        return headers

    def _body(self, response: urllib3.BaseHTTPResponse) -> bytes:
        deadline = time.monotonic() + self._timing.total
        chunks = []
        size = 0
        while chunk := response.read1(_CHUNK):  # what has come so far: read() would wait for all of it
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY:
                response.close()
                raise ApiError(f"{self.name}: the answer is larger than {MAX_BODY >> 20} MiB", status=200)
            if time.monotonic() > deadline:
                response.close()
                raise _Broken(f"{self.name}: the answer took longer than {self._timing.total:g} s")
        return b"".join(chunks)

    def _refusal(self, status: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
        """Put an answer other than 200 into words. A body that is no Status is dropped: it may hold anything."""
        try:
            document = orjson.loads(body)
            message = str(document["message"]) if document.get("kind") == "Status" else ""
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
            message = ""
        text = f"{self.name}: HTTP {status}" + (f": {redact(message, 256)}" if message else "")
        kind = Expired if status == 410 else ApiError
        return kind(text, status=status, retry_after=dates.seconds(headers.get("Retry-After")))

    def _translated(self, error: Exception, status: int = 0) -> ApiError:
        """Put a failure of the network into words; ``status`` where it came in the middle of an answer."""
        name = self.name
        if isinstance(error, exceptions.ProxyError):
            name, error = f"{name}: proxy", error.original_error
        if isinstance(error, exceptions.NameResolutionError):
            return _Broken(f"{name}: the host name cannot be resolved")
        if isinstance(error, exceptions.TimeoutError | TimeoutError):
            connecting = isinstance(error, exceptions.ConnectTimeoutError) or "handshake" in str(error.__context__)
            if not isinstance(error, exceptions.NewConnectionError):  # a refusal, which urllib3 counts among these
                seconds = self._timing.connect if connecting else self._timing.read
                return _Broken(f"{name}: no {'connection' if connecting else 'answer'} within {seconds:g} s")
        if isinstance(error, ValueError):  # its text may quote a URL with a password, or a header with a token
            return ApiError(f"{name}: its address or the credentials for it are not valid")
        reason = error.__cause__ or error.__context__ or error
        if isinstance(error, exceptions.SSLError):
            kind = _Broken if isinstance(reason, _TLS_ENDED) else ApiError
            return kind(f"{name}: TLS: {redact(str(error), 200)}")
        text = redact(getattr(reason, "strerror", None) or str(reason) or type(error).__name__, 200)
        return _Broken(f"{name}: {f'the answer broke off: {text}' if status else text}", status=status)


class _Broken(ApiError):
    """No complete answer; the next attempt may get one."""


def _proxy_headers(url: str, given: Mapping[str, str]) -> dict[str, str]:
    """Add the user and password of a proxy's URL, which urllib3 leaves out, to the headers for it."""
    auth = urllib3.util.parse_url(url).auth
    if not auth or any(name.lower() == "proxy-authorization" for name in given):
        return dict(given)
    return {**given, **urllib3.make_headers(proxy_basic_auth=unquote(auth))}
