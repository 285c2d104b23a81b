"""A codebase of a Pipy Repo. It has no locks and no history: what is staged is looked at again before it goes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from publisher.core.canonical import ParseError, load_json
from publisher.core.codebase import Difference, Edition, Holding, Instance
from publisher.edge.pipy.http import SYSTEM, UPLOADS, USUAL, Access, Server, Timing, split
from publisher.errors import Overtaken, PublisherError, RepoError

T = TypeVar("T")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Codebase:
    """What the Repo says of a codebase."""

    version: str
    main: str
    files: frozenset[str]
    edited: frozenset[str]
    erased: frozenset[str]
    instances: tuple[Instance, ...]


class PipyRepo:
    """A codebase by the URL that workers load it from."""

    def __init__(self, url: str, access: Access = SYSTEM, timing: Timing = USUAL) -> None:
        found, codebase = split(url)
        self._server = Server(found, access, timing)
        self._tries = timing.tries
        self._path = quote(codebase)
        self.name = f"{self._server.name}/repo/{codebase}"

    def look(self) -> Holding:
        """Give what is there now."""
        found = self._codebase()
        if found is None:
            return Holding(instances=())
        return Holding(found.version, found.files, found.main, found.edited | found.erased, found.instances)

    def discard(self, leftovers: Collection[str]) -> None:
        """Drop changes that were staged and not published."""
        self._each(leftovers, self._unstage)

    def read(self, paths: Collection[str]) -> dict[str, bytes]:
        """Give the published contents of files; those that nobody published are left out."""
        found = self._each(paths, lambda path: (path, self._published(path)))
        return {path: data for path, data in found if data is not None}

    def publish(self, before: Holding, edition: Edition, change: Difference, told: Progress) -> None:
        """Stage what differs, look whether that and nothing else is staged, publish, and read back.

        Raises Overtaken where somebody else is at it.
        """
        if not before.version:
            self._create()
        with self._clean_after_failure(change):
            steps = [(path, edition.files[path]) for path in change.uploads] + [
                (path, None) for path in change.deletions
            ]
            self._each(steps, lambda step: self._stage(*step), told)
            self._commit(before, edition, change)
        self._check_published(edition)

    @contextmanager
    def _clean_after_failure(self, change: Difference) -> Iterator[None]:
        """Take back what was staged, as far as that can be done; what is left, the next run drops."""
        try:
            yield
        except BaseException as failure:
            try:
                staged = self._codebase()
                ours = {*change.uploads, *change.deletions}
                self.discard(ours & (staged.edited | staged.erased) if staged else ())
            except PublisherError as error:
                failure.add_note(f"what was uploaded is still staged ({error}); the next sync drops it")
            raise

    def _commit(self, before: Holding, edition: Edition, change: Difference) -> None:
        """Publish what is staged. Its answer proves nothing, so the Repo is asked each time what it has."""
        body = json.dumps({"version": edition.version, "main": f"/{edition.main}"}).encode()
        self._check_staged(self._codebase(), before, change)
        for attempt in range(1, self._tries + 1):
            problem = RepoError(f"{self.name}: the Repo says that it published, and has not; see its log")
            try:
                self._server.ask("PATCH", f"/api/v1/repo/{self._path}", "publish", body, expect=(201,), once=True)
            except RepoError as error:
                if 400 <= error.status < 500 and error.status != 429:
                    raise
                problem = error
            now = self._codebase()
            if now and now.version == edition.version and not now.edited and not now.erased:
                return
            self._check_staged(now, before, change)
            if attempt < self._tries:
                self._server.wait(attempt, problem.retry_after)
        raise problem

    def _check_staged(self, now: Codebase | None, before: Holding, change: Difference) -> None:
        if now is None or now.version != (before.version or "0"):
            raise self._overtaken(f"it has version {now.version}" if now else "it is gone")
        if before.version and now.files != before.files:
            raise self._overtaken("it has other files")
        if now.edited != set(change.uploads) or now.erased != set(change.deletions):
            strange = (now.edited ^ set(change.uploads)) | (now.erased ^ set(change.deletions))
            raise self._overtaken(f"staged is not what was uploaded: {', '.join(sorted(strange)[:3])}")

    def _check_published(self, edition: Edition) -> None:
        # all of it, since a whole publication of somebody else may have come between the last look and ours
        found = self.read(edition.files)
        wrong = sorted(path for path, data in edition.files.items() if found.get(path) != data)
        now = self._codebase()
        if now is None or now.version != edition.version:
            raise self._overtaken(f"right after that it has version {now.version}" if now else "it is gone")
        wrong += sorted(now.files ^ edition.files.keys())
        if wrong:
            raise self._overtaken(f"published is not what was meant: {', '.join(wrong[:3])}")

    def _overtaken(self, what: str) -> Overtaken:
        return Overtaken(f"{self.name}: somebody else changes it at the same time: {what}; sync it from one place only")

    def _codebase(self) -> Codebase | None:
        """Ask what the Repo has; gives None where there is no such codebase."""
        path = f"/api/v1/repo/{self._path}"
        status, data = self._server.ask("GET", path, "read", expect=(200, 404))
        if status == 404:
            return None
        try:
            return _read(load_json(data))
        except (ParseError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise RepoError(f"{self.name}: this is no answer of a Pipy Repo; check the address") from error

    def _create(self) -> None:
        # 400: it is there, by an attempt whose answer was lost or by somebody else; what it has is looked at later
        self._server.ask("POST", f"/api/v1/repo/{self._path}", "create the codebase", b"{}", expect=(201, 400))
        if self._codebase() is None:
            raise RepoError(f"{self.name}: the Repo hides it behind a codebase with a part of its path; name another")

    def _stage(self, path: str, data: bytes | None) -> None:
        url = self._file(path)
        if data is None:
            status, _ = self._server.ask("DELETE", url, f"delete {path}", expect=(204, 404))
        else:
            status, _ = self._server.ask("POST", url, f"upload {path}", data, expect=(201, 404))
        if status == 404:
            raise self._overtaken("it is gone")

    def _unstage(self, path: str) -> None:
        self._server.ask("PATCH", self._file(path), f"unstage {path}", b"", expect=(201, 404))

    def _published(self, path: str) -> bytes | None:
        url = f"/repo/{self._path}/{quote(path)}"
        status, data = self._server.ask("GET", url, f"read {path}", expect=(200, 404))
        return data if status == 200 else None

    def _file(self, path: str) -> str:
        return f"/api/v1/repo-files/{self._path}/{quote(path)}"

    def _each(self, items: Collection[Any], work: Callable[[Any], T], told: Progress | None = None) -> list[T]:
        """Do something for each, several at the same time; after the first failure nothing more is begun."""
        done = []
        with ThreadPoolExecutor(UPLOADS) as threads:
            try:
                for future in as_completed([threads.submit(work, item) for item in items]):
                    done.append(future.result())
                    if told:
                        told(len(done), len(items))
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        return done


def _read(document: Any) -> Codebase:
    return Codebase(
        str(document["version"]),
        str(document["main"]).removeprefix("/"),
        _paths(document["files"]),
        _paths(document["editFiles"]),
        _paths(document["erasedFiles"]),
        tuple(_instance(item) for item in document["instances"].values()),
    )


def _paths(found: Iterable[str]) -> frozenset[str]:
    return frozenset(path.removeprefix("/") for path in found)


def _instance(item: Any) -> Instance:
    status = item["status"]
    address = str(item["ip"] or status["ip"])
    return Instance(str(status["uuid"]), str(status["name"]), address, str(status["version"]), int(item["timestamp"]))
