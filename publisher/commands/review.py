"""One pull request that always shows the newest plan, and that people's words on it are never pushed over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from publisher.commands.pipeline import Outcome, config_paths
from publisher.commands.ports import Forge, Repository
from publisher.core import markdown, report
from publisher.core.config import Config, targets
from publisher.core.forge import PullRequest
from publisher.core.history import ID_TRAILER, PLAN_TRAILER, Commit, Draft, trailers
from publisher.core.model import ServiceKey
from publisher.core.policy import Policy
from publisher.core.render import renderer
from publisher.resources import schema

Did = Literal["opened", "updated", "unchanged", "closed", "stopped", "waits"]


@dataclass(frozen=True, slots=True)
class Review:
    """What became of the pull request."""

    did: Did
    number: int
    """0 where there is none."""
    url: str
    why: str = ""
    """Why it is closed, stopped or waits."""


def branch_of(policy: Policy) -> str:
    """Give the branch that a publisher asks to merge."""
    return f"publisher/{policy.publisher}"


def review(
    repository: Repository,
    forge: Callable[[], Forge],
    outcome: Outcome,
    policy: Policy,
    base: str,
    snapshots: Callable[[], tuple[Draft, ...]],
) -> Review | None:
    """Bring the pull request up to a plan on ``base``; None where there is neither a change nor a pull request."""
    plan, branch = outcome.plan, branch_of(policy)
    head = repository.tip(branch)
    if not plan.files and not head:
        return None
    request = forge().find(branch, policy.git.branch)
    ahead = repository.log(head, since=base) if head else ()
    if theirs := [commit for commit in ahead if not _ours(commit, policy)]:
        found = f"commit {theirs[0].id[:12]} of {theirs[0].author}"
        why = f"{found} on {branch} is not the publisher's; merge it, or delete the branch to start anew"
        if request:
            forge().comment(request.number, "stopped", f"Publishing stops here: {why}.")
        return _did("stopped", request, why)
    if not plan.files:
        return _close(forge(), request)
    if ahead and _is_plan(repository, ahead[0], base, outcome):
        if request and f"{PLAN_TRAILER}: {plan.digest}" in request.body.splitlines():
            return _did("unchanged", request)
    elif request and request.approved and not _dead(repository, request.head, outcome, policy):
        return _did(
            "waits", request, "it is approved as it is, and the newer plan would remove no target that it keeps"
        )
    else:
        changes = {file.path: file.content for file in plan.files}
        draft = Draft(branch, base, changes, report.commit_message(plan), policy.git.author, replaces=head)
        draft = replace(draft, options=policy.publish.push_options)
        if policy.publish.api_commits:
            if recorded := snapshots():
                repository.publish(*recorded)
            forge().commit(draft)
        else:
            repository.publish(draft, *snapshots())
    title = markdown.title(plan)
    body = markdown.body(plan, outcome.current, outcome.desired.config)
    labels = markdown.labels(plan)
    if request is None:
        return _did("opened", forge().open(branch, policy.git.branch, title, body, labels))
    forge().update(request, title, body, labels)
    return _did("updated", request)


def _did(did: Did, request: PullRequest | None, why: str = "") -> Review:
    return Review(did, request.number if request else 0, request.url if request else "", why)


def _close(forge: Forge, request: PullRequest | None) -> Review | None:
    if request is None:
        return None
    why = "the fleet and publisher.yaml no longer ask for a change"
    forge.close(request, f"Closed: {why}.")
    return _did("closed", request, why)


def _ours(commit: Commit, policy: Policy) -> bool:
    return len(commit.parents) == 1 and policy.publisher in trailers(commit.message, ID_TRAILER)


def _is_plan(repository: Repository, commit: Commit, base: str, outcome: Outcome) -> bool:
    """Tell whether a commit is this plan already, and its base is as ``base`` in all files that it changes."""
    if outcome.plan.digest not in trailers(commit.message, PLAN_TRAILER):
        return False
    paths = tuple(file.path for file in outcome.plan.files)
    return commit.parents == (base,) or repository.tree(commit.parents[0], paths) == repository.tree(base, paths)


def _dead(repository: Repository, approved: str, outcome: Outcome, policy: Policy) -> bool:
    """Tell whether a commit would keep targets that the plan removes."""
    tree = repository.tree(approved, config_paths(policy))
    kept, _ = renderer(policy.layout, schema).read(tree, policy)
    wanted = outcome.desired.config
    return any(_targets(kept, key) - _targets(wanted, key) for key in kept.services)


def _targets(config: Config, key: ServiceKey) -> frozenset[tuple[str, str]]:
    service = config.services.get(key)
    found = targets(service, config.clusters) if service else ()
    return frozenset((target.cluster, target.address) for target in found)
