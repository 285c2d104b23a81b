"""One API server: credentials and transport are the kubernetes client's, answers are read as bytes.

The typed models of the client are not used: they are tens of times slower than what is needed here.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import urllib3
from kubernetes import config as kubeconfig
from kubernetes.client import Configuration
from kubernetes.client.rest import RESTClientObject
from urllib3 import exceptions

from publisher import __version__
from publisher.core.redact import redact
from publisher.errors import ApiError, Expired, UsageError

MAX_BODY = 64 * 1024 * 1024
"""Bytes of one answer; a page of 500 Nodes has some 10 MB."""
_CHUNK = 1024 * 1024
_RETRIED = (429, 500, 502, 503, 504)


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
    try:
        try:
            kubeconfig.load_kube_config(file, context or None, configuration, persist_config=False)  # type: ignore[no-untyped-call]
        except kubeconfig.ConfigException:
            if file or context:
                raise
            kubeconfig.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
    except kubeconfig.ConfigException as error:
        raise UsageError(
            f"no credentials for Karmada: {redact(str(error))}; name a kubeconfig with --kubeconfig or KUBECONFIG, "
            "and its context with karmada.context in publisher.yaml or --context"
        ) from error
    except Exception as error:  # the client lets YAML, base64 and file errors through as they come
        raise UsageError(f"the kubeconfig cannot be used: {redact(str(error).splitlines()[0])}") from error
    return Connection("Karmada", configuration, size, timing)


class Connection:
    """An API server, with connections that are kept open."""

    def __init__(self, name: str, configuration: Any, size: int, timing: Timing) -> None:
        self.name = name
        self._configuration = configuration
        self._timing = timing
        self._closed = threading.Event()
        self._credentials = threading.Lock()
        configuration.connection_pool_maxsize = size
        try:
            self._pool: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
        except (OSError, ValueError, exceptions.HTTPError) as error:
            raise ApiError(f"{name}: {redact(str(error))}") from error

    def parse(self, body: bytes) -> Any:
        """Read JSON; raises ApiError where it is none."""
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ApiError(f"{self.name}: the answer is not JSON", status=200) from error

    def close(self) -> None:
        """End all waiting; no further request is made."""
        self._closed.set()
        self._pool.clear()

    def get(self, path: str, query: Mapping[str, str]) -> bytes:
        """Fetch the body of an answer 200; 429, 5xx and broken connections are tried again.

        Raises Expired on 410 and ApiError on anything else that is not a usable answer.
        """
        wait = self._timing.backoff
        for attempt in range(1, self._timing.attempts + 1):
            try:
                return self._once(path, query)
            except ApiError as error:
                passing = error.status in _RETRIED or (error.status == 0 and isinstance(error, _Broken))
                if not passing or attempt == self._timing.attempts:
                    raise
                pause = error.retry_after if error.retry_after is not None else wait * random.uniform(0.75, 1.25)  # noqa: S311
                if pause > self._timing.longest or self._closed.wait(pause):
                    raise
                wait *= 2
        raise AssertionError("unreachable")

    def _once(self, path: str, query: Mapping[str, str]) -> bytes:
        try:
            response = self._pool.request(
                "GET",
                self._configuration.host + path,
                fields=dict(query),
                headers=self._headers(),
                timeout=urllib3.Timeout(connect=self._timing.connect, read=self._timing.read),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (exceptions.HTTPError, OSError) as error:
            raise self._translated(error) from error
        try:
            body = self._body(response)
        except (exceptions.HTTPError, OSError) as error:
            response.close()
            raise self._translated(error) from error
        response.release_conn()
        if response.status == 200:
            return body
        raise self._refusal(response.status, body, response.headers)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": f"publisher/{__version__}"}
        with self._credentials:  # may run an exec plugin or read a token file anew
            for setting in self._configuration.auth_settings().values():
                if setting["in"] == "header" and setting["value"]:
                    headers[setting["key"]] = setting["value"]
        return headers

    def _body(self, response: urllib3.BaseHTTPResponse) -> bytes:
        deadline = time.monotonic() + self._timing.total
        chunks = []
        size = 0
        while chunk := response.read(_CHUNK):
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
        return kind(text, status=status, retry_after=_seconds(headers.get("Retry-After")))

    def _translated(self, error: Exception) -> ApiError:
        if isinstance(error, exceptions.ConnectTimeoutError):
            return _Broken(f"{self.name}: no connection within {self._timing.connect:g} s")
        if isinstance(error, exceptions.ReadTimeoutError | TimeoutError):
            return _Broken(f"{self.name}: no answer within {self._timing.read:g} s")
        if isinstance(error, exceptions.SSLError):
            return ApiError(f"{self.name}: TLS: {redact(str(error), 200)}")
        if isinstance(error, exceptions.NameResolutionError):
            return ApiError(f"{self.name}: the host name cannot be resolved")
        reason = error.__cause__ or error.__context__ or error
        text = getattr(reason, "strerror", None) or str(reason) or type(error).__name__
        return _Broken(f"{self.name}: {redact(str(text), 200)}")


class _Broken(ApiError):
    """No complete answer; the next attempt may get one."""


def _seconds(header: str | None) -> float | None:
    """Read Retry-After: seconds, or an HTTP date."""
    if header is None:
        return None
    if header.isdigit():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
