"""What the verbs need of the world."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from publisher.core.codebase import Difference, Edition, Holding
from publisher.core.forge import PullRequest, State
from publisher.core.history import Commit, Draft, Word
from publisher.core.model import Topology
from publisher.core.policy import Policy

Progress = Callable[[int, int], None]
"""Called with the number of clusters read, or of files uploaded, and of all."""

Source = Callable[[Policy], Topology]
"""Gives the fleet, as far as publisher.yaml selects it: live, or from a snapshot."""


class Reader(Protocol):
    """A config repository that is only read."""

    @property
    def settings_file(self) -> str:
        """The file that settings are in: publisher.yaml, or what several publishers in one repository call theirs."""

    def settings(self) -> bytes:
        """Give publisher.yaml."""

    def head(self) -> str:
        """Give the commit that is looked at; empty in a folder without Git."""

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        """Read the files of a commit below some paths."""


class History(Reader, Protocol):
    """A config repository whose history is here or can be fetched."""

    def last_words(self, commit: str, publisher: str, paths: Collection[str]) -> Mapping[str, Word]:
        """Give the paths on which a person has the last word at a commit, each with that word.

        A path that no commit ever touched, or that is as the publisher last left it, is not among them.
        """

    def allowances(self, commit: str, publisher: str) -> tuple[str, ...]:
        """Give the Publisher-Allow trailers of the commits after the publisher's last one."""

    def tip(self, branch: str) -> str:
        """Give the commit of another branch as fetched last; empty where there is none."""

    def log(
        self, commit: str, paths: Collection[str] = (), most: int = 0, since: str = "", besides: str = ""
    ) -> tuple[Commit, ...]:
        """Give the history from a commit back, newest first.

        Only what touches some files or folders, no more than so many, and not what ``since`` has behind it; and where
        paths are given, not what the publisher ``besides`` made.
        """


class Repository(History, Protocol):
    """A config repository that is published to."""

    def newest(self, branch: str, publisher: str = "") -> str:
        """Fetch at once the branch, ``publisher/<id>``, ``snapshots/<id>`` and ``rollback/*``.

        Gives the commit to build on.
        """

    def find(self, name: str) -> str:
        """Give the commit that a name stands for; raises UsageError where there is none."""

    def settings_at(self, commit: str) -> bytes:
        """Give publisher.yaml to publish with on top of a commit."""

    def reverted(self, base: str, commit: str) -> dict[str, bytes | None]:
        """Give what changes on ``base`` when a commit is taken back; raises Refused naming what does not fit."""

    def publish(self, *drafts: Draft) -> str:
        """Make each commit and push all at once or none; gives the id of the first.

        Raises PushRejected where a branch has moved on.
        """


class Forge(Protocol):
    """A host of Git repositories that has pull requests."""

    def find(self, branch: str, base: str) -> PullRequest | None:
        """Give the open pull request from a branch of the repository itself."""

    def closed(self, branch: str, base: str) -> PullRequest | None:
        """Give the newest pull request of such a branch that is closed, merged or not."""

    def open(self, branch: str, base: str, title: str, body: str, labels: tuple[str, ...]) -> PullRequest:
        """Open a pull request; gives the one that is there where somebody was faster."""

    def update(self, request: PullRequest, title: str, body: str, labels: tuple[str, ...]) -> None:
        """Write what is not yet as it shall be. Labels of other people stay."""

    def close(self, request: PullRequest, reason: str, body: str) -> None:
        """Say why in a comment, and close it with another body."""

    def comment(self, number: int, key: str, body: str) -> None:
        """Write a comment, or edit the one that was written with the same key."""

    def commit(self, draft: Draft) -> str:
        """Make a commit through the API, signed by the host.

        Raises PushRejected where the branch is not at its base.
        """


class Statuses(Protocol):
    """A host of Git repositories that shows how a commit fares."""

    def set_status(self, commit: str, state: State, description: str, url: str = "") -> None:
        """Say it, with a link to more; nothing where that is what was said last.

        ``pending`` is only said of a commit of which nothing was said yet.
        """


class Origin(Protocol):
    """A config repository that codebases are taken from, as it is when it is opened; to be closed."""

    @property
    def settings_file(self) -> str:
        """The file that settings are in."""

    def close(self) -> None:
        """Let others work on it."""

    def latest(self, ref: str) -> str:
        """Give the commit of a branch, tag or commit; of HEAD where it is empty. Raises UsageError where there is none.

        Raises Refused for a commit that is there and may not be used.
        """

    def has(self, commit: str) -> bool:
        """Tell whether a full commit id is one of this repository, even if no branch has it any more."""

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        """Read the files of a commit below some paths."""


class Place(Protocol):
    """Where a codebase lies for Pipy to load: a Pipy Repo has it, or a folder.

    Each of these raises a PublisherError that names the place where it cannot be done.
    """

    @property
    def name(self) -> str:
        """Its URL without credentials, or its path."""

    def look(self) -> Holding:
        """Give what is there now."""

    def discard(self, leftovers: Collection[str]) -> None:
        """Drop changes that were begun and not published."""

    def read(self, paths: Collection[str]) -> dict[str, bytes]:
        """Give the published contents of files."""

    def publish(self, before: Holding, edition: Edition, change: Difference, told: Progress) -> None:
        """Bring in an edition, all of it at once or nothing; ``change`` is how it differs from what is there.

        Raises Overtaken where the place is not as in ``before``, or somebody else changes it meanwhile: what is there
        then has to be looked at, and read.
        """
