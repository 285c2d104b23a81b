"""``publisher status``: whether publishing is alive, and what people hold, from Git alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from publisher import settings
from publisher.commands import record
from publisher.commands.held import Hold, held
from publisher.commands.ports import Repository
from publisher.commands.review import branch_of
from publisher.core.history import ID_TRAILER, Commit, trailers
from publisher.core.policy import Policy


@dataclass(frozen=True, slots=True)
class Status:
    """How a publisher stands."""

    policy: Policy
    now: int
    """Seconds since the epoch."""
    published: Commit | None
    """The publisher's newest commit on the branch."""
    recorded: Commit | None
    """The newest snapshot."""
    ahead: int
    """Commits of the publisher's pull-request branch that the branch does not have."""
    held: tuple[Hold, ...]

    @property
    def quiet(self) -> int | None:
        """Seconds since anything was published or recorded; None where nothing ever was."""
        times = [commit.time for commit in (self.published, self.recorded) if commit]
        return max(0, self.now - max(times)) if times else None

    def document(self) -> dict[str, Any]:
        """Build the JSON document; times are in seconds since the epoch, ages in seconds."""
        return {
            "publisher": self.policy.publisher,
            "branch": self.policy.git.branch,
            "published": self._commit(self.published),
            "recorded": self._commit(self.recorded),
            "quiet": self.quiet,
            "review": {"branch": branch_of(self.policy), "ahead": self.ahead},
            "held": [
                {
                    "path": hold.path,
                    "name": hold.name,
                    "commit": hold.word.commit,
                    "author": hold.word.author,
                    "since": hold.word.time,
                    "subject": hold.word.subject,
                }
                for hold in self.held
            ],
        }

    def _commit(self, commit: Commit | None) -> dict[str, Any] | None:
        return {"commit": commit.id, "time": commit.time, "age": max(0, self.now - commit.time)} if commit else None


def status(repository: Repository, now: float) -> Status:
    """Fetch, over one connection, and tell how the publisher of a repository stands."""
    policy = settings.load(repository.settings(), repository.settings_file)
    base = repository.newest(policy.git.branch, policy.publisher)
    log = repository.log(base)
    head = repository.tip(branch_of(policy))
    return Status(
        policy,
        int(now),
        next((commit for commit in log if policy.publisher in trailers(commit.message, ID_TRAILER)), None),
        record.newest(repository, policy.publisher),
        len(repository.log(head, since=base)) if head else 0,
        held(repository, base, policy, now),
    )
