"""What workers make of a version, from what their Repo lists at one moment after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from publisher.core.codebase import Instance
from publisher.core.rollout import Worker, WorkerState


@dataclass(frozen=True)
class Seen:
    """What is known of a worker; times are seconds of our own clock, for nobody else's can be trusted."""

    instance: Instance
    since: float
    """When it was listed first, or seen to have reported last."""
    heard: bool = False
    """Whether it has reported meanwhile. A Repo goes on listing workers that are gone."""
    joined: bool = False
    """Whether it was listed only after watching began."""


@dataclass(frozen=True)
class Watch:
    """What has been seen since something was published, or was found to be published already."""

    version: str
    """What the workers are to run."""
    fresh: bool
    """Whether it was published just now."""
    began: float
    quiet: float
    """A worker that has not reported for so many seconds is silent."""
    roll_call: float
    """Within so many seconds every worker reports to a Repo that has just been started."""
    seen: Mapping[str, Seen] = field(default_factory=dict)

    def begin(self, instances: Iterable[Instance]) -> Watch:
        """Note who was listed before."""
        return replace(self, seen={item.uuid: Seen(item, self.began) for item in instances})

    def observe(self, instances: Iterable[Instance], now: float) -> Watch:
        """Note who is listed now."""
        seen = dict(self.seen)
        for item in instances:
            known = seen.get(item.uuid)
            if known is None:
                seen[item.uuid] = Seen(item, now, heard=True, joined=True)
            elif known.instance.timestamp != item.timestamp:
                seen[item.uuid] = replace(known, instance=item, since=now, heard=True)
        return replace(self, seen=seen)

    def settled(self, now: float) -> bool:
        """Tell whether there is nothing to wait for: every worker runs the version, or has long been silent."""
        if all(item.joined for item in self.seen.values()) and now - self.began < self.roll_call:
            return False
        return all(now - item.since >= self.quiet or (item.heard and self._runs(item)) for item in self.seen.values())

    def workers(self, now: float) -> tuple[Worker, ...]:
        """Judge the workers, as far as has been seen; in the order of their names."""
        found = (
            Worker(one.name, one.uuid, one.address, one.version, self._state(item, now))
            for item in self.seen.values()
            for one in (item.instance,)
        )
        return tuple(sorted(found, key=lambda worker: (worker.name, worker.address, worker.uuid)))

    def _state(self, item: Seen, now: float) -> WorkerState:
        if not item.heard or now - item.since >= self.quiet:
            return WorkerState.SILENT
        return WorkerState.RUNNING if self._runs(item) else WorkerState.REFUSING

    def _runs(self, item: Seen) -> bool:
        # A worker names no version until it loads one in place of another. One that has started since then has loaded
        # what its Repo has.
        return item.instance.version == self.version or (not item.instance.version and (item.joined or not self.fresh))
