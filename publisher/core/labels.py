"""Kubernetes label selectors: ``env=prod,tier in (web, api),!legacy``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_PART = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_WORD = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = rf"(?:(?=[^/]{{1,253}}/){_PART}(?:\.{_PART})*/)?{_WORD}"
_VALUE = rf"(?:{_WORD})?"
_VALUES = rf"(?!\s*\))\s*{_VALUE}\s*(?:,\s*{_VALUE}\s*)*"
_TERM = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<no>{_KEY})"
    rf"|(?P<set>{_KEY})\s+(?P<op>in|notin)\s*\((?P<values>{_VALUES})\)"
    rf"|(?P<eq>{_KEY})\s*(?P<sign>==|=|!=)\s*(?P<value>{_VALUE})"
    rf"|(?P<has>{_KEY}))\s*(?:,|$)"
)


class SelectorError(ValueError):
    """A label selector cannot be read."""


class Requirement(NamedTuple):
    """One term of a selector."""

    key: str
    values: frozenset[str] | None
    """None: any value does."""
    negated: bool

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the labels fulfil this term; an absent key fulfils a negated one, as in Kubernetes."""
        found = self.key in labels and (self.values is None or labels[self.key] in self.values)
        return found != self.negated


Selector = tuple[Requirement, ...]


def parse(text: str) -> Selector:
    """Read a selector as kubectl's ``-l`` takes it; empty text selects everything."""
    requirements = []
    position = 0
    while position < len(text) and text.strip():
        match = _TERM.match(text, position)
        if match is None:
            raise SelectorError(f"not a label selector at {text[position:].strip()!r}")
        requirements.append(_requirement(match))
        position = match.end()
    if text.rstrip().endswith(","):
        raise SelectorError("not a label selector: nothing after the last comma")
    return tuple(requirements)


def _requirement(match: re.Match[str]) -> Requirement:
    if match["absent"]:
        return Requirement(match["no"], None, True)
    if match["set"]:
        values = frozenset(value.strip() for value in match["values"].split(","))
        return Requirement(match["set"], values, match["op"] == "notin")
    if match["eq"]:
        return Requirement(match["eq"], frozenset({match["value"]}), match["sign"] == "!=")
    return Requirement(match["has"], None, False)


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Tell whether labels fulfil all terms."""
    return all(requirement.matches(labels) for requirement in selector)
