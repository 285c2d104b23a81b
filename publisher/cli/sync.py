"""The verb that brings what is committed to Pipy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from publisher.cli import actions, wiring
from publisher.cli.options import (
    EXIT_REFUSED,
    DryRunOption,
    PipyCaOption,
    PipyCertOption,
    PipyKeyOption,
    PipyOption,
    TextOrJson,
    TextOrJsonOption,
)

if TYPE_CHECKING:
    from publisher.commands.ports import Place, Progress
    from publisher.core.rollout import Rollout, Synced
    from publisher.errors import PublisherError

MAX_INTERVAL = 7 * 24 * 3600


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
    pipy: PipyOption = None,
    pipy_ca: PipyCaOption = None,
    pipy_cert: PipyCertOption = None,
    pipy_key: PipyKeyOption = None,
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
    to_dir: Annotated[
        Path | None,
        typer.Option(
            "--to-dir", metavar="DIR", help="Also, or only, write DIR/<version>/, and make DIR/current lead there."
        ),
    ] = None,
    after: Annotated[
        str,
        typer.Option(
            "--after", metavar="COMMAND", help="Run by sh -c once DIR/current has changed; it goes back if this fails."
        ),
    ] = "",
    signed_by: Annotated[
        Path | None,
        typer.Option(
            "--signed-by",
            metavar="FILE",
            help="Sync only commits that one of these keys has signed: SSH keys as git lists allowed signers, or "
            "OpenPGP fingerprints, one a line.",
        ),
    ] = None,
    commit_status: Annotated[
        bool, typer.Option("--commit-status", help="Say on GitHub, as publisher/sync, how the commit fares.")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Sync once; this is so without --interval and --webhook.")
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(
            "--interval",
            metavar="SECONDS",
            min=1,
            max=MAX_INTERVAL,
            help="Run on, and sync this often.",
        ),
    ] = None,
    webhook: Annotated[
        str,
        typer.Option(
            "--webhook",
            "--listen",
            metavar="HOST:PORT",
            help="Run on, and take push events of GitHub, Gitea or GitLab there, signed with PUBLISHER_WEBHOOK_SECRET; "
            "also /metrics, /healthz and /readyz. Without --interval it syncs at the start and at each push, and a "
            "minute after a run that failed.",
        ),
    ] = "",
    format: TextOrJsonOption = TextOrJson.TEXT,
    dry_run: DryRunOption = False,
) -> None:
    """Bring a commit to Pipy, and wait until all workers run it.

    Uploads only what differs. Once, or again and again with --interval or --webhook.

    Where a worker refuses it, what was there before is put back, and the commit is not tried again.
    """
    from publisher.cli import complain, screen
    from publisher.cli.running import run_on
    from publisher.commands.sync import Options, Syncer
    from publisher.core.rollout import document
    from publisher.edge.folder import FolderPlace
    from publisher.edge.pipy import SYSTEM, Access
    from publisher.errors import PublisherError, UsageError

    running = bool(interval or webhook)
    if not pipy and not to_dir:
        raise UsageError(
            "name the codebase of a Pipy Repo, or a folder: --pipy http(s)://HOST:6060/repo/CODEBASE, --to-dir DIR"
        )
    if after and not to_dir:
        raise UsageError("--after is for what --to-dir has changed; name a folder")
    if running and (once or dry_run):
        raise UsageError(f"{'--once' if once else '--dry-run'} does not go with --interval and --webhook")
    options = Options(bundle, take_over, dry_run, converge_timeout)
    access = Access(pipy_ca, pipy_cert, pipy_key)
    if access != SYSTEM and not any(url.startswith("https:") for url in pipy or ()):
        raise UsageError("--pipy-ca, --pipy-cert and --pipy-key go with https, and no --pipy has it")
    places: list[Place] = [
        *wiring.pipy_repos(pipy, access),
        *([FolderPlace(to_dir, after, screen.say)] if to_dir else []),
    ]
    standing = wiring.standing(repo) if commit_status and not dry_run else None
    origin = wiring.origin(repo, signed_by, standing.begun if standing else lambda commit: None)

    def tell(outcome: Rollout | PublisherError) -> None:
        if isinstance(outcome, PublisherError):
            complain(outcome)
        elif format is TextOrJson.JSON:
            told = {**document(outcome), "dryRun": dry_run}
            screen.result(json.dumps(told, indent=None if running else 2, ensure_ascii=False) + "\n")
        else:
            _show(outcome, dry_run)

    def run() -> Rollout:
        with screen.progress() as bar:

            def uploading(place: Place) -> Progress:
                return bar(
                    f"uploading to {place.name}", lambda done, total: f"{place.name}: uploaded {done} of {total} files"
                )

            syncer = Syncer(origin, places, options, wave, say=screen.say, progress=uploading)
            return standing.around(lambda: syncer.run(ref)) if standing else syncer.run(ref)

    if running:
        run_on(run, tell, ref, interval or 0, webhook, converge_timeout * len(places))
    rollout = run()
    tell(rollout)
    if not dry_run:
        actions.tell_sync(rollout)
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
