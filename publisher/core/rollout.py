"""What a sync did for each place that Pipy loads its codebase from, and what the workers there run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeVar

from publisher.core.codebase import refused_in

T = TypeVar("T")


class WorkerState(StrEnum):
    """What a worker makes of the version that its Repo has."""

    RUNNING = "running"
    """It runs it."""
    REFUSING = "refusing"
    """It reports, and stays at another version: the program did not load."""
    SILENT = "silent"
    """It does not report any more, so nobody knows."""


class Result(StrEnum):
    """How the sync of one place ended."""

    UNCHANGED = "unchanged"
    PUBLISHED = "published"
    PUT_BACK = "put-back"
    """A worker refused the commit; the place has the content from before again."""
    REFUSED_BEFORE = "refused-before"
    """A worker refused this commit in an earlier run: it is not tried again."""
    FOREIGN = "foreign"
    """It has a version that is no commit of this repository; nothing was changed."""
    DIVERGED = "diverged"
    """Published, but some worker does not run it and there is nothing to put back."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """An earlier wave did not converge."""

    @property
    def good(self) -> bool:
        """Whether the place has what it was to have."""
        return self in (Result.UNCHANGED, Result.PUBLISHED)


@dataclass(frozen=True)
class Worker:
    """A Pipy instance as its Repo lists it."""

    name: str
    uuid: str
    address: str
    version: str
    state: WorkerState


@dataclass(frozen=True)
class Synced:
    """What happened at one place: a Pipy Repo's codebase, or a folder."""

    place: str
    """Its URL without credentials, or its path."""
    result: Result
    before: str = ""
    """The version that was found; empty where there was none."""
    version: str = ""
    """The version that it has now; empty where that is not known."""
    uploaded: tuple[str, ...] = ()
    """Paths below the codebase, such as ``config/clusters/member1.json``."""
    deleted: tuple[str, ...] = ()
    workers: tuple[Worker, ...] = ()
    message: str = ""
    """One line: what is wrong, and what to do."""


@dataclass(frozen=True)
class Rollout:
    """What one run of sync did."""

    ref: str
    """The branch, tag or commit that was asked for."""
    commit: str
    synced: tuple[Synced, ...]

    @property
    def good(self) -> bool:
        """Whether all places have the commit."""
        return all(item.result.good for item in self.synced)

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Give the workers of all places."""
        return tuple(worker for item in self.synced for worker in item.workers)


def document(rollout: Rollout) -> dict[str, Any]:
    """Give what happened as JSON has it (schemas/sync.schema.json)."""
    return {
        "ref": rollout.ref,
        "commit": rollout.commit,
        "good": rollout.good,
        "summary": summary(rollout),
        "places": [asdict(item) for item in rollout.synced],
    }


def summary(rollout: Rollout) -> str:
    """Say in a few words how many of the live workers run the commit: ``3/3 workers on 0123abc``."""
    live = [worker for worker in rollout.workers if worker.state is not WorkerState.SILENT]
    on = [
        worker
        for item in rollout.synced
        if refused_in(item.version) is None
        for worker in item.workers
        if worker.state is WorkerState.RUNNING
    ]
    commit = rollout.commit[:7]
    parts = [f"{len(on)}/{len(live)} workers on {commit}" if live else f"no workers on {commit}"]
    if silent := len(rollout.workers) - len(live):
        parts.append(f"{silent} silent")
    bad = Counter(item.result.value for item in rollout.synced if not item.result.good)
    parts += [result if len(rollout.synced) == 1 else f"{number} {result}" for result, number in bad.items()]
    return ", ".join(parts)


def waves(text: str, places: Sequence[T]) -> tuple[tuple[T, ...], ...]:
    """Part places into waves such as ``1,50%,100%``: how many in all have had their turn by the end of each.

    A percentage is rounded up; after the last wave all have had theirs. Raises ValueError for anything else.
    """
    ends = [0]
    for word in (part.strip() for part in text.split(",")):
        number = word.removesuffix("%")
        if not (number.isascii() and number.isdigit() and int(number)) or (number != word and int(number) > 100):
            raise ValueError(f"{word or 'nothing'} is no wave; name numbers of places or percentages: 1,50%,100%")
        ends.append(min(int(number), len(places)) if number == word else -(-len(places) * int(number) // 100))
        if ends[-1] < ends[-2]:
            raise ValueError(f"{word} is less than the wave before; each counts all places up to then")
    return tuple(tuple(places[start:end]) for start, end in pairwise([*ends, len(places)]) if end > start)
