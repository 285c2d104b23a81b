"""Who has the last word on a file: a walk from a commit back, along the parents that have the file as it is there."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from publisher.core.history import ID_TRAILER, Commit, Word, trailers
from publisher.edge.git.run import GitRunner

_FORMAT = "%P%n%ct%n%an%n%B%x00"
_FEW = 10
"""Paths that git compares one by one faster than it lists what else has changed in their folders."""


class Change(NamedTuple):
    """A file that a commit has as none of its parents has it."""

    before: tuple[str, ...]
    """Blob id for each parent, all zeros where there was no file."""
    after: str


class Facts(NamedTuple):
    """What the history that is here tells."""

    words: Mapping[str, Word]
    undecided: Set[str]
    """Paths for which it ends too early."""
    ends: Set[str]
    """Commits whose parents are not here."""


def read_commits(git: GitRunner, *limits: str) -> list[Commit]:
    """Read commits as ``git rev-list`` chooses and orders them, without paths."""
    out = git.run("rev-list", "--encoding=UTF-8", f"--format={_FORMAT}", *limits).decode(errors="replace")
    found = []
    for entry in out.split("\0\n")[:-1]:
        head, parents, time, author, message = entry.split("\n", 4)
        found.append(Commit(head.removeprefix("commit "), tuple(parents.split()), author, int(time), message, ()))
    return found


def is_own(commit: Commit, publisher: str) -> bool:
    """Tell whether the publisher made a commit; a merge is always a person's."""
    return len(commit.parents) < 2 and publisher in trailers(commit.message, ID_TRAILER)


def read_changes(
    git: GitRunner, lines: Sequence[str], paths: Collection[str], *, below: bool = False
) -> Iterator[dict[str, Change]]:
    """Give what each commit changes of some files, or also below some folders.

    A line is a commit, or a commit and the one parent to look at.
    """
    arguments = ("--stdin", "-c", "-r", "--root", "--raw", "-z", "--no-abbrev", "--no-renames", "--always")
    feed = "".join(f"{line}\n" for line in lines).encode()
    literal = {"GIT_LITERAL_PATHSPECS": "1"}
    out = git.run(
        "diff-tree", *arguments, "--", *(sorted(paths) if below else _limits(paths)), stdin=feed, extra=literal
    )
    changes: dict[str, Change] | None = None
    records = iter(out.decode(errors="replace").split("\0")[:-1])
    for record in records:
        if not record.startswith(":"):
            if changes is not None:
                yield changes
            changes = {}
            continue
        parents = record.count(":")
        path = next(records)
        *before, after = record.split(" ")[parents + 1 : -1]
        # where the content is as before it is the file's mode that changed
        if changes is not None and (below or path in paths) and after not in before:
            changes[path] = Change(tuple(before), after)
    if changes is not None:
        yield changes


def _limits(paths: Collection[str]) -> list[str]:
    folders = {posixpath.dirname(path) for path in paths}
    few = next((some for some in (set(paths), folders) if len(some) <= _FEW), {posixpath.commonpath(folders)})
    return [] if "" in few else sorted(few)


def _blobs(git: GitRunner, commit: str, paths: Collection[str]) -> dict[str, str]:
    """Give the blob id of each path at a commit, all zeros where there is no file."""
    out = git.run("ls-tree", "-r", "-z", "--full-tree", commit, "--", *_limits(paths)).decode(errors="replace")
    found = dict.fromkeys(paths, "0" * len(commit))
    for line in filter(None, out.split("\0")):
        facts, _, path = line.partition("\t")
        if path in found:
            found[path] = facts.split()[2]
    return found


class _Left(NamedTuple):
    """What the publisher left and a person changed; the greatest is the newest."""

    changed: int
    changed_by: str
    time: int
    commit: str
    blob: str


class _Walk:
    """From a commit back.

    ``waiting`` holds, for commits to come, the paths that are still open there, each with what is sought: ``("", "")``
    the commit that made the file what it is, or ``(word, by)`` what the publisher left before a person's commit
    ``word``, of which ``by``, a person's too, is the oldest change met so far.
    """

    def __init__(self, commits: Mapping[str, Commit], own: Set[str], ends: Set[str]) -> None:
        self.commits = commits
        self.own = own
        self.ends = ends
        self.waiting: dict[str, dict[str, set[tuple[str, str]]]] = {}
        self.words: dict[str, set[str]] = {}
        self.left: dict[tuple[str, str], list[_Left]] = {}
        self.undecided: set[str] = set()

    def run(self, git: GitRunner, people: Mapping[str, Set[str]] | None) -> None:
        """Walk until nothing is open. ``people``: all that people ever made of a path, where all history is here."""
        order = list(self.commits)
        start, size = 0, 100
        while self.waiting:
            chunk = self._reached(order[start : start + size])
            lines = [line for one in chunk for line in self._lines(one)]
            paths = set().union(*self.waiting.values())
            changes = read_changes(git, lines, paths)
            for one in chunk:
                self._step(one, [next(changes) for _ in self._lines(one)], people)
            start, size = start + size, size * 3

    def _reached(self, chunk: list[str]) -> list[Commit]:
        reached = set(self.waiting)
        found = []
        for name in chunk:
            if name in reached:
                found.append(self.commits[name])
                reached.update(self.commits[name].parents)
        return found

    def _lines(self, commit: Commit) -> list[str]:
        if commit.id in self.ends:
            return []
        if len(commit.parents) < 2:
            return [commit.id]
        return [f"{commit.id} {parent}" for parent in commit.parents]

    def _step(self, commit: Commit, changes: list[dict[str, Change]], people: Mapping[str, Set[str]] | None) -> None:
        here = self.waiting.pop(commit.id, {})
        if commit.id in self.ends:
            self.undecided.update(here)
            return
        edited = set()
        for path in here.keys() & set.intersection(*(set(change) for change in changes)):
            sought = here.pop(path)
            change = changes[0][path]
            if commit.id in self.own:
                self._note(path, sought, commit, change.after)
                continue
            if ("", "") in sought:
                self.words.setdefault(path, set()).add(commit.id)
            sought = {(word or commit.id, commit.id) for word, _ in sought}
            before = change.before[0]
            if people is not None and len(commit.parents) == 1 and before.strip("0") and before not in people[path]:
                self._note(path, sought, commit, before)  # no person made that, so the publisher did
                continue
            here[path] = sought
            edited.add(path)
        if len(commit.parents) == 1 and commit.parents[0] not in self.waiting and here:
            self.waiting[commit.parents[0]] = here
            return
        for parent, change_there in zip(commit.parents, changes, strict=False):
            there = self.waiting.setdefault(parent, {})
            for path in here.keys() - (change_there.keys() - edited):
                there.setdefault(path, set()).update(here[path])
            if not there:
                del self.waiting[parent]

    def _note(self, path: str, sought: Set[tuple[str, str]], commit: Commit, blob: str) -> None:
        for word, by in sought:
            if word:
                left = _Left(self.commits[by].time, by, commit.time, commit.id, blob)
                self.left.setdefault((path, word), []).append(left)


def find_words(git: GitRunner, commit: str, publisher: str, paths: Collection[str], shallow: Set[str]) -> Facts:
    """Find the paths on which a person has the last word, in the history that is here; ``shallow``: where that ends."""
    commits = {one.id: one for one in read_commits(git, "--topo-order", commit)}
    own = {one.id for one in commits.values() if is_own(one, publisher)}
    ends = shallow & commits.keys()
    blobs = _blobs(git, commit, paths)
    people: dict[str, set[str]] | None = None
    if not ends:
        # people's commits are few and mostly elsewhere, so this is quick, and leaves little to walk for
        people = {path: set() for path in paths}
        for changes in read_changes(git, [name for name in commits if name not in own], paths):
            for path, change in changes.items():
                people[path].add(change.after)
        paths = [path for path in paths if blobs[path] in people[path]]
    walk = _Walk(commits, own, ends)
    if paths:
        walk.waiting[commit] = {path: {("", "")} for path in paths}
    walk.run(git, people)
    words = {}
    for path in walk.words.keys() - walk.undecided:
        held = []
        for name in walk.words[path]:
            left = walk.left.get((path, name))
            rejected = max(left).blob if left else ""
            if rejected != blobs[path]:
                one = commits[name]
                held.append(Word(name, one.author, one.time, one.subject, rejected))
        if held:
            words[path] = max(held, key=lambda word: (word.time, word.commit))
    return Facts(words, walk.undecided, ends)
