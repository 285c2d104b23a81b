"""Runs git: one place for the environment it gets and for what its failures mean."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from git.cmd import Git

from publisher.core.redact import redact
from publisher.errors import GitError

NETWORK_SECONDS = 600.0
"""For one fetch, clone or push; a connection that stands still ends sooner."""

_FIXED = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_HTTP_LOW_SPEED_LIMIT": "100",
    "GIT_HTTP_LOW_SPEED_TIME": "30",
    "LC_ALL": "C",
}
# Of git's own variables only these say how to reach a remote. The others (GIT_DIR, GIT_INDEX_FILE ... of a hook that
# runs us) would point git at another repository than the one that was named.
_KEPT = re.compile(r"GIT_(SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|SSL_.*|CONFIG_.*|TRACE.*|PROXY.*|EXEC_PATH|HTTP_.*)")


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Build the environment of a git process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or _KEPT.fullmatch(name)}
    if not {"GIT_SSH", "GIT_SSH_COMMAND"} & kept.keys():
        kept["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes -o ConnectTimeout=15"
    return {**kept, **_FIXED, **extra}


class GitRunner:
    """Runs git in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, stdin: bytes | None = None, extra: Mapping[str, str] | None = None) -> bytes:
        """Run git and give what it printed; raises GitError where it fails."""
        status, out, err = self.attempt(*arguments, stdin=stdin, extra=extra)
        if status:
            raise GitError(failure(arguments[0], err or out.decode(errors="replace")))
        return out

    def text(self, *arguments: str) -> str:
        """Run git and give the line it printed."""
        return self.run(*arguments).decode(errors="replace").strip()

    def attempt(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        extra: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> tuple[int, bytes, str]:
        """Run git and give its exit status and what it printed on both streams."""
        with tempfile.TemporaryFile() as feed:
            feed.write(stdin or b"")
            feed.seek(0)
            try:
                result = Git(self.folder).execute(
                    ["git", *arguments],
                    istream=feed,
                    env=environment(extra or {}),
                    with_extended_output=True,
                    with_exceptions=False,
                    stdout_as_string=False,
                    strip_newline_in_stdout=False,
                    kill_after_timeout=seconds,
                )
            except OSError as error:
                raise GitError(f"git cannot be run in {self.folder}: {error.strerror}") from error
        status, out, err = cast("tuple[int, bytes, bytes | str]", result)
        # what git says is text with GitPython's own defaults, what it gives is bytes as asked
        return status, out, err if isinstance(err, str) else err.decode(errors="replace")


_HINTS = (
    (
        r"could not read Username|Authentication failed|HTTP 401|403",
        "give git credentials for it (a credential helper, or an SSH key)",
    ),
    (r"Permission denied|Host key verification failed", "check the SSH key and the known_hosts of this account"),
    (
        r"Could not resolve host|Connection refused|Connection timed out|unable to access",
        "check the address and the network",
    ),
    (
        r"does not exist|not found|does not appear to be a git repository",
        "check the address, and that this account may read it",
    ),
    (
        r"\.lock': File exists|Unable to create",
        "another git is at work here, or one was killed: look, then remove the lock file",
    ),
    (r"transport '.*' not allowed", "use file, https or ssh"),
)


def failure(command: str, printed: str) -> str:
    """Put what git printed into one line, with what to do."""
    lines = [line.strip() for line in printed.splitlines() if line.strip() and not line.startswith("hint:")]
    telling = [line for line in lines if re.match(r"(fatal|error|remote): ", line)] or lines[-1:]
    text = redact("; ".join(dict.fromkeys(telling[:3])), 400) or "it says nothing"
    hint = next((what for pattern, what in _HINTS if re.search(pattern, printed)), "")
    return f"git {command}: {text}" + (f" ({hint})" if hint else "")
