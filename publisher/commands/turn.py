"""One place's turn in a sync: compare, upload, publish, watch the workers, put back."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from publisher.commands.editions import Editions
from publisher.commands.ports import Place, Progress
from publisher.core.codebase import (
    Edition,
    Holding,
    Version,
    difference,
    parse,
    put_back,
    refused_in,
    short,
)
from publisher.core.redact import redact
from publisher.core.report import listed
from publisher.core.rollout import Result, Synced, Worker, WorkerState
from publisher.core.watch import Watch
from publisher.errors import Overtaken, PublisherError, RepoError

T = TypeVar("T")
_MOST = 5
"""Of many, so many are named."""


@dataclass(frozen=True)
class Options:
    """How to sync."""

    bundle: bool = False
    """Upload the configuration as one file."""
    take_over: bool = False
    """Overwrite what is no commit of the repository."""
    dry_run: bool = False
    """Only find out what would be done."""
    converge_timeout: float = 60.0
    """Seconds that workers have to run what was published."""


@dataclass(frozen=True)
class Pace:
    """Seconds, and tries."""

    poll: float = 0.5
    quiet: float = 12.0
    """A worker reports every 5 seconds; one that has not for so long is silent."""
    roll_call: float = 6.0
    """By then every worker has reported to a Repo that has just been started."""
    leftover: float = 1.0
    """What is staged and changes within so long is no leftover: somebody is at it."""
    tries: int = 5
    """Where somebody else changes the place at the same time."""
    step_aside: float = 1.0
    """About what two that do so wait before they try again."""


USUAL = Pace()


@dataclass
class Turn:
    """One place's turn."""

    place: Place
    edition: Edition
    editions: Editions
    options: Options
    pace: Pace
    stopped: threading.Event
    """Set where the run is broken off."""
    say: Callable[[str], None]
    progress: Progress
    before: Holding = field(default_factory=Holding)
    """What was found there."""
    old: Edition | None = None
    """What can be put back."""
    lively: bool = False
    """Whether some worker had reported just before."""

    def take(self) -> Synced:
        """Bring the edition to the place; a failure is a result too."""
        try:
            return self._insist(self._once)
        except PublisherError as error:
            message = "; ".join([str(error), *getattr(error, "__notes__", ())])
            return replace(self._result(Result.FAILED, message=message), version="")

    def _insist(self, attempt: Callable[[bool], T]) -> T:
        """Try again where somebody else was at work; from the second time on, trust nothing that was not read."""
        for number in range(1, self.pace.tries):
            try:
                return attempt(number == 1)
            except Overtaken as error:
                self.say(f"{error}; starting over")
                self._wait(self.pace.step_aside * number * random.uniform(0.2, 1))  # noqa: S311 - not to meet again
        return attempt(False)

    def _once(self, trusting: bool) -> Synced:
        self.before = before = self.place.look()
        self.lively = self._lively(before)
        ours = self.editions.ours(before.version)
        if not (before.empty or ours or self.options.take_over):
            return self._result(Result.FOREIGN, message=_foreign(self.place.name, before.version))
        refused = refused_in(before.version)
        if refused == self._wanted:
            workers = self._watch(before.version, before, fresh=False)
            message = (
                f"{self.place.name}: {short(self.edition.version)} was refused and put back; commit something better"
            )
            return self._result(Result.REFUSED_BEFORE, workers=workers, message=message)
        before = self._discard(before)
        had = self._contents(before, ours if trusting else None)
        change = difference(had, self.edition.files)
        touched = {"uploaded": change.uploads, "deleted": change.deletions}
        if self.options.dry_run:
            unchanged = not change and before.version == self.edition.version
            return self._result(Result.UNCHANGED if unchanged else Result.PUBLISHED, **touched)
        if not change and (before.version, before.main) == (self.edition.version, self.edition.main):
            return self._judge(Result.UNCHANGED, self._watch(before.version, before, fresh=False))
        if before.version != self.edition.version:
            self.old = self._restorable(before, had)
        self.place.publish(before, self.edition, change, self._told)
        workers = self._watch(self.edition.version, before, fresh=True)
        return self._judge(Result.PUBLISHED, workers, **touched)

    @property
    def _wanted(self) -> Version:
        found = parse(self.edition.version)
        assert found is not None, self.edition.version  # noqa: S101 - Editions made it
        return found

    def _discard(self, before: Holding) -> Holding:
        if not before.leftovers or self.options.dry_run:
            return before
        self._wait(self.pace.leftover)
        now = self.place.look()
        if (now.version, now.leftovers) != (before.version, before.leftovers):
            raise Overtaken(f"{self.place.name}: somebody else is uploading")
        dropped = listed(sorted(before.leftovers), _MOST)
        self.say(f"{self.place.name}: dropping what was staged and not published: {dropped}")
        self.place.discard(before.leftovers)
        return replace(before, leftovers=frozenset())

    def _contents(self, before: Holding, ours: Version | None) -> Mapping[str, bytes | None]:
        """Give what is in the files of the place; None for those of which that is not known."""
        if before.empty:
            return dict.fromkeys(before.files)
        known = self.editions.contents(ours) if ours else None
        if known is not None and known.keys() == before.files:
            return known
        return {**dict.fromkeys(before.files), **self.place.read(before.files)}

    def _restorable(self, before: Holding, had: Mapping[str, bytes | None]) -> Edition | None:
        files = {path: data for path, data in had.items() if data is not None}
        if before.empty or files.keys() != had.keys():
            return None
        return Edition(put_back(before.version, self._wanted), files, before.main)

    def _judge(self, result: Result, workers: tuple[Worker, ...], **touched: tuple[str, ...]) -> Synced:
        """Say how it ended; where a worker refuses it, put back what was there before."""
        refusing = [worker for worker in workers if worker.state is WorkerState.REFUSING]
        lost = self.lively and result is Result.PUBLISHED and all(item.state is WorkerState.SILENT for item in workers)
        if not refusing and not lost:
            return self._result(result, workers=workers, **touched)
        found = [f"{worker.name or worker.uuid[:8]} ({worker.address})" for worker in refusing or workers]
        names = listed(found, _MOST)
        problem = f"{self.place.name}: {short(self.edition.version)} " + (
            f"is refused by {names}" if refusing else f"ends or hangs all workers: nothing is heard of them: {names}"
        )
        self.say(problem)
        old = self._previous(refusing)
        if old is None:
            message = f"{problem}, and there is nothing to put back; see the logs there and correct the program"
            return self._result(Result.DIVERGED, workers=workers, message=message, **touched)
        try:
            workers = self._insist(lambda trusting: self._restore(old, trusting))
        except PublisherError as error:
            message = f"{problem}, and could not be put back: {error}"
            return self._result(Result.DIVERGED, workers=workers, message=message, **touched)
        message = f"{problem}, and what was there before is put back; see the logs there"
        done = self._result(Result.PUT_BACK, workers=workers, message=message, **touched)
        return replace(done, version=old.version)

    def _previous(self, refusing: list[Worker]) -> Edition | None:
        """Give what to put back; None where there is nothing, or nobody knows what it was."""
        if self.old:
            return self.old
        # Where an earlier run was broken off after it published, or the Repo had lost everything, what the workers hold
        # on to is what was there before.
        for worker in refusing:
            version = self.editions.ours(worker.version)
            known = self.editions.contents(version) if version else None
            if known is not None:
                return Edition(put_back(worker.version, self._wanted), known)
        return None

    def _restore(self, old: Edition, trusting: bool) -> tuple[Worker, ...]:
        now = self._discard(self.place.look())
        if now.version not in (self.edition.version, old.version) and not now.empty:
            raise PublisherError(f"{self.place.name}: somebody else published {now.version} meanwhile")
        known = trusting and now.version == self.edition.version and now.files == self.edition.files.keys()
        change = difference(self.edition.files if known else self._contents(now, None), old.files)
        if change or now.version != old.version:
            self.place.publish(now, old, change, self._told)
        return self._watch(old.version, now, fresh=True)

    def _watch(self, version: str, before: Holding, *, fresh: bool) -> tuple[Worker, ...]:
        """Follow the workers until all run a version, are silent, or had time enough; gives what they make of it."""
        if before.instances is None:
            return ()
        if fresh:
            self.say(f"{self.place.name}: published {short(version)}; waiting for the workers")
        began = time.monotonic()
        watch = Watch(version, fresh, began, self.pace.quiet, self.pace.roll_call).begin(before.instances)
        while True:
            failed = None
            try:
                now = self.place.look()
                if now.empty:
                    raise Overtaken(f"{self.place.name}: what was published is gone; was the Repo restarted?")
                if now.version != version:
                    raise PublisherError(f"{self.place.name}: somebody else published {now.version} meanwhile")
                watch = watch.observe(now.instances or (), time.monotonic())
            except RepoError as error:
                failed = error
            clock = time.monotonic()
            if failed is None and watch.settled(clock):
                return watch.workers(clock)
            if clock - began >= self.options.converge_timeout:
                if failed:
                    raise failed
                return watch.workers(clock)
            self._wait(self.pace.poll)

    def _lively(self, found: Holding) -> bool:
        # The Repo's clock against ours: where they disagree, a program that kills all workers is not told from one
        # that had none, and nothing worse.
        now = time.time()
        return any(abs(now - item.timestamp / 1000) < self.pace.quiet for item in found.instances or ())

    def _result(self, result: Result, **more: Any) -> Synced:
        published = result in (Result.PUBLISHED, Result.DIVERGED) and not self.options.dry_run
        version = self.edition.version if published else self.before.version
        return Synced(self.place.name, result, self.before.version, version, **more)

    def _told(self, done: int, total: int) -> None:
        if self.stopped.is_set():
            raise PublisherError(f"{self.place.name}: broken off; nothing was published")
        self.progress(done, total)

    def _wait(self, seconds: float) -> None:
        if self.stopped.wait(seconds):
            raise PublisherError(f"{self.place.name}: broken off while waiting")


def _foreign(place: str, version: str) -> str:
    return (
        f"{place}: version {redact(version, 100)} is no commit of this repository, and nothing was changed; "
        "look who else publishes there, or overwrite it with --take-over"
    )
