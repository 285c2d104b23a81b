"""``publisher publish``: a plan becomes a commit on the newest base, or a pull request, or nothing happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from publisher import settings
from publisher.commands import record
from publisher.commands.pipeline import (
    ALL,
    Outcome,
    Say,
    allowances,
    applied,
    build,
    config_paths,
    only,
    past_of,
)
from publisher.commands.ports import Forge, Repository, Source
from publisher.commands.review import Review, Standing, review, standing
from publisher.core import report
from publisher.core.classes import classes
from publisher.core.config import ConfigTree
from publisher.core.history import Draft
from publisher.core.model import Topology
from publisher.core.policy import Mode, Policy
from publisher.errors import PushRejected, Refused, UsageError

ATTEMPTS = 5
"""Plans made anew because somebody else was faster to push."""


@dataclass(frozen=True, slots=True)
class Published:
    """What publish did."""

    outcome: Outcome
    """All that was planned, whichever way it went."""
    base: str
    commit: str
    """The commit on the branch; empty where there is none."""
    review: Review | None = None
    """What became of the pull request; None where there is none to care for."""


@dataclass(frozen=True, slots=True)
class Order:
    """How to publish this once."""

    dry_run: bool = False
    say: Say = field(default_factory=Say)
    digest: str = ""
    """The plan has to have this digest."""


@dataclass
class Publisher:
    """Publishes to one repository."""

    repository: Repository
    source: Source
    forge: Callable[[], Forge]
    now: Callable[[], float]
    retrying: Callable[[int], None] = field(default=lambda attempt: None)
    """Called with the number of the attempt that begins."""

    def publish(self, order: Order) -> Published:
        """Plan on the newest base, commit and push; plan again where somebody was faster.

        Raises PushRejected after the last attempt, Refused where the plan is not the one that was agreed on.
        """
        here = settings.load(self.repository.settings(), self.repository.settings_file)
        read: Policy | None = None
        commit = ""
        for attempt in range(1, ATTEMPTS + 1):
            base = self.repository.newest(here.git.branch, here.publisher)
            data = self.repository.settings_at(base)
            policy = settings.load(data, self.repository.settings_file)
            # to the branch that it is built on, whatever the newest publisher.yaml calls it
            policy = replace(policy, git=replace(policy.git, branch=here.git.branch))
            if policy != read:
                topology, read = self.source(policy), policy
            run = _Run(self, policy, data, topology, base, order)
            try:
                done = run.publish()
            except PushRejected:
                if attempt == ATTEMPTS:
                    raise
                commit = run.commit or commit
                self.retrying(attempt + 1)
            else:
                return replace(done, commit=done.commit or commit)
        raise AssertionError("unreachable")


@dataclass
class _Run:
    """One attempt, on one base with one fleet."""

    publisher: Publisher
    policy: Policy
    data: bytes
    topology: Topology
    base: str
    order: Order
    commit: str = ""
    """What went to the branch, which may be all that came about."""

    def publish(self) -> Published:
        tree = self.publisher.repository.tree(self.base, config_paths(self.policy))
        mode, say = self.policy.publish.mode, self.order.say
        if mode is Mode.AUTO and say.resume:
            mode = Mode.DIRECT
        found = Standing("", (), None)
        if mode is not Mode.DIRECT:
            found = standing(self.publisher.repository, self.publisher.forge, self.policy, self.base)
            allowed, resumed = found.asked()
            say = say._replace(allow=(*say.allow, *allowances(allowed)), resume=say.resume | resumed)
        outcome = self._build(tree, say)
        if self.order.say.resume:
            outcome = self._resumed(outcome, tree, say, narrow=mode is Mode.DIRECT)
        digest = outcome.plan.digest
        if self.order.digest and self.order.digest != digest:
            raise Refused(f"the plan is {digest} by now, not {self.order.digest}; look at it again: publisher plan")
        if self.order.dry_run:
            return Published(outcome, self.base, "")
        match mode:
            case Mode.DIRECT:
                self._commit(outcome)
                done = Published(outcome, self.base, self.commit)
            case Mode.PULL_REQUEST:
                done = Published(outcome, self.base, "", self._review(outcome, found))
            case Mode.AUTO:
                done = self._split(outcome, tree, say, found)
        if not done.commit and (done.review is None or done.review.did not in ("opened", "updated")):
            self._beat()
        return done

    def _build(self, tree: ConfigTree, say: Say) -> Outcome:
        past = past_of(self.publisher.repository, self.base, self.policy, self.publisher.now())
        return build(self.policy, self.data, self.topology, tree, past, say)

    def _resumed(self, outcome: Outcome, tree: ConfigTree, say: Say, *, narrow: bool) -> Outcome:
        """Check that what is to be resumed was held; narrow a commit to it, so that it can be reverted by itself."""
        resumed = frozenset(outcome.plan.resumed)
        if missing := sorted(self.order.say.resume - resumed - {ALL}):
            held = ", ".join(sorted({item.name.partition(" ")[2] for item in outcome.plan.held} | resumed)) or "nothing"
            raise UsageError(f"{', '.join(missing)}: not held, or nothing would become of it; held: {held}")
        if not narrow:
            return outcome
        return only(lambda back: self._build(tree, say._replace(back=back)), outcome, resumed, self.policy)

    def _split(self, outcome: Outcome, tree: ConfigTree, say: Say, found: Standing) -> Published:
        """Mode auto: some classes of changes go to the branch, the rest to the pull request.

        What the pull request allows and resumes counts for itself alone.
        """
        direct = frozenset(self.policy.publish.direct)
        chosen = frozenset(name for name, found in classes(outcome.plan).items() if found and found <= direct)
        say_now = self.order.say
        whole = outcome if say == say_now else self._build(tree, say_now)
        first = only(lambda back: self._build(tree, say_now._replace(back=back)), whole, chosen, self.policy)
        self._commit(first)
        if self.commit:
            self.base = self.commit
            tree = applied(tree, first.plan)
        return Published(outcome, self.base, self.commit, self._review(self._build(tree, say), found))

    def _commit(self, outcome: Outcome) -> None:
        """Commit to the branch, with the snapshot, both or none."""
        repository, policy = self.publisher.repository, self.policy
        if not outcome.plan.files:
            return
        draft = Draft(
            policy.git.branch,
            self.base,
            {file.path: file.content for file in outcome.plan.files},
            report.commit_message(outcome.plan),
            policy.git.author,
            options=policy.publish.push_options,
            refspec=policy.publish.refspec,
        )
        if policy.publish.refspec:
            self.commit = repository.publish(draft)  # asks for review: nothing is published yet, so no snapshot of it
            return
        snapshots = self._snapshots()
        if not policy.publish.api_commits:
            self.commit = repository.publish(draft, *snapshots)
            return
        if snapshots:
            repository.publish(*snapshots)
        self.commit = self.publisher.forge().commit(draft)
        repository.newest(policy.git.branch, policy.publisher)

    def _snapshots(self) -> tuple[Draft, ...]:
        made = record.draft(self.publisher.repository, self.policy, self.topology)
        return (made,) if made else ()

    def _beat(self) -> None:
        """Record a snapshot without a change where the last is too old, so that status can tell silence from calm."""
        repository, policy = self.publisher.repository, self.policy
        if not policy.publish.heartbeat:
            return
        last = record.newest(repository, policy.publisher)
        if last and self.publisher.now() - last.time < policy.publish.heartbeat:
            return
        made = self._snapshots()
        if last and not made:
            made = (Draft(record.branch_of(policy.publisher), last.id, {}, last.message, policy.git.author),)
        repository.publish(*made)

    def _review(self, outcome: Outcome, found: Standing) -> Review | None:
        here = self.publisher
        return review(here.repository, here.forge, found, outcome, self.policy, self.base, self._snapshots)
