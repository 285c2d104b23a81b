"""Pull requests and comments of a repository on GitHub."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any
from urllib.parse import quote

from publisher.core.forge import PullRequest, State, TokenAccess
from publisher.core.history import Draft
from publisher.edge.github import commits, statuses
from publisher.edge.github.access import token_access
from publisher.edge.github.api import Api, at
from publisher.edge.github.text import fit
from publisher.errors import ApiError

_OURS = "publisher/"
"""Labels that begin so are put on and taken off by us alone."""
_COLOUR = "1d76db"
_SPOKEN = {"APPROVED", "CHANGES_REQUESTED", "DISMISSED"}
"""Reviews that say yes or no, or take that back."""


class GitHub:
    """A repository on GitHub.

    Every failure is an ApiError of one line. Whatever writes looks first what there is, so that it may be done again:
    nothing is written that is there already, and nothing twice.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._viewer = 0

    def access(self, needed: Collection[str]) -> TokenAccess:
        """Compare what the token may do with what is needed: ``contents`` and ``pull_requests``, to write."""
        return token_access(self._api, needed)

    def find(self, branch: str, base: str) -> PullRequest | None:
        """Give the open pull request from a branch of the repository itself; one of a fork is none of ours."""
        for found in self._pulls("open", branch, base):
            return _request(found, self._approved(at(found, int, "number"), at(found, str, "head", "sha")))
        return None

    def closed(self, branch: str, base: str) -> PullRequest | None:
        """Give the newest pull request of such a branch that is closed, merged or not."""
        return next((_request(found, False) for found in self._pulls("closed", branch, base)), None)

    def open(self, branch: str, base: str, title: str, body: str, labels: tuple[str, ...]) -> PullRequest:
        """Open a pull request; gives the one that is there where somebody was faster."""

        def work(look: bool) -> PullRequest:
            found = (self.find(branch, base) if look else None) or self._open(branch, base, title, body)
            self._label(found, labels)
            return found

        return self._api.settled(work)

    def update(self, request: PullRequest, title: str, body: str, labels: tuple[str, ...]) -> None:
        """Write what is not yet as it shall be. Labels of other people stay."""
        shall = {"title": title, "body": fit(body, keep_last=True)}

        def work(look: bool) -> None:
            now = _request(self._api.get(f"/pulls/{request.number}"), False) if look else request
            different = {name: text for name, text in shall.items() if not _same(getattr(now, name), text)}
            if different:
                self._api.write("PATCH", f"/pulls/{now.number}", different)
            self._label(now, labels)

        self._api.settled(work)

    def close(self, request: PullRequest, reason: str, body: str) -> None:
        """Say why in a comment, and close it with another body; the branch stays."""
        self.comment(request.number, "closed", reason)

        def work(look: bool) -> None:
            path = f"/pulls/{request.number}"
            if not look or at(self._api.get(path), str, "state") != "closed":
                self._api.write("PATCH", path, {"state": "closed", "body": body})

        self._api.settled(work)

    def comment(self, number: int, key: str, body: str) -> None:
        """Write a comment, or edit the newest one of ours that was written with the same key."""
        marker = f"<!-- publisher:{key} -->"
        text = fit(f"{marker}\n{body}")

        def work(look: bool) -> None:
            marked = [
                comment
                for comment in self._api.pages(f"/issues/{number}/comments")
                if (at(comment, str | None, "body") or "").startswith(marker) and self._ours(comment)
            ]
            if not marked:
                self._api.write("POST", f"/issues/{number}/comments", {"body": text})
            elif not _same(marked[-1]["body"], text):
                self._api.write("PATCH", f"/issues/comments/{at(marked[-1], int, 'id')}", {"body": text})

        self._api.settled(work)

    def set_status(self, commit: str, state: State, description: str, url: str = "") -> None:
        """Say how a commit fares as ``publisher/sync``; nothing where that is what was said last."""
        statuses.put(self._api, commit, state, description, url)

    def commit(self, draft: Draft) -> str:
        """Make a commit in the name of the token, signed by GitHub; ``draft.author`` does not count.

        Raises PushRejected where the branch is not at its base, or at what it replaces: GitHub compares and swaps.
        """
        return commits.make(self._api, draft)

    def _pulls(self, state: str, branch: str, base: str) -> Iterator[dict[str, Any]]:
        """Give the pull requests of a branch of the repository itself, newest first."""
        head = f"{self._api.repository.partition('/')[0]}:{branch}"
        for found in self._api.pages("/pulls", state=state, head=head, base=base):
            origin = at(found, dict | None, "head", "repo")  # none where a fork is gone
            ours = origin is not None and at(origin, int, "id") == at(found, int, "base", "repo", "id")
            if ours and (at(found, str, "head", "ref"), at(found, str, "base", "ref")) == (branch, base):
                yield found

    def _open(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        wanted = {"head": branch, "base": base, "title": title, "body": fit(body, keep_last=True)}
        try:
            return _request(self._api.write("POST", "/pulls", wanted), False)
        except ApiError as error:
            found = self.find(branch, base) if error.status == 422 else None
            if found is None:
                raise
            return found

    def _approved(self, number: int, commit: str) -> bool:
        """Tell whether a newest review approves the commit, and none asks for changes."""
        newest = {}
        for review in self._api.pages(f"/pulls/{number}/reviews"):
            if at(review, str, "state") in _SPOKEN:
                user = at(review, dict | None, "user")  # none where the account is gone
                newest[at(user, int, "id") if user else 0] = review["state"], at(review, str | None, "commit_id")
        states = {state for state, _ in newest.values()}
        return ("APPROVED", commit) in newest.values() and "CHANGES_REQUESTED" not in states

    def _label(self, request: PullRequest, labels: tuple[str, ...]) -> None:
        """Put on what is missing, and take off what is ours and no longer wanted. GitHub sees no case in labels."""
        has, wanted = ({name.lower() for name in names} for names in (request.labels, labels))
        missing = [name for name in labels if name.lower() not in has]
        path = f"/issues/{request.number}/labels"
        for name in missing:
            self._make_label(name)
        if missing:
            self._api.write("POST", path, {"labels": missing})
        for name in request.labels:
            if name.lower().startswith(_OURS) and name.lower() not in wanted:
                _unless(404, lambda name=name: self._api.write("DELETE", f"{path}/{quote(name, safe='')}"))  # type: ignore[misc]

    def _make_label(self, name: str) -> None:
        """Make a label, which would get a colour by chance otherwise."""
        there = _unless(404, lambda: self._api.get(f"/labels/{quote(name, safe='')}"))
        if there is None:
            _unless(422, lambda: self._api.write("POST", "/labels", {"name": name, "color": _COLOUR}))

    def _ours(self, comment: dict[str, Any]) -> bool:
        """Tell whether we wrote a comment. REST would not tell an App or a workflow who it is."""
        if not self._viewer:
            self._viewer = at(self._api.query("query { viewer { databaseId } }"), int, "viewer", "databaseId")
        user = at(comment, dict | None, "user")
        return user is not None and at(user, int, "id") == self._viewer


def _request(pull: Any, approved: bool) -> PullRequest:
    """Read a pull request as GitHub describes it."""
    return PullRequest(
        at(pull, int, "number"),
        at(pull, str, "html_url"),
        at(pull, str, "title"),
        at(pull, str | None, "body") or "",
        tuple(at(label, str, "name") for label in at(pull, list, "labels")),
        at(pull, str, "head", "sha"),
        approved,
        pull.get("merged_at") is not None,
    )


def _unless(status: int, work: Callable[[], Any]) -> Any:
    """Do something; None where GitHub says so."""
    try:
        return work()
    except ApiError as error:
        if error.status != status:
            raise
        return None


def _same(one: str, other: str) -> bool:
    """Compare what GitHub gives back with what it was given: an edit in the browser ends lines as Windows does."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()
