"""Pull requests, as a host of Git repositories tells of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PullRequest:
    """An open pull request."""

    number: int
    url: str
    title: str
    body: str
    labels: tuple[str, ...]
    head: str
    """The commit that it asks to merge."""
    approved: bool
    """A newest review approves that commit, and none asks for changes."""
