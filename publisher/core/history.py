"""Facts of a repository's history, and commits that are to be made. What they mean is decided in ``core.holds``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ID_TRAILER = "Publisher-Id"
PLAN_TRAILER = "Publisher-Plan"
SNAPSHOT_TRAILER = "Publisher-Snapshot"
ALLOW_TRAILER = "Publisher-Allow"
RESUME_TRAILER = "Publisher-Resume"


@dataclass(frozen=True, slots=True)
class Word:
    """A commit of a person that has the last word on a file."""

    commit: str
    """Id; empty where the history that would tell is not here and cannot be fetched."""
    author: str
    time: int
    """Committer date, in seconds since the epoch."""
    subject: str
    rejected: str
    """Blob id of what the publisher had there before; all zeros where it had removed the file, empty where it never
    wrote one."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as ``git log`` tells it."""

    id: str
    parents: tuple[str, ...]
    author: str
    time: int
    """Committer date, in seconds since the epoch."""
    message: str
    paths: tuple[str, ...]
    """What it changed, of the paths that were asked for; a merge only what it has like none of its parents."""

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Draft:
    """A commit that is to be made and pushed to a branch."""

    branch: str
    base: str
    """The commit to build on; empty where the branch begins with this one."""
    changes: Mapping[str, bytes | None]
    """New content by path; None removes the file."""
    message: str
    author: str = ""
    """``name <mail>``; empty: whoever git says is at work here."""
    replaces: str | None = None
    """None: the branch only moves on from ``base``. Else the commit that the branch has now (empty: there is no such
    branch) and that this one takes the place of, if it is still that."""
    options: tuple[str, ...] = ()
    """Push options for the server."""
    refspec: str = ""
    """The ref of the remote to push to instead of the branch, like ``refs/for/main``; then the branch does not move."""

    @property
    def ref(self) -> str:
        """The ref that the commit goes to."""
        return self.refspec or f"refs/heads/{self.branch}"

    @property
    def moves(self) -> bool:
        """Whether the branch moves to the commit."""
        return self.ref == f"refs/heads/{self.branch}"


def trailers(message: str, name: str) -> tuple[str, ...]:
    """Give the values of every line ``name: value`` of a message, wherever a squash has put it."""
    prefix = f"{name}: "
    lines = message.splitlines()
    return tuple(line.removeprefix(prefix).strip() for line in lines if line.startswith(prefix))
