"""A codebase as Pipy loads it: its version, its files, what tells two of them apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from publisher.core.canonical import dump_json, load_json
from publisher.core.model import Finding
from publisher.core.render.native import CLUSTERS, SERVICES

MAIN = "main.js"
"""The file of a codebase that Pipy starts with."""
BUNDLE = "config/bundle.json"
"""Stands for all cluster and service files where the configuration is uploaded as one file."""

_BUNDLED = "+bundle"
_REVERT = "+revert-of-"
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class Version:
    """What the version of a codebase says: which commit it is, and what was refused in its place."""

    commit: str
    """A full commit id."""
    bundled: bool = False
    """The configuration is in one file."""
    refused: Version | None = None
    """What a worker refused, for which this was put back."""

    def __str__(self) -> str:
        """Write it as the Repo has it."""
        own = self.commit + _BUNDLED * self.bundled
        return f"{own}{_REVERT}{self.refused}" if self.refused else own


def short(text: str) -> str:
    """Write a version for people: ``0123abc``, or ``0123abc in place of 4567def``."""
    version = parse(text)
    if version is None:
        return text
    own = version.commit[:7] + _BUNDLED * version.bundled
    return f"{own} in place of {short(str(version.refused))}" if version.refused else own


def parse(text: str) -> Version | None:
    """Read a version; gives None for what we do not write."""
    own, mark, rest = text.partition(_REVERT)
    version, refused = _plain(own), _plain(rest)
    if version is None or (mark and refused is None):
        return None
    return Version(version.commit, version.bundled, refused)


def refused_in(text: str) -> Version | None:
    """Give what was refused before the codebase got this version, whoever made what was put back."""
    return _plain(text.partition(_REVERT)[2])


def _plain(text: str) -> Version | None:
    commit = text.removesuffix(_BUNDLED)
    return Version(commit, commit != text) if _COMMIT.fullmatch(commit) else None


def put_back(before: str, refused: Version) -> str:
    """Give the version under which what was there before is put back."""
    return f"{before.partition(_REVERT)[0]}{_REVERT}{Version(refused.commit, refused.bundled)}"


@dataclass(frozen=True)
class Instance:
    """A Pipy instance as its Repo lists it at one moment."""

    uuid: str
    name: str
    address: str
    version: str
    """What it says it runs; empty right after it started."""
    timestamp: int
    """When it reported last, in milliseconds of the Repo's clock."""


@dataclass(frozen=True)
class Holding:
    """What a place has at one moment."""

    version: str = ""
    """Empty where there is nothing yet."""
    files: frozenset[str] = frozenset()
    """Paths below the codebase, such as ``config/proxy.json``."""
    main: str = MAIN
    leftovers: frozenset[str] = frozenset()
    """Paths that somebody began to change and has not published."""
    instances: tuple[Instance, ...] | None = None
    """None where nobody can tell who runs it."""

    @property
    def empty(self) -> bool:
        """Whether nobody has published anything there: not created, or as Pipy creates it."""
        return not self.version or (self.version == "0" and self.files == {MAIN})


@dataclass(frozen=True)
class Edition:
    """What a place is to have."""

    version: str
    files: Mapping[str, bytes]
    """Contents by path below the codebase, complete."""
    main: str = MAIN


@dataclass(frozen=True)
class Difference:
    """What makes one codebase into another."""

    uploads: tuple[str, ...] = ()
    deletions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self.uploads or self.deletions)


def difference(has: Mapping[str, bytes | None], wanted: Mapping[str, bytes]) -> Difference:
    """Compare two codebases by content; None is a file of which nobody knows what is in it."""
    return Difference(
        tuple(sorted(path for path, data in wanted.items() if has.get(path) != data)),
        tuple(sorted(has.keys() - wanted.keys())),
    )


def below(tree: Mapping[str, bytes], output: str) -> dict[str, bytes]:
    """Give the files of the codebase in a commit, by their paths below its folder."""
    prefix = f"{output}/"
    return {path.removeprefix(prefix): data for path, data in tree.items() if path.startswith(prefix)}


def unloadable(files: Mapping[str, bytes], output: str) -> tuple[Finding, ...]:
    """Find what keeps workers from loading a codebase at all."""
    found = [
        Finding(f"{output}/{path}", "", "unfetchable", "workers cannot fetch a file of this name", "rename it")
        for path in sorted(files)
        if _UNFETCHABLE.search(path)
    ]
    if MAIN not in files:
        hint = "commit a program; publisher init lays one down"
        found.append(Finding(f"{output}/{MAIN}", "", "main-missing", "Pipy has no program to start", hint))
    return tuple(found)


_UNFETCHABLE = re.compile(r"[\s%\x00-\x1f\x7f\ufffd]")
"""A worker asks for a path as it is, without encoding it; U+FFFD stands where git has no UTF-8."""


def bundle(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Join all cluster and service files in one; the others stay as they are.

    Takes files that have been checked.
    """
    joined: dict[str, dict[str, Any]] = {"clusters": {}, "services": {}}
    rest = {}
    for path, data in sorted(files.items()):
        folder, _, name = path.rpartition("/")
        kind = {CLUSTERS: "clusters", SERVICES: "services"}.get(folder)
        if kind and name.endswith(".json"):
            joined[kind][name.removesuffix(".json")] = load_json(data)
        else:
            rest[path] = data
    return {**rest, BUNDLE: dump_json(joined)} if any(joined.values()) else rest
