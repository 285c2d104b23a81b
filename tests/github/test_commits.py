"""Commits made by GitHub, on a real repository."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from publisher.errors import ApiError, PushRejected


def log(world: Any, branch: str) -> list[str]:
    """Give the subjects of a branch, oldest first."""
    return world.fake.git("log", "--reverse", "--format=%s", branch).splitlines()


def branches(world: Any) -> list[str]:
    """Give the names of all branches."""
    return world.fake.git("for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()


def test_extends_a_branch(world: Any) -> None:
    """The commit is the next on its branch, with the files, bytes and message of the draft, in one request."""
    made = world.hub().commit(world.draft())
    assert made == world.fake.tip("main")
    git = world.fake.git
    assert git("rev-parse", f"{made}^") == world.base
    assert git("ls-tree", "-r", "--name-only", made).splitlines() == ["b.json"]
    assert git("cat-file", "-s", f"{made}:b.json") == "2"
    assert git("log", "-1", "--format=%B", made) == "update b\n\nwhy\n\nPublisher-Id: edge"
    assert world.fake.requests == ["POST /graphql createCommitOnBranch"]


def test_a_branch_that_moved_on(world: Any, fails: Callable[..., str]) -> None:
    """Where somebody was faster, nothing is made."""
    draft = world.draft()
    moved = world.fake.commit("main", {"x": b"1"}, "somebody's")
    assert fails(lambda: world.hub().commit(draft), PushRejected) == "GitHub: branch main has moved on; run it again"
    assert world.fake.tip("main") == moved


def test_replaces_the_commit_of_a_branch(world: Any) -> None:
    """The branch gets the commit in the place of the one it had; the pull request stays open all the while."""
    request = world.request()
    made = world.hub().commit(world.draft(world.branch, world.head))
    assert world.fake.tip(world.branch) == made
    assert log(world, world.branch) == ["set up", "update b"]
    assert branches(world) == ["main", world.branch]
    assert world.fake.pulls[request.number]["state"] == "open"


def test_begins_a_branch(world: Any) -> None:
    """A branch that is not there yet begins with the commit."""
    made = world.hub().commit(world.draft("publisher/new", ""))
    assert world.fake.tip("publisher/new") == made
    assert branches(world) == ["main", world.branch, "publisher/new"]


@pytest.mark.parametrize("replaces", ["", "0123456789" * 4])
def test_a_branch_that_is_not_as_expected(world: Any, fails: Callable[..., str], replaces: str) -> None:
    """A branch that has another commit than is to be replaced stays, and nothing is made."""
    line = fails(lambda: world.hub().commit(world.draft(world.branch, replaces)), PushRejected)
    assert line == "GitHub: branch publisher/edge has moved on; run it again"
    assert world.fake.tip(world.branch) == world.head
    assert world.fake.writes == []


def test_a_push_between_look_and_swap(world: Any, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's push that comes after our look is not lost: GitHub compares before it swaps."""
    commit = world.fake._commit_on_branch

    def then_push(given: Any) -> Any:
        made = commit(given)
        world.fake.commit(world.branch, {"person.txt": b"1"}, "a person's")
        return made

    monkeypatch.setattr(world.fake, "_commit_on_branch", then_push)
    fails(lambda: world.hub().commit(world.draft(world.branch, world.head)), PushRejected)
    assert log(world, world.branch) == ["set up", "update a", "a person's"]


def test_what_a_broken_off_run_left_is_used(world: Any) -> None:
    """A commit that was made aside but not moved over is moved over, not made again."""
    draft = world.draft(world.branch, world.head)
    aside = world.fake.commit(f"{world.branch}.next", dict(draft.changes), draft.message, world.base)
    assert world.hub().commit(draft) == aside
    assert world.did("POST", "graphql createCommitOnBranch") == 0
    assert branches(world) == ["main", world.branch]


def test_what_another_plan_left_aside_is_overwritten(world: Any) -> None:
    """What lies aside of another plan is not published."""
    world.fake.commit(f"{world.branch}.next", {"x": b"1"}, "another plan", world.base)
    world.hub().commit(world.draft(world.branch, world.head))
    assert log(world, world.branch) == ["set up", "update b"]
    assert branches(world) == ["main", world.branch]


def test_no_parent(world: Any, fails: Callable[..., str]) -> None:
    """A commit without a parent is refused before anything is asked."""
    assert "without a parent" in fails(lambda: world.hub().commit(replace(world.draft(), base="")), ApiError)
    assert world.fake.requests == []


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("FORBIDDEN", "(the token needs contents: write)"),
        ("NOT_FOUND", "(check the branch and GITHUB_REPOSITORY)"),
        ("UNPROCESSABLE", "(check the branch and GITHUB_REPOSITORY)"),
        ("RATE_LIMITED", "(too many requests; go on in 60 s, at "),
        ("", "GitHub: Something went wrong (GitHub is in trouble; try again later)"),
    ],
)
def test_an_error_of_graphql(world: Any, forge: Any, fails: Callable[..., str], kind: str, says: str) -> None:
    """An error in an answer 200 is told like any other."""
    error = (
        f'{{"type": "{kind}", "message": "Something went wrong"}}' if kind else '{"message": "Something went wrong"}'
    )
    answer = forge.Fault(body=f'{{"data": null, "errors": [{error}]}}'.encode())
    world.fake.fail("POST", "graphql createCommitOnBranch", answer, times=9)
    assert says in fails(lambda: world.hub().commit(world.draft()), ApiError)
