"""What the doctor asks of the world."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from publisher.commands.ports import Place, Reader, Repository
from publisher.core.forge import TokenAccess
from publisher.core.policy import Policy
from publisher.core.rights import Caller, Right
from publisher.core.topology import Member


class Rehearsing(Repository, Protocol):
    """A config repository that can be asked what would come of publishing to it. Nothing is left behind."""

    def has(self, commit: str) -> bool:
        """Tell whether a full commit id is one of this repository, even if no branch has it any more."""

    def on_remote(self, branch: str) -> bool | None:
        """Tell whether the remote has a branch; None where there is no remote."""

    def try_push(self, base: str, refs: Collection[str], options: Iterable[str]) -> bool:
        """Ask the server to take a commit at some refs; tells whether there is a remote at all."""

    def try_signing(self, base: str, author: str) -> bool:
        """Make a signed commit that is thrown away; tells whether git is told to sign at all."""

    def user(self) -> str:
        """Give ``name <mail>`` of whoever commits by hand; empty where git does not know."""


class Tokens(Protocol):
    """A host of Git repositories that says what a token may do."""

    def access(self, needed: Collection[str]) -> TokenAccess:
        """Compare with what is needed: ``contents`` and ``pull_requests``, to write."""


class Fleet(Protocol):
    """Karmada and its members."""

    def version(self) -> str:
        """Give the Kubernetes version of Karmada's API server."""

    def ahead(self) -> float | None:
        """Give the seconds that Karmada's clock is ahead of ours; None where it never told."""

    def caller(self) -> Caller | None:
        """Ask who the credentials belong to; None where that is not served."""

    def denied(self, rights: Iterable[Right]) -> tuple[Right, ...]:
        """Give those of some rights that the caller has not."""

    def members(self) -> tuple[tuple[Member, str], ...]:
        """List all Clusters, each with the reason why it does not count; empty where it does."""

    def unreadable(self, members: Iterable[Member]) -> Mapping[str, tuple[tuple[str, int], ...]]:
        """Ask members for one object of each kind; gives by name each complaint with its HTTP status."""


@dataclass(frozen=True)
class World:
    """What is looked at; each is opened when its turn comes."""

    reader: Callable[[], Reader]
    repository: Callable[[], Rehearsing]
    tokens: Callable[[], Tokens]
    fleet: Callable[[Policy], Fleet]
    laid: Mapping[str, bytes]
    """What ``publisher init`` lays down, by path."""
    places: Sequence[Place] = ()
    """Pipy Repos that somebody named."""
