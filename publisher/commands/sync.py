"""``publisher sync``: what Pipy's workers run is what a commit says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from publisher.commands.editions import Editions
from publisher.commands.ports import Origin, Place, Progress
from publisher.commands.turn import USUAL, Options, Pace, Turn
from publisher.core.rollout import Result, Rollout, Synced, waves
from publisher.errors import UsageError

__all__ = ["Options", "Pace", "Syncer"]


class Syncer:
    """Brings a commit to places; runs as often as it is asked to."""

    def __init__(
        self,
        origin: Callable[[], Origin],
        places: Sequence[Place],
        options: Options,
        wave: str = "100%",
        pace: Pace = USUAL,
        say: Callable[[str], None] = lambda line: None,
        progress: Callable[[Place], Progress] = lambda place: lambda done, total: None,
    ) -> None:
        """Take what opens the repository, anew for each run, and what to tell of each place's uploads.

        Raises UsageError for waves that are none.
        """
        self._origin = origin
        self._places = tuple(places)
        self._options = options
        self._pace = pace
        self._say = say
        self._progress = progress
        try:
            self._waves = waves(wave, self._places)
        except ValueError as error:
            raise UsageError(f"--wave: {error}") from error

    def run(self, ref: str = "") -> Rollout:
        """Bring the commit that a branch or tag is now to the places, one wave after the other.

        Raises UsageError where there is no such commit, and Refused where it is not valid; nothing has changed then.
        """
        with closing(self._origin()) as origin:
            return self._run(origin, ref)

    def _run(self, origin: Origin, ref: str) -> Rollout:
        commit = origin.latest(ref)
        editions = Editions(origin, self._options.bundle)
        edition = editions.checked(commit)
        stopped = threading.Event()
        synced: list[Synced] = []
        for wave in self._waves:
            if not self._options.dry_run and not all(item.result.good for item in synced):
                synced += [Synced(place.name, Result.SKIPPED, message=f"{place.name}: {_SKIPPED}") for place in wave]
                continue
            turns = [
                Turn(place, edition, editions, self._options, self._pace, stopped, self._say, self._progress(place))
                for place in wave
            ]
            with ThreadPoolExecutor(len(turns)) as threads:
                try:
                    synced += threads.map(Turn.take, turns)
                except BaseException:
                    stopped.set()
                    raise
        return Rollout(ref, commit, tuple(synced))


_SKIPPED = "not touched, as a place of the wave before does not run the commit"
