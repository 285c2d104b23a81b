"""What publishing needs of git, tried without leaving anything behind."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from publisher.edge.git import store
from publisher.edge.git.history import History
from publisher.edge.git.run import failure
from publisher.errors import GitError


class Rehearsing(History):
    """A repository that can be asked what would come of publishing to it."""

    def _destination(self) -> str:
        """Name the remote to push to; empty where there is none."""
        return self._source()

    def _check_moves(self, refs: Collection[str]) -> None:
        """Raise UsageError where one of some refs could not move here with its remote."""

    def on_remote(self, branch: str) -> bool | None:
        """Tell whether the remote has a branch; None where there is no remote."""
        remote = self._destination()
        if not remote:
            return None
        ref = f"refs/heads/{branch}"
        status, out, err = self._git.network("ls-remote", "--end-of-options", remote, ref)
        if status:
            raise GitError(failure("ls-remote", err))
        return bool(out)

    def try_push(self, base: str, refs: Collection[str], options: Iterable[str]) -> bool:
        """Ask the server to take a commit at some refs, and push nothing; tells whether there is a remote at all.

        Raises GitError where it takes no push, and UsageError where a checkout could not follow it. Hooks and rules for
        single branches are not asked.
        """
        self._check_moves(refs)
        remote = self._destination()
        if not remote:
            return False
        wanted = [f"{base}:{ref}" for ref in refs]
        more = ["--atomic"] if len(wanted) > 1 else []
        more += [f"--push-option={option}" for option in options]
        # forced, since only the way there is in question, not what the branches are at
        push = ("push", "--dry-run", "--force", "--porcelain", *more, "--end-of-options", remote, *wanted)
        status, out, err = self._git.network(*push)
        if status:
            raise GitError(failure("push", err or out.decode(errors="replace")))
        return True

    def try_signing(self, base: str, author: str) -> bool:
        """Make a signed commit in a folder that is thrown away; tells whether git is told to sign at all."""
        if not store.signing(self._git):
            return False
        objects = self._git.run("rev-parse", "--git-path", "objects").decode().strip()
        with tempfile.TemporaryDirectory(prefix="publisher-") as scratch:
            apart = {
                "GIT_OBJECT_DIRECTORY": scratch,
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(Path(self._git.folder, objects).absolute()),
            }
            store.commit_tree(self._git, f"{base}^{{tree}}", base, "trial\n", author, apart)
        return True

    def user(self) -> str:
        """Give ``name <mail>`` of whoever commits by hand here; empty where git does not know."""
        status, out, _ = self._git.attempt("var", "GIT_COMMITTER_IDENT")
        return "" if status else out.decode(errors="replace").rpartition(">")[0] + ">"
