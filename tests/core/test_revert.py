"""Every publisher commit reverts cleanly with plain git, unless a later commit touched the same file."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from publisher.core import report

PUBLISHES = 20


def git(repo: Path, *arguments: str, stdin: bytes = b"", check: bool = True) -> str:
    """Run git; gives what it prints."""
    done = subprocess.run(["git", *arguments], cwd=repo, input=stdin, capture_output=True, check=False)
    assert not check or done.returncode == 0, f"git {' '.join(arguments)}: {done.stdout!r} {done.stderr!r}"
    return done.stdout.decode() if done.returncode == 0 else f"failed: {done.stdout.decode()}"


def import_history(repo: Path, commits: list[tuple[dict[str, bytes | None], str]]) -> None:
    """Make a repository with these commits, all with one process."""
    stream = bytearray()
    for number, (changes, message) in enumerate(commits):
        who = f"Publisher <publisher@example.com> {1767225600 + number} +0000"
        text = message.encode()
        stream += f"commit refs/heads/main\ncommitter {who}\ndata {len(text)}\n".encode() + text + b"\n"
        for path, content in changes.items():
            if content is None:
                stream += f"D {path}\n".encode()
            else:
                stream += f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n"
    git(repo, "init", "--quiet", "--initial-branch=main")
    git(repo, "fast-import", "--quiet", stdin=bytes(stream))
    git(repo, "reset", "--quiet", "--hard", "main")


def files_at(repo: Path, commit: str) -> dict[str, str]:
    """Give the blob of each file of a commit."""
    lines = git(repo, "ls-tree", "-r", "-z", commit).split("\0")[:-1]
    return {line.partition("\t")[2]: line.split()[2] for line in lines}


def touched(repo: Path, commit: str) -> set[str]:
    """Give the files that a commit touches."""
    return set(git(repo, "diff-tree", "-r", "-z", "--root", "--no-commit-id", "--name-only", commit).split("\0")[:-1])


@pytest.mark.parametrize("layout", ["native", "tutorial"])
@limits(max_examples=10, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    seed=st.integers(0, 2**32),
    steps=st.lists(st.lists(st.integers(0, 2**16), min_size=1, max_size=3), min_size=PUBLISHES, max_size=PUBLISHES),
)
def test_every_commit_reverts(
    fleets: ModuleType, tmp_path_factory: pytest.TempPathFactory, layout: str, seed: int, steps: list[list[int]]
) -> None:
    """Of 20 publishes each is reverted on top of each later one, and takes back exactly its own files."""
    fleet = fleets.make(seed, layout, large=True)
    tree: dict[str, bytes] = {}
    commits: list[tuple[dict[str, bytes | None], str]] = [({"publisher.yaml": b"publisher: edge\n"}, "set up\n")]
    for numbers in steps:
        outcome = fleets.build(fleet, tree)
        tree = fleets.applied(tree, outcome)
        if outcome.plan.files:
            changes = {file.path: file.content for file in outcome.plan.files}
            commits.append((changes, report.commit_message(outcome.plan)))
        for number in numbers:
            fleets.step(fleet, number)
    repo = tmp_path_factory.mktemp("revert")
    import_history(repo, commits)
    history = git(repo, "rev-list", "--reverse", "main").split()
    assert len(history) == len(commits)
    assert files_at(repo, "main").keys() == {*tree, "publisher.yaml"}
    files = {commit: touched(repo, commit) for commit in history}
    trees = {commit: files_at(repo, commit) for commit in history}
    for last in range(len(history) - 1, 0, -1):
        tip = history[last]
        later: set[str] = set()
        for place in range(last, 0, -1):
            commit, parent = history[place], history[place - 1]
            if not files[commit] & later:
                git(repo, "reset", "--quiet", "--hard", tip)
                shown = git(repo, "revert", "--no-edit", commit, check=False)
                assert not shown.startswith("failed"), shown
                expected = {path: blob for path, blob in trees[tip].items() if path not in files[commit]}
                expected |= {path: trees[parent][path] for path in files[commit] & trees[parent].keys()}
                assert files_at(repo, "HEAD") == expected
            later |= files[commit]


def test_a_revert_on_a_revert_publishes_again(fleets: ModuleType, tmp_path: Path) -> None:
    """What was taken back comes back with another revert, to the byte."""
    fleet = fleets.make(3)
    first = fleets.publish(fleet)
    fleets.node_joins(fleet, random.Random(0))
    second = fleets.publish(fleet, first)
    import_history(tmp_path, [(dict(first), "one\n"), ({path: second[path] for path in second}, "two\n")])
    tip = files_at(tmp_path, "main")
    git(tmp_path, "revert", "--no-edit", "HEAD")
    assert files_at(tmp_path, "HEAD") == files_at(tmp_path, "HEAD~2")
    git(tmp_path, "revert", "--no-edit", "HEAD")
    assert files_at(tmp_path, "HEAD") == tip
