"""A checkout: somebody's work tree, which is as before or fully at the new commit, never between."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from publisher.edge.git import store
from publisher.edge.git.run import GitRunner
from publisher.errors import GitError, Refused, UsageError

SETTINGS = "publisher.yaml"


class Checkout:
    """A config repository in a folder, with or without a remote."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._git = GitRunner(folder)
        status, out, _ = self._git.attempt("rev-parse", "--show-toplevel")
        if status or Path(out.decode().strip()).resolve() != folder.resolve():
            raise UsageError(f"{folder}: not the top of a Git checkout; run git init or publisher init first")
        if not store.resolve(self._git, "HEAD"):
            raise UsageError(f"{folder}: nothing is committed yet; commit what is there first")

    def settings(self) -> bytes:
        """Give publisher.yaml as it lies in the folder."""
        try:
            return (self._git.folder / SETTINGS).read_bytes()
        except OSError as error:
            raise UsageError(
                f"{self._git.folder / SETTINGS}: {error.strerror}; publisher init lays one down"
            ) from error

    def head(self) -> str:
        """Give the commit that is checked out."""
        return store.resolve(self._git, "HEAD")

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        """Read the files of a commit below some paths."""
        return store.read_tree(self._git, commit, paths)

    def newest(self, branch: str) -> str:
        """Fetch, and give the commit to build on.

        Raises UsageError where another branch is checked out, Refused where it has commits the remote has not.
        """
        status, out, _ = self._git.attempt("symbolic-ref", "--quiet", "HEAD")
        current = out.decode().strip().removeprefix("refs/heads/")
        if status or current != branch:
            raise UsageError(
                f"{self.name}: {current or 'no branch'} is checked out, publisher.yaml publishes to {branch}; "
                f"git switch {branch}, or change git.branch"
            )
        head = self.head()
        remote = self._remote(branch)
        if not remote:
            return head
        tracking = f"refs/remotes/{remote}/{branch}"
        if not store.fetch(self._git, remote, f"+refs/heads/{branch}:{tracking}"):
            return head
        tip = store.resolve(self._git, tracking)
        if self._git.attempt("merge-base", "--is-ancestor", head, tip)[0]:
            raise Refused(f"{self.name}: {branch} has commits that {remote}/{branch} has not; push or drop them first")
        return tip

    def settings_at(self, commit: str) -> bytes:
        """Give publisher.yaml to publish with: the one of ``commit``, unless it is edited here.

        Raises Refused where it is edited here and changed on the remote too.
        """
        here = self.settings()
        head = self.head()
        committed = self.tree(head, (SETTINGS,)).get(SETTINGS)
        newest = self.tree(commit, (SETTINGS,)).get(SETTINGS)
        if here == committed and newest is not None:
            return newest
        if newest != committed:
            raise Refused(f"{self.name}: {SETTINGS} is edited here and changed on the remote; pull first")
        return here

    def publish(self, base: str, changes: Mapping[str, bytes | None], message: str, author: str, branch: str) -> str:
        """Commit on ``base``, push, and move the checkout there; gives the commit.

        Raises PushRejected where the remote has moved on; then nothing has changed.
        """
        made = store.commit(self._git, base, changes, message, author)
        self._check_clean(made)
        remote = self._remote(branch)
        if remote:
            store.push(self._git, remote, made, branch)
        try:
            with _uninterrupted():
                self._git.run("-c", "core.hooksPath=/dev/null", "merge", "--quiet", "--ff-only", "--no-autostash", made)
        except GitError as error:
            if not remote:
                raise
            raise GitError(
                f"{made[:12]} is pushed, but the checkout could not follow: {error}; run git pull"
            ) from error
        return made

    def _check_clean(self, made: str) -> None:
        touched = self._git.run("diff", "--name-only", "-z", "--no-renames", "HEAD", made)
        dirty = self._git.run(
            "status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignored=matching", "--no-renames"
        )
        names = {entry[3:] for entry in dirty.split(b"\0") if entry}
        clash = sorted(names & set(filter(None, touched.split(b"\0"))))
        if clash:
            listed = ", ".join(name.decode(errors="replace") for name in clash)
            raise Refused(
                f"{self.name}: uncommitted changes in what would be written: {listed}; commit or restore them"
            )

    def _remote(self, branch: str) -> str:
        status, out, _ = self._git.attempt("config", "--get", f"branch.{branch}.remote")
        if not status:
            return out.decode().strip()
        return "origin" if "origin" in self._git.text("remote").split() else ""


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold signals back, from git too, while it moves files and branch: that takes no network and no time."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
