"""publisher.yaml -> Policy. Everything that is wrong is reported at once, with its line."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from publisher.core import guard, labels
from publisher.core.canonical import ParseError, line_of, load_plain_yaml, load_yaml
from publisher.core.model import Finding, ServiceKey
from publisher.core.policy import (
    ANNOTATION_PREFIX,
    Access,
    ClusterSelect,
    GitPolicy,
    Grant,
    Guards,
    Holds,
    Karmada,
    Layout,
    Mode,
    NodeSelect,
    OnRefusal,
    Policy,
    Publish,
    Select,
    ServicePolicy,
    ServiceSelect,
)
from publisher.core.routes import parse_route
from publisher.core.validate import escape, from_pointer
from publisher.errors import SettingsError
from publisher.resources import schema

FILE = "publisher.yaml"


@lru_cache(maxsize=8)  # a run reads it twice, here and at the base: mostly the same
def load(data: bytes, file: str = FILE) -> Policy:
    """Read publisher.yaml, or what is in its place.

    Raises SettingsError with one finding for each thing that is wrong.
    """
    policy, findings = check(data, file)
    if policy is None:
        count = f"{len(findings)} things" if len(findings) > 1 else "one thing"
        raise SettingsError(f"{file}: {count} to mend", findings)
    return policy


def check(data: bytes, file: str = FILE) -> tuple[Policy | None, tuple[Finding, ...]]:
    """Read publisher.yaml, giving findings instead of raising."""
    try:
        document = load_plain_yaml(data)
    except ParseError as error:
        return None, (Finding(file, f"line {error.line}", "unreadable", str(error), "mend the YAML"),)
    if found := schema("publisher").findings(document, FILE) + tuple(_values(document)):
        return None, with_lines(found, data, file)
    return replace(_policy(document), file=file), ()


def with_lines(findings: Sequence[Finding], data: bytes, file: str) -> tuple[Finding, ...]:
    """Turn JSON pointers into publisher.yaml into lines of the file in its place, in its order."""
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
        placed.append((line, replace(finding, where=file, pointer=f"line {line}", message=message)))
    return tuple(finding for _, finding in sorted(placed))


def _parse_host(text: str) -> object:
    return parse_route(f"{text}/")


_VALUES: tuple[tuple[tuple[str, ...], str, Callable[[str], object]], ...] = (
    (("karmada", "clusters", "labels"), "selector", labels.parse),
    (("select", "services", "labels"), "selector", labels.parse),
    (("select", "nodes", "labels"), "selector", labels.parse),
    (("allowedNetworks", "*"), "network", ipaddress.ip_network),
    (("services", "*", "routes", "*"), "route", parse_route),
    (("services", "*", "hosts", "*"), "route", _parse_host),
    (("grants", "*", "paths", "*"), "route", parse_route),
)
"""What a JSON Schema cannot check: where it stands (``*`` is any key or index), the rule, and what has to take it."""


def _values(document: Any) -> Iterator[Finding]:
    """Check these values, wherever the rest of the document is right enough to have them."""
    for path, rule, parse in _VALUES:
        for pointer, text in _texts_at(document, path):
            try:
                parse(text)
            except ValueError as problem:
                yield Finding(FILE, pointer, rule, str(problem))
    yield from _publish_findings(document)


def _publish_findings(document: Any) -> Iterator[Finding]:
    """Find what of ``publish`` goes with another mode only."""
    publish = document.get("publish") if isinstance(document, Mapping) else None
    if not isinstance(publish, Mapping):
        return
    mode = publish.get("mode", Mode.DIRECT)
    for name, right, why, hint in (
        ("refspec", Mode.DIRECT, "it asks for review with the push itself", "leave out refspec, or mode"),
        ("direct", Mode.AUTO, "it says what needs no review in mode auto", "set mode: auto, or leave out direct"),
    ):
        if name in publish and mode in [*Mode] and mode != right:
            yield Finding(FILE, f"/publish/{name}", "mode", f"{why}, and the mode is {mode}", hint)


def _texts_at(value: Any, path: Sequence[str], pointer: str = "") -> Iterator[tuple[str, str]]:
    """Give every text at a path, with its JSON pointer."""
    if not path:
        if isinstance(value, str):
            yield pointer, value
        return
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, Mapping):
        items = value.items() if path[0] == "*" else ((path[0], value.get(path[0])),)
    elif isinstance(value, list) and path[0] == "*":
        items = enumerate(value)
    for step, item in items:
        yield from _texts_at(item, path[1:], f"{pointer}/{escape(step)}")


def _policy(document: Mapping[str, Any]) -> Policy:
    karmada = document.get("karmada", {})
    clusters = karmada.get("clusters", {})
    select = document.get("select", {})
    services = select.get("services", {})
    nodes = select.get("nodes", {})
    git = document.get("git", {})
    guards = document.get("guards", {})
    release = str(document.get("holds", {}).get("release", "manual"))
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
        publish=_publish(document.get("publish", {})),
        guards=Guards(OnRefusal(guards.get("onRefusal", OnRefusal.HOLD_BACK)), _limits(guards)),
        holds=Holds() if release == "manual" else Holds(changed=release == "changed", seconds=seconds(release)),
    )


def _publish(item: Mapping[str, Any]) -> Publish:
    return Publish(
        mode=Mode(item.get("mode", Mode.DIRECT)),
        direct=_texts(item.get("direct"), ()),
        push_options=_texts(item.get("pushOptions"), ()),
        refspec=str(item.get("refspec", "")).partition(":")[2],
        api_commits=item.get("commits") == "api",
        heartbeat=seconds(str(item.get("heartbeat", ""))),
    )


def _limits(item: Mapping[str, Any]) -> dict[str, int | bool]:
    return {
        name: limit if isinstance(limit, bool) else int(limit) for name, limit in item.items() if name in guard.DEFAULTS
    }


def seconds(text: str) -> int:
    """Read a duration such as ``90s`` or ``24h``; 0 for anything else."""
    match = re.fullmatch(r"([0-9]+)([smhd])", text)
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]] if match else 0


def _service(item: Mapping[str, Any]) -> ServicePolicy:
    port = item.get("port", "")
    return ServicePolicy(
        publish=bool(item.get("publish", True)),
        port=str(int(port) if isinstance(port, float) else port),  # 80.0 is a whole number to a schema
        routes=_texts(item.get("routes"), ()),
        hosts=_texts(item.get("hosts"), ()),
        weights={str(name): int(weight) for name, weight in item.get("weights", {}).items()},
        guards=_limits(item.get("guards", {})),
    )


def _texts(value: Any, default: tuple[str, ...]) -> tuple[str, ...]:
    return default if value is None else tuple(str(item) for item in value)
