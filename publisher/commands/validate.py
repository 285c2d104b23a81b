"""``publisher validate``: a config repository against its schemas and rules, without Karmada."""

from __future__ import annotations

from publisher import settings
from publisher.commands.ports import Reader
from publisher.core.check import check_tree
from publisher.core.model import Finding
from publisher.core.policy import Policy
from publisher.errors import UsageError
from publisher.resources import schema


def validate(repository: Reader) -> tuple[Finding, ...]:
    """Give everything that is wrong, with publisher.yaml first.

    Where publisher.yaml is wrong the rest is checked as if it were at its defaults.
    """
    policy, findings = settings.check(repository.settings(), repository.settings_file)
    policy = policy or Policy(publisher="unknown")
    tree = repository.tree(repository.head(), (f"{policy.output}/config",))
    if not tree:
        raise UsageError(f"there is nothing below {policy.output}/config; is this a config repository?")
    return findings + check_tree(tree, policy.output, policy.allowed_networks, schema)
