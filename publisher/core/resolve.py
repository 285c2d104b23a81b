"""What was selected, joined with what is published already: an unknown part stays exactly as it is."""

from __future__ import annotations

from dataclasses import dataclass

from publisher.core import rules
from publisher.core.config import ClusterConfig, Config, Part, RoutedPort, ServiceConfig
from publisher.core.model import Finding, ServiceKey, Unknown
from publisher.core.policy import Policy
from publisher.core.select import Selection
from publisher.core.select.services import SelectedService


@dataclass(frozen=True, slots=True)
class Desired:
    """What shall be published."""

    config: Config
    kept: frozenset[str]
    """Clusters and services whose files stay as they are, byte for byte."""
    findings: tuple[Finding, ...]
    unpublished: dict[ServiceKey, str]
    """Why a service that some cluster has is not published."""


def resolve(selection: Selection, current: Config, policy: Policy) -> Desired:
    """Work out the configuration to publish."""
    findings: list[Finding] = []
    kept: set[str] = set()
    clusters: dict[str, ClusterConfig] = {}
    for name, cluster in selection.clusters.items():
        if not isinstance(cluster.nodes, Unknown):
            clusters[name] = ClusterConfig(name, cluster.nodes, cluster.state, cluster.region)
        elif name in current.clusters:
            clusters[name] = current.clusters[name]
            kept.add(name)
    services: dict[ServiceKey, ServiceConfig] = {}
    unpublished: dict[ServiceKey, str] = {}
    for key, selected in selection.services.items():
        before = current.services.get(key)
        wanted = _service(selected, before, clusters, unpublished, findings)
        if wanted is not None:
            services[key] = wanted
        if wanted is not None and wanted is before:
            kept.add(key)
    config = Config(clusters, services)
    wrong = rules.check(config, policy.allowed_networks)
    refused = {finding.where.removeprefix("service ") for finding in wrong if finding.severity == "error"}
    for name in refused & services.keys() - kept:
        key = ServiceKey(name)
        if key in current.services:
            services[key] = current.services[key]
            kept.add(key)
        else:
            del services[key]
            unpublished[key] = "refused, see the findings"
    return Desired(config, frozenset(kept), tuple(findings) + wrong, unpublished)


def _service(
    selected: SelectedService,
    before: ServiceConfig | None,
    clusters: dict[str, ClusterConfig],
    unpublished: dict[ServiceKey, str],
    findings: list[Finding],
) -> ServiceConfig | None:
    """Give the configuration of a service; the very object ``before`` where its file stays as it is."""
    key = selected.key
    if selected.refused:
        if before is None:
            unpublished[key] = "refused, see the findings"
        return before
    parts: dict[str, Part] = {}
    known = unknown = False
    for name, part in sorted(selected.parts.items()):
        if not isinstance(part, Unknown) and name in clusters:
            parts[name] = part
            known = True
        else:
            unknown = True
            if before is not None and name in before.parts:
                parts[name] = before.parts[name]
    if not parts:
        unpublished[key] = _why_nowhere(selected, unknown)
        return None
    if not known or (unknown and not selected.routes):
        if before is None:
            unpublished[key] = "it has no route, and not all of its clusters could be read"
        return before if not (known and before is None) else None
    if not selected.routes:
        unpublished[key] = "it has no route"
        return None
    ports = sorted({port for part in parts.values() for port in part.ports})
    if len(ports) != 1:
        findings.append(
            Finding(
                f"service {key}",
                "",
                "port-name",
                f"its clusters name the port differently: {', '.join(ports)}",
                "give the port one name in all clusters",
            )
        )
        if before is None:
            unpublished[key] = "refused, see the findings"
        return before
    return ServiceConfig(key, tuple(RoutedPort(route, ports[0]) for route in selected.routes), parts)


def _why_nowhere(selected: SelectedService, unknown: bool) -> str:
    if unknown:
        return "no cluster that could be read has it"
    reasons = sorted(set(selected.excluded.values()))
    return "; ".join(reasons) if reasons else "no cluster counts"
