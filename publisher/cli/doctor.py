"""``publisher doctor``: whether everything that publishing takes is there, a line for each thing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from publisher.cli import wiring
from publisher.cli.options import (
    ContextOption,
    KubeconfigOption,
    PipyCaOption,
    PipyCertOption,
    PipyKeyOption,
    PipyOption,
    RepoOption,
    TextOrJson,
    TextOrJsonOption,
)

if TYPE_CHECKING:
    from publisher.commands.doctor import Check, World
    from publisher.commands.doctor.ports import Fleet
    from publisher.commands.ports import Place
    from publisher.core.policy import Policy

_MARKS = {"ok": "ok", "warn": "warn", "fail": "FAIL", "not-checked": "?"}


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(doctor)


def doctor(
    repo: RepoOption = ".",
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    pipy: PipyOption = None,
    pipy_ca: PipyCaOption = None,
    pipy_cert: PipyCertOption = None,
    pipy_key: PipyKeyOption = None,
    format: TextOrJsonOption = TextOrJson.TEXT,
) -> None:
    """Check all that publishing takes; changes nothing.

    Exits with 1 where something fails. A warning is no failure.
    """
    import json

    from publisher.cli import screen
    from publisher.commands.doctor import State
    from publisher.commands.doctor import doctor as run
    from publisher.edge import pipy as pipy_edge

    access = pipy_edge.Access(pipy_ca, pipy_cert, pipy_key)
    patience = pipy_edge.Timing(read=10, tries=2)
    places = wiring.pipy_repos(pipy, access, patience)
    checks = []
    for check in run(_world(repo, kubeconfig, context, places)):
        checks.append(check)
        if format is TextOrJson.TEXT:
            screen.lines([_line(check)])
    number = {state: sum(check.state is state for check in checks) for state in State}
    if format is TextOrJson.JSON:
        document = {"healthy": not number[State.FAIL], "checks": [check.document() for check in checks]}
        screen.result(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    else:
        screen.say(", ".join(f"{many} {_MARKS[state]}" for state, many in number.items() if many))
    if number[State.FAIL]:
        raise typer.Exit(1)


def _line(check: Check) -> str:
    advice = f" -> {check.advice}" if check.advice else ""
    return f"{_MARKS[check.state]:<4} {check.name}: {check.message}{advice}"


def _world(repo: str, kubeconfig: Path | None, context: str, places: Sequence[Place]) -> World:
    from publisher.commands.doctor import World
    from publisher.edge.git import is_url
    from publisher.edge.karmada import KarmadaFleet, Probe, Timing, from_kubeconfig

    # a clone is locked by who has it open
    repository = cache(lambda: wiring.repository(repo))
    reader = repository if is_url(repo) else lambda: wiring.reader(repo)
    timing = Timing(read=10, total=30, attempts=2)  # one look is enough to say that something is wrong

    def fleet(policy: Policy) -> Fleet:
        file = str(kubeconfig) if kubeconfig else None
        karmada = from_kubeconfig(file, context or policy.karmada.context, policy.karmada.concurrency, timing)
        return Probe(KarmadaFleet(karmada, policy, timing))

    return World(reader, repository, wiring.forge(repo), fleet, wiring.laid_down(), places)
