"""From a fleet and a tree to a plan: select -> resolve -> render -> validate -> plan -> holds -> guards."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from publisher import settings
from publisher.commands.ports import History, Source
from publisher.core import guard, report, snapshot
from publisher.core.check import check_file
from publisher.core.config import Config, ConfigTree
from publisher.core.history import Word
from publisher.core.holds import released
from publisher.core.model import Finding, ServiceKey, Topology
from publisher.core.plan import Held, Plan, Refusal, make_plan
from publisher.core.policy import OnRefusal, Policy
from publisher.core.render import Renderer, renderer
from publisher.core.resolve import Back, Desired, resolve
from publisher.core.select import Selection, select
from publisher.errors import UsageError
from publisher.resources import schema

ALL = "--all"
"""Stands for every hold among the ones to resume."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A plan with everything that led to it."""

    plan: Plan
    selection: Selection
    desired: Desired
    current: Config


class Past(NamedTuple):
    """What a plan has to know of history, asked for only when it matters."""

    last_words: Callable[[Collection[str]], Mapping[str, Word]] = lambda paths: {}
    allowances: Callable[[], tuple[str, ...]] = lambda: ()
    now: float = 0.0
    """Seconds since the epoch."""


class Say(NamedTuple):
    """What whoever runs it wants done differently this once."""

    allow: tuple[str, ...] = ()
    """``guard=object``"""
    resume: frozenset[str] = frozenset()
    """Services and clusters whose hold ends."""
    back: Back = Back()
    """What is not for this commit."""


def config_paths(policy: Policy) -> tuple[str, ...]:
    """Give the paths of a repository that a plan looks at."""
    return (f"{policy.output}/config",)


def past_of(repository: History, commit: str, policy: Policy, now: float) -> Past:
    """Ask a repository for its history up to a commit."""
    return Past(
        lambda paths: repository.last_words(commit, policy.publisher, paths),
        lambda: repository.allowances(commit, policy.publisher),
        now,
    )


def plan(repository: History, source: Source, now: float, say: Say = Say()) -> Outcome:  # noqa: B008
    """Plan against what is checked out, or against the newest commit of a remote."""
    data = repository.settings()
    policy = settings.load(data, repository.settings_file)
    commit = repository.head()
    tree = repository.tree(commit, config_paths(policy))
    return build(policy, data, source(policy), tree, past_of(repository, commit, policy, now), say)


def build(
    policy: Policy,
    settings_data: bytes,
    topology: Topology,
    tree: ConfigTree,
    past: Past = Past(),  # noqa: B008
    say: Say = Say(),  # noqa: B008
) -> Outcome:
    """Work out what a fleet changes in a tree. Pure but for loading the schemas and for asking the past."""
    return _Builder(policy, settings_data, topology, tree, past, say).run()


@dataclass
class _Builder:
    """Plans, takes back what may not be, and plans again until all that is left may be."""

    policy: Policy
    settings_data: bytes
    topology: Topology
    tree: ConfigTree
    past: Past
    say: Say
    held: dict[str, Held] = field(default_factory=dict)
    resumed: set[str] = field(default_factory=set)
    refusals: set[Refusal] = field(default_factory=set)
    words: dict[str, Word] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def run(self) -> Outcome:
        layout = renderer(self.policy.layout, schema)
        current, unreadable = layout.read(self.tree, self.policy)
        selection = select(self.topology, self.policy, current)
        digest = snapshot.digest(self.topology)
        allowed = {_allowance(text) for text in self.say.allow}
        history_asked = False
        back = self.say.back.joined(self._edited(layout))
        while True:
            desired = resolve(selection, current, self.policy, back)
            args = (current, self.tree, layout, self._check, unreadable)
            made, desired = make_plan(self.policy, digest, selection, desired, *args)
            if (more := self._held(made, layout)) != Back():
                back = back.further(more)
                continue
            verdicts = guard.judge(guard.Case(current, desired.config, made.services, self.policy))
            standing, used = guard.split(verdicts, allowed)
            if standing and not history_asked:
                history_asked = True
                allowed |= set(allowances(self.past.allowances()))
            elif standing:
                self.refusals |= {verdict.refusal for verdict in standing}
                back = back.further(self._refused(standing))
            else:
                break
        findings = settings.with_lines(made.findings, self.settings_data, self.policy.file)
        made = replace(
            made,
            findings=findings,
            held=tuple(self.held[name] for name in sorted(self.held)),
            refusals=tuple(sorted(self.refusals)),
            allowed=tuple(sorted(used)),
            resumed=tuple(sorted(self.resumed)),
        )
        return Outcome(made, selection, desired, current)

    def _check(self, path: str, content: bytes) -> tuple[Finding, ...]:
        return check_file(path, content, self.policy.output, schema)

    def _words(self, paths: Collection[str]) -> Mapping[str, Word]:
        if fresh := {path for path in paths if path not in self.asked}:
            self.asked |= fresh
            self.words |= self.past.last_words(fresh)
        return self.words

    def _edited(self, layout: Renderer) -> Back:
        """Hold services whose entries in a shared file a person has changed."""
        edited = layout.edited(self.tree, self.policy)
        self.resumed |= {key for key in edited if self._resumes(key)}
        keys = edited.keys() - self.resumed
        words = self._words({edited[key] for key in keys}) if keys else {}
        for key in sorted(keys):
            word = words.get(edited[key], Word("", "", 0, "its entries are not as they were published", ""))
            self.held[key] = Held(edited[key], f"service {key}", "change", word, ())
        return Back(services=frozenset(keys), edited=frozenset(keys))

    def _held(self, made: Plan, layout: Renderer) -> Back:
        """Find the files of a plan that people have the last word on."""
        subjects = {file: layout.subject(file.path, self.policy) for file in made.files}
        words = self._words({subject.witness for subject in subjects.values()}) if subjects else {}
        services, clusters, everything = set(), set(), False
        for file, subject in subjects.items():
            word = words.get(subject.witness)
            if word is None or released(word, file.content, self.policy.holds, self.past.now):
                continue
            if self._resumes(subject.name):
                self.resumed.add(subject.name)
                continue
            name = f"{subject.kind} {subject.name}"
            self.held[file.path] = Held(file.path, name, file.action, word, tuple(_becomes(made, subject.name)))
            match subject.kind:
                case "service":
                    services.add(ServiceKey(subject.name))
                case "cluster":
                    clusters.add(subject.name)
                case "layout":
                    everything = True
        return Back(frozenset(services), frozenset(clusters), frozenset(services), everything)

    def _resumes(self, name: str) -> bool:
        return ALL in self.say.resume or name in self.say.resume

    def _refused(self, standing: Collection[guard.Verdict]) -> Back:
        """Keep what guards refuse, or everything where publisher.yaml wants it so."""
        return Back(
            frozenset(key for verdict in standing for key in verdict.services),
            frozenset(name for verdict in standing for name in verdict.clusters),
            everything=self.policy.guards.on_refusal is OnRefusal.STOP,
        )


def without(outcome: Outcome, chosen: Collection[str], policy: Policy) -> Back:
    """Keep as published all clusters and services that a plan changes, but for those that are chosen.

    Also those whose files are just written another way.
    """
    plan, layout = outcome.plan, renderer(policy.layout)
    names = {change.cluster for change in plan.clusters} | {change.service for change in plan.services}
    names |= {layout.subject(file.path, policy).name for file in plan.files}
    rest = names - set(chosen)
    return Back(frozenset(ServiceKey(name) for name in rest if "/" in name), frozenset(n for n in rest if "/" not in n))


def only(again: Callable[[Back], Outcome], outcome: Outcome, chosen: Collection[str], policy: Policy) -> Outcome:
    """Plan again until nothing but the chosen clusters and services changes: what is kept can make others change."""
    back = Back()
    while (kept := back.joined(without(outcome, chosen, policy))) != back:
        back = kept
        outcome = again(back)
    return outcome


def applied(tree: ConfigTree, plan: Plan) -> dict[str, bytes]:
    """Give the tree after a plan."""
    changed = {file.path: file.content for file in plan.files}
    return {path: content for path, content in {**tree, **changed}.items() if content is not None}


def _becomes(made: Plan, name: str) -> Iterator[str]:
    """Say what a plan makes of a service or cluster."""
    for cluster in made.clusters:
        if cluster.cluster == name:
            yield from report.cluster_lines(cluster)
    for service in made.services:
        if service.service == name:
            yield from report.details(service)


def _allowance(text: str) -> str:
    try:
        return guard.parse_allowance(text)
    except guard.AllowanceError as error:
        raise UsageError(f"--allow {error}") from error


def allowances(texts: Iterable[str]) -> Iterator[str]:
    """Read what stands in trailers or labels, where anybody may write anything."""
    for text in texts:
        with suppress(guard.AllowanceError):
            yield guard.parse_allowance(text)
