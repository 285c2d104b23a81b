"""Layout ``tutorial``: the two files of Pipy's load-balancing tutorial, shared with whoever else writes there.

``config/router.json`` maps routes to services, ``config/balancer.json`` services to targets. What is ours in them
stands in ``config/publishers/<id>.json``, by cluster, so that the part of an unknown cluster can be told from the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from publisher.core.canonical import ParseError, dump_json, load_json
from publisher.core.config import ClusterConfig, Config, ConfigTree, ServiceConfig, targets
from publisher.core.model import Finding, ServiceKey
from publisher.core.policy import Policy
from publisher.core.render.native import (
    Subject,
    cluster_document,
    misfits,
    not_ours,
    odd,
    read_cluster,
    read_service,
    service_document,
)
from publisher.core.resolve import Desired
from publisher.core.validate import SchemaOf

ROUTER = "config/router.json"
BALANCER = "config/balancer.json"


def owner_path(output: str, publisher: str) -> str:
    """Give the path of the file that says what of the shared files is ours."""
    return f"{output}/config/publishers/{publisher}.json"


def short_name(key: str) -> str:
    """Give the name of a service in the shared files: ``flask``, or ``team.web`` outside namespace default."""
    namespace, name = key.split("/")
    return name if namespace == "default" else f"{namespace}.{name}"


class Tutorial:
    """Reads and writes the tutorial layout."""

    whole = True

    def __init__(self, schema_of: SchemaOf | None = None) -> None:
        self.schema_of = schema_of

    def read(self, tree: ConfigTree, policy: Policy) -> tuple[Config, tuple[Finding, ...]]:
        """Read what we have published from our own file."""
        path = owner_path(policy.output, policy.publisher)
        findings: list[Finding] = []
        document = _load(path, tree, findings)
        if path in tree and not findings:
            findings.extend(not_ours(path, tree[path], policy.publisher))
            findings.extend(misfits(path, document, "publishers", self.schema_of))
        if findings:
            return Config(), tuple(findings)
        clusters = (read_cluster(item) for item in document.get("clusters", {}).values())
        services = (read_service(item) for item in document.get("services", {}).values())
        return Config({item.name: item for item in clusters}, {item.key: item for item in services}), ()

    def subject(self, path: str, policy: Policy) -> Subject:
        """Tell what a file of ours is about: all of them about everything, and our own knows who wrote it."""
        return Subject("layout", policy.layout, owner_path(policy.output, policy.publisher))

    def places(self, policy: Policy, name: str = "") -> tuple[str, ...]:
        """Give all files, since each is about everything."""
        output = policy.output
        return f"{output}/{ROUTER}", f"{output}/{BALANCER}", owner_path(output, policy.publisher)

    def edited(self, tree: ConfigTree, policy: Policy) -> Mapping[ServiceKey, str]:
        """Give services whose entries in the shared files are not as our own file says they were left."""
        current, wrong = self.read(tree, policy)
        findings = list(wrong)
        router, balancer = (f"{policy.output}/{path}" for path in (ROUTER, BALANCER))
        routes = _load(router, tree, findings).get("routes", {})
        services = _load(balancer, tree, findings).get("services", {})
        if findings:
            return {}
        found = {}
        for key, service in current.services.items():
            left = _service_entries(service, current.clusters)
            if any(services.get(name) != targets for name, targets in left.services.items()):
                found[key] = balancer
            elif any(routes.get(route) != name for route, name in left.routes.items()):
                found[key] = router
        return found

    def write(
        self, desired: Desired, current: Config, tree: ConfigTree, policy: Policy
    ) -> tuple[dict[str, bytes | None], tuple[Finding, ...]]:
        """Write our entries into the shared files, keep everybody else's."""
        findings: list[Finding] = []
        if self.read(tree, policy)[1]:  # nobody can tell any more which entries are ours
            return {}, ()
        router_path, balancer_path = f"{policy.output}/{ROUTER}", f"{policy.output}/{BALANCER}"
        own_path = owner_path(policy.output, policy.publisher)
        router = _load(router_path, tree, findings)
        balancer = _load(balancer_path, tree, findings)
        if findings:
            return {}, tuple(findings)
        held = {key: service for key, service in current.services.items() if key in desired.edited}
        before = _entries(replace(current, services={k: v for k, v in current.services.items() if k not in held}))
        others = _Entries(
            {name: value for name, value in router.get("routes", {}).items() if name not in before.routes},
            {name: value for name, value in balancer.get("services", {}).items() if name not in before.services},
        )
        services: dict[ServiceKey, ServiceConfig] = {}
        for key, service in desired.config.services.items():
            if key in held:
                services[key] = service
                continue
            entries = _service_entries(service, desired.config.clusters)
            if clash := _clash(entries.routes, others.routes) + _clash(entries.services, others.services):
                findings.append(
                    Finding(
                        f"service {key}",
                        "",
                        "not-ours",
                        f"{', '.join(clash)} stands in {ROUTER} or {BALANCER} already and is not ours",
                        "remove that entry, or give the service another route",
                    )
                )
                if key in current.services:
                    services[key] = current.services[key]
            else:
                services[key] = service
        config = Config(desired.config.clusters, services)
        ours = _entries(replace(config, services={k: v for k, v in services.items() if k not in held}))
        if not (services or config.clusters or own_path in tree):
            return {}, tuple(findings)
        return {
            router_path: dump_json({**router, "routes": _merged(others.routes, ours.routes)}),
            balancer_path: dump_json({**balancer, "services": _merged(others.services, ours.services)}),
            own_path: dump_json(_own_document(config, policy.publisher)),
        }, tuple(findings)


class _Entries(NamedTuple):
    """What stands in the two shared files."""

    routes: dict[str, Any]
    services: dict[str, Any]


def _load(path: str, tree: ConfigTree, findings: list[Finding]) -> Mapping[str, Any]:
    try:
        document = load_json(tree.get(path, b"{}"))
    except ParseError as error:
        findings.append(Finding(path, f"line {error.line}", "unreadable", str(error), "mend the file"))
        return {}
    if not isinstance(document, Mapping) or not all(
        isinstance(document.get(name, {}), Mapping) for name in ("routes", "services")
    ):
        findings.append(odd(path))
        return {}
    return document


def _clash(ours: Mapping[str, Any], others: Mapping[str, Any]) -> list[str]:
    """Name the entries of others that ours would change. One that is the same to the letter is taken over."""
    return sorted(name for name, value in ours.items() if name in others and others[name] != value)


def _merged(others: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted({**others, **ours}.items()))


def _entries(config: Config) -> _Entries:
    found = _Entries({}, {})
    for service in config.services.values():
        entries = _service_entries(service, config.clusters)
        found.routes.update(entries.routes)
        found.services.update(entries.services)
    return found


def _service_entries(service: ServiceConfig, clusters: Mapping[str, ClusterConfig]) -> _Entries:
    name = short_name(service.key)
    addresses = sorted({target.address for target in targets(service, clusters) if target.weight})
    return _Entries({str(entry.route): name for entry in service.routes}, {name: addresses})


def _own_document(config: Config, publisher: str) -> dict[str, Any]:
    return {
        "publisher": publisher,
        "clusters": {name: cluster_document(item) for name, item in sorted(config.clusters.items())},
        "services": {key: service_document(item) for key, item in sorted(config.services.items())},
    }
