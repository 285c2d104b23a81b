"""publish ends with SIGKILL at any git command and any request: the next run completes, nothing is doubled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

WRAPPER = """#!/bin/sh
read done <"$KILL_COUNT"
done=$((done + 1))
echo $done >"$KILL_COUNT"
PATH="$KILL_PATH" git "$@"
status=$?
[ "$done" = "$KILL_AT" ] && kill -s KILL $PPID
exit $status
"""
ZYGOTE = """
import json, os, sys
from publisher.cli import main
import publisher.cli.screen, publisher.cli.show, publisher.commands.publish, publisher.edge.git, publisher.edge.github

for line in sys.stdin:
    arguments, environment = json.loads(line)
    child = os.fork()
    if not child:
        os.environ.clear()
        os.environ.update(environment)
        os._exit(main(arguments))
    print("began", child, flush=True)
    print("ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
STEPS = pytest.mark.parametrize("name", ["opened", "updated", "closed", "stopped", "auto", "api", "direct-api"])


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """Start a publisher that has imported all it needs, and forks for each run: that takes most of the time."""
    errors = tmp_path_factory.mktemp("zygote") / "errors"
    with errors.open("w") as told:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": told}
        with subprocess.Popen([sys.executable, "-c", ZYGOTE], text=True, **pipes) as process:
            yield process
    assert "Traceback" not in errors.read_text()


class Victim:
    """A run that is killed."""

    def __init__(self, flow: Any, zygote: Any) -> None:
        self.flow = flow
        self.zygote = zygote
        self.count = flow.folder / "count"
        self.bin = flow.folder / "bin"
        self.bin.mkdir()
        (self.bin / "git").write_text(WRAPPER)
        (self.bin / "git").chmod(0o755)
        self.pid = 0

    def run(self, at: int = 0) -> int:
        """Publish, killed after so many git commands; gives the exit status."""
        self.count.write_text("0\n")
        environment = {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "KILL_PATH": os.environ["PATH"],
            "KILL_COUNT": str(self.count),
            "KILL_AT": str(at),
        }
        print(json.dumps((self.flow.arguments(), environment)), file=self.zygote.stdin, flush=True)
        self.pid = int(self._told("began "))
        return int(self._told("ended with "))

    def _told(self, what: str) -> str:
        line = next(line for line in iter(self.zygote.stdout.readline, "") if line.startswith(what))
        return line.removeprefix(what)


@pytest.fixture
def victim(flow: Any, zygote: Any) -> Victim:
    """Give a run that can be killed."""
    return Victim(flow, zygote)


@pytest.mark.parametrize("name", ["opened", "closed", "auto", "direct-api"])
def test_at_every_git_command(step: Any, victim: Victim, name: str) -> None:
    """Whichever git command was the last."""
    here = step(name)
    seen = set()
    for number in range(1, 100):
        here.again()
        code = victim.run(number)
        if int(victim.count.read_text()) < number:
            assert (code, here.flow.state()) == (here.code, here.state)
            break
        assert code == -signal.SIGKILL, number
        seen.add(json.dumps(here.flow.state()))
        here.repaired()
    assert number > 10
    assert len(seen) > (name not in ("closed", "direct-api"))


@STEPS
@pytest.mark.parametrize("when", ["before", "after"])
def test_at_every_request(step: Any, victim: Victim, name: str, when: str) -> None:
    """Whichever request to GitHub was the last, without its effect or with it."""
    here = step(name)

    def watch(now: str) -> None:
        if now == when and len(here.flow.fake.requests) == number:
            os.kill(victim.pid, signal.SIGKILL)

    for number in range(1, len(here.requests) + 1):
        here.again()
        here.flow.fake.watch = watch
        assert victim.run() == -signal.SIGKILL, number
        here.flow.fake.watch = lambda now: None
        here.repaired()
