"""Every failure that a user can cause, and the exit code it ends with.

::

    PublisherError                1  could not: API, Git, network
    ├── ApiError                  1  an API server did not give a usable answer
    │   ├── Expired               1  410: a list or watch has to start again
    │   └── RepoError             1  a Pipy Repo did not
    ├── Overtaken                 1  somebody else changes the same place at the same time
    ├── GitError                  1  git failed
    │   └── PushRejected          1  the remote has moved on, or refuses this push
    ├── UsageError                2  wrong arguments, or a place that does not fit the command
    │   └── SettingsError         2  publisher.yaml is wrong
    └── Refused                   4  what would be written is not allowed to be

Anything else that escapes is a bug and exits with 3; an interrupt exits with 130.
"""

from __future__ import annotations

from collections.abc import Sequence

from publisher.core.model import Finding


class PublisherError(Exception):
    """A failure with a message for the user: what, where and what to do."""

    exit_code = 1

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)
        """All that was found wrong, where there is more than the message says."""


class ApiError(PublisherError):
    """An API server did not give a usable answer."""

    def __init__(self, message: str, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status; 0 where there was no complete answer."""
        self.retry_after = retry_after
        """Seconds the server asked to wait, or None."""


class Expired(ApiError):
    """HTTP 410: the list or watch has to start again."""


class RepoError(ApiError):
    """A Pipy Repo did not give a usable answer."""


class Overtaken(PublisherError):
    """Somebody else changes the same place at the same time."""


class GitError(PublisherError):
    """git failed."""


class PushRejected(GitError):
    """The remote did not take the push because it has moved on."""


class UsageError(PublisherError):
    """Wrong arguments, or a place that does not fit the command."""

    exit_code = 2


class SettingsError(UsageError):
    """publisher.yaml is wrong."""


class Refused(PublisherError):
    """What would be written is not allowed to be."""

    exit_code = 4
