"""What is there against what shall be: the Plan that people review and publish carries out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from publisher.core.config import Config, ConfigTree
from publisher.core.diff import Action, ClusterChange, ServiceChange, cluster_changes, service_changes
from publisher.core.history import Word
from publisher.core.model import Finding
from publisher.core.policy import Policy
from publisher.core.render import Renderer
from publisher.core.resolve import REFUSED, Desired
from publisher.core.select import Selection


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that publish writes or removes."""

    path: str
    action: Action
    content: bytes | None
    """None: the file goes."""


class UnknownPart(NamedTuple):
    """A part of the fleet that could not be read and whose configuration stays as it is."""

    cluster: str
    kind: str
    """``Nodes``, ``Services`` or ``EndpointSlices``"""
    reason: str


@dataclass(frozen=True, slots=True)
class Held:
    """A generated file that a person has the last word on, and that the run would have changed."""

    path: str
    name: str
    """``service default/flask``, ``cluster member1``, or the path where it is neither."""
    action: Action
    """What the run would have done to it."""
    word: Word
    becomes: tuple[str, ...]
    """What it would become, in lines for people."""


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """A guard that does not let something happen."""

    guard: str
    """``removed-targets``"""
    object: str
    """``default/flask``, ``member1`` or a route."""
    message: str
    """What would happen, n of m, and the limit."""
    allow: str
    """What ``--allow`` has to say to let just this happen: ``removed-targets=default/flask``."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that one run would change."""

    publisher: str
    snapshot: str
    """Digest of the snapshot it was made from."""
    files: tuple[FileChange, ...]
    clusters: tuple[ClusterChange, ...]
    services: tuple[ServiceChange, ...]
    unknown: tuple[UnknownPart, ...]
    unpublished: tuple[tuple[str, str], ...]
    """Services that a cluster has and that are not published, and why."""
    findings: tuple[Finding, ...]
    held: tuple[Held, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    """What guards keep from happening; the rest of the plan goes on."""
    allowed: tuple[str, ...] = ()
    """Allowances that were needed: ``removed-targets=default/flask``."""
    resumed: tuple[str, ...] = ()
    """Services and clusters whose hold ``publisher resume`` ends with this plan."""

    @property
    def digest(self) -> str:
        """Equal for plans that make the same changes to the same files."""
        changes = [(item.path, hashlib.sha256(item.content or b"").hexdigest(), item.action) for item in self.files]
        return hashlib.sha256(json.dumps(changes).encode()).hexdigest()[:16]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that kept something from being published."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


Check = Callable[[str, bytes], tuple[Finding, ...]]
"""Says what is wrong with a file, by its path and content."""


def make_plan(
    policy: Policy,
    snapshot: str,
    selection: Selection,
    desired: Desired,
    current: Config,
    tree: ConfigTree,
    renderer: Renderer,
    check: Check,
    findings: tuple[Finding, ...],
) -> tuple[Plan, Desired]:
    """Compare the tree with what is desired; also give what comes of that where a file may not be written."""
    written, wrong = ({}, ()) if desired.untouched else renderer.write(desired, current, tree, policy)
    files = tuple(
        FileChange(path, "delete" if content is None else "change" if path in tree else "create", content)
        for path, content in sorted(written.items())
        if tree.get(path) != content
    )
    invalid = {
        file.path: problems
        for file in files
        if file.content is not None and (problems := check(file.path, file.content))
    }
    if invalid:
        files = () if renderer.whole else tuple(file for file in files if file.path not in invalid)
    if wrong or invalid:
        after = {path: data for path, data in tree.items() if written.get(path, data) is not None}
        after |= {file.path: file.content for file in files if file.content is not None}
        desired = _as_written(desired, renderer.read(after, policy)[0], current)
    misfits = [finding for problems in invalid.values() for finding in problems]
    plan = Plan(
        publisher=policy.publisher,
        snapshot=snapshot,
        files=files,
        clusters=tuple(cluster_changes(current, desired.config, selection)) if files else (),
        services=tuple(service_changes(current, desired.config, selection, desired.unpublished)) if files else (),
        unknown=tuple(_unknown(selection)),
        unpublished=tuple(sorted(desired.unpublished.items())),
        findings=tuple(sorted({*findings, *selection.findings, *desired.findings, *wrong, *misfits})),
    )
    return plan, desired


def _as_written(desired: Desired, after: Config, current: Config) -> Desired:
    """Correct what is desired by what stands in the tree after some files could not be written."""
    stuck = {key for key, service in desired.config.services.items() if after.services.get(key) != service}
    kept = {key for key in stuck if key in after.services and after.services[key] == current.services.get(key)}
    unpublished = {key: REFUSED for key in stuck if key not in after.services}
    return replace(desired, config=after, kept=desired.kept | kept, unpublished={**desired.unpublished, **unpublished})


def _unknown(selection: Selection) -> Iterator[UnknownPart]:
    for name, cluster in selection.clusters.items():
        for kind, reason in cluster.unknown:
            yield UnknownPart(name, kind, reason)
