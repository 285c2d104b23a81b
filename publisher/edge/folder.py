"""A folder that Pipy loads its codebase from: a folder for each version in it, and ``current``, a link to one of them.

``DIR/current`` is moved over in one step, to a version that is complete and on disk. From before that step until the
command that is to be run then has ended well, ``DIR/.unconfirmed`` says which version counts so far: what a run that is
killed in between leaves undone, the next one does.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from publisher.core.codebase import Difference, Edition, Holding, parse
from publisher.core.redact import redact
from publisher.errors import Overtaken, PublisherError

KEPT = 5
"""Versions that stay besides the one that is current."""
AFTER_SECONDS = 60.0
"""For the command that is run afterwards."""
_STAGE = ".new-"
_MARK = ".unconfirmed"
_LINES = 20
"""Of what the command prints."""


class FolderPlace:
    """A folder as a place of a sync."""

    def __init__(self, folder: Path, after: str = "", say: Callable[[str], None] = lambda line: None) -> None:
        """Take the command to run by ``sh -c`` after each change, and what tells people what it prints."""
        self._folder = folder.absolute()
        self._current = self._folder / "current"
        self._mark = self._folder / _MARK
        self._after = after
        self._say = say

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._folder)

    def look(self) -> Holding:
        """Give what is current; a version that no commit is called where that is none of ours."""
        with self._told():
            version = self._version()
            return Holding(version, frozenset(_files(self._folder / version)) if parse(version) else frozenset())

    def discard(self, leftovers: Collection[str]) -> None:
        """Do nothing: what was begun here is in nobody's way."""

    def read(self, paths: Collection[str]) -> dict[str, bytes]:
        """Give the contents of files of what is current."""
        with self._told():
            top = self._folder / self._version()
            return {path: (top / path).read_bytes() for path in paths}

    def publish(self, before: Holding, edition: Edition, change: Difference, told: Callable[[int, int], None]) -> None:
        """Lay an edition down, make it current, and run the command; where that fails, take it back and raise.

        Raises Overtaken where something else is current than in ``before``, or another sync is at work here.
        """
        with self._told(), self._locked():
            if self._version() != before.version:
                raise Overtaken(f"{self.name}: somebody else has changed what is current")
            target = self._target()
            if target is None:
                raise PublisherError(f"{self._current} is no link, so nothing can be put in its place; move it away")
            self._sweep()
            stage = self._laid(edition.files, told)
            self._confirm(before.version)
            self._settle(stage, edition.version)
            if self._after and (why := self._run()):
                self._back(before.version if parse(before.version) else target)
                raise PublisherError(f"{self.name}: {why}, so it is as before; see what the command says")
            self._mark.unlink()
            _sync(self._folder)
            self._sweep()
            self._prune()

    def _version(self) -> str:
        """Give the version that counts; for a link that leads elsewhere, or what is no link, that."""
        with suppress(FileNotFoundError):
            counts = self._mark.read_text(encoding="utf-8")
            return counts if not parse(counts) or _is_dir(self._folder / counts) else ""
        target = self._target()
        if target is None:
            return f"({self._current} is no link)"
        ours = not target or (parse(target) and _is_dir(self._folder / target))
        return target if ours else f"({self._current} -> {target})"

    def _target(self) -> str | None:
        """Give where the link leads; empty where there is none, None where there is something else."""
        if not os.path.lexists(self._current):
            return ""
        return str(self._current.readlink()) if self._current.is_symlink() else None

    def _laid(self, files: Mapping[str, bytes], told: Callable[[int, int], None]) -> Path:
        """Write files to a new folder, and bring them to disk; gives the folder."""
        for path in files:
            if path.startswith("/") or not path or {"", ".", ".."} & set(path.split("/")) or "\0" in path:
                raise PublisherError(f"{self.name}: {redact(repr(path), 200)} is no name for a file below it")
        stage = Path(tempfile.mkdtemp(prefix=_STAGE, dir=self._folder))
        try:
            stage.chmod(0o755)
            folders = {PurePosixPath(path).parent for path in files}
            folders |= {above for folder in folders for above in folder.parents}
            for folder in sorted(folders - {PurePosixPath()}):
                (stage / folder).mkdir()
                (stage / folder).chmod(0o755)
            for number, (path, data) in enumerate(files.items(), 1):
                (stage / path).write_bytes(data)
                (stage / path).chmod(0o644)
                told(number, len(files))
            for path in (*map(str, folders), *files):  # after all are written, which is faster
                _sync(stage / path)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        return stage

    def _settle(self, stage: Path, version: str) -> None:
        """Give a new folder its name and make it current, if need be in the place of one that was spoilt."""
        target = self._folder / version
        if self._target() == version and target.exists():
            self._flip(stage.name)
            shutil.rmtree(target)
            shutil.copytree(stage, target, copy_function=os.link)
            _sync(self._folder)
            self._flip(version)
        else:
            shutil.rmtree(target, ignore_errors=True)
            stage.rename(target)
            _sync(self._folder)
            self._flip(version)

    def _flip(self, target: str) -> None:
        """Make a folder current in one step."""
        link = self._folder / f"{_STAGE}link"
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        link.replace(self._current)
        _sync(self._folder)

    def _back(self, was: str) -> None:
        """Make current again what was, and load it again."""
        if was:
            self._flip(was)
            if why := self._run():
                self._say(f"{self.name}: and with what was there before {why}")
        else:
            self._current.unlink()
        self._mark.unlink()
        _sync(self._folder)

    def _run(self) -> str:
        """Run the command; gives what went wrong."""
        with tempfile.TemporaryFile() as printed:
            try:
                process = subprocess.Popen(
                    ["sh", "-c", self._after],
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                return f"--after cannot be run: {error.strerror}"
            try:
                status = process.wait(AFTER_SECONDS)
                why = f"--after ended with {status}" if status else ""
            except BaseException as error:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                why = f"--after was not done after {AFTER_SECONDS:g} s"
            printed.seek(0)
            lines = printed.read(1 << 16).decode(errors="replace").splitlines()
        for line in lines[:_LINES]:
            self._say(f"--after: {redact(line)}")
        if len(lines) > _LINES:
            self._say(f"--after: ... ({len(lines) - _LINES} more lines)")
        return why

    def _sweep(self) -> None:
        """Remove what a run left behind that was killed."""
        for path in self._folder.glob(f"{_STAGE}*"):
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.name != self._target():
                shutil.rmtree(path)

    def _prune(self) -> None:
        """Remove old versions, but for the newest."""
        current = self._target()
        old = [path for path in self._folder.iterdir() if parse(path.name) and path.name != current and _is_dir(path)]
        for path in sorted(old, key=lambda path: path.stat().st_mtime_ns, reverse=True)[KEPT:]:
            shutil.rmtree(path, ignore_errors=True)

    def _confirm(self, version: str) -> None:
        """Say that this version counts until the next one is confirmed."""
        fresh = self._folder / f"{_STAGE}mark"
        fresh.write_text(version, encoding="utf-8")
        _sync(fresh)
        fresh.replace(self._mark)
        _sync(self._folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other syncs out."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Overtaken(f"{self.name}: another sync is at work there") from error
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PublisherError(f"{error.filename or self.name}: {error.strerror}") from error


def _is_dir(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _files(top: Path) -> Iterator[str]:
    """Give the paths of all that is below a folder and is none itself. Links are not followed."""
    for folder, folders, files in os.walk(top, onerror=_raise):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*files, *links):
            yield (Path(folder) / name).relative_to(top).as_posix()


def _raise(error: OSError) -> None:
    raise error


def _sync(path: Path) -> None:
    """Bring a file, or what a folder lists, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
