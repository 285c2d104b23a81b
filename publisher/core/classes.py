"""Classes of changes: in mode auto, publisher.yaml says which of them need no review."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from publisher.core.diff import ClusterChange, ServiceChange
from publisher.core.plan import Plan
from publisher.core.select.clusters import NOT_READY

CLASSES = (
    "added-targets",
    "added-services",
    "not-ready-nodes",
    "removed-targets",
    "removed-services",
    "routes",
    "weights",
)
"""A change that is in none of them, such as another way to write the same, always goes where the rest goes."""


def classes(plan: Plan) -> Mapping[str, frozenset[str]]:
    """Give the classes of every cluster and service that a plan changes, by its name."""
    found: dict[str, frozenset[str]] = {}
    for cluster in plan.clusters:
        found[cluster.cluster] = frozenset(_of_cluster(cluster))
    for service in plan.services:
        found[service.service] = frozenset(_of_service(service))
    return found


def _of_cluster(change: ClusterChange) -> Iterator[str]:
    if change.added.keys() - change.removed.keys():
        yield "added-targets"
    for node, (_, reason) in change.removed.items():
        if node not in change.added:
            yield "not-ready-nodes" if reason == NOT_READY else "removed-targets"
    if change.added.keys() & change.removed.keys():
        yield "removed-targets"
    if change.state:
        yield "weights"


def _of_service(change: ServiceChange) -> Iterator[str]:
    if change.action != "change":
        yield "added-services" if change.action == "create" else "removed-services"
        return
    for item in change.targets:
        if item.action == "add":
            yield "added-targets"
        else:
            yield "not-ready-nodes" if item.reason == NOT_READY else "removed-targets"
    if change.weights:
        yield "weights"
    if change.routes_added or change.routes_removed:
        yield "routes"
