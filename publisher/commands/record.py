"""Snapshots that publish records on the branch ``snapshots/<id>``: for replay, status, and plans without a fleet."""

from __future__ import annotations

from typing import Any

from publisher.commands import snapshot as verb
from publisher.commands.ports import History, Source
from publisher.core import snapshot
from publisher.core.canonical import ParseError, load_plain_yaml
from publisher.core.history import ID_TRAILER, SNAPSHOT_TRAILER, Commit, Draft, trailers
from publisher.core.model import Topology
from publisher.core.policy import Policy
from publisher.errors import UsageError
from publisher.resources import schema


def branch_of(publisher: str) -> str:
    """Give the branch that a publisher's snapshots are on."""
    return f"snapshots/{publisher}"


def draft(repository: History, policy: Policy, topology: Topology) -> Draft | None:
    """Draft a commit of a snapshot, with the files of clusters that changed; None where the newest says the same."""
    branch = branch_of(policy.publisher)
    tip = repository.tip(branch)
    before = repository.tree(tip, (snapshot.INDEX,)).get(snapshot.INDEX, b"") if tip else b""
    known = _digests(before)
    changes: dict[str, bytes | None] = dict(snapshot.dump(topology, known))
    if changes[snapshot.INDEX] == before:
        return None
    changes |= {snapshot.cluster_path(name): None for name in known.keys() - topology.clusters.keys()}
    return Draft(branch, tip, changes, message(policy, topology), policy.git.author)


def message(policy: Policy, topology: Topology) -> str:
    """Write the message of a snapshot's commit."""
    digest = snapshot.digest(topology)
    return f"snapshot {digest}\n\n{ID_TRAILER}: {policy.publisher}\n{SNAPSHOT_TRAILER}: {digest}\n"


def _digests(index: bytes) -> dict[str, str]:
    """Read what an index says was written; nothing, where it is not one of ours."""
    try:
        document: Any = load_plain_yaml(index)
    except ParseError:
        return {}
    return {} if schema("snapshot").findings(document, snapshot.INDEX) else dict(document["clusters"])


def newest(repository: History, publisher: str) -> Commit | None:
    """Give the commit of the newest snapshot; None where there is none."""
    tip = repository.tip(branch_of(publisher))
    return repository.log(tip, most=1)[0] if tip else None


def load(repository: History, publisher: str, digest: str = "") -> Topology:
    """Read the snapshot with a digest, or the newest one; raises UsageError where it is not recorded."""
    commit = find(repository, publisher, digest) if digest else newest(repository, publisher)
    if commit:
        return verb.load(repository.tree(commit.id, (".",)), f"{branch_of(publisher)} {commit.id[:12]}")
    what = f"no snapshot {digest}" if digest else "no snapshot"
    raise UsageError(f"{what} on the branch {branch_of(publisher)}; publish records one with every commit it makes")


def find(repository: History, publisher: str, digest: str) -> Commit | None:
    """Give the newest commit of the snapshot with a digest; None where it is not recorded."""
    tip = repository.tip(branch_of(publisher))
    log = repository.log(tip) if tip else ()
    return next((commit for commit in log if digest in trailers(commit.message, SNAPSHOT_TRAILER)), None)


def source(repository: History) -> Source:
    """Take the newest recorded snapshot for the fleet."""
    return lambda policy: load(repository, policy.publisher)
