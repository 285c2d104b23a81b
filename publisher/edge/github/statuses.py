"""What is said of a commit, beside its name wherever GitHub shows it."""

from __future__ import annotations

from urllib.parse import quote

from publisher.edge.github.api import Api, at

CONTEXT = "publisher/sync"
_LIMIT = 140
"""Characters of a description."""


def put(api: Api, commit: str, state: str, description: str, url: str) -> None:
    """Say it, unless it is what we said last. That a commit is pending is only said as the first thing.

    So there are few of them however often a commit is synced: GitHub takes 1000 for one commit.
    """
    text = description if len(description) <= _LIMIT else f"{description[: _LIMIT - 3]}..."
    said = {"state": state, "description": text, "context": CONTEXT}

    def work(_: bool) -> None:
        newest = _newest(api, commit)
        if newest is None or (state != "pending" and newest != (state, text)):
            api.write("POST", f"/statuses/{quote(commit)}", said | ({"target_url": url} if url else {}))

    api.settled(work)


def _newest(api: Api, commit: str) -> tuple[str, str] | None:
    """Give the state and description of our newest status; GitHub sees no case in the context."""
    for status in api.pages(f"/commits/{quote(commit)}/statuses"):
        if at(status, str, "context").lower() == CONTEXT:
            return at(status, str, "state"), at(status, str | None, "description") or ""
    return None
