"""A config repository behind a URL, and ``publisher sync`` of it to a folder, once or running on."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from publisher.cli import main


@dataclass
class Outcome:
    """What a command line did."""

    code: int
    out: str
    err: str


class Running:
    """``publisher sync`` as a process of its own."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "publisher", "sync", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        )
        self.said: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def says(self, text: str) -> str:
        """Wait for a line with a text; gives the line."""
        while True:
            try:
                line = self._lines.get(timeout=60)
            except queue.Empty:
                line = None
            assert line is not None, f"no line with {text!r}; said: {self.said}"
            self.said.append(line)
            if text in line:
                return line

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
        """Ask its port, which it has told of before."""
        url = next(line.split()[-1] for line in self.said if line.startswith("listening on "))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            with urllib.request.urlopen(urllib.request.Request(url + path, body, named), timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; gives the exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end; gives the exit code."""
        code = self.process.wait(timeout=60)
        self._reader.join()
        while (line := self._lines.get()) is not None:
            self.said.append(line)
        return code


class Site:
    """A bare remote, a checkout of it to commit in, and a folder that is synced to."""

    def __init__(self, top: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.top = top
        self.remote = top / "remote.git"
        self.url = self.remote.as_uri()
        self.folder = top / "pipy"
        self.running: list[Running] = []
        self._capfd = capfd
        self._work = top / "work"
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.remote), at=top)
        self.git("clone", "--quiet", self.url, str(self._work), at=top)

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Ask git in the checkout, or elsewhere."""
        command = ["git", "-C", str(at or self._work), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def commit(self, program: str = "one", *options: str, push: bool = True) -> str:
        """Commit a program and push it; gives the commit."""
        (self._work / "pipy").mkdir(exist_ok=True)
        (self._work / "pipy/main.js").write_text(program)
        (self._work / "publisher.yaml").write_text("publisher: edge\n")
        self.git("add", "--all")
        self.git(*options, "commit", "--quiet", "-m", program)
        if push:
            self.git("push", "--quiet", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")

    @property
    def program(self) -> str:
        """The program that is current in the folder."""
        return (self.folder / "current/main.js").read_text()

    def sync(self, *arguments: object, places: bool = True) -> Outcome:
        """Run ``publisher sync`` in this process, to the folder."""
        self._capfd.readouterr()
        given = [f"--repo={self.url}", *(["--to-dir", str(self.folder)] if places else []), *map(str, arguments)]
        return Outcome(main(["sync", *given]), *self._capfd.readouterr())

    def start(self, *arguments: str, **environment: str) -> Running:
        """Run it as a process."""
        given = (f"--repo={self.url}", f"--to-dir={self.folder}", *arguments)
        self.running.append(Running(*given, **environment))
        return self.running[-1]


@pytest.fixture
def site(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give every test a site and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = Site(tmp_path, capfd)
    yield found
    for one in found.running:
        if one.process.poll() is None:
            one.process.kill()
            one.ended()


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], object]], None]:
    """Wait until something is so."""

    def wait(so: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not so():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    return wait
