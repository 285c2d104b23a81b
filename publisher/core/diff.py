"""What a plan means for the targets, weights and routes of each service, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from publisher.core.config import ClusterConfig, Config, Part, ServiceConfig, part_nodes, part_weight, target_count
from publisher.core.model import ServiceKey
from publisher.core.select import Selection

Action = Literal["create", "change", "delete"]


class TargetChange(NamedTuple):
    """Targets of one service in one cluster that come or go, for one reason."""

    action: Literal["add", "remove"]
    cluster: str
    ports: tuple[int, ...]
    nodes: Mapping[str, str]
    """Address by node; shared between services, so that a large fleet costs little."""
    addresses: tuple[str, ...]
    weight: int
    reason: str

    @property
    def total(self) -> int:
        """Number of targets."""
        return len(self.nodes) * len(self.ports) + len(self.addresses)


class WeightChange(NamedTuple):
    """A cluster whose share of a service changes."""

    cluster: str
    before: int
    after: int
    reason: str


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """What changes for one cluster."""

    cluster: str
    action: Action
    added: Mapping[str, str]
    """Address by node."""
    removed: Mapping[str, tuple[str, str]]
    """Address and reason by node."""
    state: str
    """The state it gets, with the reason; empty where that does not change."""


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """What changes for one service."""

    service: ServiceKey
    action: Action
    targets: tuple[TargetChange, ...]
    weights: tuple[WeightChange, ...]
    routes_added: tuple[str, ...]
    routes_removed: tuple[str, ...]
    targets_before: int
    targets_after: int
    reason: str = ""
    """Why it goes; empty unless it does."""

    @property
    def empty(self) -> bool:
        """Nothing changes but the way it is written."""
        return self.action == "change" and not (
            self.targets or self.weights or self.routes_added or self.routes_removed
        )


def cluster_changes(before: Config, after: Config, selection: Selection) -> Iterator[ClusterChange]:
    """Compare two configurations cluster by cluster."""
    for name in sorted(before.clusters.keys() | after.clusters.keys()):
        old, new = before.clusters.get(name), after.clusters.get(name)
        if old == new:
            continue
        old_nodes, new_nodes = old.nodes if old else {}, new.nodes if new else {}
        whole = "" if new else selection.excluded_clusters.get(name, "Karmada no longer has the cluster")
        groups = _grouped(_without(old_nodes, new_nodes), whole, name, new, selection)
        selected = selection.clusters.get(name)
        state = f"{new.state} ({selected.state_reason})" if new and selected and selected.state_reason else ""
        yield ClusterChange(
            cluster=name,
            action="create" if old is None else "delete" if new is None else "change",
            added=_without(new_nodes, old_nodes),
            removed={node: (ip, reason) for reason, nodes in groups.items() for node, ip in nodes.items()},
            state=(state or new.state) if new and new.state != (old.state if old else "active") else "",
        )


def service_changes(
    before: Config, after: Config, selection: Selection, unpublished: Mapping[ServiceKey, str]
) -> Iterator[ServiceChange]:
    """Compare two configurations service by service; ``unpublished`` says why a service is not in the second."""
    for key in sorted(before.services.keys() | after.services.keys()):
        old, new = before.services.get(key), after.services.get(key)
        gone = "" if new else unpublished.get(key) or "no cluster counts"
        change = ServiceChange(
            service=key,
            action="create" if old is None else "delete" if new is None else "change",
            targets=tuple(_targets(key, before, after, selection, gone)),
            weights=tuple(_weights(key, before, after, selection)),
            routes_added=_routes(new, old),
            routes_removed=_routes(old, new),
            targets_before=_count(old, before),
            targets_after=_count(new, after),
            reason=gone,
        )
        if not change.empty:
            yield change


def _routes(having: ServiceConfig | None, missing: ServiceConfig | None) -> tuple[str, ...]:
    ours = {entry.route for entry in having.routes} if having else set()
    theirs = {entry.route for entry in missing.routes} if missing else set()
    return tuple(str(route) for route in sorted(ours - theirs))


def _count(service: ServiceConfig | None, config: Config) -> int:
    parts = service.parts.items() if service else ()
    return sum(target_count(part, config.clusters.get(name)) for name, part in parts)


def _parts(key: ServiceKey, config: Config) -> Mapping[str, Part]:
    service = config.services.get(key)
    return service.parts if service else {}


def _targets(key: ServiceKey, before: Config, after: Config, selection: Selection, gone: str) -> Iterator[TargetChange]:
    old_parts, new_parts = _parts(key, before), _parts(key, after)
    for name in sorted(old_parts.keys() | new_parts.keys()):
        old, new = old_parts.get(name), new_parts.get(name)
        old_nodes = part_nodes(old, before.clusters.get(name)) if old else {}
        new_nodes = part_nodes(new, after.clusters.get(name)) if new else {}
        old_ports = tuple(sorted(old.ports.values())) if old else ()
        new_ports = tuple(sorted(new.ports.values())) if new else ()
        moved = bool(old_ports and new_ports and old_ports != new_ports)
        lost = old_nodes if moved else _without(old_nodes, new_nodes)
        gained = new_nodes if moved else _without(new_nodes, old_nodes)
        port_change = f"nodePort changed from {_join(old_ports)} to {_join(new_ports)}"
        if old:
            whole = port_change if moved else "" if new else _why_no_part(key, name, selection) or gone
            for reason, nodes in _grouped(lost, whole, name, after.clusters.get(name), selection).items():
                yield TargetChange("remove", name, old_ports, nodes, (), old.weight, reason)
            if addresses := tuple(sorted(set(old.addresses) - set(new.addresses if new else ()))):
                yield TargetChange("remove", name, (), {}, addresses, old.weight, whole or "no longer named")
        if new:
            addresses = tuple(sorted(set(new.addresses) - set(old.addresses if old else ())))
            if gained or addresses:
                reason = port_change if moved else _why_gained(key, old, before)
                yield TargetChange("add", name, new_ports, gained, addresses, new.weight, reason)


def _join(ports: tuple[int, ...]) -> str:
    return ", ".join(map(str, ports))


def _without(nodes: Mapping[str, str], others: Mapping[str, str]) -> Mapping[str, str]:
    if nodes is others or not nodes:
        return {}
    if not others:
        return nodes  # shared, not copied: a first plan of a large fleet would hold every node once a service
    return {name: ip for name, ip in nodes.items() if others.get(name) != ip}


def _why_no_part(key: ServiceKey, cluster: str, selection: Selection) -> str:
    if cluster in selection.excluded_clusters:
        return selection.excluded_clusters[cluster]
    if cluster not in selection.clusters:
        return "Karmada no longer has the cluster"
    selected = selection.services.get(key)
    return selected.excluded.get(cluster, "") if selected else ""


def _grouped(
    lost: Mapping[str, str], whole: str, cluster: str, now: ClusterConfig | None, selection: Selection
) -> Mapping[str, Mapping[str, str]]:
    """Sort lost nodes by the reason why they are lost; ``whole`` is the reason that holds for all, or empty."""
    if whole or not lost:
        return {whole: lost} if lost else {}
    selected = selection.clusters.get(cluster)
    groups: dict[str, dict[str, str]] = {}
    for node, ip in lost.items():
        if selected and node in selected.excluded:
            reason = selected.excluded[node]
        elif now and node in now.nodes:
            reason = "its address changed" if now.nodes[node] != ip else "no ready endpoint on it"
        else:
            reason = "the cluster no longer has the Node"
        groups.setdefault(reason, {})[node] = ip
    return groups


def _why_gained(key: ServiceKey, old: Part | None, before: Config) -> str:
    if key not in before.services:
        return "new service"
    return "new Node, or one that counts now" if old else "new in this cluster"


def _weights(key: ServiceKey, before: Config, after: Config, selection: Selection) -> Iterator[WeightChange]:
    old_parts, new_parts = _parts(key, before), _parts(key, after)
    for name in sorted(old_parts.keys() & new_parts.keys()):
        was = part_weight(old_parts[name], before.clusters.get(name))
        now = part_weight(new_parts[name], after.clusters.get(name))
        if was != now:
            selected = selection.clusters.get(name)
            state = selected.state_reason if selected else ""
            yield WeightChange(name, was, now, state or "weights in publisher.yaml, or annotation drain")
