"""Pull requests and states of commits, as a host of Git repositories has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["pending", "success", "failure"]
"""How a commit fares."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request."""

    number: int
    url: str
    title: str
    body: str
    labels: tuple[str, ...]
    head: str
    """The commit that it asks to merge."""
    approved: bool
    """A newest review approves that commit, and none asks for changes; not looked at where it is closed."""
    merged: bool = False


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """What a token may do in a repository."""

    kind: str
    """``App``, ``classic token`` or ``token``."""
    lacking: tuple[str, ...]
    """What it would need besides, in the host's own words."""
    told: bool = True
    """Whether the host tells; where it does not, nothing is known to be lacking."""
