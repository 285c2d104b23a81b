"""Builds the edges that a verb works with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publisher.commands.ports import Forge, Reader, Repository, Source
    from publisher.core.model import Topology
    from publisher.core.policy import Policy


def reader(repo: str) -> Reader:
    """Open a config repository to read: a folder as it lies there, or the newest commit behind a URL."""
    from publisher.edge.files import Folder
    from publisher.edge.git import Clone, is_url

    return Clone(repo) if is_url(repo) else Folder(Path(repo))


def repository(repo: str) -> Repository:
    """Open a config repository to publish to."""
    from publisher.edge.git import Checkout, Clone, is_url

    return Clone(repo) if is_url(repo) else Checkout(Path(repo))


def forge(remote_url: str) -> Forge:
    """Reach the host of a remote, for pull requests; raises UsageError where there are no credentials."""
    from publisher.edge.github import from_environment

    return from_environment(remote_url, os.environ)


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
