"""The verb that brings what is committed to Pipy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from publisher.cli import wiring
from publisher.cli.options import EXIT_REFUSED, DryRunOption, TextOrJson, TextOrJsonOption

if TYPE_CHECKING:
    from publisher.commands.ports import Place, Progress
    from publisher.core.rollout import Rollout, Synced


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(sync)


def sync(
    repo: Annotated[
        str,
        typer.Option(
            "--repo",
            "--repo-url",
            "--checkout",
            envvar="PUBLISHER_REPO",
            help="The config repository: a checkout, or a file, https or ssh URL.",
        ),
    ] = ".",
    ref: Annotated[
        str,
        typer.Option("--ref", help="A branch, tag or commit (default: what is checked out, or the remote's HEAD)."),
    ] = "",
    pipy: Annotated[
        list[str] | None,
        typer.Option("--pipy", metavar="URL", help="A codebase: http(s)://HOST:6060/repo/CODEBASE; may be repeated."),
    ] = None,
    pipy_ca: Annotated[
        Path | None, typer.Option("--pipy-ca", metavar="FILE", help="Who may sign the certificate of a Pipy Repo.")
    ] = None,
    pipy_cert: Annotated[
        Path | None, typer.Option("--pipy-cert", metavar="FILE", help="Client certificate to show to it.")
    ] = None,
    pipy_key: Annotated[
        Path | None, typer.Option("--pipy-key", metavar="FILE", help="Its key (default: in the same file).")
    ] = None,
    wave: Annotated[
        str,
        typer.Option(
            "--wave",
            metavar="1,50%,100%",
            help="One group of Pipy Repos after the other, as long as all workers follow.",
        ),
    ] = "100%",
    bundle: Annotated[
        bool, typer.Option("--bundle", help="Upload the generated configuration as one file, for far workers.")
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Overwrite a version that is no commit of this repository.")
    ] = False,
    converge_timeout: Annotated[
        float,
        typer.Option("--converge-timeout", metavar="SECONDS", min=0, help="How long workers may take to run it."),
    ] = 60.0,
    format: TextOrJsonOption = TextOrJson.TEXT,
    dry_run: DryRunOption = False,
) -> None:
    """Bring a commit to Pipy: upload what differs, publish, and wait until all workers run it.

    Where a worker refuses it, what was there before is put back, and the commit is not tried again.
    """
    from publisher.cli import screen
    from publisher.commands.sync import Options, Syncer
    from publisher.core.rollout import document
    from publisher.edge.pipy import SYSTEM, Access, PipyRepo
    from publisher.errors import UsageError

    if not pipy:
        raise UsageError("name the codebase of a Pipy Repo: --pipy http(s)://HOST:6060/repo/CODEBASE")
    access = Access(pipy_ca, pipy_cert, pipy_key)
    if access != SYSTEM and not any(url.startswith("https:") for url in pipy):
        raise UsageError("--pipy-ca, --pipy-cert and --pipy-key go with https, and no --pipy has it")
    places = list({place.name: place for place in (PipyRepo(url, access) for url in pipy)}.values())
    with screen.progress() as bar:

        def uploading(place: Place) -> Progress:
            return bar(
                f"uploading to {place.name}", lambda done, total: f"{place.name}: uploaded {done} of {total} files"
            )

        options = Options(bundle, take_over, dry_run, converge_timeout)
        syncer = Syncer(lambda: wiring.origin(repo), places, options, wave, say=screen.say, progress=uploading)
        rollout = syncer.run(ref)
    if format is TextOrJson.JSON:
        screen.result(json.dumps({**document(rollout), "dryRun": dry_run}, indent=2, ensure_ascii=False) + "\n")
    else:
        _show(rollout, dry_run)
    if code := exit_code(rollout):
        raise typer.Exit(code)


def exit_code(rollout: Rollout) -> int:
    """Give the exit code: 4 where somebody else's version is all that stood in the way, 1 for anything else."""
    from publisher.core.rollout import Result

    bad = {item.result for item in rollout.synced if not item.result.good} - {Result.SKIPPED}
    return 0 if not bad else EXIT_REFUSED if bad == {Result.FOREIGN} else 1


def _show(rollout: Rollout, dry_run: bool) -> None:
    from publisher.cli import screen
    from publisher.core.codebase import short
    from publisher.core.redact import one_line
    from publisher.core.rollout import summary

    for item in rollout.synced:
        screen.lines([one_line(_line(item, rollout.commit, dry_run))])
        if dry_run:
            screen.lines([one_line(f"  + {path}") for path in item.uploaded])
            screen.lines([one_line(f"  - {path}") for path in item.deleted])
    rows = [
        (item.place, worker.name or worker.uuid[:8], worker.address, short(worker.version) or "-", worker.state.value)
        for item in rollout.synced
        for worker in item.workers
    ]
    if rows:
        screen.table(("PLACE", "WORKER", "ADDRESS", "VERSION", "STATE"), rows)
    for item in rollout.synced:
        if item.message:
            screen.say(one_line(item.message), "bold red")
    if not dry_run:
        screen.lines([summary(rollout)])


def _line(item: Synced, commit: str, dry_run: bool) -> str:
    from publisher.core.report import count

    if item.uploaded or item.deleted:
        done = f", {count(len(item.uploaded), 'file')} uploaded, {len(item.deleted)} deleted"
    else:
        done = ""
    result = f"would be {item.result.value}" if dry_run else item.result.value
    return f"{item.place}: {commit[:7]} {result}{done}"
