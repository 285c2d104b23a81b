"""What a Pipy Repo has in memory: codebases, what is staged and published of them, and who loads them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_STATUS: dict[str, Any] = {"timestamp": 0, "since": 0, "uuid": "", "name": "", "ip": "", "version": "", "modules": {}}
_FORGET_SECONDS = 60
"""An instance that has neither a link nor reported for so long is forgotten."""


@dataclass
class Codebase:
    """A codebase as its API tells of it, and as workers download it. Paths start with a slash."""

    path: str
    version: str
    main: str = "/main.js"
    files: dict[str, bytes] = field(default_factory=lambda: {"/main.js": b"// a new codebase\n"})
    edits: dict[str, bytes] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    served: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """What workers download: etag and content by path, that of the list of files is ``/``."""

    def read(self, path: str) -> bytes | None:
        """Give a file with what is staged of it."""
        return None if path in self.erased else self.edits.get(path, self.files.get(path))

    def write(self, path: str, content: bytes) -> None:
        """Stage a file."""
        self.edits[path] = content
        self.erased.discard(path)

    def erase(self, path: str) -> None:
        """Stage that a file goes; what is not published just is not staged any more."""
        self.edits.pop(path, None)
        if path in self.files:
            self.erased.add(path)

    def unstage(self, path: str) -> None:
        """Forget what is staged of a file."""
        self.edits.pop(path, None)
        self.erased.discard(path)

    def publish(self, version: str) -> None:
        """Publish what is staged under a version."""
        self._settle()
        self.version = version
        listed = [self.main, *sorted(self.files.keys() - {self.main})]
        self.served = {path: (version, content) for path, content in self.files.items()}
        self.served["/"] = (version, "\n".join(listed).encode())

    def patch(self) -> None:
        """Publish what is staged without a version: only the etags of the files tell, and the list stays as it is."""
        changed = self.edits.keys() | self.erased
        self._settle()
        for path in changed:
            etag = self.served.pop(path, ("", b""))[0]
            stem, dot, count = etag.rpartition(".")
            if path in self.files:
                self.served[path] = (
                    f"{stem}.{int(count) + 1}" if dot and count.isdigit() else f"{etag}.1",
                    self.files[path],
                )

    def _settle(self) -> None:
        self.files = {path: content for path, content in (self.files | self.edits).items() if path not in self.erased}
        self.edits, self.erased = {}, set()


@dataclass
class Instance:
    """A worker that has reported; its link stands for the WebSocket on which it is told to reload."""

    index: int
    reported: float = 0
    """Seconds since the epoch."""
    codebase: Codebase | None = None
    ip: str = ""
    status: Mapping[str, Any] = field(default_factory=dict)
    link: Callable[[], None] | None = None


class Codebases:
    """All of a Repo."""

    def __init__(self) -> None:
        self._codebases: dict[str, Codebase] = {}
        self._instances: dict[str, Instance] = {}
        self._last = 0

    def __iter__(self) -> Iterator[str]:
        """Give the paths of all codebases."""
        return iter(sorted(self._codebases))

    def get(self, path: str) -> Codebase | None:
        """Find a codebase by its own path."""
        return self._codebases.get(path)

    def owner(self, path: str) -> Codebase | None:
        """Find the codebase that a file is in."""
        while path := path.rpartition("/")[0]:
            if found := self._codebases.get(path):
                return found
        return None

    def create(self, path: str, version: str) -> None:
        """Make a codebase, with a program that is not published yet."""
        self._codebases[path] = Codebase(path, version)

    def delete(self, path: str) -> None:
        """Drop a codebase with all it has."""
        del self._codebases[path]

    def report(self, codebase: Codebase, status: Mapping[str, Any], ip: str) -> None:
        """Take down what a worker reports of itself."""
        uuid = str(status.get("uuid", ""))
        if uuid not in self._instances:
            self._last += 1
            self._instances[uuid] = Instance(self._last)
        instance = self._instances[uuid]
        instance.codebase, instance.ip, instance.reported = codebase, ip, time.time()
        instance.status = {name: status.get(name, default) for name, default in (_STATUS | {"logs": []}).items()}

    def link(self, uuid: str, signal: Callable[[], None] | None) -> None:
        """Let a worker that has reported be told of new versions, or no longer."""
        if uuid in self._instances:
            self._instances[uuid].link = signal

    def instances(self, codebase: Codebase) -> list[Instance]:
        """Give the workers of a codebase, those that are gone for long left out."""
        oldest = time.time() - _FORGET_SECONDS
        self._instances = {uuid: item for uuid, item in self._instances.items() if item.link or item.reported > oldest}
        return [item for item in self._instances.values() if item.codebase is codebase]

    def describe(self, codebase: Codebase) -> bytes:
        """Tell of a codebase as the API does."""
        told = {
            "version": codebase.version,
            "path": codebase.path,
            "main": codebase.main,
            "files": sorted(codebase.files),
            "editFiles": sorted(codebase.edits),
            "erasedFiles": sorted(codebase.erased),
            "baseFiles": [],
            "derived": [],
            "instances": {
                str(item.index): {"ip": item.ip, "timestamp": int(item.reported * 1000), "status": item.status}
                for item in self.instances(codebase)
            },
        }
        return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()
