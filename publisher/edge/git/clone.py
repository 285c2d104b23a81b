"""A remote repository by its URL, kept as a bare clone in the cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from publisher.core.history import Draft
from publisher.core.redact import redact
from publisher.edge.git import push, revert, store
from publisher.edge.git.rehearse import Rehearsing
from publisher.edge.git.run import GitRunner
from publisher.errors import GitError, PushRejected, UsageError

P = ParamSpec("P")
T = TypeVar("T")
_HEAD = "refs/publisher/head"
"""Where the remote's own HEAD is kept."""


def cache_folder() -> Path:
    """Give the folder for clones: ``$XDG_CACHE_HOME/publisher`` or ``~/.cache/publisher``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "publisher"


class Clone(Rehearsing):
    """A config repository behind a URL. One process at a time works on its clone; others wait."""

    def __init__(self, url: str, settings: str = "publisher.yaml") -> None:
        self.name = redact(url)
        self.settings_file = settings
        self._url = url
        self._folder = cache_folder() / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.git"
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self._folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            self._unlock = weakref.finalize(self, os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            hint = "name another cache with XDG_CACHE_HOME"
            raise UsageError(f"{self._folder.parent}: {error.strerror}; {hint}") from error
        self._git = self._runner(self._folder)
        try:
            self._fetch(self._git)
        except GitError:
            self._clone()

    def close(self) -> None:
        """Let other processes work on the clone; this one is done with it."""
        self._unlock()

    @staticmethod
    def _runner(folder: Path) -> GitRunner:
        # named outright, lest git look further up for a repository where this one is damaged
        return GitRunner(folder.parent, f"--git-dir={folder}")

    def _clone(self) -> None:
        """Clone where there is nothing yet, or what there is may be damaged: that stays if this fails too."""
        fresh = self._folder.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        git = self._runner(fresh)
        git.run("init", "--quiet", "--bare", "--template=")
        self._fetch(git)
        shutil.rmtree(self._folder, ignore_errors=True)
        fresh.rename(self._folder)

    def _fetch(self, git: GitRunner) -> None:
        # the URL may carry a password: each command is given it, the clone does not know it
        if not store.fetch(git, self._url, f"+HEAD:{_HEAD}", "+refs/heads/*:refs/heads/*"):
            raise UsageError(
                f"{self.name}: HEAD there is no branch that exists; push what publisher init lays down, or set HEAD"
            )
        self._fresh = True

    def settings(self) -> bytes:
        """Give publisher.yaml of the remote's own branch."""
        return self.settings_at(self.head())

    def head(self) -> str:
        """Give the commit of the remote's own branch."""
        return store.resolve(self._git, _HEAD)

    def latest(self, ref: str) -> str:
        """Give the commit that a branch, tag or commit is on the remote; raises UsageError where there is none."""
        if not ref:
            return self.head()
        found = store.latest(self._git, ref, lambda tag: store.fetch(self._git, self._url, tag))
        if not found and self.has(ref):
            found = ref
        if not found:
            raise UsageError(f"{self.name}: --ref {ref}: no such branch, tag or commit")
        return found

    def has(self, commit: str) -> bool:
        """Tell whether a full commit id is one of this repository, even if no branch has it any more."""
        return store.has(self._git, self._url, commit)

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        """Read the files of a commit below some paths."""
        return self._mended(store.read_tree, self._git, commit, paths)

    def _mended(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except GitError:
            self._clone()
            return read(*args, **kwargs)

    def _source(self) -> str:
        return self._url

    def newest(self, branch: str, publisher: str = "") -> str:
        """Give the commit to build on; what was fetched when the clone was opened, or a push failed, counts once."""
        if not self._fresh:
            self._fetch(self._git)
        self._fresh = False
        found = self.tip(branch)
        if not found:
            raise UsageError(f"{self.name}: there is no branch {branch}; push it, or change git.branch")
        return found

    def tip(self, branch: str) -> str:
        """Give the commit of another branch as fetched last; empty where there is none."""
        return store.resolve(self._git, f"refs/heads/{branch}")

    def reverted(self, base: str, commit: str) -> dict[str, bytes | None]:
        """Give what changes on ``base`` when a commit is taken back; raises Refused naming what does not fit."""
        return revert.reverted(self._git, base, commit)

    def settings_at(self, commit: str) -> bytes:
        """Give publisher.yaml of a commit."""
        found = self.tree(commit, (self.settings_file,)).get(self.settings_file)
        if found is None:
            raise UsageError(f"{self.name}: no {self.settings_file} in the repository; publisher init lays one down")
        return found

    def publish(self, *drafts: Draft) -> str:
        """Commit and push; gives the first commit.

        Raises PushRejected where the remote has moved on; what it has now is fetched.
        """
        made = push.make(self._git, drafts)
        try:
            push.push(self._git, self._url, made)
        except PushRejected:
            self._fetch(self._git)
            raise
        push.track(self._git, "refs/heads", made)
        return made[0].commit
