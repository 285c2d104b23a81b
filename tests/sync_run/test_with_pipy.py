"""A sync that runs on, with a real Pipy: a Repo with workers, and one that loads a folder and is told by a signal."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PIPY = os.environ.get("PIPY_BIN") or shutil.which("pipy") or ""
pytestmark = pytest.mark.skipif(not PIPY, reason="no Pipy: set PIPY_BIN or have pipy on PATH")


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def program(port: int, text: str) -> str:
    """Write a program that answers with a text."""
    return f"pipy.listen({port}, $=>$.serveHTTP(new Message('{text}')))\n"


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def answer(port: int) -> bytes:
    """Ask a program on a port; empty where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as found:
            given: bytes = found.read()
            return given
    except OSError:
        return b""


@pytest.fixture
def pipy(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start Pipys."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object) -> subprocess.Popen[bytes]:
        with (tmp_path / f"pipy{len(started)}.log").open("wb") as log:
            command = [PIPY, *map(str, arguments)]
            started.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_worker(site: Any, pipy: Any, github: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push reaches the worker; one that it refuses is put back, told once, and shown to Prometheus and on GitHub."""
    for name, value in github.environment.items():
        monkeypatch.setenv(name, value)
    repo, port = _free(), _free()
    first = site.commit(program(port, "one"))
    site.git("push", "--quiet", "--force", github.bare.as_uri(), f"{first}:main")
    site.git("remote", "set-url", "origin", github.bare.as_uri())
    site.url = github.bare.as_uri()
    pipy(f"--admin-port=127.0.0.1:{repo}")
    eventually(lambda: listens(repo))
    url = f"http://127.0.0.1:{repo}/repo/edge"
    running = site.start(
        f"--pipy={url}", "--webhook=127.0.0.1:0", "--interval=1", "--commit-status", "--converge-timeout=10"
    )
    running.says(f"{first[:7]} published")
    pipy(f"{url}/", "--admin-port-off", "--no-graph", "--instance-name=w1")
    eventually(lambda: answer(port) == b"one")
    running.says(f"1/1 workers on {first[:7]}")
    second = site.commit(program(port, "two"))
    running.says(f"1/1 workers on {second[:7]}")
    assert answer(port) == b"two"
    third = site.commit("throw new Error('no')\n")
    running.says("is refused by w1")
    assert answer(port) == b"two"
    workers = f'publisher_sync_workers{{place="{url}",state="running"}} 1\n'
    eventually(lambda: running.ask("/readyz")[0] == 503 and workers in running.ask("/metrics")[1])
    running.says("was refused and put back; commit something better")
    fourth = site.commit(program(port, "four"))
    running.says(f"1/1 workers on {fourth[:7]}")
    assert running.end() == 0
    assert len([line for line in running.said if "was refused and put back" in line]) == 1
    states = {commit: [said["state"] for said in github.statuses[commit]] for commit in (second, third, fourth)}
    assert states[second] == states[fourth] == ["pending", "success"]
    assert set(states[third][1:]) == {"failure"}


def test_a_folder(site: Any, pipy: Any, eventually: Any) -> None:
    """A Pipy that loads the folder gets the new program by a signal, once it is there."""
    port = _free()
    site.commit(program(port, "one"))
    assert site.sync().code == 0
    process = pipy(site.folder / "current/main.js", "--admin-port-off")
    eventually(lambda: answer(port) == b"one")
    site.commit(program(port, "two"))
    assert site.sync("--after", f"kill -{int(signal.SIGHUP)} {process.pid}").code == 0
    eventually(lambda: answer(port) == b"two")
