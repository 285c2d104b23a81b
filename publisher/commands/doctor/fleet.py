"""Karmada: whether it answers, whom it takes us for, what we may do, and which members can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from publisher.commands.doctor.check import Check, clock, fail, ok, skipped, warn
from publisher.commands.doctor.ports import Fleet
from publisher.core.policy import Policy
from publisher.core.report import count, listed
from publisher.core.rights import LIST_CLUSTERS, advice, needed
from publisher.core.topology import Member
from publisher.errors import ApiError, PublisherError

_CLOCK = "karmada clock"
_ACCESS = "see Access in docs/configuration.md"


def look(policy: Policy | None, connect: Callable[[Policy], Fleet]) -> Iterator[Check]:
    """Look at the fleet."""
    after = ("credentials", "clusters", "rights", "members")
    if policy is None:
        yield from skipped(("karmada", *after, _CLOCK), "it takes settings")
        return
    try:
        fleet = connect(policy)
    except PublisherError as error:
        yield fail("karmada", error)
        yield from skipped((*after, _CLOCK), "it takes karmada")
        return
    refused: ApiError | None = None
    try:
        yield ok("karmada", f"it answers, as Kubernetes {fleet.version()}")
    except ApiError as error:
        if error.status not in (401, 403):
            yield fail("karmada", error, advice(str(error), error.status))
            yield from skipped(after, "it takes karmada")
            yield clock(_CLOCK, "Karmada", fleet.ahead())
            return
        refused = error
        yield ok("karmada", "it answers")
    if refused and refused.status == 401:
        yield fail("credentials", refused, advice(str(refused), 401))
        yield from skipped(after[1:], "it takes credentials")
    else:
        yield _credentials(fleet)
        yield from _members(policy, fleet)
    yield clock(_CLOCK, "Karmada", fleet.ahead())


def _credentials(fleet: Fleet) -> Check:
    try:
        caller = fleet.caller()
    except ApiError as error:
        return fail("credentials", error, advice(str(error), error.status))
    if caller is None:
        return ok("credentials", "they are accepted; Karmada does not say whose they are")
    return ok("credentials", f"they are those of {caller.name} (groups {', '.join(caller.groups) or 'none'})")


def _members(policy: Policy, fleet: Fleet) -> Iterator[Check]:
    try:
        members = fleet.members()
    except ApiError as error:
        yield fail("clusters", error, advice(str(error), error.status))
        yield _rights(policy, fleet, ())
        yield from skipped(("members",), "it takes clusters")
        return
    counting = [member for member, refusal in members if not refusal]
    ready = [member for member in counting if member.ready]
    said = f"{len(counting)} of {count(len(members), 'cluster')} count, {len(ready)} Ready"
    if ready:
        yield ok("clusters", said)
    else:
        yield warn("clusters", said, "look at karmada.clusters in the settings, and at kubectl get clusters")
    yield _rights(policy, fleet, counting)
    yield from _reachable(fleet, counting, ready)


def _rights(policy: Policy, fleet: Fleet, members: Sequence[Member]) -> Check:
    """Ask first for all of a kind, and name by name only where that is denied."""
    access = policy.karmada.access
    rights = needed(access, members)
    try:
        denied = fleet.denied((LIST_CLUSTERS, *rights))
        narrow = [right for broad in denied if broad in rights for right in rights[broad]]
        missing = [*(right for right in denied if right not in rights), *fleet.denied(narrow)]
    except ApiError as error:
        if error.status not in (403, 404):
            return fail("rights", error, advice(str(error), error.status))
        return warn("rights", f"Karmada does not say what the account may do: {error}", "the checks of members tell")
    if not missing:
        return ok("rights", f"{', '.join(map(str, (LIST_CLUSTERS, *rights)))}: what access {access} takes in Karmada")
    named = listed([str(right) for right in missing], 5)
    return fail("rights", f"the account may not {named}", f"give it that in Karmada, {_ACCESS}")


def _reachable(fleet: Fleet, counting: Sequence[Member], ready: Sequence[Member]) -> Iterator[Check]:
    """Give a line for each member that counts."""
    if not counting:
        yield from skipped(("members",), "no cluster counts")
        return
    complaints = fleet.unreadable(ready)
    for member in counting:
        name = f"member {member.name}"
        if not member.ready:
            yield warn(name, member.reason, "nothing of it changes until it is; look at the member")
        elif found := complaints[member.name]:
            message = "; ".join(text for text, _ in found)
            yield fail(name, message, next(filter(None, (advice(*one) for one in found)), ""))
        else:
            yield ok(name, "nodes, services and endpointslices can be listed")
