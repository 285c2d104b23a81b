"""Rules across files: what a JSON Schema of one file cannot see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from publisher.core.config import Config, Part, ServiceConfig, address_refusal
from publisher.core.model import Finding, Route, ServiceKey


def check(config: Config, allowed_networks: tuple[str, ...]) -> tuple[Finding, ...]:
    """Apply every rule. ``where`` of a finding is ``service ns/name`` or ``cluster name``."""
    return tuple(sorted({*_routes(config), *check_targets(config, allowed_networks)}))


def check_targets(config: Config, allowed_networks: tuple[str, ...]) -> tuple[Finding, ...]:
    """Apply every rule but that no two services may have one route."""
    shared = _shared_addresses(config)
    found: list[Finding] = []
    for cluster in config.clusters.values():
        for node, ip in cluster.nodes.items():
            if refusal := _node_refusal(ip, allowed_networks):
                found.append(
                    Finding(
                        f"cluster {cluster.name}",
                        f"/nodes/{node}",
                        "address",
                        f"{refusal} and is never a target",
                        "correct the address, or name its network in allowedNetworks",
                    )
                )
    for service in config.services.values():
        found.extend(_service(service, config, allowed_networks))
        found.extend(_duplicates(service, shared))
    return tuple(sorted(found))


def _service(service: ServiceConfig, config: Config, allowed: tuple[str, ...]) -> Iterator[Finding]:
    where = f"service {service.key}"
    if service.parts and not any(part.weight for part in service.parts.values()):
        yield Finding(
            where,
            "/clusters",
            "weight-sum",
            "its weights sum to 0, so no cluster would take a request",
            "give at least one cluster a weight above 0",
        )
    wanted = {entry.port for entry in service.routes}
    for name, part in service.parts.items():
        pointer = f"/clusters/{name}"
        cluster = config.clusters.get(name)
        if cluster is None:
            yield Finding(
                where,
                pointer,
                "cluster-missing",
                f"it names cluster {name}, which has no file",
                "remove the entry, or publish the cluster",
            )
        elif part.nodes is not None and (gone := sorted(set(part.nodes) - cluster.nodes.keys())):
            yield Finding(
                where,
                f"{pointer}/nodes",
                "node-missing",
                f"cluster {name} has no node {', '.join(gone)}",
                "remove it",
                "warning",
            )
        if not part.addresses:
            for port in sorted(wanted - part.ports.keys()):
                yield Finding(
                    where,
                    f"{pointer}/ports",
                    "port-missing",
                    f"a route leads to port {port}, which {name} does not have",
                    "name a port that is there",
                )
        yield from _addresses(where, pointer, part, allowed)


def _node_refusal(ip: str, allowed: tuple[str, ...]) -> str:
    try:
        return address_refusal(ip, allowed)
    except ValueError:
        return f"{ip} is not an IP address"


def target_refusal(target: str, allowed: tuple[str, ...]) -> str:
    """Say why ``host:port`` may never be a target; empty where it may, or where the host is a name."""
    host, _, port = target.rpartition(":")
    if not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) > 65535:
        return f"{target} has no port between 1 and 65535"
    try:
        return address_refusal(host.strip("[]"), allowed)
    except ValueError:
        return "" if re.search(r"[a-zA-Z]", host) and ":" not in host else f"{target} is not ip:port"


def _addresses(where: str, pointer: str, part: Part, allowed: tuple[str, ...]) -> Iterator[Finding]:
    for address in part.addresses:
        if refusal := target_refusal(address, allowed):
            yield Finding(
                where,
                f"{pointer}/addresses",
                "address",
                f"{refusal} and is never a target",
                "correct the address, or name its network in allowedNetworks",
            )


def _routes(config: Config) -> Iterator[Finding]:
    claimed: dict[Route, ServiceKey] = {}
    for key, service in sorted(config.services.items()):
        for entry in service.routes:
            first = claimed.setdefault(entry.route, key)
            if first != key:
                yield Finding(
                    f"service {key}",
                    "/routes",
                    "route-conflict",
                    f"route {entry.route} is also claimed by {first}",
                    "give one of the two another route",
                )


def _shared_addresses(config: Config) -> Mapping[str, list[tuple[str, str]]]:
    """Find addresses that more than one node has. There are few, so services need not list all their targets."""
    owners: dict[str, tuple[str, str]] = {}
    shared: dict[str, list[tuple[str, str]]] = {}
    for cluster in config.clusters.values():
        for node, ip in cluster.nodes.items():
            first = owners.setdefault(ip, (cluster.name, node))
            if first != (cluster.name, node):
                shared.setdefault(ip, [first]).append((cluster.name, node))
    return shared


def _duplicates(service: ServiceConfig, shared: Mapping[str, list[tuple[str, str]]]) -> Iterator[Finding]:
    for ip, owners in shared.items():
        seen: dict[int, str] = {}
        for cluster, node in owners:
            for port in _ports_on(service.parts.get(cluster), node):
                if port in seen:
                    yield Finding(
                        f"service {service.key}",
                        f"/clusters/{cluster}",
                        "target-duplicate",
                        f"target {ip}:{port} stands twice: {seen[port]} and {cluster}/{node}",
                        "nodes of one fleet need addresses of their own",
                    )
                seen.setdefault(port, f"{cluster}/{node}")


def _ports_on(part: Part | None, node: str) -> Iterable[int]:
    if part is None or (part.nodes is not None and node not in part.nodes):
        return ()
    return part.ports.values()
