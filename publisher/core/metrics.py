"""What a sync that runs on has done so far, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from publisher.core.rollout import Result, Rollout, WorkerState

RUNS = ("success", "failure", "error")
"""All places have the commit; some place has not; nothing was known of any place, such as when Git did not answer."""


@dataclass(frozen=True)
class Tally:
    """Counts since the start, and how it stands after the newest run."""

    runs: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(RUNS, 0))
    uploads: int = 0
    deletions: int = 0
    seconds: float = 0.0
    """How long the newest run took."""
    succeeded: float = 0.0
    """When a run ended well last, in seconds since 1970; 0: never."""
    rollout: Rollout | None = None
    """The newest of which there is one."""

    def counted(self, rollout: Rollout | None, seconds: float, now: float) -> Tally:
        """Count one more run; without a rollout it came to nothing."""
        kind = "error" if rollout is None else "success" if rollout.good else "failure"
        synced = rollout.synced if rollout else ()
        done = [item for item in synced if item.result in (Result.PUBLISHED, Result.PUT_BACK, Result.DIVERGED)]
        return replace(
            self,
            runs={**self.runs, kind: self.runs[kind] + 1},
            uploads=self.uploads + sum(len(item.uploaded) for item in done),
            deletions=self.deletions + sum(len(item.deleted) for item in done),
            seconds=seconds,
            succeeded=now if kind == "success" else self.succeeded,
            rollout=rollout or self.rollout,
        )


def text(tally: Tally) -> str:
    """Write all metrics in Prometheus' text format."""
    rollout = tally.rollout
    workers = {
        (place.place, state): sum(worker.state is state for worker in place.workers)
        for place in (rollout.synced if rollout else ())
        for state in WorkerState
    }
    commit = [({"ref": rollout.ref or "HEAD", "commit": rollout.commit}, 1.0)] if rollout else []
    return "".join(
        (
            _metric("runs_total", "counter", "Runs by how they ended.", _by("result", tally.runs)),
            _metric("uploads_total", "counter", "Files written to places.", [({}, tally.uploads)]),
            _metric("deletes_total", "counter", "Files deleted from places.", [({}, tally.deletions)]),
            _metric("last_run_seconds", "gauge", "How long the newest run took.", [({}, tally.seconds)]),
            _metric("last_success_timestamp_seconds", "gauge", "When a run ended well last.", [({}, tally.succeeded)]),
            _metric(
                "workers",
                "gauge",
                "Pipy workers by place and by what they make of its version.",
                [({"place": place, "state": state}, count) for (place, state), count in workers.items()],
            ),
            _metric("commit_info", "gauge", "The commit that places are to have.", commit),
        )
    )


def _by(label: str, counts: Mapping[str, int]) -> Iterable[tuple[dict[str, str], float]]:
    return (({label: name}, count) for name, count in counts.items())


def _metric(name: str, kind: str, told: str, values: Iterable[tuple[Mapping[str, str], float]]) -> str:
    full = f"publisher_sync_{name}"
    lines = [f"# HELP {full} {told}", f"# TYPE {full} {kind}"]
    for labels, value in values:
        pairs = ",".join(f'{label}="{_escape(text)}"' for label, text in labels.items())
        lines.append(f"{full}{{{pairs}}} {value!r}" if pairs else f"{full} {value!r}")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
