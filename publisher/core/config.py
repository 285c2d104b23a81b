"""What is, or shall be, published: the same for every layout."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

from publisher.core.model import Route, ServiceKey

ConfigTree = Mapping[str, bytes]
"""Files by their path from the top of the repository."""

State = Literal["active", "drained"]


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """What belongs to a cluster."""

    name: str
    nodes: Mapping[str, str]
    """Address of each node."""
    state: State = "active"
    region: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What one cluster adds to a service."""

    weight: int
    ports: Mapping[str, int] = field(default_factory=dict)
    """nodePort by port name."""
    nodes: tuple[str, ...] | None = None
    """The nodes that answer, where not all of the cluster do."""
    addresses: tuple[str, ...] = ()
    """Targets named outright, instead of ``ports``."""


@lru_cache(maxsize=65_536)
def shared_part(
    weight: int,
    ports: tuple[tuple[str, int], ...],
    nodes: tuple[str, ...] | None = None,
    addresses: tuple[str, ...] = (),
) -> Part:
    """Make one Part for all clusters that are equal in it: Karmada gives a Service one nodePort everywhere."""
    return Part(weight, dict(ports), nodes, addresses)


class RoutedPort(NamedTuple):
    """A route and the port that it leads to."""

    route: Route
    port: str


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """What belongs to a service."""

    key: ServiceKey
    routes: tuple[RoutedPort, ...]
    parts: Mapping[str, Part]
    """By cluster."""


class Taken(NamedTuple):
    """A file of somebody else that has a route."""

    path: str
    service: str
    """The service whose file it would be, were it ours."""
    owner: str
    """Id of the publisher that the file names; empty where it names none."""

    @property
    def whose(self) -> str:
        """Name the owner in a message."""
        return f"publisher {self.owner!r}" if self.owner else "no publisher"


@dataclass(frozen=True, slots=True)
class Config:
    """All that one publisher has published, or will."""

    clusters: Mapping[str, ClusterConfig] = field(default_factory=dict)
    services: Mapping[ServiceKey, ServiceConfig] = field(default_factory=dict)
    taken: Mapping[Route, Taken] = field(default_factory=dict)
    """Routes that stand in files of somebody else."""


class Target(NamedTuple):
    """One address that Pipy may connect to."""

    cluster: str
    node: str
    """Empty where the address is named outright."""
    address: str
    """``ip:port``; IPv6 in brackets."""
    weight: int
    """Of the cluster; shared by its targets."""


def join_host_port(ip: str, port: int) -> str:
    """Write ``ip:port`` as Pipy reads it."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def part_nodes(part: Part, cluster: ClusterConfig | None) -> Mapping[str, str]:
    """Give the nodes of a cluster that answer for a service, with their addresses."""
    if cluster is None or part.addresses:
        return {}
    if part.nodes is None:
        return cluster.nodes
    return {name: cluster.nodes[name] for name in part.nodes if name in cluster.nodes}


def part_weight(part: Part, cluster: ClusterConfig | None) -> int:
    """Give the weight that counts: none of a cluster that is drained."""
    return 0 if cluster is not None and cluster.state == "drained" else part.weight


def part_targets(name: str, part: Part, cluster: ClusterConfig | None, port: str | None = None) -> Iterator[Target]:
    """Give the targets that one cluster adds to a service, by node and port; with ``port``, those that it leads to."""
    weight = part_weight(part, cluster)
    for address in part.addresses:
        yield Target(name, "", address, weight)
    ports = part.ports.values() if port is None else [part.ports[port]] if port in part.ports else []
    for node, ip in part_nodes(part, cluster).items():
        for number in ports:
            yield Target(name, node, join_host_port(ip, number), weight)


def targets(service: ServiceConfig, clusters: Mapping[str, ClusterConfig]) -> Iterator[Target]:
    """Give every target of a service, by cluster, node and port."""
    for name, part in service.parts.items():
        yield from part_targets(name, part, clusters.get(name))


def target_shares(service: ServiceConfig, clusters: Mapping[str, ClusterConfig]) -> dict[Target, dict[str, float]]:
    """Give each target's share, 0 to 1, of the requests of the routes that lead to it, by the port of the route.

    Weights share the requests out among the clusters that have a target; the targets of one cluster take turns.
    """
    found: dict[Target, dict[str, float]] = {target: {} for target in targets(service, clusters)}
    for port in sorted({entry.port for entry in service.routes}):
        led = {name: list(part_targets(name, part, clusters.get(name), port)) for name, part in service.parts.items()}
        total = sum(items[0].weight for items in led.values() if items)
        for target, size in ((item, len(items)) for items in led.values() for item in items):
            found[target][port] = target.weight / total / size if total else 0.0
    return found


def target_count(part: Part, cluster: ClusterConfig | None) -> int:
    """Count the targets a cluster adds to a service without listing them."""
    return len(part.addresses) + len(part_nodes(part, cluster)) * len(part.ports)


def shares(key: ServiceKey, config: Config) -> dict[str, float]:
    """Give the share of a service's traffic that each cluster takes, 0 to 1; none where nothing takes any."""
    service = config.services.get(key)
    weights = {}
    for name, part in service.parts.items() if service else ():
        cluster = config.clusters.get(name)
        if (weight := part_weight(part, cluster)) and target_count(part, cluster):
            weights[name] = weight
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def percent(share: float) -> str:
    """Write a share of 0 to 1."""
    return f"{share * 100:.0f} %"


_NEVER = tuple(map(ipaddress.ip_network, ("0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8", "255.255.255.255/32")))
_LOCAL = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10")))


@lru_cache(maxsize=262_144)
def address_refusal(ip: str, allowed: tuple[str, ...]) -> str:
    """Say why an IP address may never be a target; empty where it may.

    Loopback and link-local addresses are refused unless ``allowed`` names a network among just those, as a test
    rig on one machine does: a wide network such as 0.0.0.0/0 does not let them in.
    """
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address_refusal(str(address.ipv4_mapped), allowed)
    networks = [ipaddress.ip_network(text) for text in allowed]
    if any(address in network for network in _NEVER):
        return f"{ip} is a multicast, broadcast or unspecified address"
    for special in _LOCAL:
        if address in special:
            named = [net for net in networks if net.version == special.version and net.subnet_of(special)]  # type: ignore[arg-type]
            return "" if any(address in net for net in named) else f"{ip} is a loopback or link-local address"
    if networks and not any(address in network for network in networks):
        return f"{ip} is outside allowedNetworks"
    return ""
