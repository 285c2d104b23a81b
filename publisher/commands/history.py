"""``publisher history``: who changed what is published, when and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from publisher import settings
from publisher.commands.held import held, layout_of
from publisher.commands.ports import Repository
from publisher.core.history import ID_TRAILER, RESUME_TRAILER, Commit, trailers
from publisher.errors import UsageError

Kind = Literal["published", "resumed", "reverted", "edited", "merged"]

_REVERTS = re.compile(r"This reverts commit ([0-9a-f]{7,64})(?:, reversing\s+changes made to ([0-9a-f]{7,64}))?")


@dataclass(frozen=True, slots=True)
class Entry:
    """A commit that touched generated files."""

    commit: Commit
    kind: Kind
    names: tuple[str, ...]
    """Services and clusters that it touched."""
    reverts: tuple[str, ...]
    """Commits that it takes back, as its message names them."""
    reverted_by: str
    """The commit that took it back and was not taken back itself; else empty."""
    holds: tuple[str, ...]
    """Services and clusters that are held because of it."""

    def document(self) -> dict[str, Any]:
        """Build the JSON document; ``time`` is in seconds since the epoch."""
        return {
            "commit": self.commit.id,
            "kind": self.kind,
            "author": self.commit.author,
            "time": self.commit.time,
            "subject": self.commit.subject,
            "files": list(self.commit.paths),
            "reverts": list(self.reverts),
            "revertedBy": self.reverted_by,
            "holds": list(self.holds),
        }


def history(repository: Repository, name: str, most: int, now: float) -> tuple[Entry, ...]:
    """Give the newest commits that touched generated files, or the one of a service or cluster, newest first.

    Looks at what is checked out; nothing is fetched but what a shallow clone lacks.
    """
    policy = settings.load(repository.settings(), repository.settings_file)
    layout = layout_of(policy)
    head = repository.head()
    commits = repository.log(head, layout.places(policy, name), most)
    if name and not commits:
        raise UsageError(f"{name}: no commit here touched a file of it; publisher history lists what there is")
    touched = {path for commit in commits for path in commit.paths}
    holds: dict[str, list[str]] = {}
    for hold in held(repository, head, policy, now, touched):
        holds.setdefault(hold.word.commit, []).append(hold.name.partition(" ")[2])
    undone: dict[str, str] = {}
    entries = []
    for commit in commits:
        reverts = tuple(found[1] for found in _REVERTS.finditer(commit.message))
        by = next((by for start, by in undone.items() if commit.id.startswith(start)), "")
        if not by:
            for one in _taken_back(repository, commit.message):
                undone.setdefault(one, commit.id)
        names = tuple(dict.fromkeys(layout.subject(path, policy).name for path in commit.paths))
        kind = _kind(commit, policy.publisher, reverts)
        entries.append(Entry(commit, kind, names, reverts, by, tuple(holds.get(commit.id, ()))))
    return tuple(entries)


def _kind(commit: Commit, publisher: str, reverts: tuple[str, ...]) -> Kind:
    if len(commit.parents) > 1:
        return "merged"
    if publisher in trailers(commit.message, ID_TRAILER):
        return "resumed" if trailers(commit.message, RESUME_TRAILER) else "published"
    return "reverted" if reverts else "edited"


def _taken_back(repository: Repository, message: str) -> Iterator[str]:
    """Give the commits that a message says are taken back; of a merge also those that it brought."""
    for found in _REVERTS.finditer(message):
        yield found[1]
        if found[2]:
            try:
                merge, kept = repository.find(found[1]), repository.find(found[2])
            except UsageError:  # people write what they like
                continue
            yield from (commit.id for commit in repository.log(merge, since=kept))
