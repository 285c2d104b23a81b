"""A checkout: somebody's work tree, which is as before or fully at the new commit, never between."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from publisher.edge.git import store
from publisher.edge.git.history import History
from publisher.edge.git.run import GitRunner, failure
from publisher.errors import GitError, Refused, UsageError

SETTINGS = "publisher.yaml"


class Checkout(History):
    """A config repository in a folder, with or without a remote."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._git = GitRunner(folder)
        status, out, err = self._git.attempt("rev-parse", "--show-toplevel")
        if status:
            raise UsageError(f"{folder}: not a Git checkout; {failure('rev-parse', err)}")
        if Path(os.fsdecode(out.removesuffix(b"\n"))).resolve() != folder.resolve():
            raise UsageError(f"{folder}: not the top of a Git checkout; name {out.decode(errors='replace').strip()}")
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
        # git knows best what an edit is: line ends here may be others than in the repository
        if committed and newest and not self._git.attempt("diff", "--quiet", "HEAD", "--", SETTINGS)[0]:
            return newest
        if newest != committed:
            raise Refused(f"{self.name}: {SETTINGS} is neither as committed here nor as on the remote; pull first")
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
                self._git.run("merge", "--quiet", "--ff-only", "--no-squash", "--no-autostash", made)
        except GitError as error:
            if not remote:
                raise
            raise GitError(
                f"{made[:12]} is pushed, but the checkout could not follow: {error}; run git pull"
            ) from error
        return made

    def _check_clean(self, made: str) -> None:
        """Refuse while following ``made`` could fail, or overwrite what is in no commit; ignored files count."""
        top = self._git.folder
        facts = iter(self._git.run("diff", "--name-status", "-z", "--no-renames", "HEAD", made).split(b"\0"))
        touched = {name: status for status, name in zip(facts, facts, strict=False)}
        status = self._git.run("status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames")
        dirty = {entry[3:] for entry in status.split(b"\0")}
        taken = {name for name in touched if touched[name] == b"A" and os.path.lexists(top / os.fsdecode(name))}
        clash = sorted(touched.keys() & (dirty | taken))
        if clash:
            listed = ", ".join(name.decode(errors="replace") for name in clash)
            raise Refused(
                f"{self.name}: uncommitted changes in what would be written: {listed}; commit or restore them"
            )
        for state in ("MERGE_HEAD", "CHERRY_PICK_HEAD"):
            if store.resolve(self._git, state):
                raise Refused(f"{self.name}: {state} says that something is half done; conclude or abort it first")
        self._git.run("read-tree", "-m", "-u", "--dry-run", "HEAD", made)

    def _source(self) -> str:
        return self._remote(self._git.attempt("symbolic-ref", "--quiet", "--short", "HEAD")[1].decode().strip())

    def _remote(self, branch: str) -> str:
        """Choose the remote as git does; empty where there is none."""
        remotes = self._git.run("remote").decode().split()
        chosen = self._git.attempt("config", "--get", f"branch.{branch}.remote")[1].decode().strip()
        if not chosen and remotes:
            chosen = "origin" if "origin" in remotes else remotes[0] if len(remotes) == 1 else "?"
        if chosen not in ("", ".", *remotes):
            raise UsageError(
                f"{self.name}: which remote gets {branch}? git config branch.{branch}.remote {'|'.join(remotes)}"
            )
        return chosen.removeprefix(".")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold signals back, from git too, while it moves files and branch: that takes no network and no time."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
