"""The labelSelector and fieldSelector of a list or watch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from publisher.demo.plane import Resource, Stored

_COMMA = re.compile(r",(?![^(]*\))")
_EXISTS = re.compile(r"(!?)\s*([\w./-]+)")
_EQUAL = re.compile(r"([\w./-]+)\s*(!=|==?)\s*([\w.:/-]*)")
_SET = re.compile(r"([\w./-]+)\s+(in|notin)\s+\(([^()]*)\)")


@dataclass(frozen=True, slots=True)
class _Requirement:
    key: str
    values: frozenset[str] | None
    """None asks only whether the key is there."""
    positive: bool

    def matches(self, values: Mapping[str, str]) -> bool:
        found = self.key in values and (self.values is None or values[self.key] in self.values)
        return found == self.positive


@dataclass(frozen=True, slots=True)
class Selector:
    """Which objects a list or watch asks for."""

    prefix: str
    """How the keys of the namespace start."""
    labels: tuple[_Requirement, ...]
    fields: tuple[_Requirement, ...]

    def matches(self, stored: Stored | None) -> bool:
        """Tell whether there is an object and the request asks for it."""
        return (
            stored is not None
            and stored.key.startswith(self.prefix)
            and all(requirement.matches(stored.labels) for requirement in self.labels)
            and (not self.fields or all(requirement.matches(_fields(stored)) for requirement in self.fields))
        )


def parse(resource: Resource, namespace: str, query: Mapping[str, str]) -> Selector:
    """Read the selectors of a request; ValueError, with what a server would say, where they make no sense."""
    fields = tuple(map(_requirement, _split(query.get("fieldSelector", ""))))
    known = {"metadata.name", "metadata.namespace"} | ({"spec.type"} if resource.name == "services" else set())
    for requirement in fields:
        if requirement.key not in known:
            raise ValueError(f"field label not supported: {requirement.key}")
    labels = tuple(map(_requirement, _split(query.get("labelSelector", ""))))
    return Selector(f"/{namespace}/" if namespace else "/", labels, fields)


def _split(text: str) -> list[str]:
    return [part.strip() for part in _COMMA.split(text)] if text else []


def _requirement(text: str) -> _Requirement:
    if match := _EXISTS.fullmatch(text):
        return _Requirement(match[2], None, not match[1])
    if match := _EQUAL.fullmatch(text):
        return _Requirement(match[1], frozenset([match[3]]), match[2] != "!=")
    if match := _SET.fullmatch(text):
        return _Requirement(match[1], frozenset(value.strip() for value in match[3].split(",")), match[2] == "in")
    raise ValueError(f"unable to parse requirement: {text}")


def _fields(stored: Stored) -> Mapping[str, str]:
    namespace, _, name = stored.key[1:].rpartition("/")
    return {
        "metadata.name": name,
        "metadata.namespace": namespace,
        "spec.type": stored.parse().get("spec", {}).get("type", ""),
    }
