"""Pipy Repos: whether they answer, what they have, what somebody left staged in them, and who runs it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from publisher.commands.doctor.check import Check, clock, fail, ok, skipped, warn
from publisher.commands.doctor.ports import World
from publisher.commands.ports import Place
from publisher.core.codebase import Holding, parse, refused_in, short
from publisher.core.report import count, listed
from publisher.core.rollout import WorkerState
from publisher.core.watch import Watch
from publisher.errors import PublisherError

_POLL = 0.25
REPORTED = 6.0
"""Seconds in which every worker that lives reports once."""
_AFTER = ("staged", "workers", "clock")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a Repo told while it was watched."""

    holding: Holding
    watch: Watch
    ended: float
    ahead: float | None
    """Seconds that its clock is ahead of ours, by a report that came in meanwhile."""


def look(world: World) -> Iterator[Check]:
    """Look at all Repos side by side: it takes some seconds to tell who is alive."""
    with ThreadPoolExecutor(max(1, len(world.places))) as threads:
        for place, seen in zip(world.places, threads.map(_watched, world.places), strict=True):
            yield from _checks(place.name, seen, world)


def _watched(place: Place) -> _Seen | PublisherError:
    try:
        now = first = place.look()
        began = time.monotonic()
        watch = Watch(first.version, False, began, REPORTED, REPORTED).begin(first.instances or ())
        ahead = None
        # nobody can have come to what is not there
        while not first.empty and not watch.settled(time.monotonic()) and time.monotonic() - began < REPORTED:
            time.sleep(_POLL)
            now = place.look()
            heard = now.instances or ()
            known = {item.instance.timestamp for item in watch.seen.values()}
            fresh = [item.timestamp for item in heard if item.timestamp not in known]
            ahead = max(fresh) / 1000 - time.time() if fresh else ahead
            watch = watch.observe(heard, time.monotonic())
    except PublisherError as error:
        return error
    return _Seen(now, watch, time.monotonic(), ahead)


def _checks(name: str, seen: _Seen | PublisherError, world: World) -> Iterator[Check]:
    what, *after = (f"pipy {name}", *(f"pipy {name} {part}" for part in _AFTER))
    if isinstance(seen, PublisherError):
        yield fail(what, seen)
        yield from skipped(after, "the Repo cannot be read")
        return
    yield _version(what, seen.holding, world)
    yield _staged(after[0], seen.holding)
    yield _workers(after[1], name, seen)
    yield clock(after[2], "the Repo", seen.ahead)


def _version(name: str, holding: Holding, world: World) -> Check:
    if holding.empty:
        return ok(name, "it answers, and has nothing yet")
    version = parse(holding.version)
    has = f"it has {short(holding.version)}, {count(len(holding.files), 'file')}"
    try:
        ours = version is not None and world.repository().has(version.commit)
    except PublisherError as error:
        return warn(name, f"{has}; nothing to compare with: {error}", "mend the check of git first")
    if not ours:
        said = f"it has version {holding.version}, which is no commit of this repository"
        return fail(name, said, "look who else publishes there, or overwrite it with publisher sync --take-over")
    if refused := refused_in(holding.version):
        return warn(name, f"{has}, put back after {short(str(refused))} was refused", "commit something better")
    return ok(name, has)


def _staged(name: str, holding: Holding) -> Check:
    if not holding.leftovers:
        return ok(name, "nothing is staged")
    found = sorted(holding.leftovers)
    advice = "look who is at work there; if nobody is, publisher sync drops it"
    return warn(name, f"{count(len(found), 'file')} staged and not published: {listed(found, 3)}", advice)


def _workers(name: str, url: str, seen: _Seen) -> Check:
    workers = seen.watch.workers(seen.ended)
    if not workers:
        return warn(name, "none has come", f"start Pipy with {url}/")

    def having(state: WorkerState) -> Sequence[str]:
        return [worker.name or worker.address for worker in workers if worker.state is state]

    said = f"{len(having(WorkerState.RUNNING))}/{len(workers)} workers on {short(seen.holding.version)}"
    if refusing := having(WorkerState.REFUSING):
        advice = "see the log of that worker: the program does not load"
        return fail(name, f"{said}; {', '.join(refusing)} stays at another version", advice)
    if silent := having(WorkerState.SILENT):
        advice = "look whether they are gone for good: a Repo lists them until it is restarted"
        return warn(name, f"{said}; {', '.join(silent)} reported nothing for {REPORTED:g} s", advice)
    return ok(name, said)
