"""Commits go to a remote, or to the branches of a repository without one: all of them or none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from publisher.core.history import Draft
from publisher.core.redact import redact
from publisher.edge.git import store
from publisher.edge.git.run import GitRunner, failure
from publisher.errors import GitError, PushRejected

# A server that says non-fast-forward itself takes no replaced branches, for good.
_MOVED_ON = re.compile(
    r"fetch first|(?<!remote rejected\] \()non-fast-forward|stale info"
    r"|cannot lock ref|incorrect old value|reference already exists|failed to update ref"
)
_NEIGHBOUR = "atomic "
"""Reason of a ref that is fine itself, but was pushed with one that is not."""


@dataclass(frozen=True, slots=True)
class Made:
    """A draft, and the commit that was made of it."""

    draft: Draft
    commit: str


def make(git: GitRunner, drafts: Iterable[Draft]) -> list[Made]:
    """Make the commits of drafts; no branch moves yet."""
    return [Made(draft, store.commit(git, draft)) for draft in drafts]


def push(git: GitRunner, remote: str, made: Sequence[Made]) -> None:
    """Push commits over one connection; by force only what replaces a commit, and only while it is that one.

    Raises PushRejected where somebody was faster at one of the branches; then none has moved.
    """
    drafts = [one.draft for one in made]
    options = dict.fromkeys(f"--push-option={option}" for draft in drafts for option in draft.options)
    # A lease forces by itself. A "+" before the refspec would force where the lease is stale, too.
    leases = [f"--force-with-lease={draft.ref}:{draft.replaces}" for draft in drafts if draft.replaces is not None]
    status, out, err = git.network(
        *("push", "--porcelain", *(["--atomic"] if len(made) > 1 else []), *options, *leases),
        *("--end-of-options", remote, *(f"{one.commit}:{one.draft.ref}" for one in made)),
    )
    if status == 0:
        return
    lines = [line.split("\t") for line in out.decode(errors="replace").splitlines() if line.startswith("!\t")]
    reasons = {refs.rpartition(":")[2]: reason for _, refs, reason in lines}
    for draft in drafts:
        reason = reasons.get(draft.ref, "")
        moved_on = _MOVED_ON.search(reason) or (_NEIGHBOUR in reason and f"cannot lock ref '{draft.ref}'" in err)
        if moved_on and "; cannot create" not in err:  # env is in the way of env/prod, for good
            raise PushRejected(f"git push: {draft.branch} has moved on: {redact(reason, 200)}")
    telling = sorted(reasons.values(), key=lambda reason: _NEIGHBOUR in reason)[:1]
    raise GitError(failure("push", "\n".join([*(f"error: {reason}" for reason in telling), err])))


def move(git: GitRunner, made: Sequence[Made]) -> None:
    """Move local branches to commits. Raises PushRejected where one is not as its draft says; then none has moved."""
    moves = []
    for one in made:
        old = one.draft.base if one.draft.replaces is None else one.draft.replaces
        moves.append(f"update {one.draft.ref} {one.commit} {old or '0' * len(one.commit)}\n")
    status, _, err = git.attempt("update-ref", "--stdin", stdin="".join(moves).encode())
    if status and _MOVED_ON.search(err) and "; cannot create" not in err:
        raise PushRejected(f"git update-ref: a branch has moved on: {redact(err.strip(), 200)}")
    if status:
        raise GitError(failure("update-ref", err))


def track(git: GitRunner, prefix: str, made: Iterable[Made]) -> None:
    """Let the refs below a prefix follow the branches that were pushed."""
    moves = (f"update {prefix}/{one.draft.branch} {one.commit}\n" for one in made if one.draft.moves)
    git.run("update-ref", "--stdin", stdin="".join(moves).encode())
