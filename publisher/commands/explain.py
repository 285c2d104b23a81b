"""``publisher explain``: every target of a service, and every cluster and node that is none, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from publisher.commands.pipeline import Outcome
from publisher.core.config import Target, part_nodes, target_shares
from publisher.core.documents import finding_document
from publisher.core.model import Finding, ServiceKey, Unknown
from publisher.errors import UsageError


@dataclass(frozen=True, slots=True)
class Excluded:
    """A cluster, or a node of one, that is no target."""

    cluster: str
    node: str
    """Empty where it is the whole cluster."""
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a service is published the way it is."""

    service: ServiceKey
    unpublished: str
    """Why it is not published; empty where it is."""
    kept: bool
    """Its file stays as it is, because not all could be read or something is wrong."""
    routes: tuple[str, ...]
    targets: Mapping[Target, Mapping[str, float]]
    """Each with its share, 0 to 1, of the requests of the routes that lead to it, by the port of the route."""
    excluded: tuple[Excluded, ...]
    unknown: tuple[Excluded, ...]
    """Clusters that could not be read; what is published of them stays."""
    findings: tuple[Finding, ...]

    def document(self) -> dict[str, Any]:
        """Build the JSON document."""
        return {
            "service": self.service,
            "published": not self.unpublished,
            "reason": self.unpublished,
            "kept": self.kept,
            "routes": list(self.routes),
            "targets": [{**item._asdict(), "shares": dict(shares)} for item, shares in self.targets.items()],
            "excluded": [{"cluster": item.cluster, "node": item.node, "reason": item.reason} for item in self.excluded],
            "unknown": [{"cluster": item.cluster, "reason": item.reason} for item in self.unknown],
            "findings": [finding_document(item) for item in self.findings],
        }


def explain(outcome: Outcome, name: str) -> Explanation:
    """Explain one service; raises UsageError where no cluster and no file has it."""
    key = ServiceKey(name)
    selection, desired = outcome.selection, outcome.desired
    selected = selection.services.get(key)
    if selected is None:
        known = ", ".join(sorted(selection.services)[:10]) or "none"
        raise UsageError(
            f"no cluster that was read has a service {name} in a namespace that counts; some that there are: {known}"
        )
    service = desired.config.services.get(key)
    clusters = desired.config.clusters
    excluded = [Excluded(cluster, "", reason) for cluster, reason in selection.excluded_clusters.items()]
    excluded += [Excluded(cluster, "", reason) for cluster, reason in selected.excluded.items()]
    for cluster, part in service.parts.items() if service else ():
        nodes = part_nodes(part, clusters.get(cluster))
        if cluster not in selection.clusters:
            continue
        excluded += [Excluded(cluster, node, why) for node, why in selection.clusters[cluster].excluded.items()]
        if part.nodes is not None and cluster in clusters:
            idle = sorted(clusters[cluster].nodes.keys() - nodes.keys())
            excluded += [
                Excluded(cluster, node, "no ready endpoint on it, and externalTrafficPolicy is Local") for node in idle
            ]
    unknown = [
        Excluded(cluster, "", part.reason) for cluster, part in selected.parts.items() if isinstance(part, Unknown)
    ]
    for cluster, view in selection.clusters.items():
        if isinstance(view.nodes, Unknown) and not isinstance(selected.parts.get(cluster), Unknown | None):
            unknown.append(Excluded(cluster, "", view.nodes.reason))
    return Explanation(
        service=key,
        unpublished="" if service else desired.unpublished.get(key, "it is not selected"),
        kept=key in desired.kept,
        routes=tuple(str(entry.route) for entry in service.routes) if service else (),
        targets=target_shares(service, clusters) if service else {},
        excluded=tuple(sorted(excluded, key=lambda item: (item.cluster, item.node))),
        unknown=tuple(sorted(unknown, key=lambda item: item.cluster)),
        findings=tuple(item for item in outcome.plan.findings if item.where == f"service {key}"),
    )
