"""Commits made through GitHub's API, which signs them."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

from publisher.core.history import Draft
from publisher.core.redact import redact
from publisher.edge.github.api import Api, at
from publisher.errors import ApiError, PushRejected

_NONE = "0" * 40
"""The id of no commit."""


def make(api: Api, draft: Draft) -> str:
    """Make the commit and give its id; one that is there already is given as it is.

    A commit that replaces another is made on a branch ``<branch>.next`` and moved over at once, with compare and swap:
    GitHub closes a pull request for good whose branch is at its base for a moment.
    """
    if not draft.base:
        raise ApiError("GitHub: a commit without a parent cannot be made through its API; push it with git")
    return api.settled(lambda _: _extend(api, draft) if draft.replaces is None else _replace(api, draft))


def _extend(api: Api, draft: Draft) -> str:
    try:
        return _commit(api, draft, draft.branch)
    except PushRejected:
        if there := _there(api, draft, draft.branch):
            return there
        raise


def _replace(api: Api, draft: Draft) -> str:
    now = _tip(api, draft.branch)
    if now and _is(api, draft, now):
        return now
    if now != draft.replaces:
        raise _moved(draft)
    repository = at(api.get(""), str, "node_id")
    aside = f"{draft.branch}.next"
    made = _there(api, draft, aside)
    if not made:
        start = {"name": f"refs/heads/{aside}", "afterOid": draft.base, "force": True}
        api.mutate("updateRefs", "clientMutationId", repositoryId=repository, refUpdates=[start])
        made = _commit(api, draft, aside)
    swap = {"name": f"refs/heads/{draft.branch}", "beforeOid": now or _NONE, "afterOid": made, "force": True}
    end = {"name": f"refs/heads/{aside}", "afterOid": _NONE, "force": True}
    try:
        api.mutate("updateRefs", "clientMutationId", repositoryId=repository, refUpdates=[swap, end])
    except ApiError as error:
        if error.status and _tip(api, draft.branch) not in (now, made):
            raise _moved(draft) from error
        raise
    return made


def _commit(api: Api, draft: Draft, branch: str) -> str:
    headline, _, body = draft.message.partition("\n")
    changes = sorted(draft.changes.items())
    try:
        answer = api.mutate(
            "createCommitOnBranch",
            "commit { oid }",
            branch={"repositoryNameWithOwner": api.repository, "branchName": branch},
            expectedHeadOid=draft.base,
            message={"headline": headline, "body": body.strip()},
            fileChanges={
                "additions": [
                    {"path": path, "contents": b64encode(content).decode()}
                    for path, content in changes
                    if content is not None
                ],
                "deletions": [{"path": path} for path, content in changes if content is None],
            },
        )
    except ApiError as error:
        if error.status == 412:
            raise _moved(draft) from error
        raise
    return str(at(answer, str, "commit", "oid"))


def _moved(draft: Draft) -> PushRejected:
    return PushRejected(f"GitHub: branch {redact(draft.branch, 200)} has moved on; run it again")


def _there(api: Api, draft: Draft, branch: str) -> str:
    """Give the newest commit of a branch where it is the one that is asked for, else nothing."""
    tip = _tip(api, branch)
    return tip if tip and _is(api, draft, tip) else ""


def _tip(api: Api, branch: str) -> str:
    """Give the newest commit of a branch; empty where there is no such branch."""
    try:
        return str(at(api.get(f"/git/ref/heads/{quote(branch)}"), str, "object", "sha"))
    except ApiError as error:
        if error.status != 404:
            raise
        return ""


def _is(api: Api, draft: Draft, commit: str) -> bool:
    """Tell whether a commit is the one that is asked for: its message holds the digest of what it changes."""
    found = api.get(f"/git/commits/{quote(commit)}")
    parents = [at(parent, str, "sha") for parent in at(found, list, "parents")]
    return parents == [draft.base] and at(found, str, "message").split() == draft.message.split()
