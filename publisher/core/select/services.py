"""Which services count in which cluster, with which port, weight and routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from publisher.core import labels
from publisher.core.config import Config, Part, shared_part
from publisher.core.model import Cluster, Finding, Port, Route, Service, ServiceKey, Unknown
from publisher.core.policy import Policy, ServicePolicy
from publisher.core.redact import redact
from publisher.core.routes import RouteError, expand, granted
from publisher.core.select.clusters import SelectedCluster

DEFAULT_WEIGHT = 100


@dataclass(frozen=True, slots=True)
class SelectedService:
    """What the clusters and publisher.yaml say of one service."""

    key: ServiceKey
    parts: Mapping[str, Part | Unknown]
    excluded: Mapping[str, str]
    """Why each other cluster has no part in it."""
    routes: tuple[Route, ...] = ()
    """What it asks for; another service may get it."""
    from_annotations: bool = False
    """The routes come from annotations, so that an unknown cluster may have more."""
    created: str = ""
    """creationTimestamp of the oldest Service that has a part."""
    refused: bool = False
    """Something about it is wrong: what is published stays as it is."""


@dataclass(slots=True)
class _Verdict:
    """One service while its clusters are gone through."""

    parts: dict[str, Part | Unknown] = field(default_factory=dict)
    excluded: dict[str, str] = field(default_factory=dict)
    members: list[Service] = field(default_factory=list)
    """The Services that have a part."""
    problems: list[str] = field(default_factory=list)


def select_services(
    members: Mapping[str, Cluster], clusters: Mapping[str, SelectedCluster], policy: Policy, current: Config
) -> tuple[dict[ServiceKey, SelectedService], tuple[Finding, ...]]:
    """Judge every service that a cluster has or that is published."""
    keys: set[ServiceKey] = set(current.services)
    for member in members.values():
        if not isinstance(member.services, Unknown):
            keys.update(member.services)
    selector = labels.parse(policy.select.services.labels)
    verdicts = {
        key: _judge(key, policy, selector, members, clusters)
        for key in sorted(keys)
        if key in current.services or _namespace_counts(key, policy)
    }
    findings = list(_unmet(policy, verdicts, clusters))
    return {key: _route(key, verdict, policy, current, findings) for key, verdict in verdicts.items()}, tuple(findings)


def _namespace_counts(key: ServiceKey, policy: Policy) -> bool:
    namespace = key.split("/")[0]
    return key in policy.services or any(fnmatchcase(namespace, pattern) for pattern in policy.select.namespaces)


def _judge(
    key: ServiceKey,
    policy: Policy,
    selector: labels.Selector,
    members: Mapping[str, Cluster],
    clusters: Mapping[str, SelectedCluster],
) -> _Verdict:
    verdict = _Verdict()
    own = policy.services.get(key)
    overall = ""
    if own is not None and not own.publish:
        overall = "publisher.yaml says publish: false"
    elif not _namespace_counts(key, policy):
        overall = "select.namespaces does not name its namespace"
    for name, member in members.items():
        if overall:
            verdict.excluded[name] = overall
        elif isinstance(member.services, Unknown):
            verdict.parts[name] = member.services
        elif (service := member.services.get(key)) is None:
            verdict.excluded[name] = "the cluster has no such Service"
        elif reason := _service_refusal(service, own, policy, selector):
            verdict.excluded[name] = reason
        else:
            _judge_part(verdict, service, own, member, clusters[name])
    return verdict


def _service_refusal(service: Service, own: ServicePolicy | None, policy: Policy, selector: labels.Selector) -> str:
    if service.annotations.get("exclude") == "true":
        return "annotation exclude"
    if own is None:
        publish = service.annotations.get("publish")
        if publish == "false":
            return 'annotation publish is "false"'
        if policy.select.services.annotated and publish != "true":
            return 'annotation publish is not "true"'
        if not labels.selects(selector, service.labels):
            return "its labels do not match select.services.labels"
    if service.type != "NodePort":
        return f"Service is of type {service.type}, not NodePort"
    return ""


def _judge_part(
    verdict: _Verdict, service: Service, own: ServicePolicy | None, member: Cluster, cluster: SelectedCluster
) -> None:
    """Work out what one cluster adds to a service that it has and that counts."""
    name = member.name
    verdict.members.append(service)
    wanted = (own.port if own else "") or service.annotations.get("port", "")
    port = _port(service, wanted)
    if port is None:
        have = ", ".join(item.key for item in service.ports) or "none"
        what = f"no TCP port {wanted}" if wanted else "more or less than one TCP port and none is chosen"
        verdict.problems.append(f"in {name}: {what}; the Service has: {have}")
        return
    if not port.node_port:
        verdict.excluded[name] = f"port {port.key} has no nodePort yet"
        return
    if isinstance(member.endpoints, Unknown):
        verdict.parts[name] = member.endpoints
        return
    behind = member.endpoints.get(service.key)
    if behind is None or not behind.backed:
        verdict.excluded[name] = "no endpoint: nothing of it runs there"
        return
    answering: tuple[str, ...] | None = None
    if service.local:
        if isinstance(cluster.nodes, Unknown):
            verdict.parts[name] = cluster.nodes
            return
        answering = tuple(node for node in behind.ready_nodes if node in cluster.nodes)
    weight = own.weights.get(name, DEFAULT_WEIGHT) if own else DEFAULT_WEIGHT
    if service.annotations.get("drain") == "true":
        weight = 0
    verdict.parts[name] = shared_part(weight, ((port.key, port.node_port),), answering)


def _port(service: Service, wanted: str) -> Port | None:
    usable = [port for port in service.ports if port.protocol == "TCP"]
    if wanted:
        usable = [port for port in usable if wanted in (port.name, str(port.number))]
    return usable[0] if len(usable) == 1 else None


def _unmet(
    policy: Policy, verdicts: Mapping[ServiceKey, _Verdict], clusters: Mapping[str, SelectedCluster]
) -> Iterable[Finding]:
    """Report what publisher.yaml names and the fleet does not have."""
    for key, own in policy.services.items():
        pointer = f"/services/{key.replace('/', '~1')}"
        if own.publish and (key not in verdicts or not (verdicts[key].parts or verdicts[key].problems)):
            reasons = sorted(set(verdicts[key].excluded.values())) if key in verdicts else []
            why = "; ".join(reasons) or "no cluster that counts has it"
            yield Finding(
                "publisher.yaml",
                pointer,
                "service-missing",
                f"{key} has no part in any cluster: {why}",
                "check the name, or take it out of publisher.yaml",
                "warning",
            )
        for name in own.weights:
            if name not in clusters:
                yield Finding(
                    "publisher.yaml",
                    f"{pointer}/weights/{name}",
                    "cluster-missing",
                    f"{name} is not among the clusters that count",
                    "check the name, or karmada.clusters",
                    "warning",
                )


def _route(
    key: ServiceKey, verdict: _Verdict, policy: Policy, current: Config, findings: list[Finding]
) -> SelectedService:
    """Give a service the routes that it asks for."""
    own = policy.services.get(key)
    tenant = own is None or not (own.routes or own.hosts)
    if own is not None and not tenant:
        routes = expand(own.routes, own.hosts) if verdict.members else ()
    else:
        routes, wrong = _annotated_routes(key, verdict, policy, findings)
        if (wrong or any(isinstance(part, Unknown) for part in verdict.parts.values())) and key in current.services:
            routes = tuple(sorted({*routes, *(entry.route for entry in current.services[key].routes)}))
    refused = bool(verdict.problems and routes)
    hint = f"set the port in publisher.yaml or the annotation {policy.annotation_prefix}port"
    findings += [service_finding(key, own, "port", problem, hint) for problem in verdict.problems if refused]
    created = min((service.created for service in verdict.members), default="")
    return SelectedService(key, verdict.parts, verdict.excluded, routes, tenant, created, refused)


def _annotated_routes(
    key: ServiceKey, verdict: _Verdict, policy: Policy, findings: list[Finding]
) -> tuple[tuple[Route, ...], bool]:
    """Join the routes that the Services of all clusters claim by annotation and may claim.

    Also tells whether an annotation cannot be read, so that nobody knows what else it would claim.
    """
    namespace = key.split("/")[0]
    found = set()
    wrong = False
    for service in verdict.members:
        texts = _words(service.annotations.get("routes", ""))
        hosts = _words(service.annotations.get("hosts", ""))
        try:
            routes = expand(texts, hosts)
        except RouteError as error:
            findings.append(service_finding(key, None, "route", f"annotation routes or hosts: {error}", "mend it"))
            wrong = True
            continue
        for route in routes:
            if granted(route, namespace, policy.grants):
                found.add(route)
            else:
                findings.append(
                    service_finding(
                        key,
                        None,
                        "route-not-granted",
                        f"an annotation claims {route}, which namespace {namespace} may not",
                        "add it to grants in publisher.yaml, or to services there",
                    )
                )
    return tuple(sorted(found)), wrong


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if word]


def service_finding(key: ServiceKey, own: ServicePolicy | None, rule: str, message: str, hint: str) -> Finding:
    """Make a finding: an error where publisher.yaml names the service, a warning where only a tenant does."""
    return Finding(f"service {key}", "", rule, redact(message, 500), hint, "warning" if own is None else "error")
