"""What a rollback does to traffic, and which of the targets that come back a fleet still has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from publisher.core.config import Config
from publisher.core.diff import ClusterChange, ServiceChange, TargetChange, cluster_changes, service_changes
from publisher.core.model import Node, ServiceKey, Topology, Unknown
from publisher.core.select import Selection

LEAVES = "goes with the rollback"
State = Literal["there", "gone", "unknown"]


class Doubt(NamedTuple):
    """Targets that come back, and of which the fleet does not say that they are there."""

    state: State
    service: ServiceKey
    targets: TargetChange


@dataclass(frozen=True, slots=True)
class Comeback:
    """What a rollback does."""

    clusters: tuple[ClusterChange, ...]
    services: tuple[ServiceChange, ...]
    doubts: tuple[Doubt, ...]


def comeback(before: Config, after: Config, topology: Topology | None) -> Comeback:
    """Compare what is published with what would be; None: the fleet could not be read."""
    nothing = Selection({}, {}, {})  # a plan's reasons are those of a fleet: here are others
    clusters = tuple(
        replace(change, removed={node: (ip, LEAVES) for node, (ip, _) in change.removed.items()})
        for change in cluster_changes(before, after, nothing)
    )
    services: list[ServiceChange] = []
    doubts: list[Doubt] = []
    for change in service_changes(before, after, nothing, dict.fromkeys(before.services, LEAVES)):
        seen = [found for item in change.targets for found in _seen(change.service, item, topology)]
        doubts += [Doubt(state, change.service, item) for state, item in seen if state != "there"]
        weights = tuple(weight._replace(reason="as it was") for weight in change.weights)
        services.append(replace(change, targets=tuple(item for _, item in seen), weights=weights))
    return Comeback(clusters, tuple(services), tuple(doubts))


def _seen(key: ServiceKey, change: TargetChange, topology: Topology | None) -> Iterator[tuple[State, TargetChange]]:
    """Split targets that come back by what the fleet says of them."""
    if change.action == "remove":
        yield "there", change._replace(reason=LEAVES)
        return
    if topology is None:
        yield "unknown", change._replace(reason="comes back")
        return
    state, why = _of_service(key, change, topology)
    if state != "there":
        yield state, change._replace(reason=f"comes back, {state}: {why}")
        return
    nodes = topology.clusters[change.cluster].nodes
    if isinstance(nodes, Unknown):
        yield "unknown", change._replace(reason=f"comes back, unknown: {nodes.reason}")
        return
    there = {name: ip for name, ip in change.nodes.items() if _has(nodes.get(name), ip)}
    if there:
        yield "there", change._replace(nodes=there, reason="comes back")
    if gone := {name: ip for name, ip in change.nodes.items() if name not in there}:
        yield "gone", change._replace(nodes=gone, reason="comes back, gone: no Node has this name and address")


def _of_service(key: ServiceKey, change: TargetChange, topology: Topology) -> tuple[State, str]:
    cluster = topology.clusters.get(change.cluster)
    if cluster is None:
        return "gone", "the fleet that publisher.yaml selects has no such cluster"
    if isinstance(cluster.services, Unknown):
        return "unknown", cluster.services.reason
    service = cluster.services.get(key)
    if service is None:
        return "gone", "the cluster has no such Service"
    if change.addresses:
        return "unknown", "it is named outright, and the fleet tells of Nodes"
    if lost := sorted(set(change.ports) - {port.node_port for port in service.ports}):
        return "gone", f"the Service has no nodePort {', '.join(map(str, lost))}"
    return "there", ""


def _has(node: Node | None, ip: str) -> bool:
    return node is not None and any(address.ip == ip for address in node.addresses)
