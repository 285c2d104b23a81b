"""Raw Kubernetes and Karmada objects, as an API server sends them, to the model.

An object that is not what its kind promises raises :class:`Malformed`; the caller then treats the list it came in as
unknown, since nobody can tell what else in it is wrong.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple

from publisher.core.model import Address, Endpoints, Finding, Node, Port, Service, ServiceKey

ANNOTATIONS = ("publish", "routes", "hosts", "port", "drain", "exclude")
"""The annotations that are read, after the prefix. No other annotation is kept."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_IP_TYPES = ("InternalIP", "ExternalIP")

Object = Mapping[str, Any]
_NONE: dict[str, str] = {}
"""Shared by the many objects without one of our annotations; nothing changes what is in the model."""


class Malformed(ValueError):
    """An object of an API answer is not what its kind promises."""


@dataclass(frozen=True, slots=True)
class Member:
    """A Cluster object: what it says of itself, and how to reach it directly."""

    name: str
    ready: bool
    reason: str
    """Why it is not ready; empty where it is."""
    region: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    remedies: tuple[str, ...]
    total_nodes: int | None
    """``status.nodeSummary.totalNum``: a count that Karmada keeps on its own and that may be stale."""
    endpoint: str
    secret: tuple[str, str] | None
    """Namespace and name of ``spec.secretRef``."""
    ca_bundle: str
    """``spec.caBundle``, base64; the Secret's own wins."""
    insecure: bool
    proxy_url: str
    proxy_headers: Mapping[str, str] = field(default_factory=dict)


def valid_name(name: object) -> bool:
    """Tell whether a name is a DNS subdomain, and so safe in a file name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None and ".." not in name


def member(item: Object, prefix: str) -> Member:
    """Read a Cluster (cluster.karmada.io/v1alpha1)."""
    meta, name = _metadata(item, "Cluster")
    spec = _map(item, "spec", name)
    status = _map(item, "status", name)
    ready = _condition(status, name)
    reference = _map(spec, "secretRef", name)
    summary = _map(status, "nodeSummary", name)
    return Member(
        name=name,
        ready=ready is not None and ready.get("status") == "True",
        reason="" if ready and ready.get("status") == "True" else _not_ready(ready),
        region=_text(spec, "region", name),
        labels=_labels(meta, name),
        annotations=_annotations(meta, prefix, name),
        remedies=tuple(sorted(_remedies(status, name))),
        total_nodes=_count(summary, name) if summary else None,
        endpoint=_text(spec, "apiEndpoint", name),
        secret=(reference.get("namespace", ""), reference.get("name", "")) if reference else None,
        ca_bundle=_text(spec, "caBundle", name),
        insecure=spec.get("insecureSkipTLSVerification") is True,
        proxy_url=_text(spec, "proxyURL", name),
        proxy_headers=_map(spec, "proxyHeader", name),
    )


def _remedies(status: Object, name: str) -> list[str]:
    actions = _list(status, "remedyActions", name)
    if not all(isinstance(action, str) for action in actions):
        raise Malformed(f"{name}: status.remedyActions has an entry that is not text")
    return actions


def _count(summary: Object, name: str) -> int:
    count = summary.get("totalNum") or 0
    if not isinstance(count, int) or isinstance(count, bool):
        raise Malformed(f"{name}: status.nodeSummary.totalNum is not a number")
    return count


def _not_ready(condition: Object | None) -> str:
    if condition is None:
        return "Karmada has not yet said whether the cluster is Ready"
    reason = condition.get("reason") or "no reason given"
    return f"Cluster is not Ready ({reason})"


def node(item: Object, prefix: str) -> Node:
    """Read a Node (v1)."""
    meta, name = _metadata(item, "Node")
    status = _map(item, "status", name)
    ready = _condition(status, name)
    return Node(
        name=name,
        ready=ready is not None and ready.get("status") == "True",
        addresses=_addresses(status, name),
        labels=_labels(meta, name),
        annotations=_annotations(meta, prefix, name),
    )


def _addresses(status: Object, name: str) -> tuple[Address, ...]:
    found = []
    for entry in _list(status, "addresses", name):
        if not isinstance(entry, Mapping):
            raise Malformed(f"{name}: status.addresses has an entry that is not an object")
        kind: Any = entry.get("type")
        if kind in _IP_TYPES:
            try:
                found.append(Address(kind, _ip(entry.get("address"))))
            except ValueError as error:
                raise Malformed(f"{name}: status.addresses: {kind} is not an IP address") from error
    return tuple(sorted(set(found)))


def _ip(value: object) -> str:
    if not isinstance(value, str) or "%" in value:  # a number would pass, and so would a zone of one machine's own
        raise ValueError(value)
    return intern(str(ipaddress.ip_address(value)))


def service(item: Object, prefix: str) -> Service:
    """Read a Service (v1)."""
    meta, name = _metadata(item, "Service")
    namespace = meta.get("namespace")
    if not isinstance(namespace, str) or not (_LABEL.fullmatch(namespace) and _LABEL.fullmatch(name)):
        raise Malformed(f"Service {name}: metadata.namespace and metadata.name have to be names without a dot")
    spec = _map(item, "spec", name)
    try:
        ports = tuple(
            Port(
                intern(port.get("name") or ""),
                _port(port["port"]),
                _port(port.get("nodePort") or 0),
                intern(port.get("protocol") or "TCP"),
            )
            for port in _list(spec, "ports", name)
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed(f"{namespace}/{name}: spec.ports has an entry that is not a port") from error
    return Service(
        namespace=intern(str(namespace)),
        name=intern(name),
        type=intern(_text(spec, "type", name) or "ClusterIP"),
        ports=tuple(sorted(ports)),
        local=spec.get("externalTrafficPolicy") == "Local",
        created=_text(meta, "creationTimestamp", name),
        labels=_labels(meta, name),
        annotations=_annotations(meta, prefix, name),
    )


def _port(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 65535:
        raise ValueError(value)
    return value


class Slice(NamedTuple):
    """What one EndpointSlice says of its Service."""

    service: ServiceKey
    backed: bool
    ready_nodes: tuple[str, ...]
    """For externalTrafficPolicy Local only."""


def endpoint_slice(item: Object, services: Mapping[ServiceKey, Service]) -> Slice | None:
    """Read an EndpointSlice (discovery.k8s.io/v1); None where it belongs to none of the services."""
    meta, name = _metadata(item, "EndpointSlice")
    owner = _map(meta, "labels", name).get("kubernetes.io/service-name")
    key = ServiceKey(f"{meta.get('namespace')}/{owner}")
    if key not in services:
        return None
    found = _list(item, "endpoints", name)
    if not services[key].local:
        return Slice(key, bool(found), ())
    nodes = []
    for endpoint in found:
        if not isinstance(endpoint, Mapping):
            raise Malformed(f"EndpointSlice {name}: endpoints has an entry that is not an object")
        # the API says of `ready`: a missing value is to be read as true
        if _map(endpoint, "conditions", name).get("ready") is not False and endpoint.get("nodeName"):
            if not valid_name(endpoint["nodeName"]):
                raise Malformed(f"EndpointSlice {name}: nodeName is not a name")
            nodes.append(intern(endpoint["nodeName"]))
    return Slice(key, bool(found), tuple(nodes))


def endpoints(slices: Iterable[Slice | None], services: Mapping[ServiceKey, Service]) -> dict[ServiceKey, Endpoints]:
    """Join the slices of each NodePort Service."""
    backed: set[ServiceKey] = set()
    ready: dict[ServiceKey, set[str]] = {}
    for item in slices:
        if item is not None and item.backed:
            backed.add(item.service)
            ready.setdefault(item.service, set()).update(item.ready_nodes)
    return {
        key: _endpoints(key in backed, tuple(sorted(ready.get(key, ()))))
        for key, service in services.items()
        if service.type == "NodePort"
    }


@lru_cache(maxsize=1024)
def _endpoints(backed: bool, ready_nodes: tuple[str, ...]) -> Endpoints:
    """Make one value for all that are equal: a fleet has many, and most say no more than that there is something."""
    return Endpoints(backed, ready_nodes)


def node_count(member: Member, nodes: int) -> tuple[Finding, ...]:
    """Compare a complete list of Nodes with the number that Karmada keeps of its own."""
    if member.total_nodes is None or nodes >= member.total_nodes:
        return ()
    return (
        Finding(
            f"cluster {member.name}",
            "",
            "node-count",
            f"the list has {nodes} Nodes, status.nodeSummary.totalNum says {member.total_nodes}",
            "check that the account may list all Nodes; the summary can also be some minutes old",
            "warning",
        ),
    )


def _metadata(item: Any, kind: str) -> tuple[Object, str]:
    meta = item.get("metadata") if isinstance(item, Mapping) else None
    if not isinstance(meta, Mapping) or not valid_name(meta.get("name")):
        raise Malformed(f"a {kind} has no metadata.name that is a name")
    return meta, intern(meta["name"])


def _map(item: Object, key: str, name: str) -> Object:
    value = item.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Malformed(f"{name}: {key} is not an object")
    return value


def _list(item: Object, key: str, name: str) -> list[Any]:
    value = item.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{name}: {key} is not a list")
    return value


def _text(item: Object, key: str, name: str) -> str:
    value = item.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"{name}: {key} is not text")
    return value


def _condition(status: Object, name: str) -> Object | None:
    for condition in _list(status, "conditions", name):
        if not isinstance(condition, Mapping):
            raise Malformed(f"{name}: status.conditions has an entry that is not an object")
        if condition.get("type") == "Ready":
            return condition
    return None


def _labels(meta: Object, name: str) -> dict[str, str]:
    labels = _map(meta, "labels", name)
    return {intern(key): intern(str(value)) for key, value in sorted(labels.items())}


def _annotations(meta: Object, prefix: str, name: str) -> dict[str, str]:
    given = _map(meta, "annotations", name)
    return {key: str(given[prefix + key]) for key in ANNOTATIONS if prefix + key in given} or _NONE
