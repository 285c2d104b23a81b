"""``publisher rollback``: what was published goes back, after a rehearsal, by a commit of whoever runs it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from publisher import settings
from publisher.commands.held import layout_of
from publisher.commands.pipeline import config_paths
from publisher.commands.ports import Forge, Repository, Source
from publisher.commands.rehearsal import Rehearsal
from publisher.core import snapshot
from publisher.core.check import check_tree
from publisher.core.comeback import comeback
from publisher.core.config import Config
from publisher.core.forge import PullRequest
from publisher.core.history import ID_TRAILER, Commit, Draft, trailers
from publisher.core.holds import blob_id
from publisher.core.model import Finding, Topology
from publisher.core.plan import FileChange, Plan
from publisher.core.policy import Policy
from publisher.core.redact import redact
from publisher.errors import PublisherError, PushRejected, Refused, UsageError
from publisher.resources import schema

ATTEMPTS = 5
"""Rehearsals made anew because somebody else was faster to push."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to roll back, and how."""

    name: str
    """A commit, or a service or cluster that has a file."""
    to: str = ""
    """The commit as of which a service or cluster shall be; empty: before the publisher's last one that touched it."""
    pull_request: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What rollback did."""

    rehearsal: Rehearsal
    commit: str = ""
    """Empty where nothing was pushed."""
    request: PullRequest | None = None

    def document(self) -> dict[str, Any]:
        """Build the JSON document."""
        url = self.request.url if self.request else ""
        return {**self.rehearsal.document(), "commit": self.commit, "pullRequest": url}


def rollback(
    repository: Repository,
    source: Source,
    forge: Callable[[], Forge],
    order: Order,
    tell: Callable[[Rehearsal], None] = lambda rehearsal: None,
) -> RolledBack:
    """Rehearse on the newest base, tell, commit and push; rehearse again where somebody was faster.

    The fleet may be out of reach: then that is told. Raises Refused where later commits are in the way, or where what
    comes back is not valid; PushRejected after the last attempt.
    """
    fleet = _Fleet(source)
    told = ""
    for attempt in range(1, ATTEMPTS + 1):
        run = _Run.on_newest(repository, fleet, order)
        rehearsal = run.rehearse()
        if rehearsal.plan.digest != told:
            told = rehearsal.plan.digest
            tell(rehearsal)
        if order.dry_run or not rehearsal.plan.files:
            return RolledBack(rehearsal)
        try:
            return run.request(rehearsal, forge()) if order.pull_request else run.push(rehearsal)
        except PushRejected:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


@dataclass
class _Fleet:
    """The fleet, read once, when something is to be compared with it."""

    source: Source
    topology: Topology | None = None
    why_not: str = ""

    def read(self, policy: Policy) -> None:
        """Try to read it. A rollback is for emergencies, and must not need Karmada."""
        if self.topology or self.why_not:
            return
        try:
            self.topology = self.source(policy)
        except PublisherError as error:
            self.why_not = redact(str(error))


class _Back(NamedTuple):
    """What goes back."""

    changes: Mapping[str, bytes | None]
    message: str
    name: str
    """Short, for a branch."""


@dataclass(frozen=True)
class _Run:
    """One attempt on one base."""

    repository: Repository
    fleet: _Fleet
    order: Order
    base: str
    policy: Policy

    @staticmethod
    def on_newest(repository: Repository, fleet: _Fleet, order: Order) -> _Run:
        file, data = repository.settings_file, repository.settings()
        policy = settings.load(data, file)
        base = repository.newest(policy.git.branch, policy.publisher)
        return _Run(
            repository,
            fleet,
            order,
            base,
            settings.load(repository.tree(base, (file,)).get(file, data), file),
        )

    def rehearse(self) -> Rehearsal:
        tree = self.repository.tree(self.base, config_paths(self.policy))
        layout = layout_of(self.policy)
        before, _ = layout.read(tree, self.policy)
        back = self._back(tree, before)
        config = f"{self.policy.output}/config/"
        after_tree = {
            path: data
            for path, data in {**tree, **back.changes}.items()
            if data is not None and path.startswith(config)
        }
        self._validate(tree, after_tree, back)
        after, _ = layout.read(after_tree, self.policy)
        if back.changes:
            self.fleet.read(self.policy)
        topology = self.fleet.topology
        does = comeback(before, after, topology)
        held, released = self._holds(tree, back.changes, before, after)
        return Rehearsal(
            Plan(
                self.policy.publisher,
                snapshot.digest(topology) if topology else "",
                tuple(_file_change(path, content, tree) for path, content in sorted(back.changes.items())),
                does.clusters,
                does.services,
                unknown=(),
                unpublished=(),
                findings=(),
            ),
            self.base,
            back.message,
            f"rollback/{back.name}",
            does.doubts,
            self.fleet.why_not,
            held,
            released,
        )

    def push(self, rehearsal: Rehearsal) -> RolledBack:
        publish = self.policy.publish
        draft = Draft(
            self.policy.git.branch,
            self.base,
            {file.path: file.content for file in rehearsal.plan.files},
            rehearsal.message,
            options=publish.push_options,
            refspec=publish.refspec,
        )
        return RolledBack(rehearsal, self.repository.publish(draft))

    def request(self, rehearsal: Rehearsal, forge: Forge) -> RolledBack:
        """Open a pull request, or give the one that is open already."""
        branch, target = rehearsal.branch, self.policy.git.branch
        if there := forge.find(branch, target):
            return RolledBack(rehearsal, there.head, there)
        changes = {file.path: file.content for file in rehearsal.plan.files}
        head = self.repository.tip(branch)
        draft = Draft(branch, self.base, changes, rehearsal.message, replaces=head)
        made = self.repository.publish(draft)
        title, _, why = rehearsal.message.partition("\n")
        body = "\n".join([why.strip(), "", "```text", *rehearsal.lines(), "```", ""])
        return RolledBack(rehearsal, made, forge.open(branch, target, title, body, ()))

    def _back(self, tree: Mapping[str, bytes], before: Config) -> _Back:
        """Find out what is meant. What has a file is a service or cluster, rather than a commit of that name."""
        name, layout = self.order.name, layout_of(self.policy)
        if layout.whole:
            if name in before.services or name in before.clusters or self.order.to:
                raise UsageError(f"{name}: layout {self.policy.layout} has all services in one file; name a commit")
            return self._commit(self.repository.find(name))
        (path,) = layout.places(self.policy, name)
        if path in tree:
            return self._file(path)
        try:
            found = self.repository.find(name)
        except UsageError as error:
            if self.repository.log(self.base, (path,), most=1):
                return self._file(path)
            raise UsageError(f"{name}: neither a service or cluster that ever had a file, nor a commit here") from error
        if self.order.to:
            raise UsageError(f"{name} is a commit, and --to is for a service or cluster")
        return self._commit(found)

    def _commit(self, name: str) -> _Back:
        commit = self.repository.log(name, most=2)[0]  # two, so that a shallow clone has the one before as well
        return _Back(self.repository.reverted(self.base, name), _message(commit), name[:12])

    def _file(self, path: str) -> _Back:
        name = self.order.name
        to = self.repository.find(self.order.to) if self.order.to else self._before_ours(path)
        content = self.repository.tree(to, (path,)).get(path)
        same = content == self.repository.tree(self.base, (path,)).get(path)
        message = f"Roll back {name} to {to[:12]}\n\n{path} is as it was in commit {to}.\n"
        return _Back({} if same else {path: content}, message, name.replace("/", "."))

    def _before_ours(self, path: str) -> str:
        """Give the commit before the publisher's last one that touched a file."""
        publisher = self.policy.publisher
        for most in (1, 0):  # it is mostly the last one, and all are slow to find
            for commit in self.repository.log(self.base, (path,), most):
                if publisher in trailers(commit.message, ID_TRAILER):
                    return commit.parents[0]
        raise UsageError(f"{self.order.name}: no commit of publisher {publisher} touched {path}; name one --to")

    def _validate(self, tree: Mapping[str, bytes], after: Mapping[str, bytes], back: _Back) -> None:
        """Refuse what would be wrong and is not so already, in whatever file."""
        if after != tree:
            args = self.policy.output, self.policy.allowed_networks, schema
            already = check_tree(tree, *args)
            self._refuse(finding for finding in check_tree(after, *args) if finding not in already)
        if (file := self.policy.file) in back.changes:
            self._refuse(settings.check(back.changes[file] or b"", file)[1])

    def _refuse(self, findings: Collection[Finding] | Iterator[Finding]) -> None:
        if errors := [finding for finding in findings if finding.severity == "error"]:
            raise Refused(f"{self.order.name} is not rolled back: what would come back is not valid", errors)

    def _holds(
        self, tree: Mapping[str, bytes], changes: Mapping[str, bytes | None], before: Config, after: Config
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Tell which of the files that change are then not as the publisher left them, and which are so again."""
        layout = layout_of(self.policy)
        places = layout.places(self.policy)
        paths = [path for path in changes if any(f"{path}/".startswith(f"{place}/") for place in places)]
        subjects = {subject.witness: subject for subject in (layout.subject(path, self.policy) for path in paths)}
        words = self.repository.last_words(self.base, self.policy.publisher, subjects.keys())
        ours = {*before.services, *before.clusters, *after.services, *after.clusters, str(self.policy.layout)}
        held, released = [], []
        for path, subject in sorted(subjects.items()):
            word = words.get(path)
            length = len(self.base)
            left = word.rejected if word else blob_id(tree.get(path), length)
            if subject.name not in ours and not (word and word.rejected):
                continue
            becomes = blob_id(changes[path] if path in changes else tree.get(path), length)
            name = f"{subject.kind} {subject.name}"
            if becomes != left:
                held.append(name)
            elif word:
                released.append(name)
        return tuple(held), tuple(released)


def _message(commit: Commit) -> str:
    """Word a revert as git does."""
    subject = commit.subject
    again = subject.startswith('Revert "') and not subject.startswith('Revert "Revert "')
    title = f'Reapply "{subject.removeprefix("Revert " + chr(34))}' if again else f'Revert "{subject}"'
    merged = f", reversing\nchanges made to {commit.parents[0]}" if len(commit.parents) > 1 else ""
    return f"{title}\n\nThis reverts commit {commit.id}{merged}.\n"


def _file_change(path: str, content: bytes | None, tree: Mapping[str, bytes]) -> FileChange:
    return FileChange(path, "delete" if content is None else "change" if path in tree else "create", content)
