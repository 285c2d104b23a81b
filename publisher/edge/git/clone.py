"""A remote repository by its URL, kept as a bare clone in the cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from publisher.core.redact import redact
from publisher.edge.git import store
from publisher.edge.git.checkout import SETTINGS
from publisher.edge.git.run import NETWORK_SECONDS, GitRunner, failure
from publisher.errors import GitError, UsageError


def cache_folder() -> Path:
    """Give the folder for clones: ``$XDG_CACHE_HOME/publisher`` or ``~/.cache/publisher``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "publisher"


class Clone:
    """A config repository behind a URL. One process at a time works on its clone; others wait."""

    def __init__(self, url: str) -> None:
        self.name = redact(url)
        cache = cache_folder()
        folder = cache / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.git"
        try:
            cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = folder.with_suffix(".lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError as error:
            raise UsageError(f"{cache}: {error.strerror}; name another cache with XDG_CACHE_HOME") from error
        self._git = GitRunner(folder)
        self._url = url
        if folder.is_dir():
            self._fetch()
        else:
            self._clone(cache, folder)

    def _clone(self, cache: Path, folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix=".clone-", dir=cache) as scratch:
            target = Path(scratch) / "clone"
            # the URL may carry a password: it is given to each command and not kept in the clone
            arguments = ("clone", "--quiet", "--bare", "--no-tags", "--end-of-options", self._url, str(target))
            status, _, err = GitRunner(cache).attempt(*arguments, seconds=NETWORK_SECONDS)
            if status:
                raise GitError(failure("clone", err))
            GitRunner(target).run("remote", "remove", "origin")
            target.rename(folder)

    def _fetch(self) -> None:
        store.fetch(self._git, self._url, "+refs/heads/*:refs/heads/*")

    def settings(self) -> bytes:
        """Give publisher.yaml of the remote's own branch."""
        return self.settings_at(self.head())

    def head(self) -> str:
        """Give the commit of the remote's own branch."""
        found = store.resolve(self._git, "HEAD")
        if not found:
            raise UsageError(f"{self.name}: the repository is empty; push what publisher init lays down first")
        return found

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        """Read the files of a commit below some paths."""
        return store.read_tree(self._git, commit, paths)

    def newest(self, branch: str) -> str:
        """Give the commit to build on, as fetched last."""
        found = store.resolve(self._git, f"refs/heads/{branch}")
        if not found:
            raise UsageError(f"{self.name}: there is no branch {branch}; push it, or change git.branch")
        return found

    def settings_at(self, commit: str) -> bytes:
        """Give publisher.yaml of a commit."""
        found = self.tree(commit, (SETTINGS,)).get(SETTINGS)
        if found is None:
            raise UsageError(f"{self.name}: no {SETTINGS} in the repository; publisher init lays one down")
        return found

    def publish(self, base: str, changes: Mapping[str, bytes | None], message: str, author: str, branch: str) -> str:
        """Commit on ``base`` and push; gives the commit.

        Raises PushRejected where the remote has moved on; what it has now is fetched.
        """
        made = store.commit(self._git, base, changes, message, author)
        try:
            store.push(self._git, self._url, made, branch)
        except GitError:
            self._fetch()
            raise
        self._git.run("update-ref", f"refs/heads/{branch}", made)
        return made
