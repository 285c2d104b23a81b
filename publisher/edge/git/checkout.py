"""A checkout: somebody's work tree, which is as before or fully at the new commit, never between."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from publisher.core.history import Draft
from publisher.edge.git import push, revert, store
from publisher.edge.git.rehearse import Rehearsing
from publisher.edge.git.run import GitRunner, failure
from publisher.errors import GitError, PushRejected, Refused, UsageError


class Checkout(Rehearsing):
    """A config repository in a folder, with or without a remote."""

    def __init__(self, folder: Path, settings: str = "publisher.yaml") -> None:
        self.name = str(folder)
        self.settings_file = settings
        self._git = GitRunner(folder)
        status, out, err = self._git.attempt("rev-parse", "--show-toplevel")
        if status:
            raise UsageError(f"{folder}: not a Git checkout; {failure('rev-parse', err)}")
        if Path(os.fsdecode(out.removesuffix(b"\n"))).resolve() != folder.resolve():
            raise UsageError(f"{folder}: not the top of a Git checkout; name {out.decode(errors='replace').strip()}")
        if not store.resolve(self._git, "HEAD"):
            raise UsageError(f"{folder}: nothing is committed yet; commit what is there first")
        self._target = ""
        """The branch that was built on last."""

    def settings(self) -> bytes:
        """Give publisher.yaml, or what is in its place, as it lies in the folder."""
        try:
            return (self._git.folder / self.settings_file).read_bytes()
        except OSError as error:
            raise UsageError(
                f"{self._git.folder / self.settings_file}: {error.strerror}; publisher init lays one down"
            ) from error

    def head(self) -> str:
        """Give the commit that is checked out."""
        return store.resolve(self._git, "HEAD")

    def latest(self, ref: str) -> str:
        """Give the commit of a branch, tag or commit as it is here; raises UsageError where there is none.

        A branch may also be one that was only fetched: ``other`` or ``origin/other``.
        """
        found = store.latest(self._git, ref) if ref else self.head()
        for fetched in (ref, f"origin/{ref}"):
            found = found or store.resolve(self._git, f"refs/remotes/{fetched}")
        if not found:
            raise UsageError(f"{self.name}: --ref {ref}: no such branch, tag or commit here; git fetch brings it along")
        return found

    def close(self) -> None:
        """Do nothing: nobody is kept from a checkout."""

    def has(self, commit: str) -> bool:
        """Tell whether a full commit id is one of this repository, or of its remote."""
        return store.has(self._git, self._source(), commit)

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        """Read the files of a commit below some paths."""
        return store.read_tree(self._git, commit, paths)

    def newest(self, branch: str, publisher: str = "") -> str:
        """Fetch, and give the commit to build on; brings the branches of a publisher, or that they are gone, along.

        Raises UsageError where there is no such branch.
        """
        self._target = branch
        here = self._current() == branch
        remote = self._remote(branch)
        found = ""
        if remote:
            tracking = f"refs/remotes/{remote}"
            # patterns, since git minds a branch that is not there: the star stands for nothing
            kinds = ("publishe*r", "snapshot*s") if publisher else ()
            own = tuple(f"+refs/heads/{kind}/{publisher}:{tracking}/{kind}/{publisher}" for kind in kinds)
            own += (f"+refs/heads/rollback/*:{tracking}/rollback/*",) if publisher else ()
            if store.fetch(self._git, remote, f"+refs/heads/{branch}:{tracking}/{branch}", *own):
                return store.resolve(self._git, f"{tracking}/{branch}")
            if own:
                store.fetch(self._git, remote, *own)
        found = self.head() if here else store.resolve(self._git, f"refs/heads/{branch}")
        if not found:
            raise self._elsewhere()
        return found

    def tip(self, branch: str) -> str:
        """Give the commit of another branch as fetched last; empty where there is none."""
        remote = self._remote(self._target or branch)
        return store.resolve(self._git, f"refs/remotes/{remote}/{branch}" if remote else f"refs/heads/{branch}")

    def reverted(self, base: str, commit: str) -> dict[str, bytes | None]:
        """Give what changes on ``base`` when a commit is taken back; raises Refused naming what does not fit."""
        return revert.reverted(self._git, base, commit)

    def settings_at(self, commit: str) -> bytes:
        """Give publisher.yaml to publish with: the one of ``commit``, unless it is edited here.

        Raises Refused where it is edited here and changed on the remote too.
        """
        here = self.settings()
        head = self.head()
        committed = self.tree(head, (self.settings_file,)).get(self.settings_file)
        newest = committed
        if commit != head:
            newest = self.tree(commit, (self.settings_file,)).get(self.settings_file)
        # git knows best what an edit is: line ends here may be others than in the repository
        if committed and newest and not self._git.attempt("diff", "--quiet", "HEAD", "--", self.settings_file)[0]:
            return newest
        if newest != committed:
            where = f"{self.name}: {self.settings_file}"
            raise Refused(f"{where} is neither as committed here nor as on the remote; pull first")
        return here

    def publish(self, *drafts: Draft) -> str:
        """Commit, push, and move the checkout where it is on a branch that moves; gives the first commit.

        Raises PushRejected where the remote has moved on, UsageError where another branch is checked out than the one
        that ``newest`` was asked for, and that would move; then nothing has changed.
        """
        current = self._current()
        if any(draft.moves and draft.branch == self._target != current for draft in drafts):
            raise self._elsewhere()
        remote = self._remote(self._target or drafts[0].branch)
        if not remote and any(draft.refspec for draft in drafts):
            raise UsageError(f"{self.name}: publish.refspec names a ref of a remote, and there is none")
        made = push.make(self._git, drafts)
        # a branch that is replaced on the remote is left as it is here, as git does
        here = [one for one in made if one.draft.moves and one.draft.branch == current]
        here = [one for one in here if not remote or one.draft.replaces is None]
        for one in here:
            self._check_follows(one, remote)
            self._check_clean(one.commit)
        if remote:
            push.push(self._git, remote, made)
        try:
            with _uninterrupted():
                if remote:
                    push.track(self._git, f"refs/remotes/{remote}", made)
                else:
                    push.move(self._git, [one for one in made if one not in here])
                for one in here:
                    self._git.run("merge", "--quiet", "--ff-only", "--no-squash", "--no-autostash", one.commit)
        except GitError as error:
            if not remote:
                raise
            raise GitError(
                f"{made[0].commit[:12]} is pushed, but the checkout could not follow: {error}; run git pull"
            ) from error
        return made[0].commit

    def _check_follows(self, made: push.Made, remote: str) -> None:
        """Refuse while the branch that is checked out has commits that are not in what is to be published."""
        if not self._git.attempt("merge-base", "--is-ancestor", "HEAD", made.commit)[0]:
            return
        branch = made.draft.branch
        if remote:
            raise Refused(f"{self.name}: {branch} has commits that {remote}/{branch} has not; push or drop them first")
        if made.draft.replaces is None:
            raise PushRejected(f"{self.name}: {branch} has moved on")
        raise Refused(f"{self.name}: {branch} is checked out and would be replaced; git switch to another branch")

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

    def url(self) -> str:
        """Give the URL of the remote; empty where there is none."""
        remote = self._source()
        return self._git.run("remote", "get-url", remote).decode().strip() if remote else ""

    def _source(self) -> str:
        return self._remote(self._current())

    def _destination(self) -> str:
        return self._remote(self._target)

    def _check_moves(self, refs: Collection[str]) -> None:
        if f"refs/heads/{self._target}" in refs and self._current() != self._target:
            raise self._elsewhere()

    def _current(self) -> str:
        """Give the branch that is checked out; empty where there is none."""
        status, out, _ = self._git.attempt("symbolic-ref", "--quiet", "HEAD")
        return "" if status else out.decode().strip().removeprefix("refs/heads/")

    def _elsewhere(self) -> UsageError:
        return UsageError(
            f"{self.name}: {self._current() or 'no branch'} is checked out, publisher.yaml publishes to "
            f"{self._target}; git switch {self._target}, or change git.branch"
        )

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


def has_history(folder: Path) -> bool:
    """Tell whether a folder is the top of a checkout in which something is committed."""
    if not (folder / ".git").exists():
        return False
    git = GitRunner(folder)
    # unborn is what git calls HEAD before the first commit; anything else that is wrong is for Checkout to say
    branch = git.attempt("symbolic-ref", "--quiet", "HEAD")[1].decode().strip()
    return not branch or git.attempt("show-ref", "--verify", "--quiet", branch)[0] != 1


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold signals back, from git too, while it moves files and branch: that takes no network and no time."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
