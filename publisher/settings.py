"""publisher.yaml -> Policy. Everything that is wrong is reported at once, with its line."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from publisher.core import labels
from publisher.core.canonical import ParseError, line_of, load_plain_yaml, load_yaml
from publisher.core.model import Finding, ServiceKey
from publisher.core.policy import (
    ANNOTATION_PREFIX,
    Access,
    ClusterSelect,
    GitPolicy,
    Grant,
    Karmada,
    Layout,
    NodeSelect,
    Policy,
    Select,
    ServicePolicy,
    ServiceSelect,
)
from publisher.core.routes import RouteError, parse_route
from publisher.core.validate import from_pointer
from publisher.errors import SettingsError
from publisher.resources import schema

FILE = "publisher.yaml"


def load(data: bytes) -> Policy:
    """Read publisher.yaml.

    Raises SettingsError with one finding for each thing that is wrong.
    """
    policy, findings = check(data)
    if policy is None:
        count = f"{len(findings)} things" if len(findings) > 1 else "one thing"
        raise SettingsError(f"{FILE}: {count} to mend", findings)
    return policy


def check(data: bytes) -> tuple[Policy | None, tuple[Finding, ...]]:
    """Read publisher.yaml, giving findings instead of raising."""
    try:
        document = load_plain_yaml(data)
    except ParseError as error:
        return None, (Finding(FILE, f"line {error.line}", "unreadable", str(error), "mend the YAML"),)
    if found := schema("publisher").findings(document, FILE) or tuple(_values(document)):
        return None, with_lines(found, data)
    return _policy(document), ()


def with_lines(findings: Sequence[Finding], data: bytes) -> tuple[Finding, ...]:
    """Turn JSON pointers into publisher.yaml into lines, in the order of the file."""
    document = None
    placed = []
    for finding in findings:
        if finding.where != FILE or finding.pointer.startswith("line "):
            placed.append((0, finding))
            continue
        # read a second time, since what knows its lines is slower to read and unknown to the validator
        document = document or load_yaml(data)
        path = from_pointer(finding.pointer)
        line = line_of(document, path)
        name = ".".join(str(step) for step in path)
        message = f"{name}: {finding.message}" if name else finding.message
        placed.append((line, replace(finding, pointer=f"line {line}", message=message)))
    return tuple(finding for _, finding in sorted(placed))


def _values(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Check what a JSON Schema cannot: label selectors, networks, routes."""
    select = document.get("select", {})
    selectors = {
        "/karmada/clusters/labels": document.get("karmada", {}).get("clusters", {}).get("labels", ""),
        "/select/services/labels": select.get("services", {}).get("labels", ""),
        "/select/nodes/labels": select.get("nodes", {}).get("labels", ""),
    }
    for pointer, text in selectors.items():
        yield from _wrong(pointer, "selector", labels.parse, text, labels.SelectorError)
    for index, text in enumerate(document.get("allowedNetworks", [])):
        yield from _wrong(f"/allowedNetworks/{index}", "network", ipaddress.ip_network, text, ValueError)
    for key, item in document.get("services", {}).items():
        pointer = f"/services/{key.replace('/', '~1')}"
        for index, text in enumerate((item or {}).get("routes", [])):
            yield from _wrong(f"{pointer}/routes/{index}", "route", parse_route, text, RouteError)
        for index, text in enumerate((item or {}).get("hosts", [])):
            yield from _wrong(f"{pointer}/hosts/{index}", "route", parse_route, f"{text}/", RouteError)
    for number, grant in enumerate(document.get("grants", [])):
        for index, text in enumerate(grant.get("paths", [])):
            yield from _wrong(f"/grants/{number}/paths/{index}", "route", parse_route, text, RouteError)


def _wrong(
    pointer: str, rule: str, parse: Callable[[str], object], text: str, error: type[ValueError]
) -> Iterator[Finding]:
    try:
        parse(text)
    except error as problem:
        yield Finding(FILE, pointer, rule, str(problem))


def _policy(document: Mapping[str, Any]) -> Policy:
    karmada = document.get("karmada", {})
    clusters = karmada.get("clusters", {})
    select = document.get("select", {})
    services = select.get("services", {})
    nodes = select.get("nodes", {})
    git = document.get("git", {})
    return Policy(
        publisher=str(document["publisher"]),
        karmada=Karmada(
            context=str(karmada.get("context", "")),
            access=Access(karmada.get("access", Access.PROXY)),
            concurrency=int(karmada.get("concurrency", Karmada().concurrency)),
            clusters=ClusterSelect(str(clusters.get("labels", "")), _texts(clusters.get("exclude"), ())),
            insecure=bool(karmada.get("insecureSkipTLSVerification", False)),
        ),
        select=Select(
            namespaces=_texts(select.get("namespaces"), Select().namespaces),
            services=ServiceSelect(str(services.get("labels", "")), bool(services.get("annotated", False))),
            nodes=NodeSelect(
                str(nodes.get("labels", "")),
                _texts(nodes.get("addresses"), NodeSelect().addresses),
                _texts(nodes.get("families"), NodeSelect().families),
            ),
        ),
        services={ServiceKey(str(key)): _service(item or {}) for key, item in document.get("services", {}).items()},
        grants=tuple(
            Grant(
                _texts(item["namespaces"], ()),
                _texts(item.get("hosts"), ()),
                _texts(item.get("paths"), Grant(()).paths),
            )
            for item in document.get("grants", [])
        ),
        allowed_networks=_texts(document.get("allowedNetworks"), ()),
        annotation_prefix=str(document.get("annotationPrefix", ANNOTATION_PREFIX)),
        layout=Layout(document.get("layout", Layout.NATIVE)),
        output=str(document.get("output", "pipy")),
        git=GitPolicy(str(git.get("branch", GitPolicy().branch)), str(git.get("author", GitPolicy().author))),
    )


def _service(item: Mapping[str, Any]) -> ServicePolicy:
    port = item.get("port", "")
    return ServicePolicy(
        publish=bool(item.get("publish", True)),
        port=str(int(port) if isinstance(port, float) else port),  # 80.0 is a whole number to a schema
        routes=_texts(item.get("routes"), ()),
        hosts=_texts(item.get("hosts"), ()),
        weights={str(name): int(weight) for name, weight in item.get("weights", {}).items()},
    )


def _texts(value: Any, default: tuple[str, ...]) -> tuple[str, ...]:
    return default if value is None else tuple(str(item) for item in value)
