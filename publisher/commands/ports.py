"""What the verbs need of the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from publisher.core.model import Topology
from publisher.core.policy import Policy

Progress = Callable[[int, int], None]
"""Called with the number of clusters read, and of all."""

Source = Callable[[Policy], Topology]
"""Gives the fleet, as far as publisher.yaml selects it: live, or from a snapshot."""


class Reader(Protocol):
    """A config repository that is only read."""

    def settings(self) -> bytes:
        """Give publisher.yaml."""

    def head(self) -> str:
        """Give the commit that is looked at; empty in a folder without Git."""

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        """Read the files of a commit below some paths."""


class Repository(Reader, Protocol):
    """A config repository that is published to."""

    def newest(self, branch: str) -> str:
        """Fetch, and give the commit to build on."""

    def settings_at(self, commit: str) -> bytes:
        """Give publisher.yaml to publish with on top of a commit."""

    def publish(self, base: str, changes: Mapping[str, bytes | None], message: str, author: str, branch: str) -> str:
        """Commit and push; gives the commit. Raises PushRejected where the remote has moved on."""
