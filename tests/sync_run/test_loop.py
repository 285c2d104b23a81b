"""When a sync that runs on runs, and what it says of it."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from publisher.commands import loop as module
from publisher.commands.loop import Loop
from publisher.core.rollout import Result, Rollout, Synced, Worker, WorkerState
from publisher.errors import GitError, PublisherError, SettingsError, UsageError

ONE, TWO = "1" * 40, "2" * 40


class Ended(BaseException):
    """Ends a loop, as a signal does."""


def rollout(commit: str = ONE, result: Result = Result.UNCHANGED, **more: Any) -> Rollout:
    """Make what a run did at one place."""
    return Rollout("main", commit, (Synced("place", result, **{"version": commit, **more}),))


def slow(seconds: float) -> Callable[[], Rollout]:
    """Make a run that takes a while."""

    def run() -> Rollout:
        time.sleep(seconds)
        return rollout()

    return run


class Runs:
    """Does, one after the other, what runs are to do; ends the loop after the last."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.began: list[float] = []
        self.told: list[str] = []
        self.loop: Loop

    def __call__(self) -> Rollout:
        """Run once."""
        self.began.append(time.monotonic())
        if not self.steps:
            raise Ended
        step = self.steps.pop(0)
        step = step() if callable(step) else step
        if isinstance(step, BaseException):
            raise step
        assert isinstance(step, Rollout)
        return step

    def tell(self, outcome: Rollout | PublisherError) -> None:
        """Take down what is told."""
        told = str(outcome) if isinstance(outcome, PublisherError) else outcome.synced[0].result.value
        self.told.append(told)

    def go(self, *steps: Any, interval: float = 0.01) -> Runs:
        """Run the loop to its end."""
        self.steps = list(steps)
        self.loop = Loop(self, self.tell, interval, 60)
        with pytest.raises(Ended):
            self.loop.run()
        return self


@pytest.fixture
def runs() -> Runs:
    """Give a sync that does as it is told."""
    return Runs()


def test_a_state_is_told_once(runs: Runs) -> None:
    """What is as before is not told again: after good runs, after failures, and after the same error."""
    put_back, refused = Result.PUT_BACK, Result.REFUSED_BEFORE
    runs.go(
        rollout(result=Result.PUBLISHED), rollout(), rollout(),
        GitError("no network"), GitError("no network"), rollout(), rollout(),
        rollout(TWO, put_back, message="refused"), rollout(TWO, refused, message="before"),
        rollout(TWO, refused, message="before"), rollout(ONE, Result.PUBLISHED),
    )  # fmt: skip
    assert runs.told == ["published", "no network", "unchanged", "put-back", "refused-before", "published"]


def test_workers_that_come_and_go_are_told(runs: Runs) -> None:
    """A worker that falls silent, or joins, is news."""
    worker = Worker("w", "u", "10.0.0.1:9", ONE, WorkerState.RUNNING)
    silent = Worker("w", "u", "10.0.0.1:9", ONE, WorkerState.SILENT)
    other = Worker("w2", "u2", "10.0.0.2:9", ONE, WorkerState.RUNNING)
    given = [(worker,), (worker,), (silent,), (silent,), (silent, other), (other, silent)]
    runs.go(*(rollout(workers=workers) for workers in given))
    assert runs.told == ["unchanged"] * 3


def test_errors_do_not_end_it(runs: Runs) -> None:
    """Whatever a run fails from that a user can cause, the next one goes on; a bug ends it."""
    runs.go(SettingsError("wrong"), GitError("gone"), rollout(), UsageError("no such branch any more"), rollout())
    assert runs.told == ["wrong", "gone", "unchanged", "no such branch any more", "unchanged"]
    assert dict(runs.loop.tally.runs) == {"success": 2, "failure": 0, "error": 3}
    with pytest.raises(ZeroDivisionError):
        runs.go(rollout(), ZeroDivisionError())


def test_what_was_typed_wrong_ends_it(runs: Runs) -> None:
    """A usage error in the first run is one of who started it."""
    with pytest.raises(UsageError):
        runs.go(UsageError("no such branch"))


@pytest.mark.parametrize(("now", "then"), [(100.0, 101.0), (100.3, 101.0), (101.0, 102.0), (103.7, 104.0)])
def test_interval(runs: Runs, monkeypatch: pytest.MonkeyPatch, now: float, then: float) -> None:
    """Runs begin at times that are set, whatever each takes; times that a long run missed are left out."""
    loop = Loop(runs, runs.tell, 1.0, 60)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert loop._next(100.0) == then


@pytest.mark.parametrize("now", [100.0, 100.3])
def test_a_push_does_not_move_the_times(runs: Runs, monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    """After a run out of turn the next time is the one that was next before."""
    loop = Loop(runs, runs.tell, 1.0, 60)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert loop._next(101.0) == 101.0


def test_a_failed_run_waits_for_its_time(runs: Runs) -> None:
    """Where an interval is set, nothing is tried faster because it failed."""
    began = runs.go(GitError("gone"), interval=0.2).began
    assert began[1] - began[0] > 0.19


def test_a_failed_run_is_tried_again(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an interval a run that failed is tried again after a while; one that went well is not."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.2)
    threading.Timer(0.9, lambda: runs.loop.moved()).start()
    began = runs.go(GitError("gone"), rollout(result=Result.FAILED), rollout(), interval=0).began
    assert all(later - earlier > 0.19 for earlier, later in pairwise(began))
    assert began[3] - began[2] > 0.3


def test_a_push(runs: Runs) -> None:
    """A push ends the wait at once; several while a run is under way cost one more run, not several."""

    def pushed() -> Rollout:
        for _ in range(5):
            runs.loop.moved()
        return rollout()

    def last() -> Rollout:
        threading.Timer(0.1, runs.loop.moved).start()
        return rollout()

    runs.go(pushed, last, pushed, last, interval=0)
    assert len(runs.began) == 5


def test_pushes_from_many_threads(runs: Runs) -> None:
    """No push is lost: a run begins after the newest."""
    newest = [0.0]

    def push() -> None:
        for _ in range(200):
            newest[0] = max(newest[0], time.monotonic())
            runs.loop.moved()

    def start() -> Rollout:
        threads = [threading.Thread(target=push) for _ in range(4)]
        for thread in threads:
            thread.start()
        return rollout()

    began = runs.go(start, *[rollout()] * 3, slow(0.5), interval=0.3).began
    assert began[-1] > newest[0]


def test_well_or_stuck() -> None:
    """It is well while it waits, and while a run takes no longer than it may."""
    checked: list[str] = []

    def sync() -> Rollout:
        checked.append(loop.sick())
        time.sleep(0.2)
        checked.append(loop.sick())
        if len(checked) > 2:
            raise Ended
        return rollout()

    loop = Loop(sync, lambda outcome: None, 0.01, 0.1)
    with pytest.raises(Ended):
        loop.run()
    assert checked == ["", "the run under way has taken 0 s so far"] * 2
    assert loop.sick() == ""


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([], "no run has come to an end yet that told anything of a place"),
        ([GitError("gone")], "no run has come to an end yet that told anything of a place"),
        ([rollout()], ""),
        ([rollout(), GitError("gone")], ""),
        ([rollout(), rollout(result=Result.FAILED)], "place: failed"),
        ([rollout(result=Result.FOREIGN), rollout()], ""),
    ],
)
def test_ready(runs: Runs, steps: list[Any], why: str) -> None:
    """It can be relied on once a run found every place good, until one finds that some is not."""
    assert runs.go(*steps).loop.unready() == why


def test_nothing_is_kept_of_a_run(runs: Runs) -> None:
    """What a failed run had open is let go before the next begins: a clone is locked while it is open."""

    class Clone:
        pass

    alive: list[Callable[[], object]] = []

    def fail() -> Rollout:
        clone = Clone()
        alive.append(weakref.ref(clone))
        try:
            raise OSError
        except OSError as error:
            raise GitError("gone") from error

    gc.disable()
    try:
        runs.go(fail, lambda: rollout() if alive[0]() is None else GitError("kept"))
    finally:
        gc.enable()
    assert runs.told == ["gone", "unchanged"]
