"""A plan as text and commit message: made from the plan alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from publisher.core.config import join_host_port
from publisher.core.diff import ClusterChange, ServiceChange, TargetChange
from publisher.core.history import (
    ALLOW_TRAILER,
    ID_TRAILER,
    PLAN_TRAILER,
    RESUME_TRAILER,
    SNAPSHOT_TRAILER,
    Word,
)
from publisher.core.plan import Plan
from publisher.core.redact import one_line

_SHOWN = 10
"""Targets of one change that are listed for people; JSON has them all."""
_SIGN = {"create": "+", "change": "~", "delete": "-", "add": "+", "remove": "-"}


def count(number: int, noun: str) -> str:
    """Write ``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Sequence[str], most: int) -> str:
    """Name some things, and of many only the first."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def summary(plan: Plan) -> str:
    """Say in one line what the plan does, and what keeps it from doing more."""
    kinds = [
        (sum(1 for item in plan.files if item.action == action), word)
        for action, word in (("create", "created"), ("change", "changed"), ("delete", "deleted"))
    ]
    done = ", ".join(f"{number} {word}" for number, word in kinds if number)
    kept = ", ".join(
        f"{len(found)} {word}" for found, word in ((plan.held, "held"), (plan.refusals, "refused")) if found
    )
    does = f"{count(len(plan.files), 'file')}: {done}" if plan.files else "nothing to do"
    return f"{does}; {kept}" if kept else does


def commit_message(plan: Plan) -> str:
    """Write the commit message, trailers last. No clock and no host: equal plans give equal messages."""
    lines = [subject(plan), "", *_body(plan)]
    return "\n".join(map(one_line, [*lines, "", *trailers(plan)])) + "\n"


def trailers(plan: Plan) -> Iterator[str]:
    """Give what later runs read from a commit; a squash merge keeps them where they stand last in its message."""
    yield f"{ID_TRAILER}: {plan.publisher}"
    yield f"{PLAN_TRAILER}: {plan.digest}"
    yield f"{SNAPSHOT_TRAILER}: {plan.snapshot}"
    yield from (f"{ALLOW_TRAILER}: {item}" for item in plan.allowed)
    yield from (f"{RESUME_TRAILER}: {item}" for item in plan.resumed)


def subject(plan: Plan) -> str:
    """Name what changes: the service, else the nodes, else how much."""
    return f"resume {_moves(plan)}" if plan.resumed else _moves(plan)


def _moves(plan: Plan) -> str:
    words = {"create": "publish", "change": "update", "delete": "remove"}
    moved = [*(item.cluster for item in plan.clusters), *(item.service for item in plan.services)]
    if len(plan.files) == 1 and len(plan.clusters) == 1:
        return f"{plan.clusters[0].cluster}: {_nodes_moved(plan.clusters[0])}"
    if len(plan.files) == 1 and len(plan.services) == 1:
        change = plan.services[0]
        return f"{words[change.action]} {change.service}: {_targets_moved(change)}"
    if not moved:
        return f"rewrite {count(len(plan.files), 'file')}"
    if len(moved) <= 3:
        return f"update {', '.join(moved)}"
    return f"update {count(len(plan.clusters), 'cluster')} and {count(len(plan.services), 'service')}"


def _nodes_moved(change: ClusterChange) -> str:
    parts = []
    for verb, nodes in (("add", sorted(change.added)), ("remove", sorted(change.removed.keys() - change.added.keys()))):
        if nodes:
            parts.append(f"{verb} {', '.join(nodes) if len(nodes) <= 3 else count(len(nodes), 'node')}")
    if change.state:
        parts.append(change.state)
    return ", ".join(parts) or "update"


def cluster_lines(change: ClusterChange) -> Iterator[str]:
    """Give a line for each node that comes or goes, and for the state."""
    if change.state:
        yield f"~ state {change.state}"
    for sign, lines in (
        ("+", [f"{node} {ip}" for node, ip in change.added.items()]),
        ("-", [f"{node} {ip} ({reason})" for node, (ip, reason) in change.removed.items()]),
    ):
        for line in lines[:_SHOWN]:
            yield f"{sign} node {line}"
        if len(lines) > _SHOWN:
            yield f"{sign} ... and {len(lines) - _SHOWN} more"


def _targets_moved(change: ServiceChange) -> str:
    if change.targets_before == change.targets_after:
        return count(change.targets_after, "target")
    return f"{change.targets_before} -> {count(change.targets_after, 'target')}"


def _body(plan: Plan) -> Iterator[str]:
    yield from changes(plan, most=50)
    for lines in (unknown_lines(plan), held_lines(plan), refusal_lines(plan)):
        found = list(lines)
        yield from ["", *found] if found else []


def changes(plan: Plan, most: int) -> Iterator[str]:
    """Give the changes of clusters and services, at most so many of each."""
    for cluster in plan.clusters[:most]:
        yield f"{_SIGN[cluster.action]} cluster {cluster.cluster}"
        yield from (f"    {line}" for line in cluster_lines(cluster))
    if len(plan.clusters) > most:
        yield f"... and {count(len(plan.clusters) - most, 'more cluster')}"
    for service in plan.services[:most]:
        yield f"{_SIGN[service.action]} service {service.service}: {_targets_moved(service)}"
        yield from (f"    {line}" for line in details(service))
    if len(plan.services) > most:
        yield f"... and {count(len(plan.services) - most, 'more service')}"


def details(change: ServiceChange) -> Iterator[str]:
    """Give a line for each group of targets, weight and route that changes."""
    if change.reason:
        yield change.reason
    for route in change.routes_added:
        yield f"+ route {route}"
    for route in change.routes_removed:
        yield f"- route {route}"
    for item in change.targets:
        yield f"{_SIGN[item.action]} {item.cluster}: {_listed(item)} ({item.reason})"
    for weight in change.weights:
        yield f"~ {weight.cluster}: weight {weight.before} -> {weight.after} ({weight.reason})"


def addresses(item: TargetChange) -> Iterator[tuple[str, str]]:
    """Give node and ``ip:port`` of each target of a change; the node is empty for one named outright."""
    for node, ip in item.nodes.items():
        for port in item.ports:
            yield node, join_host_port(ip, port)
    for address in item.addresses:
        yield "", address


def _listed(item: TargetChange) -> str:
    shown: list[str] = []
    for _, address in addresses(item):
        if len(shown) == _SHOWN:
            return f"{', '.join(shown)} and {item.total - _SHOWN} more"
        shown.append(address)
    return ", ".join(shown)


def unknown_lines(plan: Plan) -> Iterator[str]:
    """Give a line for each cluster that could not be read, wholly or in part."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for part in plan.unknown:
        reasons.setdefault((part.cluster, part.reason), []).append(part.kind)
    for (cluster, reason), kinds in reasons.items():
        yield f"? {cluster}: {', '.join(kinds)} unknown, left as published: {reason}"


def held_lines(plan: Plan) -> Iterator[str]:
    """Give a line for each held file, with whose word it is, and one for each thing it would become."""
    for held in plan.held:
        yield f"= {held.name}: held, {whose(held.word)}"
        yield from (f"    would become: {line}" for line in held.becomes)


def whose(word: Word) -> str:
    """Name a person's commit: since when, which and whose."""
    if not word.commit:
        return word.subject
    return f"since {date(word.time)} by {word.author} in {word.commit[:12]} ({word.subject})"


def date(seconds: int) -> str:
    """Write a time that Git tells, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def refusal_lines(plan: Plan) -> Iterator[str]:
    """Give a line for each refusal, with what allows just that."""
    for refusal in plan.refusals:
        yield f"! {refusal.guard} {refusal.object}: {refusal.message}; --allow {refusal.allow} lets it pass"


def text(plan: Plan) -> Iterator[str]:
    """Write a plan for a terminal or a log."""
    return map(one_line, _text(plan))


def _text(plan: Plan) -> Iterator[str]:
    yield f"plan {plan.digest} for publisher {plan.publisher}: {summary(plan)}"
    for file in plan.files:
        yield f"  {_SIGN[file.action]} {file.path}"
    yield from changes(plan, most=1000)
    yield from unknown_lines(plan)
    yield from held_lines(plan)
    yield from refusal_lines(plan)
    for key, reason in plan.unpublished:
        if reason.startswith("refused"):
            yield f"! {key}: not published: {reason}"
    for finding in plan.findings:
        yield f"{finding.severity}: {finding}"
