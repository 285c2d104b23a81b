"""What a watch sends, event by event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic

from publisher.demo.answers import failure
from publisher.demo.plane import Change, Object, Plane, Resource, Stored, encode
from publisher.demo.selector import Selector

_LONGEST_SECONDS = 1800
"""A server ends every watch some time."""
_BEFORE_END_SECONDS = 2
"""So long before a watch ends, the server sends a last bookmark."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A watch as asked for."""

    resource: Resource
    selector: Selector
    since: int
    initial: bool
    """Begins with what there is."""
    marks_initial_end: bool
    bookmarks: bool
    timeout_seconds: int
    """0 leaves it to the server."""


def events(plane: Plane, watch: Watch, bookmark_seconds: float, stopped: Callable[[], bool]) -> Iterator[bytes]:
    """Send the lines of a watch until its time is over; ConnectionAbortedError once `stopped` says so."""
    since = watch.since
    if watch.initial:
        since, items = plane.read(watch.resource.name)
        for item in filter(watch.selector.matches, items):
            yield _line(watch, "ADDED", item.parse())
        if watch.marks_initial_end and watch.bookmarks:
            yield _bookmark(watch, since, annotations={"k8s.io/initial-events-end": "true"})
    elif since < plane.compacted:
        message = f"too old resource version: {since} ({plane.compacted})"
        yield encode({"type": "ERROR", "object": failure(410, message, "Expired")}) + b"\n"
        return
    end = monotonic() + (watch.timeout_seconds or _LONGEST_SECONDS)
    bookmark = _next_bookmark(end, bookmark_seconds)
    while (now := monotonic()) < end:
        until = min(end, bookmark) if watch.bookmarks else end
        since, changes = plane.changes(watch.resource.name, since, timeout=until - now, stopped=stopped)
        if stopped():
            raise ConnectionAbortedError
        for change in changes:
            if line := _changed(watch, change):
                yield line
        if watch.bookmarks and monotonic() >= bookmark:
            yield _bookmark(watch, since)
            bookmark = _next_bookmark(end, bookmark_seconds)


def _next_bookmark(end: float, every: float) -> float:
    now, last = monotonic(), end - _BEFORE_END_SECONDS
    return min(now + every, last) if last > now else now + every


def _changed(watch: Watch, change: Change) -> bytes | None:
    """Tell a write as the watch sees it: an object that begins to match its selector is new to it."""
    before, after = watch.selector.matches(change.before), watch.selector.matches(change.after)
    if after and change.after:
        return _line(watch, "MODIFIED" if before else "ADDED", change.after.parse())
    if before and change.before:
        return _line(watch, "DELETED", _gone(change.before, change.revision))
    return None


def _gone(last: Stored, revision: int) -> Object:
    obj = last.parse()
    obj["metadata"]["resourceVersion"] = str(revision)
    return obj


def _bookmark(watch: Watch, revision: int, **meta: Object) -> bytes:
    return _line(watch, "BOOKMARK", {"metadata": {"resourceVersion": str(revision)} | meta} | watch.resource.empty)


def _line(watch: Watch, kind: str, obj: Object) -> bytes:
    return encode({"type": kind, "object": watch.resource.type_meta | obj}) + b"\n"
