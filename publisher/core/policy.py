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


class Mode(StrEnum):
    """How a plan gets to the branch."""

    DIRECT = "direct"
    PULL_REQUEST = "pull-request"
    AUTO = "auto"


class OnRefusal(StrEnum):
    """What a refusing guard does to the rest of the plan."""

    HOLD_BACK = "hold-back"
    STOP = "stop"


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
    guards: Mapping[str, int | bool] = field(default_factory=dict)
    """Limits that differ from those of all services."""


@dataclass(frozen=True, slots=True)
class Guards:
    """What may change in one run."""

    on_refusal: OnRefusal = OnRefusal.HOLD_BACK
    limits: Mapping[str, int | bool] = field(default_factory=dict)
    """By guard, where it is not the default of ``core.guard``; False: no guard."""


@dataclass(frozen=True, slots=True)
class Holds:
    """When a file that a person has the last word on is the publisher's again."""

    changed: bool = False
    """As soon as it would become something else than what the person rejected."""
    seconds: int = 0
    """This long after the person's commit; 0: never by itself."""


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
class Publish:
    """How a plan gets to the branch."""

    mode: Mode = Mode.DIRECT
    direct: tuple[str, ...] = ()
    """Classes of changes that go straight to the branch in mode auto, see ``core.classes``."""
    push_options: tuple[str, ...] = ()
    refspec: str = ""
    """Where commits are pushed to instead of the branch: ``refs/for/main``."""
    api_commits: bool = False
    """Commits are made by the forge, and signed by it."""
    heartbeat: int = 0
    """Seconds after which a run that changes nothing records its snapshot all the same; 0: never."""


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
    publish: Publish = Publish()
    guards: Guards = Guards()
    holds: Holds = Holds()
    file: str = "publisher.yaml"
    """Where it stands in the repository."""
