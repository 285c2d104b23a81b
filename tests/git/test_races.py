"""Several writers on one remote: all changes of all sides, one after the other, and no merge commit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from publisher.commands.publish import ATTEMPTS
from publisher.errors import GitError, PushRejected, Refused


class Slow:
    """A repository that somebody else is faster in: each time, just before ours is pushed."""

    def __init__(self, world: Any, repo: Any, *meanwhile: Callable[[], object]) -> None:
        self.inner = world.open(repo)
        self.meanwhile = list(meanwhile)
        self.pushes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def publish(self, *arguments: Any) -> str:
        self.pushes += 1
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return self.inner.publish(*arguments)


@pytest.mark.parametrize("times", range(1, ATTEMPTS))
def test_others_are_faster(world: Any, repo: Any, times: int) -> None:
    """Ours is planned anew on theirs, as often as it takes."""
    their = [lambda n=n: world.other({f"theirs{n}.txt": f"{n}\n"}, f"theirs {n}") for n in range(times)]
    slow = Slow(world, repo, *their)
    made = world.publish(slow).commit
    assert made == world.head()
    assert slow.pushes == times + 1
    assert world.linear() == ["set up", *(f"theirs {n}" for n in range(times)), world.first]
    assert world.changed() == {world.cluster, world.service}
    if not isinstance(repo, str):
        assert world.head(repo) == made
        assert world.state(repo)["status"] == ""


def test_others_are_always_faster(world: Any, repo: Any) -> None:
    """After five times it is a failure, and the checkout is as before."""
    before = world.state(repo) if not isinstance(repo, str) else None
    slow = Slow(world, repo, *[lambda n=n: world.other({f"theirs{n}.txt": f"{n}\n"}, "theirs") for n in range(9)])
    with pytest.raises(PushRejected, match="git push: main has moved on"):
        world.publish(slow)
    assert slow.pushes == ATTEMPTS
    assert world.linear() == ["set up", *["theirs"] * ATTEMPTS]
    assert before is None or world.state(repo) == before
    del slow.inner  # it keeps the clone locked
    assert world.publish(repo).commit == world.head()


def test_somebody_is_always_faster_at_the_server(world: Any, repo: Any, typed: Any) -> None:
    """The same through the command line, with a branch that moves in the instant of the push: exit 1, one line."""
    world.hook(
        world.remote,
        "update",
        '[ "$1" = refs/heads/main ] || exit 0\n'
        "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n"
        "tree=$(git rev-parse main^{tree})\n"
        'git update-ref refs/heads/main $(git commit-tree -m theirs -p main "$tree")',
    )
    done = typed(repo)
    assert done.code == 1
    *told, last = done.err.splitlines()
    assert told == [f"somebody was faster to push; planning anew (attempt {n})" for n in range(2, ATTEMPTS + 1)]
    assert last.startswith("publisher: git push: main has moved on")
    assert world.linear() == ["set up", *["theirs"] * ATTEMPTS]
    (world.remote / "hooks/update").unlink()
    assert typed(repo).code == 0
    assert world.linear()[-1] == world.first


def test_the_same_file(world: Any, repo: Any) -> None:
    """A person edits a generated file meanwhile: the plan is made anew, and the person's word stands."""
    world.publish(repo)
    text = world.git("show", f"main:{world.cluster}").replace("10.1.0.1", "10.9.9.9")
    slow = Slow(world, repo, lambda: world.other({world.cluster: text}, "theirs"))
    done = world.publish(slow, "node1", "node2")
    assert world.linear() == ["set up", world.first, "theirs"]
    assert world.git("show", f"main:{world.cluster}") == text
    assert [(held.path, held.word.commit) for held in done.outcome.plan.held] == [(world.cluster, world.head())]


def test_the_same_change(world: Any, repo: Any) -> None:
    """Somebody publishes the very same meanwhile: nothing is left to do."""
    other = world.checkout("second")
    slow = Slow(world, repo, lambda: (world.publish(other), world.other({"theirs.txt": "theirs\n"}, "theirs")))
    assert world.publish(slow).commit == ""
    assert world.linear() == ["set up", world.first, "theirs"]


def test_the_file_is_deleted(world: Any, repo: Any) -> None:
    """A person deletes a generated file meanwhile: it stays deleted."""
    world.publish(repo)
    slow = Slow(world, repo, lambda: world.other({world.cluster: None}, "theirs"))
    done = world.publish(slow, "node1", "node2")
    assert world.linear() == ["set up", world.first, "theirs"]
    assert world.cluster not in world.files()
    assert [held.action for held in done.outcome.plan.held] == ["create"]


def test_publisher_yaml_changes(world: Any, repo: Any) -> None:
    """The fleet is read again as the new publisher.yaml selects it, and only then."""
    asked = []

    def source(policy: Any) -> Any:
        asked.append(policy.output)
        return world.fleet("node1")

    slow = Slow(
        world,
        repo,
        lambda: world.other({"theirs.txt": "theirs\n"}),
        lambda: world.other({"publisher.yaml": world.settings + "output: proxies\n"}, "theirs"),
    )
    world.publish(slow, source=source)
    assert asked == ["pipy", "proxies"]
    assert world.changed() == {path.replace("pipy/", "proxies/") for path in (world.cluster, world.service)}


def test_publisher_yaml_breaks(world: Any, repo: Any) -> None:
    """One that cannot be read any more ends the run, and nothing of ours is pushed."""
    slow = Slow(world, repo, lambda: world.other({"publisher.yaml": "publisher: [\n"}, "theirs"))
    with pytest.raises(Exception, match=r"publisher\.yaml: one thing to mend"):
        world.publish(slow)
    assert world.linear() == ["set up", "theirs"]


def test_history_is_rewritten_meanwhile(world: Any) -> None:
    """Somebody forces another history: a checkout that does not fit it is left alone."""
    repo = world.checkout()

    def force() -> None:
        other = world.checkout("second")
        world.git("commit", "--quiet", "--amend", "-m", "another", at=other)
        world.git("push", "--quiet", "--force", at=other)

    before = world.state(repo)
    with pytest.raises(Refused, match="main has commits that origin/main has not"):
        world.publish(Slow(world, repo, force))
    assert world.linear() == ["another"]
    assert world.state(repo) == before


DECLINES = {
    "pre-receive": ("pre-receive", "echo 'tickets are missing'; exit 1", "tickets are missing"),
    "update": ("update", "echo 'main is frozen'; exit 1", "main is frozen"),
    "protected": (
        "pre-receive",
        "echo 'error: GH006: Protected branch update failed for refs/heads/main.'; echo; "
        "echo '- Changes must be made through a pull request.'; exit 1",
        "GH006: Protected branch update failed",
    ),
    "silent": ("pre-receive", "exit 1", "pre-receive hook declined"),
}


@pytest.mark.parametrize("name", DECLINES)
def test_the_server_declines(world: Any, repo: Any, typed: Any, name: str) -> None:
    """A push that is not wanted is not tried again; the line gives the server's reason."""
    kind, script, reason = DECLINES[name]
    count = world.folder / "asked"
    world.hook(world.remote, kind, f"echo x >>'{count}'; {script}")
    before = world.state(repo) if not isinstance(repo, str) else None
    done = typed(repo)
    assert done.code == 1
    assert reason in done.line
    assert count.read_text() == "x\n"
    assert world.linear() == ["set up"]
    assert before is None or world.state(repo) == before


def test_the_server_has_the_branch_checked_out(world: Any) -> None:
    """A remote that is somebody's work tree says why it does not take the push."""
    repo = world.checkout()
    world.git("remote", "set-url", "origin", str(world.checkout("seed")), at=repo)
    with pytest.raises(GitError, match="branch is currently checked out"):
        world.publish(repo)
    assert world.head(repo) == world.head()


def test_the_branch_cannot_be(world: Any) -> None:
    """A branch name that another branch's stands in the way of is no race; it ends with the reason."""
    repo = world.checkout()
    world.git("branch", "env", "main")
    world.git("checkout", "--quiet", "--orphan", "env/prod", at=repo)
    world.commit(repo, {"publisher.yaml": world.settings + "git: {branch: env/prod}\n"})
    before = world.state(repo)
    with pytest.raises(GitError, match=r"'refs/heads/env' exists; cannot create") as raised:
        world.publish(repo)
    assert not isinstance(raised.value, PushRejected)
    assert world.state(repo) == before


@pytest.mark.parametrize("which", ["main", "snapshots/edge"])
@pytest.mark.parametrize("when", ["before", "in the instant of"])
def test_one_of_two_branches(world: Any, repo: Any, which: str, when: str) -> None:
    """Whichever branch somebody was faster at, before the push or in its instant: it is named and none has moved."""
    opened = world.open(repo)
    opened.publish(world.draft("main", opened.newest("main")), world.draft("snapshots/edge", ""))
    base, tip = opened.newest("main", "edge"), opened.tip("snapshots/edge")
    move = f"git update-ref refs/heads/{which} $(git commit-tree -m theirs -p {which} {which}^{{tree}})"
    if when == "before":
        assert os.system(f"cd '{world.remote}' && {move}") == 0
    else:
        quarantine = "GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES"
        world.hook(world.remote, "pre-receive", f"unset {quarantine}; {move}")
    there, here = world.refs(), world.state(repo) if not isinstance(repo, str) else None
    with pytest.raises(PushRejected, match=f"git push: {which} has moved on"):
        opened.publish(world.draft("main", base), world.draft("snapshots/edge", tip))
    assert {name for name, commit in world.refs().items() if commit != there[name]} == (
        {f"refs/heads/{which}"} if when != "before" else set()
    )
    assert world.git("log", "-1", "--format=%s", which) == "theirs"
    assert here is None or world.state(repo) == here
    (world.remote / "hooks/pre-receive").unlink(missing_ok=True)
    made = opened.publish(
        world.draft("main", opened.newest("main", "edge")), world.draft("snapshots/edge", opened.tip("snapshots/edge"))
    )
    assert (made, world.head(name=f"{which}~")) == (world.head(), world.git("rev-parse", ":/^theirs"))


def test_eight_at_once(world: Any) -> None:
    """Eight processes, each with a checkout and files of its own: every change arrives, in one line of commits."""
    snapshot = world.snapshot()
    script = "import sys; sys.stdin.read(); from publisher.cli import run; run()"
    started = []
    for number in range(8):
        repo = world.checkout(f"repo{number}")
        text = world.settings.replace("edge", f"edge{number}") + f"output: out{number}\n"
        (repo / "publisher.yaml").write_text(text)
        command = [sys.executable, "-c", script, "publish", "--repo", str(repo), "--snapshot", str(snapshot)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        started.append(subprocess.Popen(command, text=True, env=os.environ, **pipes))
    for process in started:  # the gate opens for all
        process.stdin.close()
    codes = []
    for number, process in enumerate(started):
        err = process.stderr.read()
        process.stdout.close()
        process.stderr.close()
        codes.append(process.wait())
        assert codes[-1] in (0, 1), err
        if codes[-1]:
            assert "main has moved on" in err.splitlines()[-1]
            assert world.git("status", "--porcelain", at=world.folder / f"repo{number}") == " M publisher.yaml"
    assert codes.count(0) >= ATTEMPTS
    arrived = world.files()
    for number, code in enumerate(codes):
        assert (f"out{number}/config/clusters/member1.json" in arrived) == (code == 0)
    for number, code in enumerate(codes):
        if code:
            world.publish(world.folder / f"repo{number}")
    assert world.linear() == ["set up", *[world.first] * 8]
    assert len([path for path in world.files() if path.startswith("out")]) == 16
    assert not [number for number in range(8) if world.leftovers(world.folder / f"repo{number}")]
