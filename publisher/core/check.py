"""Checks a whole config repository: every file against its schema, and the rules across files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from publisher.core import rules
from publisher.core.canonical import ParseError, load_json
from publisher.core.config import ClusterConfig, Config, ConfigTree, ServiceConfig
from publisher.core.model import Finding, ServiceKey
from publisher.core.render import native, tutorial
from publisher.core.validate import SchemaOf, escape


def schema_name(path: str, output: str) -> str:
    """Give the short name of the schema that a path has to fit; empty where none does."""
    prefix = f"{output}/config/"
    if not path.startswith(prefix) or not path.endswith(".json"):
        return ""
    rest = path.removeprefix(prefix)
    folder, _, name = rest.rpartition("/")
    if not folder:
        return {"proxy.json": "proxy", "router.json": "router", "balancer.json": "balancer"}.get(name, "")
    return {"clusters": "cluster", "services": "service", "publishers": "publishers"}.get(folder, "")


def check_file(path: str, data: bytes, output: str, schema_of: SchemaOf) -> tuple[Finding, ...]:
    """Check one file against its schema."""
    return _load(path, data, output, schema_of)[1]


def check_tree(
    tree: ConfigTree, output: str, allowed_networks: tuple[str, ...], schema_of: SchemaOf
) -> tuple[Finding, ...]:
    """Check everything that Pipy would load, whoever wrote it."""
    findings: list[Finding] = []
    documents: dict[str, dict[str, Any]] = {"cluster": {}, "service": {}, "router": {}, "balancer": {}}
    for path, data in sorted(tree.items()):
        document, wrong = _load(path, data, output, schema_of)
        findings.extend(wrong)
        name = schema_name(path, output)
        if not wrong and name in documents:
            documents[name][path] = document
    config, places, misnamed = _config(documents, output)
    findings.extend(misnamed)
    broken = {finding.where for finding in findings}
    findings.extend(
        replace(item, where=places[item.where])
        for item in rules.check(config, allowed_networks)
        if not (item.rule == "cluster-missing" and _cluster_path(output, item.pointer) in broken)
    )
    findings.extend(_tutorial(documents, broken, output, allowed_networks))
    return tuple(sorted(set(findings)))


def _load(path: str, data: bytes, output: str, schema_of: SchemaOf) -> tuple[Any, tuple[Finding, ...]]:
    name = schema_name(path, output)
    if not name:
        return None, ()
    try:
        document = load_json(data)
    except ParseError as error:
        return None, (Finding(path, f"line {error.line}", "unreadable", str(error), "mend the JSON"),)
    return document, schema_of(name).findings(document, path)


def _config(documents: Mapping[str, Mapping[str, Any]], output: str) -> tuple[Config, dict[str, str], list[Finding]]:
    """Join all cluster and service files; also give the path of each."""
    clusters: dict[str, ClusterConfig] = {}
    services: dict[ServiceKey, ServiceConfig] = {}
    places: dict[str, str] = {}
    findings = []
    for path, document in documents["cluster"].items():
        cluster = native.read_cluster(document)
        if path != (right := native.cluster_path(output, cluster.name)):
            findings.append(native.misnamed(path, "/cluster", right))
        else:
            clusters[cluster.name] = cluster
            places[f"cluster {cluster.name}"] = path
    for path, document in documents["service"].items():
        service = native.read_service(document)
        if path != (right := native.service_path(output, service.key)):
            findings.append(native.misnamed(path, "/service", right))
        else:
            services[service.key] = service
            places[f"service {service.key}"] = path
    return Config(clusters, services), places, findings


def _cluster_path(output: str, pointer: str) -> str:
    return native.cluster_path(output, pointer.removeprefix("/clusters/"))


def _tutorial(
    documents: Mapping[str, Mapping[str, Any]], broken: Collection[str], output: str, allowed: tuple[str, ...]
) -> Iterator[Finding]:
    """Check that the two files of the tutorial layout fit each other, as far as they can be read."""
    router, balancer = f"{output}/{tutorial.ROUTER}", f"{output}/{tutorial.BALANCER}"
    services = documents["balancer"].get(balancer, {"services": {}})["services"]
    for route, name in documents["router"].get(router, {"routes": {}})["routes"].items():
        if name not in services and balancer not in broken:
            yield Finding(
                router,
                f"/routes/{escape(route)}",
                "service-missing",
                f"service {name} has no targets in {tutorial.BALANCER}",
                "remove the route or add the service",
            )
    for name, targets in services.items():
        for index, target in enumerate(targets):
            if refusal := rules.target_refusal(target, allowed):
                yield Finding(
                    balancer,
                    f"/services/{escape(name)}/{index}",
                    "address",
                    f"{refusal} and is never a target",
                    "correct the address, or name its network in allowedNetworks",
                )
