"""Waves, what is judged of workers, and the words for it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.core.codebase import Instance
from publisher.core.rollout import Result, Rollout, Synced, Worker, WorkerState, summary, waves
from publisher.core.watch import Watch

NEW, OLD = "b" * 40, "a" * 40
RUNNING, REFUSING, SILENT = WorkerState.RUNNING, WorkerState.REFUSING, WorkerState.SILENT


@pytest.mark.parametrize(
    ("text", "number", "sizes"),
    [
        ("100%", 5, [5]),
        ("1", 5, [1, 4]),
        ("1,50%,100%", 5, [1, 2, 2]),
        ("1,50%", 8, [1, 3, 4]),
        ("10%", 5, [1, 4]),
        ("1,1,2", 5, [1, 1, 3]),
        (" 2 , 9 ", 5, [2, 3]),
        ("3,50%", 5, [3, 2]),
        ("1", 0, []),
    ],
)
def test_waves(text: str, number: int, sizes: list[int]) -> None:
    """Numbers count all places up to then, percentages are rounded up, and the last wave has the rest."""
    assert [len(wave) for wave in waves(text, range(number))] == sizes


@given(st.integers(0, 30), st.lists(st.integers(1, 100), max_size=4).map(sorted))
def test_every_place_has_its_turn(number: int, percents: list[int]) -> None:
    """Once, in the order given; no wave is empty."""
    text = ",".join([f"{percent}%" for percent in percents] or ["100%"])
    found = waves(text, range(number))
    assert [place for wave in found for place in wave] == list(range(number))
    assert all(found)


@pytest.mark.parametrize("text", ["", "0", "1,,2", "101%", "x", "-1", "1.5", "50%,1", "0%", "²"])
def test_what_is_no_wave(text: str) -> None:
    """It is refused, naming the part that is wrong."""
    with pytest.raises(ValueError, match="wave"):
        waves(text, range(9))


def instance(uuid: str, version: str, reported: int) -> Instance:
    return Instance(uuid, uuid, "127.0.0.1", version, reported)


def watch(
    before: Iterable[Instance], *polls: tuple[float, Iterable[Instance]], fresh: bool = True
) -> tuple[bool, dict[str, WorkerState]]:
    """Watch through some polls; give whether there is nothing more to wait for, and the states by then."""
    watching = Watch(NEW, fresh, 0, quiet=12, roll_call=6).begin(before)
    now = 0.0
    for now, listed in polls:
        watching = watching.observe(listed, now)
    return watching.settled(now), {worker.uuid: worker.state for worker in watching.workers(now)}


def test_a_worker_that_follows() -> None:
    """One report with the new version is enough."""
    assert watch([instance("w", OLD, 1)], (1, [instance("w", NEW, 2)])) == (True, {"w": RUNNING})


def test_a_worker_that_has_not_reported_since() -> None:
    """Nobody knows yet, so it is waited for."""
    assert watch([instance("w", OLD, 1)], (5, [instance("w", OLD, 1)])) == (False, {"w": SILENT})


def test_a_worker_that_refuses() -> None:
    """It reports and stays where it is; it is waited for until the end."""
    assert watch([instance("w", OLD, 1)], (5, [instance("w", OLD, 2)]), (11, [instance("w", OLD, 3)])) == (
        False,
        {"w": REFUSING},
    )


@pytest.mark.parametrize("version", [OLD, NEW, ""])
def test_a_worker_that_is_gone(version: str) -> None:
    """Its Repo still lists it; what it ran last says nothing, and it is not waited for longer."""
    assert watch([instance("w", version, 1)], (12, [instance("w", version, 1)])) == (True, {"w": SILENT})


def test_a_worker_that_goes_meanwhile() -> None:
    """It refused when it was heard last, and is gone now: that is silence, not refusal."""
    polls = [(1.0, [instance("w", OLD, 2)]), (13.0, [instance("w", OLD, 2)])]
    assert watch([instance("w", OLD, 1)], *polls) == (True, {"w": SILENT})


def test_one_waits_for_all() -> None:
    """One that follows does not end it while another has not been heard."""
    before = [instance("v", OLD, 1), instance("w", OLD, 1)]
    listed = [instance("v", NEW, 2), instance("w", OLD, 1)]
    assert watch(before, (3, listed))[0] is False


def test_a_worker_that_has_never_reloaded() -> None:
    """It names no version: it refuses what was published since it started, and runs what was there already."""
    before, later = [instance("w", "", 1)], [instance("w", "", 2)]
    assert watch(before, (5, later)) == (False, {"w": REFUSING})
    assert watch(before, (5, later), fresh=False) == (True, {"w": RUNNING})


def test_a_worker_that_joins_late() -> None:
    """It counts as soon as it is seen, and has loaded what its Repo has."""
    before = [instance("v", OLD, 1)]
    listed = [instance("v", NEW, 2), instance("w", "", 5)]
    assert watch(before, (1, listed)) == (True, {"v": RUNNING, "w": RUNNING})
    assert watch(before, (1, [listed[0], instance("w", OLD, 5)])) == (False, {"v": RUNNING, "w": REFUSING})


def test_a_repo_that_has_just_been_started() -> None:
    """It lists nobody until they report; after that, nobody is there."""
    assert watch([], (5, []))[0] is False
    assert watch([], (6, [])) == (True, {})
    assert watch([], (1, [instance("v", "", 1)]))[0] is False
    assert watch([], (6, [instance("v", "", 1)])) == (True, {"v": RUNNING})


def worker(state: WorkerState) -> Worker:
    return Worker("w", "u", "127.0.0.1", NEW, state)


@pytest.mark.parametrize(
    ("synced", "words"),
    [
        ([Synced("p", Result.PUBLISHED, version=NEW, workers=(worker(RUNNING),) * 3)], "3/3 workers on bbbbbbb"),
        (
            [Synced("p", Result.UNCHANGED, version=NEW, workers=(worker(RUNNING), worker(SILENT)))],
            "1/1 workers on bbbbbbb, 1 silent",
        ),
        ([Synced("p", Result.PUBLISHED, version=NEW)], "no workers on bbbbbbb"),
        (
            [Synced("p", Result.PUT_BACK, version=f"{OLD}+revert-of-{NEW}", workers=(worker(RUNNING),) * 2)],
            "0/2 workers on bbbbbbb, put-back",
        ),
        (
            [Synced("p", Result.DIVERGED, version=NEW, workers=(worker(RUNNING), worker(REFUSING)))],
            "1/2 workers on bbbbbbb, diverged",
        ),
        (
            [
                Synced("p", Result.PUBLISHED, version=NEW, workers=(worker(RUNNING),)),
                Synced("q", Result.FAILED),
                Synced("r", Result.SKIPPED),
                Synced("s", Result.SKIPPED),
            ],
            "1/1 workers on bbbbbbb, 1 failed, 2 skipped",
        ),
    ],
)
def test_a_run_in_a_few_words(synced: list[Synced], words: str) -> None:
    """Who runs the commit of those that live, and what else is wrong."""
    assert summary(Rollout("main", NEW, tuple(synced))) == words
