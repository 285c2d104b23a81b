"""What a sync did for each place that Pipy loads its codebase from, and what the workers there run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
    """The version that it has now."""
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
