"""The cache of clones: used again, made anew where it is damaged, and without secrets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from publisher.cli import main
from publisher.core.history import Draft
from publisher.errors import GitError, UsageError


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Give the folder of the clones."""
    return tmp_path / "cache/publisher"


@pytest.fixture
def clone(world: Any, cache: Path) -> Path:
    """Publish once by URL and give the clone."""
    world.publish(world.remote.as_uri())
    return next(cache.glob("*.git"))


def test_it_is_used_again(world: Any, clone: Path) -> None:
    """A second run fetches what is new and nothing else."""
    identity = clone.stat().st_ino
    theirs = world.other({"theirs.txt": "theirs\n"})
    made = world.publish(world.remote.as_uri(), "node1", "node2").commit
    assert (world.head(), world.head(name="main~")) == (made, theirs)
    assert clone.stat().st_ino == identity
    assert world.leftovers(clone) == []


def test_it_knows_what_it_has_published(world: Any, clone: Path) -> None:
    """The next plan of one and the same run builds on our commit."""
    repo = world.open(world.remote.as_uri())
    made = repo.publish(Draft("main", repo.newest("main"), {"x": b"x"}, "x\n", "A <a@example.com>"))
    assert repo.newest("main") == made == world.head()


def test_it_is_for_its_owner_only(world: Any, clone: Path) -> None:
    """Nobody else looks into the folder."""
    assert clone.parent.stat().st_mode & 0o077 == 0


def test_each_url_has_its_own(world: Any, clone: Path, cache: Path) -> None:
    """Two repositories, two clones."""
    shutil.copytree(world.remote, world.folder / "second.git")
    world.publish((world.folder / "second.git").as_uri(), "node2")
    assert len(list(cache.glob("*.git"))) == 2


def damage(clone: Path, how: str) -> None:
    """Break a clone in one of many ways."""
    objects = sorted(path for path in (clone / "objects").rglob("*") if path.is_file())
    match how:
        case "empty folder":
            shutil.rmtree(clone)
            clone.mkdir()
        case "no HEAD":
            (clone / "HEAD").unlink()
        case "no config":
            (clone / "config").write_text("[core\n")
        case "objects gone":
            shutil.rmtree(clone / "objects")
        case "objects empty" | "objects cut" | "objects missing":
            for path in objects:
                path.chmod(0o644)
                if how == "objects missing":
                    path.unlink()
                else:
                    path.write_bytes(b"" if how == "objects empty" else path.read_bytes()[:-9])
        case "refs":
            (clone / "packed-refs").write_text("nonsense\n")
        case "lock":
            for name in ("packed-refs.lock", "HEAD.lock", "refs/heads/main.lock", "config.lock", "shallow.lock"):
                (clone / name).touch()


DAMAGES = ["empty folder", "no HEAD", "no config", "objects gone", "objects empty", "objects cut"]


@pytest.mark.parametrize("how", [*DAMAGES, "objects missing", "refs", "lock"])
def test_a_damaged_one_is_made_anew(world: Any, clone: Path, how: str) -> None:
    """Whatever is wrong with a clone is no affair of its user."""
    damage(clone, how)
    world.other({"theirs.txt": "theirs\n"})
    made = world.publish(world.remote.as_uri(), "node1", "node2").commit
    assert made == world.head()
    assert world.linear()[:-1] == ["set up", world.first, "the other side's change"]
    world.git("fsck", at=next(clone.parent.glob("*.git")))
    assert {path.suffix for path in clone.parent.iterdir()} == {".git", ".lock"}


@pytest.mark.parametrize("gone", ["cluster", "service", "settings"])
def test_a_single_file_that_is_lost(world: Any, clone: Path, gone: str) -> None:
    """A file that fetching does not miss, but we do, is no different from one that is damaged."""
    path = {"cluster": world.cluster, "service": world.service, "settings": "publisher.yaml"}[gone]
    sha = world.files()[path].split()[-1]
    for pack in (clone / "objects/pack").glob("*.pack"):
        data = pack.read_bytes()
        shutil.move(pack, clone / "pack")
        pack.with_suffix(".idx").unlink()
        subprocess.run(["git", f"--git-dir={clone}", "unpack-objects", "-q"], input=data, check=True)
    (clone / "objects" / sha[:2] / sha[2:]).unlink()
    assert world.publish(world.remote.as_uri(), "node1", "node2").commit == world.head()


def test_what_a_killed_run_left(world: Any, clone: Path) -> None:
    """A clone that was never finished is no hindrance."""
    clone.rename(clone.with_suffix(".new"))
    damage(clone.with_suffix(".new"), "no config")
    assert world.publish(world.remote.as_uri(), "node2").commit == world.head()
    assert {path.suffix for path in clone.parent.iterdir()} == {".git", ".lock"}


def test_a_damaged_one_stays_while_the_remote_is_away(world: Any, clone: Path, typed: Any) -> None:
    """What there is, is kept until there is something better; the line is about the remote."""
    world.remote.rename(world.folder / "away.git")
    before = sorted(clone.rglob("*"))
    done = typed(world.remote.as_uri())
    assert done.code == 1
    assert "does not appear to be a git repository" in done.line
    assert sorted(clone.rglob("*")) == before


def test_it_never_looks_further_up(world: Any, clone: Path, tmp_path: Path) -> None:
    """Where the home folder is a repository and the clone is damaged, the home folder is left alone."""
    world.git("init", "--quiet", at=tmp_path / "cache")
    world.commit(tmp_path / "cache", {".gitignore": "publisher\n", "dotfile": "mine"})
    world.git("branch", "mine", at=tmp_path / "cache")
    before = world.git("for-each-ref", at=tmp_path / "cache")
    damage(clone, "no HEAD")
    world.publish(world.remote.as_uri(), "node2")
    assert world.git("for-each-ref", at=tmp_path / "cache") == before


# what the remote does


def test_history_forced(world: Any, clone: Path) -> None:
    """A branch that was rewritten is followed."""
    seed = world.checkout("seed")
    world.git("reset", "--quiet", "--hard", "HEAD~", at=seed)
    world.git("commit", "--quiet", "--amend", "-m", "another beginning", at=seed)
    world.git("push", "--quiet", "--force", at=seed)
    assert world.publish(world.remote.as_uri()).commit == world.head()
    assert world.linear() == ["another beginning", world.first]


def test_branches_come_and_go(world: Any, clone: Path) -> None:
    """A branch that is deleted is gone here too, also where another one takes its place as a folder."""
    identity = clone.stat().st_ino
    seed = world.checkout("seed")
    world.git("push", "--quiet", "origin", "main:refs/heads/env", at=seed)
    world.publish(world.remote.as_uri(), "node2")
    world.git("push", "--quiet", "origin", ":refs/heads/env", at=seed)
    world.git("push", "--quiet", "origin", "main:refs/heads/env/prod", at=seed)
    world.publish(world.remote.as_uri(), "node1", "node2")
    assert clone.stat().st_ino == identity
    found = world.git(f"--git-dir={clone}", "for-each-ref", "--format=%(refname)").split()
    assert found == ["refs/heads/env/prod", "refs/heads/main", "refs/heads/snapshots/edge", "refs/publisher/head"]


def test_another_head(world: Any, clone: Path) -> None:
    """Which publisher.yaml counts is the remote's say, each time: that of its HEAD."""
    seed = world.checkout("seed")
    world.git("switch", "--quiet", "-c", "prod", at=seed)
    world.commit(seed, {"publisher.yaml": world.settings + "output: proxies\ngit: {branch: prod}\n"})
    world.git("push", "--quiet", "-u", "origin", "prod", at=seed)
    world.git("symbolic-ref", "HEAD", "refs/heads/prod")
    main_before = world.head()
    assert world.publish(world.remote.as_uri()).commit == world.head(name="prod")
    assert world.head() == main_before


def test_the_branch_of_publisher_yaml_is_gone(world: Any, typed: Any) -> None:
    """A branch that is not there is not made up."""
    world.other({"publisher.yaml": world.settings + "git: {branch: prod}\n"})
    done = typed(world.remote.as_uri())
    assert done.code == 2
    assert "there is no branch prod; push it, or change git.branch" in done.line
    assert world.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"


@pytest.mark.parametrize("how", ["empty", "HEAD elsewhere"])
def test_nothing_at_head(world: Any, clone: Path, typed: Any, how: str) -> None:
    """A remote that is empty, or whose HEAD names no branch: exit 2, and nothing old is taken for it."""
    if how == "empty":
        world.git("update-ref", "-d", "refs/heads/main")
    else:
        world.git("symbolic-ref", "HEAD", "refs/heads/master")
    refs = world.git("for-each-ref")
    for _ in range(2):
        done = typed(world.remote.as_uri(), "node2")
        assert done.code == 2
        assert "HEAD there is no branch that exists" in done.line
        shutil.rmtree(clone, ignore_errors=True)
    assert world.git("for-each-ref") == refs


def test_no_publisher_yaml(world: Any, typed: Any) -> None:
    """A repository without publisher.yaml: exit 2 and what to do."""
    world.other({"publisher.yaml": None})
    done = typed(world.remote.as_uri())
    assert done.code == 2
    assert "no publisher.yaml in the repository; publisher init lays one down" in done.line


def test_plan_by_url(world: Any, clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """plan reads through the same clone."""
    arguments = ["plan", "--snapshot", str(world.snapshot("node2")), "--repo", world.remote.as_uri()]
    assert main([*arguments, "--exit-code"]) == 5
    assert "~ pipy/config/clusters/member1.json" in capsys.readouterr().out


# secrets


def test_a_password_is_in_no_file_and_in_no_error(
    world: Any, http: Any, cache: Path, typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens to a URL with a password, and however git is set up: it is not written down."""
    http.user = "bot:hunter2"
    url = f"http://bot:hunter2@{http.place}"
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.logAllRefUpdates")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "always")
    told = [typed(url), typed(url, "node2")]
    assert [done.code for done in told] == [0, 0]
    for status in (403, 404, 500):
        http.fault = lambda request, status=status: not http.say(request, status, b"", {})
        told.append(typed(url, "node1", "node2"))
        assert told[-1].code == 1
    http.fault = lambda request: "receive-pack" in request.path and not http.say(request, 403, b"", {})
    told.append(typed(url, "node1", "node2"))
    http.fault = lambda request: not http.reset(request)
    told.append(typed(url, "node1", "node2"))
    assert not [done for done in told if "hunter2" in done.out + done.err]
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if b"hunter2" in path.read_bytes() or "hunter2" in path.name]


# several at once


def test_two_wait_for_each_other(world: Any, cache: Path) -> None:
    """Processes with one clone work on it one after the other, and both are right."""
    snapshot = str(world.snapshot())
    script = "import sys; sys.stdin.read(); from publisher.cli import run; run()"
    command = [sys.executable, "-c", script, "publish", "--repo", world.remote.as_uri(), "--snapshot", snapshot]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    started = [subprocess.Popen(command, text=True, env=os.environ, **pipes) for _ in range(4)]
    for process in started:
        process.stdin.close()
    told = []
    for process in started:
        told.append(process.stdout.read())
        assert process.stderr.read().count("\n") <= 1
        process.stdout.close()
        process.stderr.close()
        assert process.wait() == 0
    assert sum("nothing to do" in text for text in told) == 3
    assert world.linear() == ["set up", world.first]
    assert len(list(cache.glob("*.git"))) == 1


def test_who_holds_it_is_waited_for(world: Any, child: Any) -> None:
    """While one run works, the next does not begin."""
    first = world.open(world.remote.as_uri())
    base = first.newest("main")
    process = child(world.remote.as_uri())
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=1.5)
    first.publish(Draft("main", base, {"x": b"x"}, "first\n", "A <a@example.com>"))
    del first
    assert process.communicate()
    assert process.returncode == 0
    assert world.linear() == ["set up", "first", world.first]


# where it is


@pytest.mark.parametrize("given", ["relative", "file"])
def test_where_the_cache_is(world: Any, typed: Any, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative XDG_CACHE_HOME works; one that cannot be is named with what to do."""
    monkeypatch.chdir(world.folder)
    (world.folder / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", f"{given}/deep")
    done = typed(world.remote.as_uri())
    if given == "relative":
        assert done.code == 0
        assert list((world.folder / "relative/deep/publisher").glob("*.git"))
    else:
        assert done.code == 2
        assert "Not a directory; name another cache with XDG_CACHE_HOME" in done.line


def test_the_home_folder_is_the_last_resort(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without XDG_CACHE_HOME it is ~/.cache/publisher."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    world.publish(world.remote.as_uri())
    assert list((tmp_path / "home/.cache/publisher").glob("*.git"))


def test_names_that_are_no_text(world: Any) -> None:
    """People's files may be called anything, in any encoding."""
    blob = world.git("hash-object", "-w", "--stdin", stdin="x")
    listing = f"100644 blob {blob}\tcaf\udce9.json\n"
    tree = subprocess.run(
        ["git", "-C", world.remote, "mktree"], input=os.fsencode(listing), capture_output=True, check=True
    ).stdout.decode()
    full = f"{world.git('ls-tree', 'main')}\n"
    pipy = f"040000 tree {tree.strip()}\tconfig\n{world.git('ls-tree', 'main:pipy')}\n"
    pipy_tree = world.git("mktree", stdin=pipy)
    top = "".join(
        f"040000 tree {pipy_tree}\tpipy\n" if line.endswith("\tpipy") else f"{line}\n" for line in full.splitlines()
    )
    world.git("update-ref", "refs/heads/main", world.git("commit-tree", "-m", "x", world.git("mktree", stdin=top)))
    before = world.git("ls-tree", "-r", "main", "--", "pipy/config")
    assert world.publish(world.remote.as_uri()).commit == world.head()
    assert before in world.git("ls-tree", "-r", "main", "--", "pipy/config")


def test_too_much(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read from one commit has a limit."""
    monkeypatch.setattr("publisher.edge.git.store.MAX_TREE", 10)
    with pytest.raises(GitError, match="have more than 0 MiB"):
        world.publish(world.remote.as_uri())
    with pytest.raises(UsageError):
        world.open("ext::x")
