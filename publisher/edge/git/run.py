"""Runs git: one place for the environment it gets and for what its failures mean."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import cast

from publisher.core.redact import redact
from publisher.errors import GitError

try:
    from git.cmd import Git
except ImportError as error:  # GitPython looks for git while it is imported
    raise GitError("git cannot be run; install it, or put it on PATH") from error

NETWORK_SECONDS = 600.0
"""For one fetch or push; a connection that stands still ends sooner."""

_FIXED = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_HTTP_LOW_SPEED_LIMIT": "100",
    "GIT_HTTP_LOW_SPEED_TIME": "30",
    "LC_ALL": "C",
}
_SSH = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=15"}
# Of git's own variables only those that say who we are and how to reach a remote stay. The others (GIT_DIR,
# GIT_INDEX_FILE ... of a hook that runs us) would point git at another repository than the one that was named.
_MISLEADING = re.compile(
    r"GIT_(?!(SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|SSL_.*|CONFIG_.*|TRACE.*|PROXY.*|EXEC_PATH|HTTP_.*"
    r"|(AUTHOR|COMMITTER)_(NAME|EMAIL))$)"
)
# What people set for their own work: hooks, and pushes that take more along or want more than our one commit.
_OURS = (
    "core.hooksPath=/dev/null",
    "i18n.commitEncoding=UTF-8",
    "merge.verifySignatures=false",
    "push.followTags=false",
    "push.gpgSign=false",
    "submodule.recurse=false",
)


class GitRunner:
    """Runs git in one folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self._options = ("-C", str(folder), *options, *(word for pair in _OURS for word in ("-c", pair)))

    def run(self, *arguments: str, stdin: bytes | None = None, extra: Mapping[str, str] | None = None) -> bytes:
        """Run git and give what it printed; raises GitError where it fails."""
        status, out, err = self.attempt(*arguments, stdin=stdin, extra=extra)
        if status:
            raise GitError(failure(arguments[0], err or out.decode(errors="replace")))
        return out

    def attempt(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        extra: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> tuple[int, bytes, str]:
        """Run git and give its exit status and what it printed on both streams."""
        given = {**_FIXED, **(extra or {})}
        misleading = [f"-u{name}" for name in os.environ.keys() - given.keys() if _MISLEADING.match(name)]
        without = ["env", *misleading] if misleading else []
        with nullcontext() if stdin is None else tempfile.TemporaryFile() as feed:
            if feed and stdin:
                feed.write(stdin)
                feed.seek(0)
            try:
                started = Git().execute(
                    [*without, "git", *self._options, *arguments],
                    istream=feed,
                    env=given,
                    as_process=True,
                    start_new_session=True,  # Ctrl-C is for us to pass on, and nobody is asked at the terminal
                )
            except OSError as error:
                raise GitError(f"git cannot be run: {error.strerror}") from error
            with cast("subprocess.Popen[bytes]", started.proc) as process:
                try:
                    out, err = process.communicate(timeout=seconds)
                except BaseException as error:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGTERM)  # git removes its locks then; its helpers go too
                    process.wait()
                    if isinstance(error, subprocess.TimeoutExpired):
                        raise GitError(f"git {arguments[0]}: no end after {seconds:g} s") from error
                    raise
        return process.returncode, out, err.decode(errors="replace")

    def network(self, *arguments: str) -> tuple[int, bytes, str]:
        """Run git against a remote: not for ever, and ssh asks nobody."""
        # the variable would win over the setting
        told = {"GIT_SSH", "GIT_SSH_COMMAND"} & os.environ.keys() or not self.attempt("config", "core.sshCommand")[0]
        return self.attempt(*arguments, extra={} if told else _SSH, seconds=NETWORK_SECONDS)


_HINTS = (
    (
        r"could not read Username|Authentication failed|error: 40[13]",
        "give git credentials for it (a credential helper, or an SSH key)",
    ),
    (r"Permission denied|Host key verification failed", "check the SSH key and the known_hosts of this account"),
    (
        r"Could not resolve host|Connection refused|Connection timed out|unable to access",
        "check the address and the network",
    ),
    (
        r"does not exist|not found|does not appear to be a git repository|is this a git repository",
        "check the address, and that this account may read it",
    ),
    (
        r"\.lock': File exists|Unable to create",
        "another git is at work here, or one was killed: look, then remove the lock file",
    ),
    (r"transport '.*' not allowed", "use file, https or ssh"),
    (r"does not support --atomic", "several branches are pushed at once: set receive.advertiseAtomic there"),
    (r"does not support push options", "set receive.advertisePushOptions there, or drop publish.pushOptions"),
    (r"usage: git merge-tree", "this takes git 2.38 or newer"),
    (r"dubious ownership", "name it with git config --global --add safe.directory FOLDER, if you trust it"),
    (r"must be run in a work tree", "name a bare repository by its URL: file:///..."),
    (r"not a git repository", "run git init there first"),
)


def failure(command: str, printed: str) -> str:
    """Put what git printed into one line, with what to do."""
    lines = [line.strip() for line in printed.splitlines() if line.strip() and not line.startswith("hint:")]
    telling = [
        line for line in lines if re.match(r"(fatal|error|remote|ssh): |.*(Permission denied|Host key)", line)
    ] or lines[-1:]
    text = redact("; ".join(dict.fromkeys(telling[:3])), 400) or "it says nothing"
    hint = next((what for pattern, what in _HINTS if re.search(pattern, printed)), "")
    return f"git {command}: {text}" + (f" ({hint})" if hint else "")
