"""A repository of which only some commits are taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from publisher.commands.ports import Origin


@dataclass(frozen=True)
class Vetted:
    """Another origin, where each commit that is to be brought anywhere is looked at first."""

    origin: Origin
    vet: Callable[[str], None]
    """Called with the commit; raises Refused where it may not be used."""

    @property
    def settings_file(self) -> str:
        """The file that settings are in."""
        return self.origin.settings_file

    def latest(self, ref: str) -> str:
        """Give the commit of a branch, tag or commit, if it may be used."""
        commit = self.origin.latest(ref)
        self.vet(commit)
        return commit

    def has(self, commit: str) -> bool:
        """Tell whether a full commit id is one of this repository."""
        return self.origin.has(commit)

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        """Read the files of a commit below some paths."""
        return self.origin.tree(commit, paths)

    def close(self) -> None:
        """Let others have it."""
        self.origin.close()
