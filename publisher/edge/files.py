"""Plain folders: read as a tree of files, written so that a file is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePath

from publisher.errors import UsageError

MAX_FILE = 64 * 1024 * 1024


def read_file(path: Path) -> bytes:
    """Read one file; raises UsageError where that cannot be done."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise UsageError(f"{path}: larger than {MAX_FILE >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


class Folder:
    """A config repository as it lies in a folder, with or without Git."""

    def __init__(self, top: Path, settings: str = "publisher.yaml") -> None:
        if not os.access(top, os.R_OK | os.X_OK) or not top.is_dir():
            raise UsageError(f"{top}: no such folder, or not for this account to read")
        self.top = top
        self.settings_file = settings

    def settings(self) -> bytes:
        """Give publisher.yaml."""
        path = self.top / self.settings_file
        if not path.is_file():
            raise UsageError(f"{path}: no such file; publisher init lays one down, --repo names another repository")
        return read_file(path)

    def head(self) -> str:
        """Give nothing: a folder has no commits."""
        return ""

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        """Read all files below some paths. Links are not followed."""
        tree = {}
        top = self.top.resolve()
        for start in (top / path for path in paths):
            for folder, _, names in os.walk(start, onerror=_unreadable) if start == start.resolve() else ():
                for path in (Path(folder, name) for name in names):
                    if path.is_file() and not path.is_symlink():
                        tree[path.relative_to(top).as_posix()] = read_file(path)
        return dict(sorted(tree.items()))


def _unreadable(error: OSError) -> None:
    """Take a folder that is not there for empty, and one that cannot be read for what it is: unknown."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise UsageError(f"{error.filename}: {error.strerror}") from error


def write_new_tree(top: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder where none of them is yet; raises UsageError naming all that are, or links."""
    folders = {str(folder) for path in files for folder in PurePath(path).parents[:-1]}
    taken = {path for path in files if os.path.lexists(top / path)}
    taken |= {path for path in folders if os.path.lexists(top / path) and not _is_folder(top / path)}
    if taken:
        raise UsageError(f"{top}: would overwrite {', '.join(sorted(taken))}; nothing was written")
    written = []
    try:
        for path, content in files.items():
            _write(top / path, content)
            written.append(top / path)
    except BaseException as error:
        for file in written:
            file.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(f"{error.filename or top}: {error.strerror}; nothing was written") from error
        raise


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def replace_folder(folder: Path, files: Mapping[str, bytes], marker: str) -> None:
    """Put a folder of files in place of an older one at once.

    What is there already has to be such a folder itself, known by its file ``marker``, or empty.
    """
    try:
        if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / marker).is_file())):
            raise UsageError(f"{folder}: there is something else here; name a new or empty folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
            fresh, old = Path(scratch) / "new", Path(scratch) / "old"
            for path, content in files.items():
                _write(fresh / path, content)
            try:
                if folder.exists():
                    folder.rename(old)
                fresh.rename(folder)
            except BaseException:
                if old.exists():
                    old.rename(folder)
                raise
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: {error.strerror}") from error


def write_file(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write one file whole or not at all."""
    try:
        _write(path, content, mode)
    except OSError as error:
        raise UsageError(f"{error.filename or path}: {error.strerror}") from error


def _write(path: Path, content: bytes, mode: int = 0o666) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, mode & ~mask)  # noqa: PTH101
        os.replace(name, path)  # noqa: PTH105
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_folder(top: Path) -> dict[str, bytes]:
    """Read a whole folder, by path from there. Links are not followed."""
    return Folder(top).tree("", (".",))
