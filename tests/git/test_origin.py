"""What a sync asks of a repository: which commit a name stands for, and whether a commit is one of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from publisher.errors import GitError, UsageError


def test_the_head_is_meant_where_no_ref_is_named(world: Any, repo: Path | str) -> None:
    """What is checked out, or what the remote calls its own."""
    assert world.open(repo).latest("") == world.head()


def test_branch_tag_commit(world: Any) -> None:
    """A branch comes before a tag of the same name; a tag that marks a tag object gives its commit."""
    first = world.head()
    second = world.other({"a": "1"})
    for arguments in (("tag", "main", first), ("tag", "-a", "-m", "x", "v1", first), ("branch", "next/one", second)):
        world.git(*arguments)
    for repo in (world.checkout(), world.remote.as_uri()):
        opened = world.open(repo)
        names = ["main", "refs/heads/main", "v1", "refs/tags/v1", "refs/tags/main", first, first[:10]]
        assert [opened.latest(name) for name in names] == [second, second, first, first, first, first, first]
    assert opened.latest("next/one") == second


def test_a_branch_that_was_only_fetched(world: Any) -> None:
    """A checkout knows what its remote has by both names."""
    world.git("branch", "other", world.other({"a": "1"}))
    opened = world.open(world.checkout())
    assert {opened.latest("other"), opened.latest("origin/other")} == {world.git("rev-parse", "other").strip()}


def test_a_tag_that_moves_or_goes(world: Any) -> None:
    """By URL it is the remote's word each time, not the cache's."""
    first, second = world.head(), world.other({"a": "1"})
    for commit in (first, second):
        world.git("tag", "--force", "v1", commit)
        opened = world.open(world.remote.as_uri())
        assert opened.latest("v1") == commit
        opened.close()
    world.git("tag", "--delete", "v1")
    with pytest.raises(UsageError, match="v1: no such branch, tag or commit"):
        world.open(world.remote.as_uri()).latest("v1")


@pytest.mark.parametrize("name", ["none", "0" * 40, "abcdef0", "refs/publisher/head", "v1.0"])
def test_what_is_not_there(world: Any, repo: Path | str, name: str) -> None:
    """It is named, and nothing else is taken for it."""
    with pytest.raises(UsageError, match=f"--ref {name}: no such branch, tag or commit"):
        world.open(repo).latest(name)


@pytest.mark.parametrize("name", ["-x", "--upload-pack=x", "a..b", "main:x", "main~1", "a b", "@{1}^", "a*"])
def test_what_is_no_name(world: Any, repo: Path | str, name: str) -> None:
    """It never reaches git."""
    with pytest.raises(UsageError, match="not the name of a branch, tag or commit"):
        world.open(repo).latest(name)


def rewritten(world: Any) -> str:
    """Make a commit on the remote that no branch has any more; gives it."""
    gone = world.other({"a": "1"})
    world.git("update-ref", "refs/heads/main", f"{gone}~")
    world.git("config", "uploadpack.allowAnySHA1InWant", "true")
    return str(gone)


def test_a_commit_that_no_branch_has(world: Any, repo: Path | str) -> None:
    """It is fetched, and is one of this repository still."""
    gone = rewritten(world)
    opened = world.open(repo)
    assert opened.has(gone)
    assert "a" in opened.tree(gone, ("a",))
    assert opened.latest(gone) == gone


def test_a_shallow_checkout_knows_what_its_remote_has(world: Any) -> None:
    """As CI has it: the commit before is not there, and is one of this repository."""
    before = world.head()
    world.other({"a": "1"})
    opened = world.open(world.checkout("shallow", "--depth=1"))
    assert opened.has(before)
    assert "README.md" in opened.tree(before, ("README.md",))


@pytest.mark.parametrize("commit", ["1" * 40, "main", "", "-x"])
def test_a_commit_of_another_repository(world: Any, repo: Path | str, commit: str) -> None:
    """It is none of this one; nothing that is no full id is."""
    assert not world.open(repo).has(commit)


def test_not_known_while_the_remote_is_away(world: Any, repo: Path | str) -> None:
    """Whether a commit is one of it is not guessed."""
    opened = world.open(repo)
    world.remote.rename(world.folder / "away.git")
    with pytest.raises(GitError, match="git fetch"):
        opened.has("1" * 40)


def test_a_closed_clone_is_free(world: Any) -> None:
    """The next run opens it while the first one is still referred to."""
    first = world.open(world.remote.as_uri())
    first.close()
    first.close()
    assert world.open(world.remote.as_uri()).head() == first.head()
