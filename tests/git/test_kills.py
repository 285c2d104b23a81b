"""publish ends at any git command: the checkout is as before or fully at the new commit, and the next run completes."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from publisher.cli import main
from publisher.demo.fleet import Fleet
from publisher.demo.server import FleetServer
from publisher.edge.git.run import GitRunner

WRAPPER = """#!/bin/sh
read done <"$KILL_COUNT"
done=$((done + 1))
echo $done >"$KILL_COUNT"
[ "$done-before" = "$KILL_AT" ] && kill -s "$KILL_SIGNAL" $PPID && exit 1
PATH="$KILL_PATH" git "$@"
status=$?
[ "$done-after" = "$KILL_AT" ] && kill -s "$KILL_SIGNAL" $PPID
exit $status
"""


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Serve a fleet."""
    fleet = Fleet()
    fleet.add_member("member1", nodes={"node1": "127.1.1.1", "node2": "127.1.1.2"})
    fleet.add_service("member1", "default/flask", node_port=31193)
    with FleetServer(fleet) as server:
        file = tmp_path_factory.mktemp("fleet") / "kubeconfig"
        file.write_text(json.dumps(server.kubeconfig()))
        yield file


ZYGOTE = """
import json, os, sys
from publisher.cli import main
import publisher.cli.screen, publisher.commands.publish, publisher.edge.karmada
from pathlib import Path
from publisher.core.history import Draft
from publisher.edge.git import Checkout, Clone, is_url

def pair(place):
    "Publish to main and to a branch beside it, each only what is not there yet."
    opened = Clone(place) if is_url(place) else Checkout(Path(place))
    bases = {"main": opened.newest("main", "edge"), "snapshots/edge": opened.tip("snapshots/edge")}
    drafts = [
        Draft(branch, base, {"new": b"x"}, f"ours on {branch}", "A <a@example.com>")
        for branch, base in bases.items()
        if not base or not opened.tree(base, ("new",))
    ]
    if drafts:
        opened.publish(*drafts)
    return 0

for line in sys.stdin:
    arguments, environment = json.loads(line)
    child = os.fork()
    if not child:
        os.environ.clear()
        os.environ.update(environment)
        os._exit(main(arguments) if arguments[0] == "publish" else pair(arguments[1]))
    print("ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """Start a publisher that has imported all it needs, and forks for each run: that takes most of the time."""
    errors = tmp_path_factory.mktemp("zygote") / "errors"
    with errors.open("w") as told:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": told}
        with subprocess.Popen([sys.executable, "-c", ZYGOTE], text=True, **pipes) as process:
            yield process
    assert "Traceback" not in errors.read_text()


class Victim:
    """Copies of a remote and a checkout, one for each time that publish is killed."""

    def __init__(self, world: Any, zygote: subprocess.Popen[str], kubeconfig: Path, number: int) -> None:
        self.world = world
        self.zygote = zygote
        self.kubeconfig = kubeconfig
        self.folder = world.folder / f"case{number}"
        self.remote = self.folder / "remote.git"
        self.repo = self.folder / "repo"
        self.cache = self.folder / "cache"
        shutil.copytree(world.remote, self.remote)
        world.git("clone", "--quiet", self.remote.as_uri(), str(self.repo), at=self.folder)
        self.count = self.folder / "count"
        self.count.write_text("0\n")

    def run(self, target: Path | str, at: str, name: str, verb: str = "publish") -> int:
        """Run publish, or a pair, in a process of its own that is killed at a git command; gives its exit status."""
        environment = {
            **os.environ,
            "XDG_CACHE_HOME": str(self.cache),
            "PATH": f"{self.world.folder}/bin:{os.environ['PATH']}",
            "KILL_PATH": os.environ["PATH"],
            "KILL_COUNT": str(self.count),
            "KILL_AT": at,
            "KILL_SIGNAL": name,
        }
        arguments = self.arguments(target) if verb == "publish" else [verb, str(target)]
        print(json.dumps((arguments, environment)), file=self.zygote.stdin, flush=True)
        ended = next(line for line in iter(self.zygote.stdout.readline, "") if line.startswith("ended with "))
        return int(ended.split()[-1])

    def arguments(self, target: Path | str) -> list[str]:
        """Give the command line."""
        return ["publish", "--repo", str(target), "--kubeconfig", str(self.kubeconfig)]

    def again(self, target: Path | str) -> int:
        """Run publish once more, undisturbed."""
        return main(self.arguments(target))


def command(world: Any, script: str) -> Path:
    """Lay down a git that does something else first, and give its folder."""
    folder = world.folder / "bin"
    folder.mkdir()
    (folder / "git").write_text(script)
    (folder / "git").chmod(0o755)
    return folder


@pytest.fixture
def victims(world: Any, zygote: subprocess.Popen[str], kubeconfig: Path) -> Iterator[Iterator[Victim]]:
    """Give a fresh victim as often as asked."""
    command(world, WRAPPER)
    world.other({"publisher.yaml": world.settings + "allowedNetworks: [127.1.0.0/16]\n"}, "set up")
    world.git("update-ref", "refs/heads/main", world.git("commit-tree", "-m", "set up", "main^{tree}"))
    return (Victim(world, zygote, kubeconfig, number) for number in itertools.count(1))


CODES = {"KILL": -signal.SIGKILL, "TERM": -signal.SIGTERM, "INT": 130}


@pytest.mark.parametrize(
    ("name", "when"), [("KILL", "before"), ("KILL", "after"), ("TERM", "after"), ("INT", "before")]
)
def test_a_checkout(world: Any, victims: Iterator[Victim], name: str, when: str) -> None:
    """Whichever git command it is that publish is killed before or after."""
    seen = set()
    for number, victim in enumerate(victims, 1):
        repo, remote = victim.repo, victim.remote
        before = world.state(repo)
        code = victim.run(repo, f"{number}-{when}", name)
        if int(victim.count.read_text()) < number:  # it has run to its end
            assert (code, world.linear(remote)) == (0, ["set up", world.first])
            break
        assert code == CODES[name], number
        assert world.leftovers(repo) == []
        after = world.state(repo)
        seen.add(f"{len(world.linear(repo))} here, {len(world.linear(remote))} there")
        if after != before:
            assert world.head(repo) == world.head(remote)
            assert after["status"] == ""
            assert {*after["files"]} == {*before["files"], world.cluster, world.service}
        assert victim.again(repo) == 0
        assert world.linear(remote) == ["set up", world.first]
        assert world.linear(repo) in (
            [["set up", world.first], ["set up"]] if after == before else [["set up", world.first]]
        )
        assert world.git("status", "--porcelain", at=repo) == ""
        assert world.leftovers(repo) == []
    assert number > 20, "git commands of one run"
    assert seen == {"1 here, 1 there", "1 here, 2 there", "2 here, 2 there"} - (
        {"2 here, 2 there"} if when == "before" else set()
    )


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_url(world: Any, victims: Iterator[Victim], when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clone in the cache is of use afterwards, or made anew."""
    for number, victim in enumerate(victims, 1):
        url = victim.remote.as_uri()
        code = victim.run(url, f"{number}-{when}", "KILL")
        if int(victim.count.read_text()) < number:
            assert (code, world.linear(victim.remote)) == (0, ["set up", world.first])
            break
        assert code == CODES["KILL"]
        assert world.linear(victim.remote) in (["set up", world.first], ["set up"])
        monkeypatch.setenv("XDG_CACHE_HOME", str(victim.cache))
        assert victim.again(url) == 0
        assert world.linear(victim.remote) == ["set up", world.first]
        assert {path.suffix for path in (victim.cache / "publisher").iterdir()} == {".git", ".lock"}
    assert number > 12, "git commands of one run"


@pytest.mark.parametrize(
    ("place", "when"), [("checkout", "after"), ("url", "before"), ("no remote", "before"), ("no remote", "after")]
)
def test_two_branches(world: Any, victims: Iterator[Victim], place: str, when: str) -> None:
    """On a remote both have moved or none; the next run does what is left, and nothing twice."""
    seen = set()
    for number, victim in enumerate(victims, 1):
        repo, there = victim.repo, victim.remote if place != "no remote" else victim.repo
        target: Any = victim.remote.as_uri() if place == "url" else repo
        if place == "no remote":
            world.git("remote", "remove", "origin", at=repo)
        before = world.state(repo)
        code = victim.run(target, f"{number}-{when}", "KILL", "pair")
        moved = (len(world.linear(there)) == 2, "refs/heads/snapshots/edge" in world.refs(there))
        after = world.state(repo)
        if int(victim.count.read_text()) >= number:
            assert code == CODES["KILL"], number
            seen.add(moved)
            assert after == before or after["status"] == ""
            assert world.leftovers(repo) == []
            assert victim.run(target, "never", "KILL", "pair") == 0
        assert world.linear(there) == ["set up", "ours on main"]
        assert world.git("log", "--format=%s", "snapshots/edge", at=there) == "ours on snapshots/edge"
        assert world.git("status", "--porcelain", at=repo) == ""
        assert world.refs(repo, "refs/heads").keys() <= world.refs(there, "refs/heads").keys()
        if code == 0:
            break
    assert number > 15, "git commands of one run"
    neither, beside, both = (False, False), (False, True), (True, True)
    if place != "no remote":
        assert seen == {neither, both}
    else:  # main moves last, with the files, so that no run takes the other for done
        assert seen == {neither, beside, both} - ({both} if when == "before" else set())


def test_an_interrupt_while_the_checkout_follows(world: Any, child: Any) -> None:
    """A signal that comes while files and branch move waits until they have."""
    repo = world.checkout()
    script = f"""#!/bin/sh
case "$*" in *" merge "*) kill -INT $PPID; sleep 0.6;; esac
PATH="{os.environ["PATH"]}"
exec git "$@"
"""
    process = child(repo, PATH=f"{command(world, script)}:{os.environ['PATH']}")
    err = process.communicate()[1]
    assert (process.returncode, "Traceback" in err) == (130, False)
    assert world.head(repo) == world.head()
    assert world.git("status", "--porcelain", at=repo) == ""
    assert world.linear() == ["set up", world.first]


def test_git_is_waited_for(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt leaves no git behind that is still at work: it has its time to tidy up."""
    script = f"""#!/bin/sh
trap 'sleep 0.6; echo tidied >"{world.folder}/told"; exit 1' TERM
sleep 0.5 # until we are waited for
kill -INT {os.getpid()}
i=0; while [ $i -lt 600 ]; do sleep 0.05; i=$((i+1)); done # not for ever, should nobody end us
"""
    monkeypatch.setenv("PATH", f"{command(world, script)}:{os.environ['PATH']}")
    with pytest.raises(KeyboardInterrupt):
        GitRunner(world.folder).attempt("status")
    assert (world.folder / "told").read_text() == "tidied\n"


def test_an_interrupt_while_the_network_hangs(http: Any, child: Any, gone: Any) -> None:
    """A signal to us alone ends at once, with 130, and takes git and its helpers along."""
    hanging, release = threading.Event(), threading.Event()

    def hang(_: object) -> bool:
        hanging.set()
        return release.wait(60)

    http.fault = hang
    process = child(http.url)
    assert hanging.wait(60)
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=20)[1]  # git itself would give up after 30 s
    assert (process.returncode, "Traceback" in err) == (130, False)
    gone(http.place)
    release.set()
