"""A stand-in of a Pipy worker: it loads what a Repo has, keeps what it runs when that does not load, and reports."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping

from publisher.demo.repo import Repo
from publisher.demo.running import Running

Loads = Callable[[Mapping[str, bytes]], bool]
"""Whether a program loads: the files by path, main.js among them."""

_THROW = re.compile(rb"^throw\b", re.MULTILINE)


def loads(files: Mapping[str, bytes]) -> bool:
    """Tell whether a program loads: not where a line of main.js starts with ``throw``. That is a stand-in's rule."""
    return not _THROW.search(files.get("/main.js", b""))


class Worker(Running):
    """A worker of a codebase, for as long as the context lasts; the next one is a new instance.

    Like Pipy, it reports no version until it has loaded one that was published after it had started.
    """

    def __init__(
        self, repo: Repo, codebase: str, name: str, *, loads: Loads = loads, report_seconds: float = 5
    ) -> None:
        """Prepare a worker of a codebase (``edge``) that looks and reports every so many seconds."""
        self.name = name
        self.uuid = str(uuid.uuid4())
        self.loads = loads
        self.running: dict[str, bytes] = {}
        """The files of the program that it runs; none before it could load one."""
        self.version = ""
        """What it says it runs."""
        self._repo = repo
        self._path = f"/repo/{codebase}"
        self._report_seconds = report_seconds
        self._since = time.time()
        self._etag: str | None = None
        self._ip = ""
        self._told = threading.Event()
        self._stopping = False

    def start(self) -> None:
        """Work, or go on after a stop as if there had been none."""
        self._stopping = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Go silent: the Repo is not told."""
        self._stopping = True
        self._told.set()
        self._thread.join()
        self._repo.link(self.uuid, None)

    def _work(self) -> None:
        due = time.monotonic()
        while not self._stopping:
            self._connection = self._connect()
            try:
                if time.monotonic() < due:
                    self._load()  # told to
                else:
                    due = time.monotonic() + self._report_seconds
                    self._round()
            except (OSError, http.client.HTTPException):
                pass  # the Repo is away; it still runs what it has
            finally:
                self._connection.close()
            self._told.wait(max(0.0, due - time.monotonic()))
            self._told.clear()

    def _round(self) -> None:
        status, etag, _ = self._ask("HEAD", "/")
        if status == 200 and (etag != self._etag or not self.running):
            self._load()
        if self.running:
            self._report()
            self._repo.link(self.uuid, self._told.set)

    def _load(self) -> None:
        """Download the list of files and then each, as there are no two at once."""
        status, etag, listed = self._ask("GET", "/")
        if status != 200:
            return
        self._etag = etag
        files = {}
        main, *others = listed.decode().splitlines()
        for path in (main, *others):
            status, _, content = self._ask("GET", path)
            if status == 200:
                files[path] = content
            elif status != 404:
                return
        if main in files and self.loads(files):
            self.version = etag if self.running else ""
            self.running = files

    def _report(self) -> None:
        status = {
            "timestamp": int(time.time() * 1000),
            "since": int(self._since * 1000),
            "uuid": self.uuid,
            "name": self.name,
            "ip": self._ip,
            "version": self.version,
            "modules": {},
            "logs": ["pipy_log"],
        }
        self._ask("POST", "/", json.dumps(status).encode())
        self._ip = "127.0.0.1"  # Pipy too knows it from its first report only

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, str, bytes]:
        self._connection.request(method, self._path + path, body)
        with self._connection.getresponse() as answer:
            return answer.status, answer.headers.get("etag", ""), answer.read()

    def _connect(self) -> http.client.HTTPConnection:
        host = self._repo.url.partition("://")[2]
        if self._repo.client_tls:
            return http.client.HTTPSConnection(host, context=self._repo.client_tls, timeout=5)
        return http.client.HTTPConnection(host, timeout=5)
