"""The verbs. What is slow to import is imported by the verb that needs it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from publisher import __version__
from publisher.cli import actions, doctor, past, sync, wiring
from publisher.cli.options import (
    EXIT_CHANGES,
    EXIT_REFUSED,
    AllowOption,
    ContextOption,
    DryRunOption,
    Format,
    FormatOption,
    KubeconfigOption,
    RepoOption,
    SnapshotOption,
    TextOrJson,
    TextOrJsonOption,
)

app = typer.Typer(
    name="publisher",
    help="Publish a Karmada fleet as Pipy configuration in Git: every change is a diff, every rollback a revert.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"publisher {__version__}")
        raise typer.Exit


@app.callback()
def _publisher(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    settings: Annotated[
        str,
        typer.Option(
            "--settings",
            metavar="FILE",
            envvar="PUBLISHER_SETTINGS",
            help="Another file of the repository in place of publisher.yaml, where several publishers share it.",
        ),
    ] = "publisher.yaml",
) -> None:
    wiring.settings_file.set(settings)


@app.command()
def init(
    directory: Annotated[
        Path, typer.Argument(help="A folder, or an empty repository.", show_default="the current folder")
    ] = Path(),
) -> None:
    """Lay down a config repository; overwrites nothing."""
    from publisher.cli import screen
    from publisher.edge import files

    laid = wiring.laid_down()
    files.write_new_tree(directory, laid)
    screen.lines(f"+ {path}" for path in sorted(laid))
    screen.say(f"next: edit {directory / 'publisher.yaml'}, commit, then publisher plan --repo {directory}")


@app.command()
def plan(
    repo: RepoOption = ".",
    snapshot: SnapshotOption = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Work offline from the newest snapshot that publish recorded.")
    ] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    allow: AllowOption = None,
    format: FormatOption = Format.TEXT,
    comment: Annotated[
        int, typer.Option("--comment", metavar="NUMBER", help="Also write it on this pull request.", show_default=False)
    ] = 0,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 5 where there is something to do.")] = False,
) -> None:
    """Show what publish would change, and why."""
    from publisher.cli import show
    from publisher.commands import pipeline, record

    history = wiring.history(repo)
    source = record.source(history) if recorded else wiring.source(snapshot, kubeconfig, context)
    outcome = pipeline.plan(history, source, time.time(), pipeline.Say(tuple(allow or ())))
    show.plan(outcome, format)
    if comment:
        wiring.forge(repo)().comment(comment, "plan", show.markdown(outcome))
    show.leave(outcome.plan)
    if exit_code and outcome.plan.files:
        raise typer.Exit(EXIT_CHANGES)


@app.command()
def publish(
    repo: RepoOption = ".",
    snapshot: SnapshotOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    allow: AllowOption = None,
    plan_digest: Annotated[
        str, typer.Option("--plan-digest", metavar="DIGEST", help="Publish only the plan that has this digest.")
    ] = "",
    format: FormatOption = Format.TEXT,
    dry_run: DryRunOption = False,
) -> None:
    """Commit the plan and push it, or keep a pull request of it."""
    from publisher.cli import show
    from publisher.commands.pipeline import Say
    from publisher.commands.publish import Order

    order = Order(dry_run, Say(tuple(allow or ())), plan_digest)
    show.published(wiring.publisher(repo, wiring.source(snapshot, kubeconfig, context)).publish(order), format, dry_run)


@app.command()
def resume(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAMESPACE/NAME|CLUSTER]...", help="What is held.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that is held.")] = False,
    repo: RepoOption = ".",
    snapshot: SnapshotOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    allow: AllowOption = None,
    format: FormatOption = Format.TEXT,
    dry_run: DryRunOption = False,
) -> None:
    """Publish again what a person's revert or edit holds."""
    from publisher.cli import show
    from publisher.commands.pipeline import ALL, Say
    from publisher.commands.publish import Order
    from publisher.errors import UsageError

    if bool(names) == every:
        raise UsageError("name what to resume, or say --all; publisher status lists what is held")
    order = Order(dry_run, Say(tuple(allow or ()), frozenset([ALL] if every else names or ())))
    show.published(wiring.publisher(repo, wiring.source(snapshot, kubeconfig, context)).publish(order), format, dry_run)


past.register(app)
sync.register(app)
doctor.register(app)


@app.command()
def explain(
    service: Annotated[str, typer.Argument(metavar="NAMESPACE/NAME", help="The service.")],
    repo: RepoOption = ".",
    snapshot: SnapshotOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    format: TextOrJsonOption = TextOrJson.TEXT,
) -> None:
    """List a service's targets, and why the rest are none."""
    import json

    from publisher.cli import screen
    from publisher.commands import pipeline
    from publisher.commands.explain import explain as run

    found = run(pipeline.plan(wiring.history(repo), wiring.source(snapshot, kubeconfig, context), time.time()), service)
    if format is TextOrJson.JSON:
        screen.result(json.dumps(found.document(), indent=2) + "\n")
        return
    state = f"not published: {found.unpublished}" if found.unpublished else "published"
    screen.lines([f"{found.service}: {state}" + (", its file stays as it is" if found.kept else "")])
    screen.lines(f"  route {route}" for route in found.routes)
    if found.targets:
        rows = (
            [item.cluster, item.node or "-", item.address, str(item.weight), _shares(shares)]
            for item, shares in found.targets.items()
        )
        screen.table(("cluster", "node", "address", "weight", "share"), rows)
    screen.lines(f"- {'/'.join(filter(None, (item.cluster, item.node)))}: {item.reason}" for item in found.excluded)
    screen.lines(f"? {item.cluster}: unknown, left as published: {item.reason}" for item in found.unknown)
    screen.findings(found.findings)


def _shares(shares: Mapping[str, float]) -> str:
    """Write a target's share of the requests; by port where routes lead to several."""
    name = "{} " if len(shares) > 1 else ""
    return ", ".join(f"{name.format(port)}{share * 100:.3g} %" for port, share in shares.items())


@app.command()
def validate(
    directory: Annotated[
        Path, typer.Argument(help="The config repository.", show_default="the current folder")
    ] = Path(),
    format: TextOrJsonOption = TextOrJson.TEXT,
) -> None:
    """Check a config repository; needs no Karmada."""
    import json

    from publisher.cli import screen
    from publisher.commands.validate import validate as run
    from publisher.core.documents import finding_document
    from publisher.core.report import count

    found = run(wiring.reader(str(directory)))
    errors = sum(1 for finding in found if finding.severity == "error")
    if format is TextOrJson.JSON:
        screen.result(
            json.dumps({"valid": not errors, "findings": [finding_document(f) for f in found]}, indent=2) + "\n"
        )
    else:
        screen.lines(f"{finding.severity}: {finding}" for finding in found)
        screen.say(
            f"{directory}: {count(errors, 'error')}, {count(len(found) - errors, 'warning')}"
            if found
            else f"{directory}: valid"
        )
    actions.annotate(found)
    if errors:
        raise typer.Exit(EXIT_REFUSED)


@app.command()
def snapshot(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write, new or of an older snapshot.")],
    repo: RepoOption = ".",
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    format: TextOrJsonOption = TextOrJson.TEXT,
) -> None:
    """Write the fleet as YAML, to work from offline."""
    import json

    from publisher import settings
    from publisher.cli import screen
    from publisher.commands import snapshot as verb
    from publisher.core import snapshot as documents
    from publisher.edge import files

    reader = wiring.reader(repo)
    topology = wiring.source(None, kubeconfig, context)(settings.load(reader.settings(), reader.settings_file))
    files.replace_folder(output, documents.dump(topology), documents.INDEX)
    rows = verb.overview(topology)
    if format is TextOrJson.JSON:
        screen.result(json.dumps({"snapshot": str(output), "clusters": rows}, indent=2) + "\n")
    else:
        names = ("cluster", "nodes", "services", "endpoints")
        screen.table(names, ([str(row[name]) for name in names] for row in rows))
        screen.say(f"snapshot {documents.digest(topology)} in {output}")
    screen.findings(topology.findings)


@app.command()
def demo(
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep the fleet up and print a kubeconfig, to try the verbs by hand.")
    ] = False,
) -> None:
    """Run the main job on an embedded fleet."""
    from publisher.cli import story

    if serve:
        story.serve()
    else:
        story.tell()
