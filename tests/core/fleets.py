"""Small fleets as an API server would send them, what happens to them, and what publishing makes of them.

A fleet is made from a seed, a step in its life from a number: hypothesis decides both. All objects are laced with
:data:`SECRET`, outside of what may be read, so that any test can look for it in what comes out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from publisher import settings
from publisher.commands import pipeline
from publisher.core import guard
from publisher.core import topology as objects
from publisher.core.check import check_tree
from publisher.core.model import Cluster, Finding, Service, Topology, Unknown
from publisher.core.policy import ANNOTATION_PREFIX
from publisher.resources import schema

SECRET = "kD7-never-to-be-seen-4Qz"
NO_GUARDS = dict.fromkeys(guard.DEFAULTS, False)
KINDS = ("Nodes", "Services", "EndpointSlices")
CLUSTERS = ("member1", "member2", "a", "zz", "0-first", "edge.eu-1", "member10")
SERVICES = ("default/flask", "default/web", "team-a/web", "team-b/api", "default/a", "zone/last")
Tree = dict[str, bytes]
Object = dict[str, Any]


@dataclass
class NodeModel:
    """A Node."""

    ip: str
    ready: bool = True
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    others: tuple[tuple[str, str], ...] = ()
    """More addresses, by type."""


@dataclass
class ServiceModel:
    """A Service with its endpoints."""

    node_port: int
    port_name: str = "http"
    type: str = "NodePort"
    local: bool = False
    created: str = "2026-01-01T00:00:00Z"
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    endpoints: dict[str, bool] = field(default_factory=lambda: {"somewhere": True})
    """Node and readiness of each endpoint."""
    more_ports: tuple[tuple[str, int, int, str], ...] = ()
    ports: tuple[tuple[str, int, int, str], ...] | None = None
    """Name, number, nodePort and protocol of all ports, where they are not the usual ones."""


@dataclass
class ClusterModel:
    """A member cluster."""

    nodes: dict[str, NodeModel] = field(default_factory=dict)
    services: dict[str, ServiceModel] = field(default_factory=dict)
    region: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    remedies: tuple[str, ...] = ()
    unknown: set[str] = field(default_factory=set)


@dataclass
class Fleet:
    """All that a run looks at: the clusters and publisher.yaml."""

    clusters: dict[str, ClusterModel] = field(default_factory=dict)
    settings: Object = field(default_factory=lambda: {"publisher": "edge", "guards": dict(NO_GUARDS)})
    addresses: Iterator[int] = field(default_factory=lambda: iter(range(1, 1_000_000)))

    def address(self) -> str:
        """Give an address that no node has had."""
        number = next(self.addresses)
        return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    def parts(self) -> list[tuple[str, str]]:
        """Give each service of each cluster."""
        return [(name, key) for name, cluster in self.clusters.items() for key in cluster.services]


# --- as an API server sends it ---------------------------------------------------------------------------------------


def _meta(name: str, labels: Mapping[str, str], annotations: Mapping[str, str], namespace: str = "") -> Object:
    return {
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "uid": SECRET,
        "resourceVersion": SECRET,
        "labels": dict(labels),
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": f'{{"token": "{SECRET}"}}',
            f"{ANNOTATION_PREFIX}token": SECRET,
            f"x-{ANNOTATION_PREFIX}routes": SECRET,
            "publish": SECRET,
            **{ANNOTATION_PREFIX + key: value for key, value in annotations.items()},
        },
        "managedFields": [{"manager": SECRET, "fieldsV1": {"f:metadata": {SECRET: {}}}}],
        "ownerReferences": [{"name": SECRET}],
    }


def _ready(ready: bool) -> list[Object]:
    return [
        {"type": "MemoryPressure", "status": "False", "message": SECRET},
        {"type": "Ready", "status": str(ready), "message": SECRET},
    ]


def raw_cluster(name: str, model: ClusterModel) -> Object:
    """Write a Cluster."""
    return {
        "metadata": _meta(name, model.labels, model.annotations),
        "spec": {
            "apiEndpoint": f"https://{SECRET}.example.com",
            "secretRef": {"namespace": "karmada-cluster", "name": SECRET},
            "caBundle": SECRET,
            "proxyHeader": {"Authorization": SECRET},
            **({"region": model.region} if model.region else {}),
        },
        "status": {
            "conditions": _ready(ready=True),
            "kubernetesVersion": SECRET,
            **({"remedyActions": list(model.remedies)} if model.remedies else {}),
        },
    }


def raw_node(name: str, model: NodeModel) -> Object:
    """Write a Node."""
    addresses = [("InternalIP", model.ip), ("Hostname", SECRET), *model.others]
    return {
        "metadata": _meta(name, model.labels, model.annotations),
        "spec": {"providerID": SECRET},
        "status": {
            "conditions": _ready(model.ready),
            "addresses": [{"type": kind, "address": address} for kind, address in addresses if address],
            "images": [{"names": [SECRET]}],
        },
    }


def raw_service(key: str, model: ServiceModel) -> Object:
    """Write a Service."""
    namespace, name = key.split("/")
    usual = ((model.port_name, 80, model.node_port, "TCP"), *model.more_ports)
    ports = usual if model.ports is None else model.ports
    return {
        "metadata": {**_meta(name, model.labels, model.annotations, namespace), "creationTimestamp": model.created},
        "spec": {
            "type": model.type,
            "clusterIP": SECRET,
            "externalTrafficPolicy": "Local" if model.local else "Cluster",
            "ports": [
                {
                    **({"name": port_name} if port_name else {}),
                    "port": number,
                    "targetPort": SECRET,
                    "protocol": protocol,
                    **({"nodePort": node_port} if node_port else {}),
                }
                for port_name, number, node_port, protocol in ports
            ],
        },
        "status": {"loadBalancer": {"ingress": [{"hostname": SECRET}]}},
    }


def raw_slices(key: str, model: ServiceModel) -> list[Object]:
    """Write the EndpointSlices of a Service: two, with the endpoints shared out."""
    namespace, name = key.split("/")
    halves: list[list[Object]] = [[], []]
    for number, (node, ready) in enumerate(model.endpoints.items()):
        endpoint = {"nodeName": node, "conditions": {"ready": ready}, "addresses": [SECRET]}
        halves[number % 2].append(endpoint)
    return [
        {
            "metadata": _meta(f"{name}-{number}", {"kubernetes.io/service-name": name}, {}, namespace),
            "endpoints": half,
        }
        for number, half in enumerate(halves)
    ]


def shuffled(value: Any, rng: random.Random | None) -> Any:
    """Put all maps and lists of an object in another order."""
    if rng is None:
        return value
    if isinstance(value, dict):
        return {name: shuffled(item, rng) for name, item in rng.sample(list(value.items()), len(value))}
    if isinstance(value, list):
        return [shuffled(item, rng) for item in rng.sample(value, len(value))]
    return value


def read(fleet: Fleet, rng: random.Random | None = None) -> Topology:
    """Read a fleet as edge.karmada does; with ``rng``, as if every list and map came in another order."""
    clusters = {}
    for name, model in shuffled(fleet.clusters, rng).items():
        member = objects.member(shuffled(raw_cluster(name, model), rng), ANNOTATION_PREFIX)
        nodes = [raw_node(node, item) for node, item in model.nodes.items()]
        services = [raw_service(key, item) for key, item in model.services.items()]
        slices = [item for key, service in model.services.items() for item in raw_slices(key, service)]
        named: dict[Any, Service] = {}
        if "Services" not in model.unknown:
            found = [objects.service(item, ANNOTATION_PREFIX) for item in shuffled(services, rng)]
            named = {item.key: item for item in found}
        endpoints = objects.endpoints([objects.endpoint_slice(item, named) for item in shuffled(slices, rng)], named)
        of = {node.name: node for node in (objects.node(item, ANNOTATION_PREFIX) for item in shuffled(nodes, rng))}
        clusters[name] = Cluster(
            name=name,
            nodes=Unknown("nodes: timeout") if "Nodes" in model.unknown else of,
            services=Unknown("services: timeout") if "Services" in model.unknown else named,
            endpoints=Unknown("slices: timeout") if {"Services", "EndpointSlices"} & model.unknown else endpoints,
            region=member.region,
            labels=member.labels,
            annotations=member.annotations,
            remedies=member.remedies,
        )
    return Topology(clusters)


# --- publishing ------------------------------------------------------------------------------------------------------


def settings_of(fleet: Fleet, rng: random.Random | None = None) -> bytes:
    """Write publisher.yaml; JSON is YAML."""
    document = dict(fleet.settings)
    if rng is not None:  # lists there have an order that means something
        document = {name: document[name] for name in rng.sample(list(document), len(document))}
        if "services" in document:
            document["services"] = {
                key: {name: item[name] for name in rng.sample(list(item), len(item))}
                for key, item in rng.sample(list(document["services"].items()), len(document["services"]))
            }
    return json.dumps(document).encode()


def build(fleet: Fleet, tree: Mapping[str, bytes], rng: random.Random | None = None) -> pipeline.Outcome:
    """Plan a fleet against a tree."""
    data = settings_of(fleet, rng)
    return pipeline.build(settings.load(data), data, read(fleet, rng), shuffled(dict(tree), rng))


def applied(tree: Mapping[str, bytes], outcome: pipeline.Outcome) -> Tree:
    """Give the tree after a plan was carried out."""
    after = dict(tree)
    for file in outcome.plan.files:
        assert (file.path in tree) == (file.action != "create")
        if file.content is None:
            del after[file.path]
        else:
            after[file.path] = file.content
    return after


def publish(fleet: Fleet, tree: Mapping[str, bytes] | None = None) -> Tree:
    """Give the tree after a run."""
    tree = tree or {}
    return applied(tree, build(fleet, tree))


def check(fleet: Fleet, tree: Mapping[str, bytes]) -> tuple[Finding, ...]:
    """Check a tree as ``publisher validate`` does."""
    return check_tree(tree, "pipy", tuple(fleet.settings.get("allowedNetworks", ())), schema)


def cluster_file(name: str) -> str:
    """Give the path of a cluster file."""
    return f"pipy/config/clusters/{name}.json"


def service_file(key: str) -> str:
    """Give the path of a service file."""
    return f"pipy/config/services/{key.replace('/', '.')}.json"


def document(tree: Mapping[str, bytes], path: str) -> Object:
    """Read a generated file, without the `$end` of its maps."""

    def without_end(found: Object) -> Object:
        found.pop("$end", None)
        return found

    loaded: Object = json.loads(tree[path], object_hook=without_end)
    return loaded


def joined(tree: Mapping[str, bytes]) -> dict[str, list[tuple[str, str, str, int]]]:
    """Join the files of the native layout as the Pipy program does: cluster, node, address, weight by service."""
    documents = [document(tree, path) for path in tree]
    clusters = {item["cluster"]: item for item in documents if "cluster" in item}
    found: dict[str, list[tuple[str, str, str, int]]] = {}
    for item in documents:
        if "service" not in item:
            continue
        targets = found[item["service"]] = []
        for name, part in item["clusters"].items():
            nodes = clusters[name]["nodes"] if name in clusters else {}
            weight = 0 if clusters.get(name, {}).get("state") == "drained" else part["weight"]
            for node in part.get("nodes", nodes):
                for port in part["ports"].values() if node in nodes else ():
                    ip = nodes[node]
                    targets.append((name, node, f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}", weight))
    return found


# --- fleets and their life -------------------------------------------------------------------------------------------


def make(seed: int, layout: str = "native", large: bool = False) -> Fleet:
    """Make a fleet; a large one has all clusters and services there are."""
    rng = random.Random(seed)
    fleet = Fleet()
    fleet.settings |= {
        "layout": layout,
        "services": {},
        "grants": [{"namespaces": ["*"], "paths": ["/*"]}],
        "karmada": {"clusters": {"exclude": []}},
    }
    for name in rng.sample(CLUSTERS, len(CLUSTERS) if large else rng.randint(1, 4)):
        fleet.clusters[name] = ClusterModel(region=rng.choice(("", "cn-north")))
        for _ in range(rng.randint(0, 4)):
            node_joins(fleet, rng, name)
    for key in SERVICES if large else rng.choices(SERVICES, k=rng.randint(1, 4)):
        service_is_born(fleet, rng, key)
    return fleet


def node_name(rng: random.Random) -> str:
    """Give a name for a node, that may sort anywhere."""
    letters = "abcxyz0189"
    return rng.choice(letters) + rng.choice(("", "-", ".", "a", "--")) + "".join(rng.choices(letters, k=2))


def node_joins(fleet: Fleet, rng: random.Random, name: str = "") -> None:
    """Add a node to a cluster."""
    cluster = fleet.clusters[name or rng.choice(list(fleet.clusters))]
    cluster.nodes.setdefault(node_name(rng), NodeModel(fleet.address()))


def _some_node(fleet: Fleet, rng: random.Random) -> NodeModel | None:
    found = [node for cluster in fleet.clusters.values() for node in cluster.nodes.values()]
    return rng.choice(found) if found else None


def node_leaves(fleet: Fleet, rng: random.Random) -> None:
    """Take a node out."""
    found = [cluster for cluster in fleet.clusters.values() if cluster.nodes]
    if found:
        nodes = rng.choice(found).nodes
        del nodes[rng.choice(list(nodes))]


def node_flaps(fleet: Fleet, rng: random.Random) -> None:
    """Turn the condition Ready of a node."""
    if node := _some_node(fleet, rng):
        node.ready = not node.ready


def node_moves(fleet: Fleet, rng: random.Random) -> None:
    """Give a node another address."""
    if node := _some_node(fleet, rng):
        node.ip = fleet.address()


def node_is_marked(fleet: Fleet, rng: random.Random) -> None:
    """Annotate a node, or take the annotation off."""
    if node := _some_node(fleet, rng):
        node.annotations = {} if node.annotations else {rng.choice(("drain", "exclude")): "true"}


def _service_model(fleet: Fleet, rng: random.Random, name: str, key: str) -> ServiceModel:
    like = [cluster.services[key] for cluster in fleet.clusters.values() if key in cluster.services]
    model = ServiceModel(
        node_port=rng.randint(30000, 32767),
        port_name=like[0].port_name if like else rng.choice(("http", "http", "")),
        local=rng.random() < 0.25,
        created=f"2026-0{rng.randint(1, 9)}-01T00:00:00Z",
        annotations=dict(like[0].annotations) if like else {},
    )
    nodes = list(fleet.clusters[name].nodes)
    if nodes:
        model.endpoints = {node: rng.random() < 0.8 for node in rng.sample(nodes, rng.randint(1, len(nodes)))}
    return model


def service_is_born(fleet: Fleet, rng: random.Random, key: str = "") -> None:
    """Add a service to some clusters, with routes from publisher.yaml or from annotations."""
    key = key or rng.choice(SERVICES)
    if any(key in cluster.services for cluster in fleet.clusters.values()):
        return
    route = f"/{key.replace('/', '-')}/*"
    if rng.random() < 0.5:
        fleet.settings["services"].setdefault(key, {})["routes"] = [route]
    for name in rng.sample(list(fleet.clusters), rng.randint(1, len(fleet.clusters))):
        model = _service_model(fleet, rng, name, key)
        if not fleet.settings["services"].get(key, {}).get("routes"):
            model.annotations["routes"] = route
        fleet.clusters[name].services[key] = model


def service_dies(fleet: Fleet, rng: random.Random) -> None:
    """Take a service out of all clusters."""
    if found := fleet.parts():
        _, key = rng.choice(found)
        for cluster in fleet.clusters.values():
            cluster.services.pop(key, None)


def service_joins_cluster(fleet: Fleet, rng: random.Random) -> None:
    """Add a service to one more cluster."""
    keys = sorted({key for _, key in fleet.parts()})
    name = rng.choice(list(fleet.clusters))
    if keys and (key := rng.choice(keys)) not in fleet.clusters[name].services:
        fleet.clusters[name].services[key] = _service_model(fleet, rng, name, key)


def service_leaves_cluster(fleet: Fleet, rng: random.Random) -> None:
    """Take a service out of one cluster."""
    if found := fleet.parts():
        name, key = rng.choice(found)
        del fleet.clusters[name].services[key]


def service_changes(fleet: Fleet, rng: random.Random) -> None:
    """Change something about a Service in one cluster."""
    if not (found := fleet.parts()):
        return
    name, key = rng.choice(found)
    service = fleet.clusters[name].services[key]
    match rng.randrange(8):
        case 0:
            service.node_port = rng.randint(30000, 32767)
        case 1:
            service.local = not service.local
        case 2:
            service.endpoints = {} if service.endpoints else {"somewhere": True}
        case 3:
            service.annotations["drain"] = "false" if service.annotations.get("drain") == "true" else "true"
        case 4:
            service.type = "ClusterIP" if service.type == "NodePort" else "NodePort"
        case 5:  # nobody can tell any more which port is meant
            service.more_ports = () if service.more_ports else (("admin", 81, rng.randint(30000, 32767), "TCP"),)
        case 6:
            service.port_name = "web" if service.port_name == "http" else "http"
        case 7:
            service.endpoints = {node: rng.random() < 0.5 for node in fleet.clusters[name].nodes}


def weight_changes(fleet: Fleet, rng: random.Random) -> None:
    """Change one weight in publisher.yaml."""
    if found := fleet.parts():
        name, key = rng.choice(found)
        fleet.settings["services"].setdefault(key, {}).setdefault("weights", {})[name] = rng.choice((0, 1, 50, 90, 100))


def route_changes(fleet: Fleet, rng: random.Random) -> None:
    """Add a route to a service or take one from it; it may be one that another service has."""
    if not (found := fleet.parts()):
        return
    name, key = rng.choice(found)
    route = rng.choice(("/more/*", "/exact", f"/{rng.choice(SERVICES).replace('/', '-')}/*"))
    own = fleet.settings["services"].get(key, {}).get("routes")
    if own:
        fleet.settings["services"][key]["routes"] = sorted({*own} ^ {route}) or own
    else:
        annotations = fleet.clusters[name].services[key].annotations
        claimed = {*annotations.get("routes", "").split()} ^ {route}
        annotations["routes"] = " ".join(sorted(claimed))


def cluster_joins(fleet: Fleet, rng: random.Random) -> None:
    """Add a cluster with nodes and some of the services."""
    name = rng.choice(CLUSTERS)
    if name not in fleet.clusters:
        keys = sorted({key for _, key in fleet.parts()})
        fleet.clusters[name] = ClusterModel()
        for _ in range(rng.randint(0, 3)):
            node_joins(fleet, rng, name)
        for key in rng.sample(keys, rng.randint(0, len(keys))):
            fleet.clusters[name].services[key] = _service_model(fleet, rng, name, key)


def cluster_leaves(fleet: Fleet, rng: random.Random) -> None:
    """Take a cluster out of Karmada."""
    if len(fleet.clusters) > 1:
        del fleet.clusters[rng.choice(list(fleet.clusters))]


def cluster_is_drained(fleet: Fleet, rng: random.Random) -> None:
    """Drain a cluster, by annotation or by Karmada's remedy, or end that."""
    cluster = rng.choice(list(fleet.clusters.values()))
    if cluster.annotations or cluster.remedies:
        cluster.annotations, cluster.remedies = {}, ()
    elif rng.random() < 0.5:
        cluster.annotations = {"drain": "true"}
    else:
        cluster.remedies = ("TrafficControl",)


def cluster_is_deselected(fleet: Fleet, rng: random.Random) -> None:
    """Exclude a cluster in publisher.yaml, or include it again."""
    exclude = fleet.settings["karmada"]["clusters"]["exclude"]
    name = rng.choice(list(fleet.clusters))
    exclude.remove(name) if name in exclude else exclude.append(name)


def cluster_goes_dark(fleet: Fleet, rng: random.Random) -> None:
    """Make some kinds of a cluster unreadable."""
    rng.choice(list(fleet.clusters.values())).unknown = set(rng.sample(KINDS, rng.randint(1, 3)))


def cluster_comes_back(fleet: Fleet, rng: random.Random) -> None:
    """Make all of a cluster readable."""
    rng.choice(list(fleet.clusters.values())).unknown = set()


STEPS: tuple[Callable[[Fleet, random.Random], None], ...] = (
    node_joins,
    node_leaves,
    node_flaps,
    node_moves,
    node_is_marked,
    service_is_born,
    service_dies,
    service_joins_cluster,
    service_leaves_cluster,
    service_changes,
    weight_changes,
    route_changes,
    cluster_joins,
    cluster_leaves,
    cluster_is_drained,
    cluster_is_deselected,
    cluster_goes_dark,
    cluster_comes_back,
)


def step(fleet: Fleet, number: int, steps: tuple[Callable[[Fleet, random.Random], None], ...] = STEPS) -> str:
    """Take one step; gives its name."""
    rng = random.Random(number)
    taken = rng.choice(steps)
    taken(fleet, rng)
    return taken.__name__
