"""What publisher.yaml says, as frozen values. ``publisher.settings`` makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from publisher.core.model import ServiceKey

ANNOTATION_PREFIX = "pipy-publisher.io/"


class Access(StrEnum):
    """How member clusters are read."""

    PROXY = "proxy"
    DIRECT = "direct"


class Layout(StrEnum):
    """How the configuration is laid out for Pipy."""

    NATIVE = "native"
    TUTORIAL = "tutorial"


@dataclass(frozen=True, slots=True)
class ClusterSelect:
    """Which member clusters count."""

    labels: str = ""
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Karmada:
    """Where the fleet is and how it is read."""

    context: str = ""
    access: Access = Access.PROXY
    concurrency: int = 32
    clusters: ClusterSelect = ClusterSelect()
    insecure: bool = False
    """A Cluster's insecureSkipTLSVerification counts."""


@dataclass(frozen=True, slots=True)
class ServiceSelect:
    """Which Services count where publisher.yaml does not name them."""

    labels: str = ""
    annotated: bool = False


@dataclass(frozen=True, slots=True)
class NodeSelect:
    """Which Nodes and which of their addresses count."""

    labels: str = ""
    addresses: tuple[str, ...] = ("InternalIP",)
    families: tuple[str, ...] = ("IPv4",)


@dataclass(frozen=True, slots=True)
class Select:
    """Which namespaces, Services and Nodes count."""

    namespaces: tuple[str, ...] = ("*",)
    services: ServiceSelect = ServiceSelect()
    nodes: NodeSelect = NodeSelect()


@dataclass(frozen=True, slots=True)
class ServicePolicy:
    """What publisher.yaml says of one Service. It wins over the Service's annotations."""

    publish: bool = True
    port: str = ""
    routes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    weights: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grant:
    """Hosts and paths that annotations in some namespaces may claim."""

    namespaces: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ("/*",)


@dataclass(frozen=True, slots=True)
class GitPolicy:
    """Where commits go and whose they are."""

    branch: str = "main"
    author: str = "Config Publisher <publisher@example.com>"


@dataclass(frozen=True, slots=True)
class Policy:
    """publisher.yaml."""

    publisher: str
    karmada: Karmada = Karmada()
    select: Select = Select()
    services: Mapping[ServiceKey, ServicePolicy] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()
    allowed_networks: tuple[str, ...] = ()
    annotation_prefix: str = ANNOTATION_PREFIX
    layout: Layout = Layout.NATIVE
    output: str = "pipy"
    git: GitPolicy = GitPolicy()
