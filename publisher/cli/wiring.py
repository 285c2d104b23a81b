"""Builds the edges that a verb works with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publisher.commands.ports import History, Origin, Reader, Source
    from publisher.commands.publish import Publisher
    from publisher.commands.standing import Standing
    from publisher.core.history import Commit, Word
    from publisher.core.model import Topology
    from publisher.core.policy import Policy
    from publisher.edge.files import Folder
    from publisher.edge.git import Checkout, Clone
    from publisher.edge.github import GitHub
    from publisher.edge.pipy import Access, PipyRepo, Timing


settings_file = ContextVar("settings_file", default="publisher.yaml")
"""What the command line calls the file that settings are in."""


def reader(repo: str) -> Reader:
    """Open a config repository to read: a folder as it lies there, or the newest commit behind a URL."""
    from publisher.edge.files import Folder
    from publisher.edge.git import Clone, is_url

    return Clone(repo, settings_file.get()) if is_url(repo) else Folder(Path(repo), settings_file.get())


def history(repo: str) -> History:
    """Open a config repository to plan on: the files as they lie there, and the history of the commit below them."""
    from publisher.edge.files import Folder
    from publisher.edge.git import Checkout, Clone, has_history, is_url

    if is_url(repo):
        return Clone(repo, settings_file.get())
    folder = Folder(Path(repo), settings_file.get())
    return WorkTree(folder, Checkout(Path(repo)) if has_history(Path(repo)) else None)


@dataclass(frozen=True)
class WorkTree:
    """The files of a folder, with the history of the commit that they were checked out from, if there is one."""

    folder: Folder
    git: Checkout | None

    @property
    def settings_file(self) -> str:
        """The file that settings are in."""
        return self.folder.settings_file

    def settings(self) -> bytes:
        """Give publisher.yaml."""
        return self.folder.settings()

    def head(self) -> str:
        """Give the commit that is checked out."""
        return self.git.head() if self.git else ""

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        """Read the files below some paths as they lie there, or of any other commit than the one below them."""
        return self.git.tree(commit, paths) if self.git and commit != self.head() else self.folder.tree("", paths)

    def last_words(self, commit: str, publisher: str, paths: Collection[str]) -> Mapping[str, Word]:
        """Give the paths on which a person has the last word."""
        return self.git.last_words(commit, publisher, paths) if self.git else {}

    def allowances(self, commit: str, publisher: str) -> tuple[str, ...]:
        """Give the Publisher-Allow trailers since the publisher's last commit."""
        return self.git.allowances(commit, publisher) if self.git else ()

    def tip(self, branch: str) -> str:
        """Give the commit of another branch."""
        return self.git.tip(branch) if self.git else ""

    def log(
        self, commit: str, paths: Collection[str] = (), most: int = 0, since: str = "", besides: str = ""
    ) -> tuple[Commit, ...]:
        """Give the history from a commit back."""
        return self.git.log(commit, paths, most, since, besides) if self.git else ()


def repository(repo: str) -> Checkout | Clone:
    """Open a config repository to publish to."""
    from publisher.edge.git import Checkout, Clone, is_url

    return Clone(repo, settings_file.get()) if is_url(repo) else Checkout(Path(repo), settings_file.get())


def origin(
    repo: str, signed_by: Path | None = None, begun: Callable[[str], None] = lambda commit: None
) -> Callable[[], Origin]:
    """Give what opens a config repository to take codebases from: all commits, or those that some keys have signed.

    ``begun`` is called with the commit that is taken, before its signature is looked at.
    """
    from publisher.commands.vetted import Vetted
    from publisher.edge.git import read_signers

    if signed_by:
        read_signers(signed_by)  # a mistake in there is told at once; it may change while we run

    def open_origin() -> Origin:
        opened = repository(repo)

        def vet(commit: str) -> None:
            begun(commit)
            if signed_by:
                opened.check_signature(commit, read_signers(signed_by))

        return Vetted(opened, vet)

    return open_origin


def pipy_repos(urls: Iterable[str] | None, access: Access, *timing: Timing) -> list[PipyRepo]:
    """Open codebases of Pipy Repos, each once however often it is named."""
    from publisher.edge.pipy import PipyRepo

    opened = (PipyRepo(url, access, *timing) for url in urls or ())
    return list({place.name: place for place in opened}.values())


def publisher(repo: str, fleet: Source) -> Publisher:
    """Make what publishes a fleet to a config repository."""
    from publisher.cli import screen
    from publisher.commands.publish import Publisher

    def retrying(attempt: int) -> None:
        screen.say(f"somebody was faster to push; planning anew (attempt {attempt})")

    return Publisher(repository(repo), fleet, forge(repo), time.time, retrying)


def forge(repo: str) -> Callable[[], GitHub]:
    """Give what opens the host of a config repository, once, when something is asked of it."""

    @cache
    def open_forge() -> GitHub:
        from publisher.edge.git import Checkout, is_url
        from publisher.edge.github import from_environment

        return from_environment(repo if is_url(repo) else Checkout(Path(repo)).url(), os.environ)

    return open_forge


def standing(repo: str) -> Standing:
    """Give what tells GitHub how commits fare."""
    from publisher.cli import screen
    from publisher.commands.standing import Standing
    from publisher.edge.git import Checkout, is_url
    from publisher.edge.github import Timing, from_environment

    timing = Timing(answer=10, attempts=2, patience=10)  # nobody is to wait for it
    statuses = from_environment(repo if is_url(repo) else Checkout(Path(repo)).url(), os.environ, timing)
    run = [os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    url = "{}/{}/actions/runs/{}".format(*run) if all(run) else ""
    return Standing(statuses, url, lambda line: screen.say(f"warning: {line}", "yellow"))


def laid_down() -> dict[str, bytes]:
    """Give what a new config repository begins with, by path."""
    from publisher.edge import files
    from publisher.resources import folder

    laid = files.read_folder(folder("config-repo-template"))
    return laid | {f"schemas/{name}": data for name, data in files.read_folder(folder("schemas")).items()}


def source(snapshot: Path | None, kubeconfig: Path | None, context: str) -> Source:
    """Choose where the fleet comes from: live, or a snapshot."""
    return _live(kubeconfig, context) if snapshot is None else _offline(snapshot)


def _offline(snapshot: Path) -> Source:
    def read(_: Policy) -> Topology:
        from publisher.commands.snapshot import load
        from publisher.edge.files import read_folder

        return load(read_folder(snapshot))

    return read


def _live(kubeconfig: Path | None, context: str) -> Source:
    def read(policy: Policy) -> Topology:
        from publisher.cli import screen
        from publisher.edge.karmada import KarmadaFleet, Timing, from_kubeconfig

        timing = Timing()
        file = str(kubeconfig) if kubeconfig else None
        karmada = from_kubeconfig(file, context or policy.karmada.context, policy.karmada.concurrency, timing)
        with screen.reading() as progress:
            return KarmadaFleet(karmada, policy, timing).read(progress)

    return read
