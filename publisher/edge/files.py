"""Plain folders: read as a tree of files, written so that a file is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

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

    def __init__(self, top: Path) -> None:
        if not top.is_dir():
            raise UsageError(f"{top}: no such folder")
        self.top = top

    def settings(self) -> bytes:
        """Give publisher.yaml."""
        path = self.top / "publisher.yaml"
        if not path.is_file():
            raise UsageError(f"{path}: no such file; publisher init lays one down, --repo names another repository")
        return read_file(path)

    def head(self) -> str:
        """Give nothing: a folder has no commits."""
        return ""

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        """Read all files below some paths. Links are not followed."""
        tree = {}
        for folder in paths:
            for path in sorted((self.top / folder).rglob("*")):
                if path.is_file() and not path.is_symlink():
                    tree[path.relative_to(self.top).as_posix()] = read_file(path)
        return tree


def write_new_tree(top: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder where none of them is yet; raises UsageError naming all that are."""
    taken = sorted(path for path in files if (top / path).exists() or (top / path).is_symlink())
    if taken:
        raise UsageError(f"{top}: would overwrite {', '.join(taken)}; nothing was written")
    try:
        for path, content in files.items():
            _write(top / path, content)
    except OSError as error:
        raise UsageError(f"{error.filename or top}: {error.strerror}") from error


def replace_folder(folder: Path, files: Mapping[str, bytes], marker: str) -> None:
    """Put a folder of files in place of an older one at once.

    What is there already has to be such a folder itself, known by its file ``marker``, or empty.
    """
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / marker).is_file())):
        raise UsageError(f"{folder}: there is something else here; name a new or empty folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
            fresh, old = Path(scratch) / "new", Path(scratch) / "old"
            for path, content in files.items():
                _write(fresh / path, content)
            if folder.exists():
                folder.rename(old)
            fresh.rename(folder)
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
    if not top.is_dir():
        raise UsageError(f"{top}: no such folder")
    return Folder(top).tree("", (".",))
