"""Named rules that can refuse a part of a plan, judged by what it would do to traffic.

A rule looks at what is published and what shall be, never at the fleet. What it refuses stays as published: the
services and the clusters that it names. An allowance, ``guard=object``, lets just that happen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from publisher.core.config import Config, Part, part_nodes, percent, shares, target_count
from publisher.core.diff import ServiceChange
from publisher.core.model import Route, ServiceKey
from publisher.core.plan import Refusal
from publisher.core.policy import Policy

DEFAULTS: Mapping[str, int | bool] = {
    "removed-targets": 30,
    "no-targets": True,
    "empty-cluster": True,
    "deleted-service": True,
    "touched-services": 100,
    "moved-route": True,
    "shifted-traffic": 50,
}
"""Every guard with its limit: percent of a service's traffic, a number of services, or True."""

FEW = 3
"""Of so few targets never more than half may go at once."""


class Verdict(NamedTuple):
    """A refusal, what has to stay as published for it, and what lets it pass."""

    refusal: Refusal
    services: frozenset[ServiceKey]
    clusters: frozenset[str]
    ways: tuple[frozenset[str], ...]
    """Each a set of allowances that lets it pass."""


class AllowanceError(ValueError):
    """A text is not an allowance."""


def parse_allowance(text: str) -> str:
    """Read ``guard=object``; raises AllowanceError."""
    guard, sign, name = (part.strip() for part in text.partition("="))
    if guard not in DEFAULTS:
        raise AllowanceError(f"{text!r}: there is no guard {guard!r}; there are {', '.join(DEFAULTS)}")
    if not sign or not name:
        raise AllowanceError(f"{text!r}: say what it allows, such as {guard}=default/flask")
    return f"{guard}={name}"


def split(verdicts: Collection[Verdict], allowed: Collection[str]) -> tuple[list[Verdict], frozenset[str]]:
    """Give the verdicts that stand, and the allowances that let the others pass."""
    standing: list[Verdict] = []
    used: set[str] = set()
    for verdict in verdicts:
        way = next((way for way in _ways(verdict, allowed) if way <= set(allowed)), None)
        if way is None:
            standing.append(verdict)
        else:
            used |= way
    return standing, frozenset(used)


def _ways(verdict: Verdict, allowed: Collection[str]) -> Iterator[frozenset[str]]:
    yield from verdict.ways
    if verdict.refusal.guard == "touched-services":  # whoever allows more allows fewer too
        for item in allowed:
            guard, _, number = item.partition("=")
            if guard == verdict.refusal.guard and number.isdecimal() and int(number) >= int(verdict.refusal.object):
                yield frozenset({item})


@dataclass(frozen=True, slots=True)
class Case:
    """What the rules look at: what is published, what shall be, and how they differ."""

    before: Config
    after: Config
    changes: tuple[ServiceChange, ...]
    policy: Policy

    def limit(self, guard: str, key: ServiceKey | None = None) -> int | bool:
        """Give the limit of a guard, for a service where it has one of its own."""
        own = self.policy.services.get(key) if key else None
        for limits in (own.guards if own else {}, self.policy.guards.limits):
            if guard in limits:
                return DEFAULTS[guard] if limits[guard] is True else limits[guard]
        return DEFAULTS[guard]

    def excluded(self, cluster: str) -> bool:
        """Tell whether publisher.yaml names a cluster as one that shall not count: that it goes is no loss."""
        return any(fnmatchcase(cluster, pattern) for pattern in self.policy.karmada.clusters.exclude)


def judge(case: Case) -> tuple[Verdict, ...]:
    """Apply every guard; allowances are not looked at, see :func:`split`."""
    found = [*_clusters(case), *_touched(case), *_routes(case)]
    for change in case.changes:
        if change.action != "create":
            found.extend(_service(case, change))
    return tuple(sorted(found, key=lambda verdict: verdict.refusal))


def _verdict(
    guard: str,
    name: str,
    message: str,
    services: Collection[ServiceKey] = (),
    clusters: Collection[str] = (),
    causes: Collection[str] = (),
) -> Verdict:
    """Make a verdict; ``causes`` are clusters that can be allowed in the object's place, all of them."""
    ways = [frozenset({f"{guard}={name}"})]
    if causes:
        ways.append(frozenset(f"{guard}={cause}" for cause in causes))
    refusal = Refusal(guard, name, message, f"{guard}={name}")
    return Verdict(refusal, frozenset(services), frozenset(clusters), tuple(ways))


def _clusters(case: Case) -> Iterator[Verdict]:
    if case.limit("empty-cluster") is False:
        return
    for name, cluster in case.before.clusters.items():
        after = case.after.clusters.get(name)
        serves = cluster.nodes and cluster.state == "active" and not case.excluded(name)
        if serves and not (after and after.nodes):
            count = len(cluster.nodes)
            yield _verdict("empty-cluster", name, f"{count} of {count} nodes would go", (), {name})


def _touched(case: Case) -> Iterator[Verdict]:
    limit = case.limit("touched-services")
    touched = [
        key
        for key, service in case.before.services.items()
        if case.after.services.get(key) is not service and case.after.services.get(key) != service
    ]
    if limit is not False and len(touched) > limit:
        message = f"{len(touched)} of {len(case.before.services)} services would change, the limit is {limit}"
        parts = {name for key in touched for name in case.before.services[key].parts}
        # services that are kept lose clusters that go, all the same
        yield _verdict("touched-services", str(len(touched)), message, touched, parts - case.after.clusters.keys())


def _routes(case: Case) -> Iterator[Verdict]:
    had: dict[Route, ServiceKey] = {}
    for change in case.changes:
        if change.routes_removed:
            gone = set(change.routes_removed)
            routes = (entry.route for entry in case.before.services[change.service].routes)
            had.update({route: change.service for route in routes if str(route) in gone})
    for change in case.changes if had else ():
        service = case.after.services.get(change.service)
        for entry in service.routes if service else ():
            loser = had.get(entry.route)
            if loser is None or loser == change.service:
                continue
            if case.limit("moved-route", change.service) is not False and case.limit("moved-route", loser) is not False:
                message = f"it would lead to {change.service} instead of {loser}"
                yield _verdict("moved-route", str(entry.route), message, {change.service, loser})


class _Loss(NamedTuple):
    """What a service would lose, as far as it takes traffic."""

    gone: int
    total: int
    traffic: float
    """Share of its traffic, 0 to 1."""
    clusters: frozenset[str]


def _service(case: Case, change: ServiceChange) -> Iterator[Verdict]:
    """Judge one service that is published: the gravest only, since whoever allows that allows the rest."""
    key = change.service
    own = case.policy.services.get(key)
    if change.action == "delete":
        parts = [name for name in case.before.services[key].parts if not case.excluded(name)]
        if case.limit("deleted-service", key) is not False and parts and (own is None or own.publish):
            message = f"all of its {change.targets_before} targets would go: {change.reason}"
            yield _keep(case, "deleted-service", key, message, parts)
        return
    was, now = _shares(key, case), shares(key, case.after)
    if was and not now:
        if case.limit("no-targets", key) is not False:
            loss = _loss(change, was, case)
            message = f"{loss.total} of {loss.total} targets that take traffic would go"
            yield _keep(case, "no-targets", key, message, was)
        return
    loss = _loss(change, was, case)
    limit = case.limit("removed-targets", key)
    if limit is not False and loss.gone and _too_many(loss, limit):
        bound = f"never more than half of {FEW} or fewer" if loss.total <= FEW else f"the limit is {limit} %"
        message = f"{loss.gone} of {loss.total} targets would go, {percent(loss.traffic)} of its traffic; {bound}"
        few = loss.total <= FEW and loss.traffic * 100 <= limit
        yield _keep(case, "removed-targets", key, message, loss.clusters, few)
    limit = case.limit("shifted-traffic", key)
    if limit is not False and was and now:
        moved = sum(abs(was.get(name, 0) - now.get(name, 0)) for name in was.keys() | now.keys()) / 2
        if moved * 100 > limit + 1e-9:
            changed = {name for name in was.keys() | now.keys() if was.get(name) != now.get(name)}
            shown = ", ".join(
                f"{name} {percent(was.get(name, 0))} -> {percent(now.get(name, 0))}" for name in sorted(changed)[:5]
            )
            message = f"{percent(moved)} of its traffic would move between clusters, the limit is {limit} %: {shown}"
            yield _keep(case, "shifted-traffic", key, message, changed)


def _shares(key: ServiceKey, case: Case) -> dict[str, float]:
    """Give the share of its traffic that each cluster takes, as if those that are excluded had never been."""
    found = {name: share for name, share in shares(key, case.before).items() if not case.excluded(name)}
    total = sum(found.values())
    return {name: share / total for name, share in found.items()}


def _keep(case: Case, guard: str, key: ServiceKey, message: str, causes: Collection[str], few: bool = False) -> Verdict:
    """Keep a service, and of the clusters that cause it or would have it measured anew those whose own files change.

    Else the next run, with nothing new in the fleet, would let pass what this one refuses. ``few``: that it has
    few targets is all that refuses it.
    """
    before, after = case.before, case.after
    was = shares(key, before)
    now = shares(key, Config(after.clusters, before.services))  # once the rest is published
    names = {*causes, *(name for name in was.keys() ^ now.keys() if not case.excluded(name))}
    if few:
        names |= was.keys()
    changed = {name for name in names if before.clusters.get(name) != after.clusters.get(name)}
    return _verdict(guard, key, message, {key}, changed, causes)


def _too_many(loss: _Loss, limit: int) -> bool:
    if loss.total <= FEW:
        return loss.gone * 100 > loss.total * max(limit, 50)
    return loss.traffic * 100 > limit + 1e-9


def _loss(change: ServiceChange, taking: Mapping[str, float], case: Case) -> _Loss:
    """Count what vanishes: not a target that just has another port or address."""
    before, after = case.before.services[change.service].parts, case.after.services[change.service].parts
    totals = {name: target_count(before[name], case.before.clusters.get(name)) for name in taking}
    gone: dict[str, int] = {}
    for item in change.targets:
        if item.action == "remove" and item.cluster in taking:
            left = _names(after.get(item.cluster), item.cluster, case.after)
            lost = len([node for node in item.nodes if node not in left]) * len(item.ports) + len(item.addresses)
            if lost:
                gone[item.cluster] = gone.get(item.cluster, 0) + lost
    traffic = sum(taking[name] * lost / totals[name] for name, lost in gone.items())
    return _Loss(sum(gone.values()), sum(totals.values()), traffic, frozenset(gone))


def _names(part: Part | None, cluster: str, config: Config) -> Collection[str]:
    return part_nodes(part, config.clusters.get(cluster)) if part else ()
