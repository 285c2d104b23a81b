"""``publisher sync`` as it is typed: what it prints, and how it ends."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from publisher.cli import main
from publisher.resources import schema

Answer = Callable[..., bytes]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Commit a config repository as publisher init lays it down."""
    folder = tmp_path / "repo"
    assert main(["init", str(folder)]) == 0
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "a change")
    return git(folder, "rev-parse", "HEAD")


def worker(version: str, reported: int) -> dict[str, Any]:
    status = {"uuid": "u1", "name": "w1", "ip": "", "version": version, "timestamp": 1, "since": 1}
    return {"ip": "10.0.0.1", "timestamp": reported, "status": status}


@pytest.fixture
def holding(server: Any, codebase: Answer, repo: Path) -> Callable[..., None]:
    """Make the Repo have the files of the last commit as some version, with a worker that reports all the time."""

    def hold(version: str, runs: str) -> None:
        listed = git(repo, "ls-tree", "-r", "--name-only", "HEAD", "pipy").splitlines()
        files = tuple(path.removeprefix("pipy") for path in listed)
        times = itertools.count(1)
        server.respond = lambda request: codebase(version, files, instances={"1": worker(runs, next(times))})

    return hold


@pytest.fixture
def run(server: Any, repo: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Sync from the checkout to the server."""

    def run(*options: str) -> tuple[int, str, str]:
        capfd.readouterr()
        url = f"http://me:secret@127.0.0.1:{server.port}/repo/edge"
        code = main(["sync", "--checkout", str(repo), "--pipy", url, *options])
        out, err = capfd.readouterr()
        assert "secret" not in out + err
        return code, out, err

    return run


def test_text(server: Any, repo: Path, holding: Any, run: Any) -> None:
    """A line for the place, who runs what, and the sum; nothing is sent where there is nothing to do."""
    head = git(repo, "rev-parse", "HEAD")
    holding(head, head)
    code, out, err = run()
    place = f"http://127.0.0.1:{server.port}/repo/edge"
    assert out.splitlines() == [
        f"{place}: {head[:7]} unchanged",
        f"{'PLACE'.ljust(len(place))}  WORKER  ADDRESS   VERSION  STATE",
        f"{place}  w1      10.0.0.1  {head[:7]}  running",
        f"1/1 workers on {head[:7]}",
    ]
    assert (code, err) == (0, "")
    assert {request.method for request in server.requests} == {"GET"}


def test_json(repo: Path, holding: Any, run: Any) -> None:
    """Nothing but the document is on stdout, and it fits schemas/sync.schema.json."""
    head = git(repo, "rev-parse", "HEAD")
    holding(head, head)
    code, out, _ = run("--format", "json")
    document = json.loads(out)
    assert schema("sync").findings(document, "sync") == ()
    assert (code, document["good"], document["commit"]) == (0, True, head)
    assert document["summary"] == f"1/1 workers on {head[:7]}"
    assert document["places"][0]["workers"][0]["state"] == "running"


def test_a_dry_run(server: Any, repo: Path, holding: Any, run: Any) -> None:
    """It tells what differs and sends nothing."""
    old = git(repo, "rev-parse", "HEAD")
    holding(old, old)
    (repo / "pipy/main.js").write_text("// other\n")
    (repo / "pipy/new.js").write_text("// new\n")
    git(repo, "rm", "--quiet", "pipy/admin.js")
    head = commit(repo)
    code, out, _ = run("--dry-run")
    assert code == 0
    assert out.splitlines()[0].endswith(f"{head[:7]} would be published, 2 files uploaded, 1 deleted")
    assert out.splitlines()[1:] == ["  + main.js", "  + new.js", "  - admin.js"]
    assert {request.method for request in server.requests} == {"GET"}


def test_somebody_elses_version(server: Any, holding: Any, run: Any) -> None:
    """It is left alone; exit 4."""
    holding("theirs\x1b[31m", "theirs")
    code, out, err = run()
    assert code == 4
    assert " foreign" in out
    assert "version theirs [31m is no commit of this repository" in err
    assert {request.method for request in server.requests} == {"GET"}


def test_what_was_refused_before(server: Any, repo: Path, holding: Any, run: Any) -> None:
    """It is not tried again; exit 1."""
    old, head = git(repo, "rev-parse", "HEAD"), ""
    (repo / "pipy/main.js").write_text("throw 1\n")
    head = commit(repo)
    holding(f"{old}+revert-of-{head}", f"{old}+revert-of-{head}")
    code, out, err = run()
    assert code == 1
    assert f"{head[:7]} refused-before" in out
    assert f"{old[:7]} in place of {head[:7]}  running" in out
    assert out.splitlines()[-1] == f"0/1 workers on {head[:7]}, refused-before"
    assert "commit something better" in err
    assert {request.method for request in server.requests} == {"GET"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda repo: (repo / "pipy/main.js").unlink(), "pipy/main.js: Pipy has no program to start"),
        (lambda repo: (repo / "pipy/a b.js").write_text(""), "pipy/a b.js: workers cannot fetch"),
        (lambda repo: (repo / "pipy/config/proxy.json").write_text("{"), "pipy/config/proxy.json: line 1"),
        (lambda repo: (repo / "publisher.yaml").write_text("publisher: edge\nwrong: 1\n"), "publisher.yaml: line 2"),
    ],
)
def test_what_is_not_valid(server: Any, repo: Path, run: Any, change: Callable[[Path], Any], said: str) -> None:
    """All that is wrong is told, and the Repo is not even asked; exit 4."""
    change(repo)
    head = commit(repo)
    code, out, err = run()
    assert (code, out) == (4, "")
    assert said in err
    assert f"{head[:12]} is not valid, and nothing was uploaded" in err
    assert server.requests == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--wave", "x"], "--wave: x is no wave"),
        (["--pipy", "http://127.0.0.1:1/edge"], "not a codebase"),
        (["--ref", "none"], "--ref none: no such branch, tag or commit here"),
        (["--pipy", "https://127.0.0.1:1/repo/edge", "--pipy-cert", "none.pem"], "none.pem: no such file"),
        (["--pipy-ca", "ca.pem"], "go with https"),
    ],
)
def test_what_cannot_be_meant(server: Any, run: Any, options: list[str], said: str) -> None:
    """One line, exit 2, and the Repo is not asked."""
    code, out, err = run(*options)
    assert (code, out) == (2, "")
    assert said in err
    assert server.requests == []


def test_no_place_is_named(repo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """There is no default for where to publish."""
    assert main(["sync", "--checkout", str(repo)]) == 2
    assert "--pipy http(s)://HOST:6060/repo/CODEBASE" in capfd.readouterr().err


def test_a_place_that_fails_stops_the_waves(server: Any, answer: Answer, run: Any) -> None:
    """The places after it are not asked; exit 1."""
    server.answers(answer(403))
    code, out, err = run("--pipy", f"http://127.0.0.1:{server.port}/repo/other", "--wave", "1")
    assert code == 1
    assert [line.split(" ", 1)[1].split(" ", 1)[1] for line in out.splitlines()[:2]] == ["failed", "skipped"]
    assert "HTTP 403" in err
    assert len(server.requests) == 1
