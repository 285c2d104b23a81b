"""One pull request that always shows the newest plan, and that people's words on it are never pushed over.

A pull request that a person closes is not opened again with the same plan: the branch still is that plan, and the body
of what was closed names it. It takes another plan, or the branch to be deleted, to ask again. One that is closed here,
because nothing is left to change, loses that line, so that the same plan may come again later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from publisher.commands.pipeline import Outcome, config_paths
from publisher.commands.ports import Forge, Repository
from publisher.core import markdown, report
from publisher.core.config import Config, targets
from publisher.core.forge import PullRequest
from publisher.core.history import ALLOW_TRAILER, ID_TRAILER, PLAN_TRAILER, RESUME_TRAILER, Commit, Draft, trailers
from publisher.core.model import ServiceKey
from publisher.core.policy import Policy
from publisher.core.render import renderer
from publisher.resources import schema

Did = Literal["opened", "updated", "unchanged", "closed", "stopped", "waits", "declined"]


@dataclass(frozen=True, slots=True)
class Review:
    """What became of the pull request."""

    did: Did
    number: int
    """0 where there is none."""
    url: str
    why: str = ""
    """Why it is closed, stopped, waits or is declined."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is of the pull request before a run."""

    head: str
    """The commit of the branch; empty where there is no branch."""
    ahead: tuple[Commit, ...]
    """What the branch has and its base has not, newest first."""
    request: PullRequest | None
    """The one that is open."""

    def asked(self) -> tuple[tuple[str, ...], frozenset[str]]:
        """Give what the open pull request allows, by its labels and its commit, and what it resumes."""
        if self.request is None:
            return (), frozenset()
        allowed = [value for commit in self.ahead for value in trailers(commit.message, ALLOW_TRAILER)]
        resumed = [value for commit in self.ahead for value in trailers(commit.message, RESUME_TRAILER)]
        return (*self.request.labels, *allowed), frozenset(resumed)


def branch_of(policy: Policy) -> str:
    """Give the branch that a publisher asks to merge."""
    return f"publisher/{policy.publisher}"


def standing(repository: Repository, forge: Callable[[], Forge], policy: Policy, base: str) -> Standing:
    """Look what there is; asks nothing of the host where there is no branch."""
    branch = branch_of(policy)
    head = repository.tip(branch)
    if not head:
        return Standing("", (), None)
    return Standing(head, repository.log(head, since=base), forge().find(branch, policy.git.branch))


def review(
    repository: Repository,
    forge: Callable[[], Forge],
    found: Standing,
    outcome: Outcome,
    policy: Policy,
    base: str,
    snapshots: Callable[[], tuple[Draft, ...]],
) -> Review | None:
    """Bring the pull request up to a plan on ``base``; None where there is neither a change nor a pull request."""
    plan, branch, request = outcome.plan, branch_of(policy), found.request
    if not plan.files and not found.head:
        return None
    host = forge()  # what is wrong with the credentials shows before anything is pushed
    theirs = _theirs(repository, found, policy)
    closed = host.closed(branch, policy.git.branch) if not request and found.ahead and (theirs or plan.files) else None
    if closed and closed.merged and closed.head == found.head:  # though as another commit
        found, theirs = replace(found, ahead=()), None
    if theirs:
        why = (
            f"commit {theirs.id[:12]} of {theirs.author} on {branch} is not the publisher's; "
            "merge it, or delete the branch to start anew"
        )
        if request:
            host.comment(request.number, "stopped", f"Publishing stops here: {why}.")
        return _did("stopped", request, why)
    if not plan.files:
        return _close(host, request)
    title, labels = markdown.title(plan), markdown.labels(plan)
    body = markdown.body(plan, outcome.current, outcome.desired.config)
    if _is_plan(repository, found, base, outcome):
        if request and _names(request, plan.digest) and _ours(request.labels) == _ours(labels):
            return _did("unchanged", request)
        if closed and not closed.merged and _names(closed, plan.digest):
            return _did(
                "declined", closed, f"it was closed with just this plan; delete the branch {branch} to ask again"
            )
    elif request and request.approved and not _dead(repository, found, base, outcome, policy):
        return _did(
            "waits", request, "it is approved as it is, and the newer plan would remove no target that it keeps"
        )
    else:
        _push(repository, host, found, outcome, policy, base, snapshots())
    if request is None:
        return _did("opened", host.open(branch, policy.git.branch, title, body, labels))
    host.update(request, title, body, labels)
    return _did("updated", request)


def _did(did: Did, request: PullRequest | None, why: str = "") -> Review:
    return Review(did, request.number if request else 0, request.url if request else "", why)


def _close(host: Forge, request: PullRequest | None) -> Review | None:
    if request is None:
        return None
    why = "the fleet and publisher.yaml no longer ask for a change"
    host.close(request, f"Closed: {why}.", markdown.closed(request.body))
    return _did("closed", request, why)


def _push(
    repository: Repository,
    host: Forge,
    found: Standing,
    outcome: Outcome,
    policy: Policy,
    base: str,
    snapshots: tuple[Draft, ...],
) -> None:
    """Make the branch one commit on its base, if it is still as it was found."""
    draft = Draft(
        branch_of(policy),
        base,
        {file.path: file.content for file in outcome.plan.files},
        report.commit_message(outcome.plan),
        policy.git.author,
        replaces=found.head,
        options=policy.publish.push_options,
    )
    if not policy.publish.api_commits:
        repository.publish(draft, *snapshots)
        return
    if snapshots:
        repository.publish(*snapshots)
    host.commit(draft)


def _names(request: PullRequest, digest: str) -> bool:
    return f"{PLAN_TRAILER}: {digest}" in request.body.splitlines()


def _ours(labels: tuple[str, ...]) -> set[str]:
    return {name.lower() for name in labels if name.lower().startswith("publisher/")}


def _theirs(repository: Repository, found: Standing, policy: Policy) -> Commit | None:
    """Find a person's commit; a merge that says nothing of its own, as the host makes to update a branch, is none."""
    for commit in found.ahead:
        match len(commit.parents):
            case 1:
                if policy.publisher not in trailers(commit.message, ID_TRAILER):
                    return commit
            case 0:
                return commit
            case _:
                tree, *sides = (repository.tree(name, (".",)) for name in (commit.id, *commit.parents))
                paths = tree.keys() | set().union(*sides)
                if any(tree.get(path) not in [side.get(path) for side in sides] for path in paths):
                    return commit
    return None


def _is_plan(repository: Repository, found: Standing, base: str, outcome: Outcome) -> bool:
    """Tell whether the branch is this plan already, in one commit on what is as ``base`` in all files of the plan."""
    plan = outcome.plan
    made = [commit for commit in found.ahead if len(commit.parents) == 1]
    said = ((PLAN_TRAILER, (plan.digest,)), (ALLOW_TRAILER, plan.allowed), (RESUME_TRAILER, plan.resumed))
    if len(made) != 1 or any(set(shall) - set(trailers(made[0].message, name)) for name, shall in said):
        return False
    paths = tuple(file.path for file in plan.files)
    (parent,) = made[0].parents
    if parent != base and repository.tree(parent, paths) != repository.tree(base, paths):
        return False
    wanted = {file.path: file.content for file in plan.files if file.content is not None}
    return repository.tree(found.head, paths) == wanted


def _dead(repository: Repository, found: Standing, base: str, outcome: Outcome, policy: Policy) -> bool:
    """Tell whether the base would, with the files that the branch changes, keep targets that the plan removes."""
    paths = config_paths(policy)
    head, now = repository.tree(found.head, paths), repository.tree(base, paths)
    start = repository.tree(found.ahead[-1].parents[0], paths) if found.ahead else now
    changed = {path for path in head.keys() | start.keys() if head.get(path) != start.get(path)}
    merged = {path: data for path, data in now.items() if path not in changed}
    merged |= {path: head[path] for path in changed & head.keys()}
    kept, _ = renderer(policy.layout, schema).read(merged, policy)
    wanted = outcome.desired.config
    return any(_targets(kept, key) - _targets(wanted, key) for key in kept.services)


def _targets(config: Config, key: ServiceKey) -> frozenset[tuple[str, str]]:
    service = config.services.get(key)
    found = targets(service, config.clusters) if service else ()
    return frozenset((target.cluster, target.address) for target in found)
