"""What the doctor finds wrong with Pipy Repos."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

from publisher.cli import main
from publisher.commands.doctor import pipy
from publisher.demo.repo import Repo
from publisher.demo.worker import Worker


@pytest.fixture
def repo() -> Iterator[Repo]:
    """Run a stand-in of a Repo."""
    with Repo() as served:
        yield served


@pytest.fixture
def name(world: Any, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have the doctor look at a codebase, not for long; gives what its checks are called."""
    monkeypatch.setattr(pipy, "REPORTED", 3.0)
    url = f"{repo.url}/repo/edge"
    world.more = ["--pipy", url]
    return f"pipy {url}"


def worker(repo: Repo, name: str = "w1", **more: Any) -> Worker:
    """Make a worker that reports often, so that nobody has to wait."""
    return Worker(repo, "edge", name, report_seconds=0.2, **more)


def ask(repo: Repo, method: str, path: str, body: bytes = b"") -> None:
    """Do to the Repo what a stranger might."""
    request = urllib.request.Request(repo.url + path, data=body or None, method=method)
    urllib.request.urlopen(request, timeout=5).close()


def publish(repo: Repo, version: str, main: bytes = b"") -> None:
    """Publish under some version, past all rules."""
    if main:
        ask(repo, "POST", "/api/v1/repo-files/edge/main.js", main)
    ask(repo, "PATCH", "/api/v1/repo/edge", json.dumps({"version": version}).encode())


def wait(repo: Repo, until: Callable[[list[Any]], bool]) -> None:
    """Wait until the instances that the Repo lists are as they are to be."""
    deadline = time.monotonic() + 20
    while not until(list(json.load(urllib.request.urlopen(f"{repo.url}/api/v1/repo/edge"))["instances"].values())):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def sync(world: Any, repo: Repo) -> None:
    """Publish what is committed."""
    assert main(["sync", "--repo", str(world.repo), "--pipy", f"{repo.url}/repo/edge", "--converge-timeout", "0"]) == 0


def test_all_is_well(world: Any, doctor: Any, repo: Repo, name: str) -> None:
    """A commit of this repository, nothing staged, every worker alive and running it."""
    sync(world, repo)
    with worker(repo), worker(repo, "w2"):
        seen = doctor()
    assert seen.code == 0
    assert {check["state"] for check in seen.checks.values()} == {"ok"}
    assert world.git("rev-parse", "HEAD")[:7] in seen.text(name)
    assert "2/2 workers on " in seen.text(f"{name} workers")
    assert "agree within 30 s" in seen.text(f"{name} clock")


def test_nothing_there_yet(doctor: Any, name: str) -> None:
    """A Repo without the codebase is fine; that nobody loads from it is a warning. Named twice it is looked at once."""
    seen = doctor("--pipy", f"{name.removeprefix('pipy ')}/")
    assert seen.code == 0
    assert "has nothing yet" in seen.text(name)
    assert (seen.state(name), seen.state(f"{name} workers"), seen.state(f"{name} clock")) == (
        "ok", "warn", "not-checked",
    )  # fmt: skip


def test_unreachable(doctor: Any, repo: Repo, name: str) -> None:
    """A Repo that is not there fails, and what it would have told is not checked."""
    repo.stop()
    try:
        seen = doctor()
    finally:
        repo.start()
    assert seen.code == 1
    assert seen.state(name) == "fail"
    assert "no connection" in seen.text(name)
    assert {seen.state(f"{name} {part}") for part in ("staged", "workers", "clock")} == {"not-checked"}


def test_leftovers(world: Any, doctor: Any, repo: Repo, name: str) -> None:
    """What somebody staged and did not publish is named, and stays."""
    sync(world, repo)
    ask(repo, "POST", "/api/v1/repo-files/edge/config/strange.json", b"{}")
    with worker(repo):
        seen = doctor()
        again = doctor()
    assert seen.code == 0
    assert seen.state(f"{name} staged") == again.state(f"{name} staged") == "warn"
    assert "1 file staged and not published: config/strange.json" in seen.text(f"{name} staged")
    assert "publisher sync drops it" in seen.text(f"{name} staged")


@pytest.mark.parametrize("version", ["42", "0" * 40])
def test_a_version_of_somebody_else(world: Any, doctor: Any, repo: Repo, name: str, version: str) -> None:
    """What is no commit of this repository fails, even where it looks like one."""
    sync(world, repo)
    publish(repo, version)
    with worker(repo):
        seen = doctor()
    assert seen.code == 1
    assert f"version {version}, which is no commit of this repository" in seen.text(name)
    assert "--take-over" in seen.text(name)


def test_put_back(world: Any, doctor: Any, repo: Repo, name: str) -> None:
    """That something was refused is a warning as long as nothing better is committed."""
    sync(world, repo)
    publish(repo, f"{world.git('rev-parse', 'HEAD')}+revert-of-{'1' * 40}")
    with worker(repo):
        seen = doctor()
    assert seen.code == 0
    assert seen.state(name) == "warn"
    assert "put back after 1111111 was refused" in seen.text(name)


def test_a_worker_that_refuses(world: Any, doctor: Any, repo: Repo, name: str) -> None:
    """A worker that reports another version than its Repo has fails; one that runs it is counted."""
    first, second = world.git("rev-parse", "HEAD~1"), world.git("rev-parse", "HEAD")
    sync(world, repo)
    with worker(repo, "stubborn"), worker(repo, "willing", loads=lambda files: True):
        wait(repo, lambda found: len(found) == 2)
        publish(repo, first, b"// one\n")
        wait(repo, lambda found: {item["status"]["version"] for item in found} == {first})
        publish(repo, second, b"throw 1\n")
        seen = doctor()
    assert seen.code == 1
    assert seen.state(f"{name} workers") == "fail"
    assert f"1/2 workers on {second[:7]}; stubborn stays at another version" in seen.text(f"{name} workers")


def test_a_worker_that_is_gone(world: Any, doctor: Any, repo: Repo, name: str) -> None:
    """A worker that is listed and reports nothing any more is a warning."""
    sync(world, repo)
    with worker(repo, "gone"):
        wait(repo, lambda found: len(found) == 1)
    with worker(repo):
        seen = doctor()
    assert seen.code == 0
    assert seen.state(f"{name} workers") == "warn"
    assert "; gone reported nothing for 3 s" in seen.text(f"{name} workers")
    assert seen.text(f"{name} workers").startswith("1/2 workers on ")


@pytest.mark.parametrize(("seconds", "state"), [(120, "warn"), (-4000, "fail")])
def test_its_clock(
    world: Any, doctor: Any, repo: Repo, name: str, seconds: int, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Repo's clock shows in what it notes of workers."""
    sync(world, repo)
    monkeypatch.setattr("publisher.demo.codebases.time", SimpleNamespace(time=lambda: time.time() + seconds))
    with worker(repo):
        seen = doctor()
    assert seen.state(f"{name} clock") == state


def test_tls(world: Any, doctor: Any) -> None:
    """A Repo behind TLS takes its authority and a client certificate."""
    ca = trustme.CA()
    pem = {"ca": ca.cert_pem, "cert": ca.issue_cert("doctor").private_key_and_cert_chain_pem}
    for what, blob in pem.items():
        blob.write_to_path(str(world.kubeconfig.with_name(f"{what}.pem")))
    with Repo(ca) as served:
        url = f"{served.url}/repo/edge"
        world.more = ["--pipy", url]
        assert "TLS failed" in doctor().text(f"pipy {url}")
        world.more += [f"--pipy-{what}={world.kubeconfig.with_name(f'{what}.pem')}" for what in pem]
        assert doctor().state(f"pipy {url}") == "ok"


@pytest.mark.parametrize(
    "wrong", [["--pipy", "http://127.0.0.1:6060"], ["--pipy", "https://a/repo/b", "--pipy-ca", "no"]]
)
def test_wrong_words(world: Any, wrong: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """A URL that names no codebase, or a file that is not there, ends with 2 before anything is looked at."""
    capfd.readouterr()
    assert world.run("doctor", *wrong) == 2
    assert capfd.readouterr().out == ""
