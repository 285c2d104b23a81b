"""Who has the last word, compared with the definition on small histories of every shape."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from publisher.edge.git import Checkout

PATHS = ("a/b", "c")
NAMES = ("ours", "theirs", "another")
MESSAGES = {"ours": "x\n\nPublisher-Id: edge\n\nmore\n", "theirs": "x\n", "another": "x\n\nPublisher-Id: other\n"}


@dataclass(frozen=True)
class Made:
    """A commit to make. Parents, and where a file is taken from, count back from it; text, None is no file."""

    author: str
    parents: tuple[int, ...]
    files: tuple[int | str | None, ...]
    time: int = 0


def made() -> st.SearchStrategy[Made]:
    """Make commits that mostly keep files, and often bring back a version that has been there before."""
    parents = st.sampled_from([(1,), (1,), (1,), (2,), (1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (1, 2, 3), ()])
    file = st.sampled_from([0, 0, 0, 1, 2, "x", "y", "z", None])
    files = st.tuples(*(file for _ in PATHS))
    return st.builds(Made, st.sampled_from(NAMES), parents, files, st.integers(0, 2))


def build(folder: Path, history: list[Made]) -> None:
    """Write the commits with git fast-import, the last one on main, and check it out."""
    trees: list[dict[str, str]] = []
    lines = ["feature done\n"]
    for number, one in enumerate(history):
        parents = [number - back for back in one.parents if back <= number]
        tree = {}
        for path, file in zip(PATHS, one.files, strict=True):
            if isinstance(file, int):
                file = trees[parents[file % len(parents)]].get(path) if parents else None
            if file is not None:
                tree[path] = file
        trees.append(tree)
        message = MESSAGES[one.author]
        lines.append(f"reset refs/heads/c{number}\n\ncommit refs/heads/c{number}\nmark :{number + 1}\n")
        lines.append(f"committer {one.author} <a@example.com> {1_700_000_000 + one.time} +0000\n")
        lines.append(f"data {len(message)}\n{message}\n")
        lines += [f"{word} :{parent + 1}\n" for word, parent in zip(["from", *["merge"] * 9], parents, strict=False)]
        lines.append("deleteall\n")
        lines += [f"M 100644 inline {path}\ndata 1\n{text}\n" for path, text in tree.items()]
    lines.append(f"reset refs/heads/main\nfrom :{len(history)}\n\ndone\n")
    ask(folder, "init", "--quiet")
    ask(folder, "fast-import", "--quiet", stdin="".join(lines))
    ask(folder, "reset", "--quiet", "--hard")


def ask(folder: Path, *arguments: str, stdin: str = "") -> str:
    """Ask git."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, input=stdin, capture_output=True, text=True, check=True).stdout


class Definition:
    """The definition, word by word, with one look at every commit."""

    def __init__(self, folder: Path) -> None:
        self.parents: dict[str, list[str]] = {}
        self.author: dict[str, str] = {}
        self.time: dict[str, int] = {}
        for line in ask(folder, "log", "--format=%H %ct %an %P", "main").splitlines():
            commit, time, self.author[commit], *self.parents[commit] = line.split()
            self.time[commit] = int(time)
        questions = [(commit, path) for commit in self.parents for path in PATHS]
        feed = "".join(f"{commit}:{path}\n" for commit, path in questions)
        answers = ask(folder, "cat-file", "--batch-check", stdin=feed).splitlines()
        blobs = ("0" * 40 if answer.endswith("missing") else answer.split()[0] for answer in answers)
        self.blob = dict(zip(questions, blobs, strict=True))
        self.head = ask(folder, "rev-parse", "main").strip()
        self.owners = cache(self.find_owners)
        self.left = cache(self.find_left)

    def same(self, commit: str, path: str) -> list[str]:
        """Give the parents with the same file."""
        return [one for one in self.parents[commit] if self.blob[one, path] == self.blob[commit, path]]

    def never(self, commit: str, path: str) -> bool:
        """Tell whether there is no file, and there was none."""
        return not self.parents[commit] and not self.blob[commit, path].strip("0")

    def own(self, commit: str) -> bool:
        """Tell whether we made a commit."""
        return self.author[commit] == "ours" and len(self.parents[commit]) < 2

    def find_owners(self, commit: str, path: str) -> frozenset[str]:
        """Give the commits that made the file what it is."""
        if same := self.same(commit, path):
            return frozenset().union(*(self.owners(one, path) for one in same))
        return frozenset() if self.never(commit, path) else frozenset({commit})

    def find_left(self, commit: str, path: str, changed_by: str) -> frozenset[tuple[int, str, int, str, str]]:
        """Give what we left on the way here, with when a person changed it and when we made it."""
        if same := self.same(commit, path):
            return frozenset().union(*(self.left(one, path, changed_by) for one in same))
        if self.never(commit, path):
            return frozenset()
        if self.own(commit):
            times = (self.time[changed_by], changed_by, self.time[commit], commit)
            return frozenset({(*times, self.blob[commit, path])})
        return frozenset().union(*(self.left(one, path, commit) for one in self.parents[commit]))

    def words(self) -> Iterator[tuple[str, tuple[str, str]]]:
        """Give the commit with the last word, and what it rejects, by path."""
        for path in PATHS:
            held = []
            for word in self.owners(self.head, path):
                left = frozenset[tuple[int, str, int, str, str]]().union(
                    *(self.left(one, path, word) for one in self.parents[word])
                )
                rejected = max(left)[-1] if left else ""
                if not self.own(word) and rejected != self.blob[self.head, path]:
                    held.append((self.time[word], word, rejected))
            if held:
                yield path, max(held)[1:]


def last_words(folder: Path) -> dict[str, tuple[str, str]]:
    """Ask what is tested."""
    repository = Checkout(folder)
    words = repository.last_words(repository.head(), "edge", PATHS)
    return {path: (word.commit, word.rejected) for path, word in words.items()}


FIRST = Made("ours", (), ("x", None))
AGAIN = Made("ours", (1,), ("y", 0))
REVERT = Made("theirs", (1,), ("x", 0))
# two versions of ours are edited to the same text, the older one later, and merged; then the older one is restored
EDITED_TWICE = [
    FIRST,
    Made("theirs", (1,), ("z", 0), 2),
    Made("ours", (2,), ("y", 0), 1),
    Made("theirs", (1,), ("z", 0), 1),
    Made("theirs", (1, 3), (0, 0), 2),
    Made("theirs", (1,), ("x", 0), 2),
]


@settings(max_examples=150)
@example([FIRST, AGAIN, Made("theirs", (2,), (0, "x")), Made("theirs", (2,), ("x", 0)), Made("theirs", (1, 2), (0, 1))])
@example([FIRST, AGAIN, Made("theirs", (2,), (0, "x")), Made("theirs", (2,), ("x", 0)), Made("theirs", (2, 1), (1, 0))])
@example([FIRST, AGAIN, REVERT, Made("theirs", (1,), ("y", 0))])
@example([FIRST, AGAIN, REVERT, Made("ours", (3, 1), (1, "z"))])
@example(EDITED_TWICE)
@given(history=st.lists(made(), min_size=1, max_size=12))
def test_it_is_as_defined(history: list[Made]) -> None:
    """On any history: branches, roots, merges of any order with any content, clocks that go back."""
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), history)
        assert last_words(Path(folder)) == dict(Definition(Path(folder)).words())


@pytest.mark.parametrize("depth", [1, 2, 4])
@settings(max_examples=25)
@given(history=st.lists(made(), min_size=4, max_size=12))
def test_it_is_the_same_on_a_shallow_clone(depth: int, history: list[Made]) -> None:
    """However little of the history is there at first."""
    with tempfile.TemporaryDirectory() as top:
        origin, clone = Path(top) / "origin", Path(top) / "clone"
        origin.mkdir()
        build(origin, history)
        ask(Path(top), "clone", "--quiet", f"--depth={depth}", origin.as_uri(), "clone")
        assert last_words(clone) == dict(Definition(origin).words())
