"""``publisher history``: who changed what, and what became of it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from publisher.commands.history import Entry, history


@pytest.fixture
def repo(world: Any) -> Path:
    """Work in a checkout."""
    return world.checkout()


def told(world: Any, repo: Path | str, name: str = "", most: int = 20) -> tuple[Entry, ...]:
    """Ask for the history in this process."""
    return history(world.open(repo), name, most, time.time())


def revert(world: Any, repo: Path, *arguments: str) -> str:
    """Let a person revert, and push it."""
    world.git("revert", "--no-edit", *arguments, at=repo)
    world.git("push", "--quiet", at=repo)
    return world.head()


def test_every_kind_of_commit(world: Any, repo: Path) -> None:
    """Published, edited, reverted, resumed; newest first, each with its files; no other files."""
    first = world.publish(repo, "node1").commit
    text = world.git("show", f"main:{world.service}")
    edited = world.other({world.service: text.replace("100", "50")}, "half of it")
    world.other({"README.md": "more\n"}, "words")
    world.git("pull", "--quiet", at=repo)
    second = world.publish(repo, "node1", "node2").commit
    reverted = revert(world, repo, second)
    message = "member1 again\n\nPublisher-Id: edge\nPublisher-Resume: member1\n"
    resumed = world.other({world.cluster: world.git("show", f"{second}:{world.cluster}") + "\n"}, message)
    world.git("pull", "--quiet", at=repo)
    found = told(world, repo)
    assert [(item.commit.id, item.kind, item.commit.paths) for item in found] == [
        (resumed, "resumed", (world.cluster,)),
        (reverted, "reverted", (world.cluster,)),
        (second, "published", (world.cluster,)),
        (edited, "edited", (world.service,)),
        (first, "published", (world.cluster, world.service)),
    ]
    assert [item.reverts for item in found] == [(), (second,), (), (), ()]
    assert [item.reverted_by for item in found] == ["", "", reverted, "", ""]
    assert [item.holds for item in found] == [(), (), (), ("default/flask",), ()]
    assert [item.commit.id for item in told(world, repo, "default/flask")] == [edited, first]
    assert [item.commit.id for item in told(world, repo, "member1", 2)] == [resumed, reverted]


def test_a_revert_of_a_revert_takes_the_mark_away(world: Any, repo: Path) -> None:
    """What is in force again is not marked as reverted, and nothing is held."""
    made = world.publish(repo, "node1").commit
    first = revert(world, repo, made)
    assert [item.holds for item in told(world, repo)] == [("member1", "default/flask"), ()]
    second = revert(world, repo, first)
    assert [(item.reverted_by, item.holds) for item in told(world, repo)] == [("", ()), (second, ()), ("", ())]


def test_a_revert_of_a_merge_marks_what_it_brought(world: Any, repo: Path) -> None:
    """The pull request's commit is marked, since the merge itself changed nothing of its own."""
    world.git("switch", "--quiet", "-c", "side", at=repo)
    text = '{"cluster": "member9", "publisher": "edge", "nodes": {"$end": true}}\n'
    world.commit(repo, {"pipy/config/clusters/member9.json": text}, "on the side")
    world.git("switch", "--quiet", "main", at=repo)
    world.git("merge", "--quiet", "--no-ff", "side", at=repo)
    made = revert(world, repo, "-m", "1", "HEAD")
    found = told(world, repo)
    assert [(item.kind, item.reverted_by) for item in found] == [("reverted", ""), ("edited", made)]


def test_a_merge_that_edits_is_a_merge(world: Any, repo: Path) -> None:
    """Of a merge only what is like none of its parents counts."""
    world.publish(repo, "node1")
    world.git("switch", "--quiet", "-c", "side", at=repo)
    world.commit(repo, {"docs/a.md": "a person's\n"})
    world.git("switch", "--quiet", "main", at=repo)
    world.git("merge", "--quiet", "--no-ff", "--no-commit", "side", at=repo)
    file = repo / world.cluster
    world.commit(repo, {world.cluster: file.read_text().replace("10.1.0.1", "10.1.0.9")}, "merged, and more")
    newest = told(world, repo)[0]
    assert (newest.kind, newest.commit.paths, newest.holds) == ("merged", (world.cluster,), ("member1",))


def test_words_about_commits_that_are_not_there_do_no_harm(world: Any, repo: Path) -> None:
    """People write what they like."""
    text = f"undo\n\nThis reverts commit {'a' * 40}, reversing\nchanges made to {'b' * 40}.\n"
    world.publish(repo, "node1")
    world.git("push", "--quiet", at=repo)
    world.other({world.cluster: None}, text)
    world.git("pull", "--quiet", at=repo)
    newest = told(world, repo)[0]
    assert (newest.kind, newest.reverts, newest.holds) == ("reverted", ("a" * 40,), ("member1",))


@pytest.mark.parametrize("where", ["checkout", "url"])
def test_on_the_command_line(world: Any, run: Any, repo: Path, where: str) -> None:
    """Plain columns where there is no terminal; marks say what became of a commit."""
    made = world.publish(repo, "node1").commit
    undone = revert(world, repo, made)
    place = repo if where == "checkout" else world.remote.as_uri()
    done = run("history", "--repo", place)
    assert done.code == 0
    head, newest, oldest = done.out.splitlines()
    assert head.split() == ["when", "commit", "what", "who", "subject", "touched", "since"]
    assert f"{undone[:12]}  reverted   Tester" in newest
    assert newest.endswith(f"member1, default/flask  reverts {made[:12]}; holds member1, default/flask")
    assert f"{made[:12]}  published  Config Publisher" in oldest
    assert oldest.endswith(f"reverted by {undone[:12]}")


def test_as_json(world: Any, run: Any, repo: Path) -> None:
    """One object a commit."""
    made = world.publish(repo, "node1").commit
    (entry,) = json.loads(run("history", "member1", "-n", 1, "--repo", repo, "--format", "json").out)["commits"]
    assert entry == {
        "commit": made,
        "kind": "published",
        "author": "Config Publisher",
        "time": int(world.git("log", "-1", "--format=%ct", made)),
        "subject": world.first,
        "files": [world.cluster],
        "reverts": [],
        "revertedBy": "",
        "holds": [],
    }


def test_where_nothing_is(world: Any, run: Any, repo: Path) -> None:
    """A repository in which nothing was published is fine, a name that is unknown there is not; nor a folder."""
    assert run("history", "--repo", repo).err == "nothing was published yet\n"
    unknown = run("history", "default/nothing", "--repo", repo)
    assert unknown.code == 2
    assert "default/nothing: no commit here touched a file of it" in unknown.line
    assert run("history", "--repo", world.folder).code == 2
