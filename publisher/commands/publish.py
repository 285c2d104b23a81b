"""``publisher publish``: a plan becomes a commit on the newest base, or nothing happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from publisher import settings
from publisher.commands.pipeline import Outcome, build, config_paths
from publisher.commands.ports import Repository, Source
from publisher.core import report
from publisher.core.history import Draft
from publisher.core.policy import Policy
from publisher.errors import PushRejected

ATTEMPTS = 5
"""Plans made anew because somebody else was faster to push."""


@dataclass(frozen=True, slots=True)
class Published:
    """What publish did."""

    outcome: Outcome
    base: str
    commit: str
    """Empty where nothing was committed."""


def publish(repository: Repository, source: Source, dry_run: bool, retrying: Callable[[int], None]) -> Published:
    """Plan on the newest base, commit and push; plan again where somebody was faster.

    ``retrying`` is called with the number of the attempt that begins. Raises PushRejected after the last one.
    """
    branch = settings.load(repository.settings()).git.branch
    policy: Policy | None = None
    for attempt in range(1, ATTEMPTS + 1):
        base = repository.newest(branch)
        data = repository.settings_at(base)
        before, policy = policy, settings.load(data)
        if policy != before:
            topology = source(policy)
        outcome = build(policy, data, topology, repository.tree(base, config_paths(policy)))
        plan = outcome.plan
        if dry_run or not plan.files:
            return Published(outcome, base, "")
        changes = {file.path: file.content for file in plan.files}
        draft = Draft(branch, base, changes, report.commit_message(plan), policy.git.author)
        try:
            made = repository.publish(draft)
            return Published(outcome, base, made)
        except PushRejected:
            if attempt == ATTEMPTS:
                raise
            retrying(attempt + 1)
    raise AssertionError("unreachable")
