"""A Topology as YAML documents and back: one a cluster and an index, without anything volatile or secret."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from publisher.core.canonical import dump_yaml
from publisher.core.model import (
    Address,
    Cluster,
    Endpoints,
    Finding,
    Node,
    Port,
    Service,
    ServiceKey,
    Topology,
    Unknown,
)

INDEX = "index.yaml"
VERSION = 1

K = TypeVar("K", bound=str)
V = TypeVar("V")


def cluster_path(name: str) -> str:
    """Give the path of a cluster's file in a snapshot."""
    return f"clusters/{name}.yaml"


def dump(topology: Topology, known: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """Write a snapshot as files by path, but for clusters whose digest is known to be written already."""
    told = digests(topology)
    files = {
        cluster_path(name): dump_yaml(_cluster_document(cluster))
        for name, cluster in sorted(topology.clusters.items())
        if (known or {}).get(name) != told[name]
    }
    files[INDEX] = dump_yaml(_index_document(topology, told))
    return files


def digests(topology: Topology) -> dict[str, str]:
    """Give a digest of what was read of each cluster."""
    return {
        name: hashlib.sha256(repr(_cluster_document(cluster)).encode()).hexdigest()[:16]
        for name, cluster in sorted(topology.clusters.items())
    }


def digest(topology: Topology) -> str:
    """Give a digest of what was read: equal topologies give equal digests."""
    return hashlib.sha256(repr(digests(topology)).encode()).hexdigest()[:16]


def _index_document(topology: Topology, told: Mapping[str, str]) -> dict[str, Any]:
    findings = [
        {
            name: getattr(finding, name)
            for name in ("where", "pointer", "rule", "message", "hint", "severity")
            if getattr(finding, name)
        }
        for finding in sorted(topology.findings)
    ]
    return {
        "snapshot": VERSION,
        "clusters": dict(told),
        **({"findings": findings} if findings else {}),
    }


def _cluster_document(cluster: Cluster) -> dict[str, Any]:
    return {
        "cluster": cluster.name,
        **_filled(
            region=cluster.region,
            labels=dict(sorted(cluster.labels.items())),
            annotations=dict(sorted(cluster.annotations.items())),
            remedies=list(cluster.remedies),
        ),
        "nodes": _box(cluster.nodes, _node_document),
        "services": _box(cluster.services, _service_document),
        "endpoints": _box(cluster.endpoints, _endpoints_document),
    }


def _filled(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _box(observed: Mapping[K, V] | Unknown, write: Callable[[V], dict[str, Any]]) -> dict[str, Any]:
    if isinstance(observed, Unknown):
        return {"unknown": observed.reason}
    return {"items": {str(key): write(value) for key, value in sorted(observed.items())}}


def _node_document(node: Node) -> dict[str, Any]:
    addresses: dict[str, list[str]] = {}
    for address in node.addresses:
        addresses.setdefault(address.type, []).append(address.ip)
    return {"ready": node.ready, "addresses": addresses, **_marks(node)}


def _marks(item: Node | Service) -> dict[str, Any]:
    return _filled(labels=dict(sorted(item.labels.items())), annotations=dict(sorted(item.annotations.items())))


def _service_document(service: Service) -> dict[str, Any]:
    ports = [
        {
            **_filled(name=port.name),
            "port": port.number,
            **_filled(nodePort=port.node_port, protocol="" if port.protocol == "TCP" else port.protocol),
        }
        for port in service.ports
    ]
    return {
        "type": service.type,
        **_filled(local=service.local, created=service.created),
        "ports": ports,
        **_marks(service),
    }


def _endpoints_document(endpoints: Endpoints) -> dict[str, Any]:
    return {"backed": endpoints.backed, **_filled(nodes=list(endpoints.ready_nodes))}


def not_addresses(cluster: Mapping[str, Any]) -> Iterator[list[str | int]]:
    """Give the places of a cluster document that fits its schema where an address looks like one and is none."""
    for name, node in cluster["nodes"].get("items", {}).items():
        for kind, addresses in node["addresses"].items():
            for place, address in enumerate(addresses):
                try:
                    ipaddress.ip_address(address)
                except ValueError:
                    yield ["nodes", "items", name, "addresses", kind, place]


def load(index: Mapping[str, Any], clusters: Mapping[str, Mapping[str, Any]]) -> Topology:
    """Read a snapshot whose documents fit their schemas and whose addresses are some.

    ``clusters`` are the cluster documents by name.
    """
    return Topology(
        clusters={name: _read_cluster(document) for name, document in sorted(clusters.items())},
        findings=tuple(
            Finding(
                item["where"],
                item.get("pointer", ""),
                item["rule"],
                item["message"],
                item.get("hint", ""),
                item["severity"],
            )
            for item in index.get("findings", [])
        ),
    )


def _read_cluster(document: Mapping[str, Any]) -> Cluster:
    return Cluster(
        name=document["cluster"],
        nodes=_unbox(document["nodes"], _read_node),
        services=_unbox(document["services"], _read_service),
        endpoints=_unbox(document["endpoints"], _read_endpoints),
        region=document.get("region", ""),
        labels=document.get("labels", {}),
        annotations=document.get("annotations", {}),
        remedies=tuple(document.get("remedies", ())),
    )


def _unbox(box: Mapping[str, Any], read: Callable[[str, Mapping[str, Any]], V]) -> Mapping[Any, V] | Unknown:
    if "unknown" in box:
        return Unknown(box["unknown"])
    return {key: read(key, item) for key, item in box["items"].items()}


def _read_node(name: str, item: Mapping[str, Any]) -> Node:
    addresses = tuple(
        Address(kind, str(ipaddress.ip_address(ip))) for kind, ips in item["addresses"].items() for ip in ips
    )
    return Node(name, item["ready"], addresses, item.get("labels", {}), item.get("annotations", {}))


def _read_service(key: str, item: Mapping[str, Any]) -> Service:
    namespace, name = ServiceKey(key).split("/")
    ports = tuple(
        Port(port.get("name", ""), port["port"], port.get("nodePort", 0), port.get("protocol", "TCP"))
        for port in item["ports"]
    )
    return Service(
        namespace,
        name,
        item["type"],
        ports,
        item.get("local", False),
        item.get("created", ""),
        item.get("labels", {}),
        item.get("annotations", {}),
    )


def _read_endpoints(key: str, item: Mapping[str, Any]) -> Endpoints:
    return Endpoints(item["backed"], tuple(item.get("nodes", ())))
