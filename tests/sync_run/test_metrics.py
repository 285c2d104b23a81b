"""What a sync that runs on tells Prometheus."""

from __future__ import annotations

from publisher.core.metrics import Tally, text
from publisher.core.rollout import Result, Rollout, Synced, Worker, WorkerState

COMMIT = "0123abc" + "0" * 33


def synced(result: Result, place: str = "http://repo/repo/edge", uploads: int = 2, *states: WorkerState) -> Synced:
    """Make what happened at a place."""
    workers = tuple(Worker("w", str(number), "", COMMIT, state) for number, state in enumerate(states))
    return Synced(place, result, "", COMMIT, tuple(map(str, range(uploads))), ("gone",) * (uploads > 0), workers)


def test_before_the_first_run() -> None:
    """Every counter is there from the start, at 0: a rate needs two values."""
    lines = text(Tally()).splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'publisher_sync_runs_total{result="success"} 0',
        'publisher_sync_runs_total{result="failure"} 0',
        'publisher_sync_runs_total{result="error"} 0',
        "publisher_sync_uploads_total 0",
        "publisher_sync_deletes_total 0",
        "publisher_sync_last_run_seconds 0.0",
        "publisher_sync_last_success_timestamp_seconds 0.0",
    ]
    helped = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    typed = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert helped == typed
    assert len(set(typed)) == len(typed) == 7


def test_runs() -> None:
    """Runs count by how they ended; what was written counts where it was written."""
    tally = Tally()
    good = Rollout("main", COMMIT, (synced(Result.PUBLISHED), synced(Result.UNCHANGED, "b", 0)))
    bad = Rollout("main", COMMIT, (synced(Result.PUT_BACK), synced(Result.SKIPPED, "b"), synced(Result.FAILED, "c")))
    tally = tally.counted(good, 1.5, 1000.0).counted(bad, 2.5, 2000.0).counted(None, 3.5, 3000.0)
    assert dict(tally.runs) == {"success": 1, "failure": 1, "error": 1}
    assert (tally.uploads, tally.deletions) == (4, 2)
    assert (tally.succeeded, tally.seconds) == (1000.0, 3.5)
    assert tally.rollout == bad


def test_workers() -> None:
    """Workers count by place and state, also where there are none in it; a name may have any character."""
    place = 'a"b\\c\nd'
    rollout = Rollout("", COMMIT, (synced(Result.DIVERGED, place, 0, WorkerState.RUNNING, WorkerState.REFUSING),))
    lines = text(Tally().counted(rollout, 1.0, 1.0)).splitlines()
    shown = r'place="a\"b\\c\nd"'
    assert f'publisher_sync_workers{{{shown},state="running"}} 1' in lines
    assert f'publisher_sync_workers{{{shown},state="refusing"}} 1' in lines
    assert f'publisher_sync_workers{{{shown},state="silent"}} 0' in lines
    assert f'publisher_sync_commit_info{{ref="HEAD",commit="{COMMIT}"}} 1.0' in lines
