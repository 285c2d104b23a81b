"""The objects of one API server, with the history that consistent pages and watches need."""

from __future__ import annotations

import json
import threading
import uuid
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from operator import attrgetter
from string import Template
from typing import Any

import trustme

Object = dict[str, Any]


class CompactedError(LookupError):
    """The state at this resourceVersion is no longer kept."""


@cache
def _data(name: str) -> str:
    return (files(__package__) / "data" / f"{name}.json").read_text(encoding="utf-8")


def load(name: str) -> Any:
    """Read data/<name>.json as it stands."""
    return json.loads(_data(name))


def template(name: str, /, **values: str) -> Object:
    """Build an object from data/<name>.json with its $placeholders filled in."""
    built: Object = json.loads(Template(_data(name)).substitute(values))
    return built


def encode(value: object) -> bytes:
    """Write JSON as an API server does: compact."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object that an API server has."""

    name: str
    kind: str
    group_version: str
    namespaced: bool
    short_names: Sequence[str]
    empty: Object
    """What a bookmark carries beside its metadata."""

    @property
    def group(self) -> str:
        """The API group, empty for the core one."""
        return self.group_version.rpartition("/")[0]

    @property
    def path(self) -> str:
        """Where the resources of its group and version are."""
        return f"/apis/{self.group_version}" if self.group else f"/api/{self.group_version}"

    @property
    def type_meta(self) -> Object:
        """The two keys that single objects have and list items lack."""
        return {"kind": self.kind, "apiVersion": self.group_version}


RESOURCES = tuple(Resource(**fields) for fields in load("resources"))
MEMBER_RESOURCES = tuple(resource for resource in RESOURCES if not resource.group.endswith("karmada.io"))


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of an object."""

    key: str
    """/namespace/name, or /name: sorted by it as etcd sorts its keys."""
    labels: Mapping[str, str]
    body: bytes
    """The object as JSON, without kind and apiVersion: as an item of a list."""

    def parse(self) -> Object:
        """Read the body into an object of the caller's own."""
        parsed: Object = json.loads(self.body)
        return parsed


@dataclass(frozen=True, slots=True)
class Change:
    """One write; `before` is None where it created the object and `after` where it deleted it."""

    revision: int
    before: Stored | None
    after: Stored | None


_BY_REVISION = attrgetter("revision")


class Plane:
    """The objects of one API server. Thread-safe; what goes in and comes out is never shared."""

    def __init__(self, name: str, resources: Sequence[Resource], now: Callable[[], str]) -> None:
        """Make an empty API server whose creation timestamps come from `now`."""
        self.name = name
        self.resources = {resource.name: resource for resource in resources}
        self.ca = trustme.CA(organization_name=f"{name}-ca")
        self.token = ""
        self.compacted = 0
        self._now = now
        self._revision = 0
        self._live: dict[str, dict[str, Stored]] = {name: {} for name in self.resources}
        self._log: dict[str, list[Change]] = {name: [] for name in self.resources}
        self._changed = threading.Condition()

    @property
    def revision(self) -> int:
        """The resourceVersion of the latest write."""
        return self._revision

    def put(self, resource: str, obj: Object) -> Object:
        """Create or replace an object as given, but for the metadata that a server sets itself."""
        content: Object = json.loads(encode({key: obj[key] for key in obj if key not in ("kind", "apiVersion")}))
        meta = content["metadata"]
        if bool(meta.get("namespace")) != self.resources[resource].namespaced:
            raise ValueError(f"{resource} {meta['name']}: a namespace where there is none, or none where there is one")
        key = _key(meta.get("namespace", ""), meta["name"])
        with self._changed:
            self._revision += 1
            before = self._live[resource].get(key)
            old = before.parse() if before else None
            own = old["metadata"] if old else meta
            meta["uid"] = own.get("uid") or str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.name}{key}#{self._revision}"))
            meta["creationTimestamp"] = own.get("creationTimestamp") or self._now()
            meta["resourceVersion"] = str(self._revision)
            for name in {"labels", "annotations"} & meta.keys():
                meta[name] = dict(sorted((meta[name] or {}).items()))
            if old and "generation" in own:
                meta["generation"] = own["generation"] + (_desired(old) != _desired(content))
            after = Stored(key, dict(meta.get("labels", {})), encode(content))
            self._live[resource][key] = after
            self._record(resource, before, after)
        return self.resources[resource].type_meta | content

    def delete(self, resource: str, namespace: str, name: str) -> None:
        """Delete an object; KeyError where there is none."""
        with self._changed:
            before = self._live[resource].pop(_key(namespace, name))
            self._revision += 1
            self._record(resource, before, None)

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Look up an object, with kind and apiVersion."""
        stored = self._live[resource].get(_key(namespace, name))
        return self.resources[resource].type_meta | stored.parse() if stored else None

    def list(self, resource: str, namespace: str = "") -> tuple[Object, ...]:
        """List the objects of a namespace, or of all, without kind and apiVersion."""
        prefix = _key(namespace, "")
        return tuple(stored.parse() for stored in self.read(resource)[1] if stored.key.startswith(prefix))

    def read(self, resource: str, at: int | None = None) -> tuple[int, tuple[Stored, ...]]:
        """List what there is, or was at a resourceVersion, and which resourceVersion that is."""
        with self._changed:
            state, log = self._live[resource], self._log[resource]
            revision = self._revision if at is None else at
            if revision < self.compacted:
                raise CompactedError
            if log and revision < log[-1].revision:
                state = {}
                for change in log[: bisect_right(log, revision, key=_BY_REVISION)]:
                    if change.after:
                        state[change.after.key] = change.after
                    elif change.before:
                        del state[change.before.key]
            return revision, tuple(sorted(state.values(), key=lambda stored: stored.key))

    def changes(
        self, resource: str, since: int, *, timeout: float = 0, stopped: Callable[[], bool] = lambda: False
    ) -> tuple[int, tuple[Change, ...]]:
        """List the writes after a resourceVersion, waiting for the first; also up to which resourceVersion that is.

        The wait also ends when `stopped` says so; whoever makes it say so calls `wake`.
        """
        log = self._log[resource]
        with self._changed:
            self._changed.wait_for(lambda: stopped() or (log and log[-1].revision > since), timeout)
            return max(since, self._revision), tuple(log[bisect_right(log, since, key=_BY_REVISION) :])

    def wake(self) -> None:
        """Let everyone who waits for changes look again whether to stop."""
        with self._changed:
            self._changed.notify_all()

    def compact(self) -> None:
        """Make every resourceVersion handed out so far too old to page or watch from; open watches go on.

        The compaction is itself a write, as that of a real API server is.
        """
        with self._changed:
            self._revision += 1
            self.compacted = self._revision

    def _record(self, resource: str, before: Stored | None, after: Stored | None) -> None:
        self._log[resource].append(Change(self._revision, before, after))
        self._changed.notify_all()


def _key(namespace: str, name: str) -> str:
    return f"/{namespace}/{name}" if namespace else f"/{name}"


def _desired(obj: Object) -> Object:
    return {key: obj[key] for key in obj if key not in ("metadata", "status")}
