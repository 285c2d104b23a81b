"""Layout ``native``: one file a cluster, one file a service; the Pipy program joins the two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from sys import intern
from typing import Any, Literal, NamedTuple

from publisher.core.canonical import ParseError, dump_json, entries, grown, load_json
from publisher.core.config import (
    ClusterConfig,
    Config,
    ConfigTree,
    Part,
    RoutedPort,
    ServiceConfig,
    Taken,
    shared_part,
)
from publisher.core.model import Finding, Route, ServiceKey
from publisher.core.policy import Policy
from publisher.core.resolve import Desired
from publisher.core.validate import SchemaOf

CLUSTERS = "config/clusters"
SERVICES = "config/services"


def cluster_path(output: str, name: str) -> str:
    """Give the path of a cluster's file."""
    return f"{output}/{CLUSTERS}/{name}.json"


def service_path(output: str, key: str) -> str:
    """Give the path of a service's file."""
    return f"{output}/{SERVICES}/{key.replace('/', '.')}.json"


def cluster_document(cluster: ClusterConfig) -> dict[str, Any]:
    """Write a cluster."""
    return {
        "cluster": cluster.name,
        **({"region": cluster.region} if cluster.region else {}),
        "state": cluster.state,
        "nodes": grown(cluster.nodes),
    }


def service_document(service: ServiceConfig) -> dict[str, Any]:
    """Write a service."""
    return {
        "service": service.key,
        "routes": [_route_document(entry) for entry in service.routes],
        "clusters": grown({name: _part_document(part) for name, part in service.parts.items()}),
    }


def _file(schema: str, document: dict[str, Any], policy: Policy) -> bytes:
    """Write a file that names its schema, relative to its folder, and its owner, right behind its own name."""
    up = "../" * len(f"{policy.output}/{CLUSTERS}".split("/"))
    (name, value), *rest = document.items()
    return dump_json({"$schema": f"{up}schemas/{schema}", name: value, "publisher": policy.publisher, **dict(rest)})


def _route_document(entry: RoutedPort) -> dict[str, str]:
    host = {"host": entry.route.host} if entry.route.host else {}
    return {**host, "path": entry.route.path, "port": entry.port}


def _part_document(part: Part) -> dict[str, Any]:
    if part.addresses:
        return {"weight": part.weight, "addresses": list(part.addresses)}
    narrowed = {} if part.nodes is None else {"nodes": list(part.nodes)}
    return {"weight": part.weight, "ports": dict(part.ports), **narrowed}


def read_cluster(document: Mapping[str, Any]) -> ClusterConfig:
    """Read a cluster document that fits its schema."""
    # the fleet, read from Karmada, has the same names and addresses: one text for both
    nodes = {intern(name): intern(ip) for name, ip in entries(document, "nodes").items()}
    return ClusterConfig(document["cluster"], nodes, document.get("state", "active"), document.get("region", ""))


def read_service(document: Mapping[str, Any]) -> ServiceConfig:
    """Read a service document that fits its schema."""
    return ServiceConfig(
        ServiceKey(document["service"]),
        tuple(RoutedPort(Route(item.get("host", ""), item["path"]), item["port"]) for item in document["routes"]),
        {name: _read_part(part) for name, part in entries(document, "clusters").items()},
    )


def _read_part(part: Mapping[str, Any]) -> Part:
    nodes = part.get("nodes")
    return shared_part(
        int(part.get("weight", 100)),  # 100.0 fits the schema as well
        tuple((port, int(number)) for port, number in part.get("ports", {}).items()),
        None if nodes is None else tuple(nodes),
        tuple(part.get("addresses", ())),
    )


class Subject(NamedTuple):
    """What a generated file is about."""

    kind: Literal["cluster", "service", "layout"]
    name: str
    witness: str
    """The file whose history says who has the last word."""


class Native:
    """Reads and writes the native layout."""

    whole = False

    def __init__(self, schema_of: SchemaOf | None = None) -> None:
        self.schema_of = schema_of

    def read(self, tree: ConfigTree, policy: Policy) -> tuple[Config, tuple[Finding, ...]]:
        """Read our files. One that cannot be read is nobody's, and is reported: it is not overwritten."""
        findings: list[Finding] = []
        clusters = {}
        services = {}
        taken: dict[Route, Taken] = {}
        for path, document in _documents(tree, policy, CLUSTERS, findings):
            if document.get("publisher") != policy.publisher:
                continue
            if wrong := misfits(path, document, "cluster", self.schema_of):
                findings.extend(wrong)
                continue
            cluster = read_cluster(document)
            if path == (right := cluster_path(policy.output, cluster.name)):
                clusters[cluster.name] = cluster
            else:
                findings.append(misnamed(path, "/cluster", right))
        for path, document in _documents(tree, policy, SERVICES, findings):
            if document.get("publisher") != policy.publisher:
                key = str(document.get("service"))
                owner = document.get("publisher")
                named = key if path == service_path(policy.output, key) else ""
                whose = Taken(path, named, owner if isinstance(owner, str) else "")
                taken.update(dict.fromkeys(_routes(document), whose))
                continue
            if wrong := misfits(path, document, "service", self.schema_of):
                findings.extend(wrong)
                continue
            service = read_service(document)
            if path == (right := service_path(policy.output, service.key)):
                services[service.key] = service
            else:
                findings.append(misnamed(path, "/service", right))
        return Config(clusters, services, taken), tuple(findings)

    def subject(self, path: str, policy: Policy) -> Subject:
        """Tell what a file of ours is about."""
        name = path.rpartition("/")[2].removesuffix(".json")
        if path.startswith(f"{policy.output}/{CLUSTERS}/"):
            return Subject("cluster", name, path)
        return Subject("service", name.replace(".", "/", 1), path)

    def places(self, policy: Policy, name: str = "") -> tuple[str, ...]:
        """Give the file of a service or cluster; without a name, the folders of all."""
        if not name:
            return f"{policy.output}/{CLUSTERS}", f"{policy.output}/{SERVICES}"
        return (service_path(policy.output, name) if "/" in name else cluster_path(policy.output, name),)

    def edited(self, tree: ConfigTree, policy: Policy) -> Mapping[ServiceKey, str]:
        """Give nothing: no file is shared."""
        return {}

    def write(
        self, desired: Desired, current: Config, tree: ConfigTree, policy: Policy
    ) -> tuple[dict[str, bytes | None], tuple[Finding, ...]]:
        """Write what is not kept, and name what has to go."""
        output = policy.output
        config = desired.config
        ours = {cluster_path(output, name) for name in current.clusters}
        ours |= {service_path(output, key) for key in current.services}
        files: dict[str, bytes | None] = {
            cluster_path(output, name): _file("cluster.schema.json", cluster_document(cluster), policy)
            for name, cluster in config.clusters.items()
            if name not in desired.kept
        }
        files |= {
            service_path(output, key): _file("service.schema.json", service_document(service), policy)
            for key, service in config.services.items()
            if key not in desired.kept
        }
        files |= {cluster_path(output, name): None for name in current.clusters.keys() - config.clusters.keys()}
        files |= {service_path(output, key): None for key in current.services.keys() - config.services.keys()}
        findings: list[Finding] = []
        for path in sorted(files.keys() & tree.keys() - ours):
            del files[path]
            findings.extend(not_ours(path, tree[path], policy.publisher))
        return files, tuple(findings)


def _documents(
    tree: ConfigTree, policy: Policy, folder: str, findings: list[Finding]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the documents in a folder, whosever they are."""
    prefix = f"{policy.output}/{folder}/"
    for path, data in sorted(tree.items()):
        if path.startswith(prefix) and path.endswith(".json"):
            try:
                document = load_json(data)
            except ParseError as error:
                findings.append(
                    Finding(path, f"line {error.line}", "unreadable", str(error), "mend or remove the file")
                )
                continue
            if isinstance(document, Mapping):
                yield path, document
            else:
                findings.append(odd(path))


def _routes(document: Mapping[str, Any]) -> Iterator[Route]:
    """Give the routes in a service file that is not ours, and so may be anything."""
    entries = document.get("routes")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping):
            host, path = entry.get("host", ""), entry.get("path")
            if isinstance(host, str) and isinstance(path, str):
                yield Route(host, path)


def misfits(path: str, document: Any, name: str, schema_of: SchemaOf | None) -> tuple[Finding, ...]:
    """Say what is wrong with a file of ours that somebody has changed."""
    wrong = schema_of(name).findings(document, path) if schema_of else ()
    return tuple(replace(finding, hint=finding.hint or "mend or remove the file") for finding in wrong)


def odd(path: str) -> Finding:
    """Report a file that is not laid out as a generated one."""
    return Finding(path, "", "unreadable", "not laid out as a generated file", "mend or remove the file")


def misnamed(path: str, pointer: str, right: str) -> Finding:
    """Report a file whose name is not the one that its content asks for."""
    return Finding(
        path, pointer, "file-name", "the name in the file and the name of the file differ", f"rename to {right}"
    )


def not_ours(path: str, data: bytes, publisher: str) -> Iterator[Finding]:
    """Report a file that stands where ours would; one that cannot be read is reported already."""
    try:
        owner = load_json(data).get("publisher")
    except (ParseError, AttributeError):
        return
    if owner != publisher:
        whose = f"publisher {owner!r}" if owner else "no publisher"
        yield Finding(
            path,
            "",
            "not-ours",
            f"the file belongs to {whose}, not to {publisher!r}; it is left as it is",
            f'remove it, or give it "publisher": "{publisher}"',
        )
