"""Which clusters, nodes, services and addresses count, and why the others do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from publisher.core.config import Config
from publisher.core.model import Finding, ServiceKey, Topology
from publisher.core.policy import Policy
from publisher.core.select.clusters import SelectedCluster, select_clusters
from publisher.core.select.services import SelectedService, select_services


@dataclass(frozen=True, slots=True)
class Selection:
    """All that counts."""

    clusters: Mapping[str, SelectedCluster]
    excluded_clusters: Mapping[str, str]
    services: Mapping[ServiceKey, SelectedService]
    findings: tuple[Finding, ...] = ()


def select(topology: Topology, policy: Policy, current: Config) -> Selection:
    """Apply publisher.yaml and annotations to the fleet.

    ``current`` matters twice: a service that is published and that no list names any more has to be seen as gone,
    and a published route stays with its service when another asks for it.
    """
    clusters, excluded = select_clusters(topology, policy)
    members = {name: topology.clusters[name] for name in clusters}
    services, findings = select_services(members, clusters, policy, current)
    return Selection(clusters, excluded, services, tuple(sorted({*topology.findings, *findings})))
