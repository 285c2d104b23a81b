"""From a fleet and a tree to a plan: select -> resolve -> render -> validate -> plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

from publisher import settings
from publisher.commands.ports import Reader, Source
from publisher.core import snapshot
from publisher.core.check import check_file
from publisher.core.config import Config, ConfigTree
from publisher.core.model import Finding, Topology
from publisher.core.plan import Plan, make_plan
from publisher.core.policy import Policy
from publisher.core.render import renderer
from publisher.core.resolve import Desired, resolve
from publisher.core.select import Selection, select
from publisher.resources import schema


@dataclass(frozen=True, slots=True)
class Outcome:
    """A plan with everything that led to it."""

    plan: Plan
    selection: Selection
    desired: Desired
    current: Config


def config_paths(policy: Policy) -> tuple[str, ...]:
    """Give the paths of a repository that a plan looks at."""
    return (f"{policy.output}/config",)


def plan(repository: Reader, source: Source) -> Outcome:
    """Plan against what is checked out, or against the newest commit of a remote."""
    data = repository.settings()
    policy = settings.load(data)
    tree = repository.tree(repository.head(), config_paths(policy))
    return build(policy, data, source(policy), tree)


def build(policy: Policy, settings_data: bytes, topology: Topology, tree: ConfigTree) -> Outcome:
    """Work out what a fleet changes in a tree. Pure but for loading the schemas."""
    layout = renderer(policy.layout, schema)
    current, unreadable = layout.read(tree, policy)
    selection = select(topology, policy, current)
    desired = resolve(selection, current, policy)
    digest = snapshot.digest(topology)

    def check(path: str, content: bytes) -> tuple[Finding, ...]:
        return check_file(path, content, policy.output, schema)

    made, desired = make_plan(policy, digest, selection, desired, current, tree, layout, check, unreadable)
    findings = settings.with_lines(made.findings, settings_data)
    return Outcome(replace(made, findings=findings), selection, desired, current)
