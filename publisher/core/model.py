"""What is read from Karmada and its members, cut down to what routing needs.

Names are Karmada's and Kubernetes' own. A part that could not be read is :class:`Unknown`, never empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Literal, NamedTuple, NewType

ServiceKey = NewType("ServiceKey", str)
"""``namespace/name``"""

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A part of the fleet that could not be read."""

    reason: str
    """Why, in one line without secrets."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something wrong or noteworthy, with the place and what to do."""

    where: str
    """A file or an object: ``publisher.yaml``, ``cluster member1``, ``service default/flask``."""
    pointer: str
    """JSON pointer or ``line N`` within a file; empty for an object."""
    rule: str
    """Stable id, for scripts and documentation: ``route-conflict``."""
    message: str
    """What is wrong."""
    hint: str = ""
    """What to do."""
    severity: Severity = "error"

    def __str__(self) -> str:
        """One line: place, severity, what, what to do."""
        place = f"{self.where}: {self.pointer}" if self.pointer else self.where
        hint = f" ({self.hint})" if self.hint else ""
        line = f"{place}: {self.message}{hint} [{self.rule}]"
        return line if line.isprintable() else "".join(char if char.isprintable() else " " for char in line)


class Address(NamedTuple):
    """An IP address of a Node."""

    type: str
    """``InternalIP``, ``ExternalIP`` ..."""
    ip: str
    """Canonical text of an IPv4 or IPv6 address."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node of a member cluster."""

    name: str
    ready: bool
    addresses: tuple[Address, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Only those of our prefix, without it."""


class Port(NamedTuple):
    """A port of a Service."""

    name: str
    """Empty where the Service has one unnamed port."""
    number: int
    node_port: int
    """0 where the Service has none."""
    protocol: str

    @property
    def key(self) -> str:
        """The name, or the number where there is no name."""
        return self.name or str(self.number)


@dataclass(frozen=True, slots=True)
class Service:
    """A Service of a member cluster."""

    namespace: str
    name: str
    type: str
    ports: tuple[Port, ...]
    local: bool = False
    """externalTrafficPolicy is Local: only nodes with a ready endpoint answer."""
    created: str = ""
    """creationTimestamp; decides between two claims on one route."""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Only those of our prefix, without it."""

    @property
    def key(self) -> ServiceKey:
        """``namespace/name``"""
        return ServiceKey(intern(f"{self.namespace}/{self.name}"))  # one text for all clusters that have it


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What the EndpointSlices of one Service say."""

    backed: bool
    """There is at least one endpoint, ready or not."""
    ready_nodes: tuple[str, ...] = ()
    """Names of the nodes with a ready endpoint, sorted; kept for externalTrafficPolicy Local only."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A member cluster with what was read from it."""

    name: str
    nodes: Mapping[str, Node] | Unknown
    services: Mapping[ServiceKey, Service] | Unknown
    endpoints: Mapping[ServiceKey, Endpoints] | Unknown
    region: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Only those of our prefix, without it."""
    remedies: tuple[str, ...] = ()
    """``status.remedyActions`` of Karmada: ``TrafficControl``."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The fleet: every Cluster that Karmada names."""

    clusters: Mapping[str, Cluster]
    findings: tuple[Finding, ...] = ()


class Route(NamedTuple):
    """A host and path pattern of Pipy's URLRouter."""

    host: str
    """Empty for any host; ``*.example.com`` for all below it."""
    path: str
    """``/env/*``"""

    def __str__(self) -> str:
        """``host/path`` as publisher.yaml writes it."""
        return f"{self.host}{self.path}"
