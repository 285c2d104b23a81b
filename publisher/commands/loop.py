"""Syncs again and again: at times, and when it is told that something has moved."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NoReturn

from publisher.core.metrics import Tally
from publisher.core.rollout import Rollout
from publisher.errors import PublisherError, UsageError

RETRY_SECONDS = 60.0
"""After a run that came to nothing good, where no interval is set."""


class Loop:
    """Runs in one thread; everything but ``run`` may be called from others."""

    def __init__(
        self,
        sync: Callable[[], Rollout],
        tell: Callable[[Rollout | PublisherError], None],
        interval: float,
        limit: float,
    ) -> None:
        """Take a run, and what is called with how one ended that ended otherwise than the one before.

        ``interval``: seconds from the start of a run to the next; 0: only when something has moved.
        ``limit``: seconds after which a run is taken for stuck.
        """
        self.tally = Tally()
        self._sync = sync
        self._tell = tell
        self._interval = interval
        self._limit = limit
        self._told: Hashable = None
        self._began: float | None = None
        self._good = False
        self._moved = False
        self._wake: SimpleQueue[None] = SimpleQueue()

    def moved(self) -> None:
        """Run soon: at once, or after the run that is under way, however often this is called meanwhile."""
        if not self._moved:
            self._moved = True
            self._wake.put(None)

    def sick(self) -> str:
        """Say that it is stuck, if it is."""
        began = self._began
        took = time.monotonic() - began if began is not None else 0.0
        return f"the run under way has taken {took:.0f} s so far" if took > self._limit else ""

    def unready(self) -> str:
        """Say why places may not have what they are to have; empty where all have it."""
        rollout = self.tally.rollout
        if rollout is None:
            return "no run has come to an end yet that told anything of a place"
        return "; ".join(f"{item.place}: {item.result}" for item in rollout.synced if not item.result.good)

    def run(self) -> NoReturn:
        """Go on until something is raised that is no failure of a run, such as an interrupt."""
        due = time.monotonic()
        while True:
            self._moved = False
            self._once()
            due = self._next(due)
            self._wait(due)

    def _once(self) -> None:
        rollout: Rollout | None = None
        self._began = began = time.monotonic()
        try:
            rollout = self._sync()
            self._say(_state(rollout), rollout)
        except PublisherError as error:
            if type(error) is UsageError and self._told is None:
                raise  # what was typed is wrong; later on it is what somebody has pushed
            self._say(str(error), error)
        finally:
            self._began = None
        self._good = rollout is not None and rollout.good
        self.tally = self.tally.counted(rollout, time.monotonic() - began, time.time())

    def _say(self, state: Hashable, outcome: Rollout | PublisherError) -> None:
        if state != self._told:
            self._told = state
            self._tell(outcome)

    def _next(self, due: float) -> float:
        """Give when to run again: at the next of the times that are set, whatever this run took."""
        now = time.monotonic()
        if self._interval:
            return due + self._interval * max(0, math.floor((now - due) / self._interval) + 1)
        return math.inf if self._good else now + RETRY_SECONDS

    def _wait(self, due: float) -> None:
        while not self._moved and (left := due - time.monotonic()) > 0:
            with suppress(Empty):
                self._wake.get(timeout=None if math.isinf(left) else left)


def _state(rollout: Rollout) -> Hashable:
    """Give what makes a run worth telling of; that a place still has what it was given does not."""
    return rollout.commit, tuple(
        (
            item.place,
            "good" if item.result.good else item.result,
            item.version,
            item.message,
            frozenset((worker.uuid, worker.version, worker.state) for worker in item.workers),
        )
        for item in rollout.synced
    )
