"""How a commit fares, told where its repository is hosted."""

from __future__ import annotations

from collections.abc import Callable

from publisher.commands.ports import Statuses
from publisher.core.forge import State
from publisher.core.rollout import Rollout, summary
from publisher.errors import PublisherError, Refused


class Standing:
    """Tells how the commits of one sync after the other fare. That this fails is a warning and nothing more."""

    def __init__(self, statuses: Statuses, url: str, warn: Callable[[str], None]) -> None:
        """Take where to say it, a link to more, and what is told when that does not work, once for the same reason."""
        self._statuses = statuses
        self._url = url
        self._warn = warn
        self._commit = ""
        self._said: tuple[str, str, str] | None = None
        self._warned = ""

    def begun(self, commit: str) -> None:
        """Say that a commit is being synced."""
        if commit != self._commit:
            self._commit = commit
            self._say("pending", f"syncing {commit[:7]}")

    def around(self, sync: Callable[[], Rollout]) -> Rollout:
        """Sync, and say what came of it."""
        try:
            rollout = sync()
        except PublisherError as error:
            self._ended(error)
            raise
        self._ended(rollout)
        return rollout

    def _ended(self, outcome: Rollout | PublisherError) -> None:
        """Say what came of it. What an error says may name hosts: only refusals are about the commit itself."""
        if not self._commit:
            return
        if isinstance(outcome, Rollout):
            self._say("success" if outcome.good else "failure", summary(outcome))
        else:
            self._say(
                "failure", str(outcome) if isinstance(outcome, Refused) else "not synced; see the log of the sync"
            )

    def _say(self, state: State, text: str) -> None:
        said = (self._commit, state, text)
        if said == self._said:
            return
        try:
            self._statuses.set_status(self._commit, state, text, self._url)
            self._said, self._warned = said, ""
        except PublisherError as error:
            warning = f"the status of {self._commit[:7]} is not set: {error}"
            if warning != self._warned:
                self._warned = warning
                self._warn(warning)
