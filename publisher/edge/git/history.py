"""What the history of a repository tells. Where it is shallow, as much is fetched as it takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from publisher.core.history import ALLOW_TRAILER, Commit, Word, trailers
from publisher.edge.git import store
from publisher.edge.git.run import GitRunner, failure
from publisher.edge.git.signatures import Signers, check_signature
from publisher.edge.git.words import find_words, is_own, read_changes, read_commits
from publisher.errors import GitError, PublisherError

P = ParamSpec("P")
T = TypeVar("T")
_STEPS = ("--deepen=50", "--deepen=200", "--deepen=1000", "--unshallow")


class History:
    """A repository whose history is here, or at a remote."""

    _git: GitRunner

    def _source(self) -> str:
        """Name the remote to fetch from; empty where there is none."""
        raise NotImplementedError

    def _mended(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Read something, again where the repository is found damaged and can be made anew."""
        return read(*args, **kwargs)

    def last_words(self, commit: str, publisher: str, paths: Collection[str]) -> Mapping[str, Word]:
        """Give the paths on which a person has the last word at a commit, each with that word.

        People made every merge, and every commit without the publisher's trailer. A path that is as the publisher left
        it last is not among them, whoever made it so again. Where the history that would tell is not here and cannot be
        fetched, the word has no commit, and its subject says why.
        """
        if not paths:
            return {}
        steps = iter(_STEPS)
        while True:
            words, undecided, ends = self._mended(
                find_words, self._git, commit, publisher, frozenset(paths), self._shallow()
            )
            why = self._deepen(steps, ends) if undecided else ""
            if why or not undecided:
                return {**words, **{path: Word("", "", 0, why, "") for path in undecided}}

    def allowances(self, commit: str, publisher: str) -> tuple[str, ...]:
        """Give the Publisher-Allow trailers of the commits after the publisher's last one; none where it has none."""
        steps = iter(_STEPS)
        most = 100
        while True:
            newest = self._mended(read_commits, self._git, f"--max-count={most}", commit)
            own = next((one.id for one in newest if is_own(one, publisher)), "")
            if own:
                after = self._mended(read_commits, self._git, commit, f"^{own}")
                return tuple(value for one in after for value in trailers(one.message, ALLOW_TRAILER))
            if len(newest) == most:
                most *= 10
                continue
            ends = self._shallow() & {one.id for one in newest}
            if not ends or self._deepen(steps, ends):
                return ()

    def find(self, name: str) -> str:
        """Give the commit that a name stands for; raises UsageError where there is none."""
        return store.find(self._git, name)

    def check_signature(self, commit: str, signers: Signers) -> None:
        """Raise Refused, saying why, unless one of the keys has signed the commit."""
        check_signature(self._git, commit, signers)

    def log(
        self, commit: str, paths: Collection[str] = (), most: int = 0, since: str = "", besides: str = ""
    ) -> tuple[Commit, ...]:
        """Give the history from a commit back, newest first, without what ``since`` has behind it.

        Only what touches some files or folders, no more than so many, and not what the publisher ``besides`` made. Ends
        early where history is not here and cannot be fetched.
        """
        steps = iter(_STEPS)
        while True:
            found, ends = self._mended(self._read_log, commit, frozenset(paths), most, since, besides)
            if not ends or self._deepen(steps, ends):
                return tuple(found)

    def _read_log(
        self, commit: str, paths: Set[str], most: int, since: str, besides: str
    ) -> tuple[list[Commit], Set[str]]:
        """Give the log, and where the history that is here ends before it is complete."""
        limits = [f"--max-count={most}"] if most and not paths else []
        commits = read_commits(self._git, *limits, commit, *([f"^{since}"] if since else []))
        shallow = self._shallow() & {one.id for one in commits}
        behind: Set[str] = frozenset()
        if since and not all(one.parents for one in commits):
            # down to where history begins: part of that may lie behind ``since``, where its own is not here
            behind = self._shallow() & {one.id for one in read_commits(self._git, since)}
        if not paths:
            return commits, shallow | behind if not most or len(commits) < most else frozenset()
        commits = [one for one in commits if one.id in shallow or not besides or not is_own(one, besides)]
        found: list[Commit] = []
        met = set(behind)
        start, size = 0, 100
        while start < len(commits):
            chunk = commits[start : start + size]
            known = [one for one in chunk if one.id not in shallow]
            changes = zip(known, read_changes(self._git, [one.id for one in known], paths, below=True), strict=True)
            touched = {one.id: tuple(sorted(change)) for one, change in changes if change}
            for one in chunk:
                if one.id in shallow:
                    met.add(one.id)
                elif one.id in touched:
                    found.append(replace(one, paths=touched[one.id]))
                    if len(found) == most:
                        return found, met
            start, size = start + size, size * 3
        return found, met

    def _shallow(self) -> Set[str]:
        """Give the commits whose parents are not here though they have some."""
        name = self._git.run("rev-parse", "--path-format=absolute", "--git-path", "shallow").decode().removesuffix("\n")
        try:
            return frozenset(Path(name).read_text().split())
        except FileNotFoundError:
            return frozenset()

    def _deepen(self, steps: Iterator[str], ends: Set[str]) -> str:
        """Fetch more of what is behind some commits; where that cannot be done, gives why, in one line."""
        try:
            remote = self._source()
            step = next(steps, "")
            if remote and step:
                self._fetch_behind(remote, step, ends)
                return ""
            why = "the remote has no more" if remote else "there is no remote"
        except PublisherError as error:
            why = str(error)
        return f"this clone is shallow, and who wrote the file last is not in it: {why}; try git fetch --unshallow"

    def _fetch_behind(self, remote: str, step: str, ends: Set[str]) -> None:
        # Asked for by id, as no branch need have them any more. No branch moves here either.
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-prune", "--refmap=", step)
        status, _, err = self._git.network("fetch", *options, "--end-of-options", remote, *sorted(ends))
        if status:
            raise GitError(failure("fetch", err))
