"""Which clusters, nodes, services and addresses count, and why the others do not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from publisher.core.config import Config
from publisher.core.model import Finding, ServiceKey, Topology, Unknown
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


def keep_clusters(selection: Selection, names: Collection[str], current: Config) -> Selection:
    """Let published clusters that no longer count do so all the same, with all that they add to services.

    They are treated as one whose every part is unknown, so that what is published of them stays.
    """
    gone = sorted(name for name in names if name in current.clusters and name not in selection.clusters)
    if not gone:
        return selection
    unread = Unknown("kept as published")
    clusters = {
        name: SelectedCluster(name, current.clusters[name].region, current.clusters[name].state, "", unread, {})
        for name in gone
    }
    services = dict(selection.services)
    for key, service in current.services.items():
        parts = {name: unread for name in gone if name in service.parts}
        if parts and key in services:
            services[key] = replace(services[key], parts={**services[key].parts, **parts})
    return replace(selection, clusters=dict(sorted({**selection.clusters, **clusters}.items())), services=services)
