"""The verbs. What is slow to import is imported by the verb that needs it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from publisher import __version__
from publisher.cli import wiring

if TYPE_CHECKING:
    from publisher.core.plan import Plan

app = typer.Typer(
    name="publisher",
    help="Publish a Karmada fleet as Pipy configuration in Git: every change is a diff, every rollback a revert.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

EXIT_REFUSED = 4
EXIT_CHANGES = 5


class Format(StrEnum):
    """How a plan is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


class TextOrJson(StrEnum):
    """How anything else is printed."""

    TEXT = "text"
    JSON = "json"


RepoOption = Annotated[
    str,
    typer.Option(
        "--repo", envvar="PUBLISHER_REPO", help="The config repository: a folder, or a file, https or ssh URL."
    ),
]
SnapshotOption = Annotated[
    Path | None, typer.Option("--snapshot", help="Work offline from a snapshot instead of reading the fleet.")
]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option("--kubeconfig", help="kubeconfig of the Karmada API server (default: KUBECONFIG or ~/.kube/config)."),
]
ContextOption = Annotated[
    str, typer.Option("--context", help="Context in it (default: karmada.context in publisher.yaml).")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print the plan.")]
TextOrJsonOption = Annotated[TextOrJson, typer.Option("--format", help="How to print the result.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"publisher {__version__}")
        raise typer.Exit


@app.callback()
def _publisher(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def init(
    directory: Annotated[
        Path, typer.Argument(help="A folder, or an empty repository.", show_default="the current folder")
    ] = Path(),
) -> None:
    """Lay down a config repository; overwrites nothing."""
    from publisher.cli import screen
    from publisher.edge import files
    from publisher.resources import folder

    laid = files.read_folder(folder("config-repo-template"))
    laid |= {f"schemas/{name}": data for name, data in files.read_folder(folder("schemas")).items()}
    files.write_new_tree(directory, laid)
    screen.lines(f"+ {path}" for path in sorted(laid))
    screen.say(f"next: edit {directory / 'publisher.yaml'}, commit, then publisher plan --repo {directory}")


@app.command()
def plan(
    repo: RepoOption = ".",
    snapshot: SnapshotOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    format: FormatOption = Format.TEXT,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 5 where there is something to do.")] = False,
) -> None:
    """Show what publish would change, and why."""
    from publisher.commands import pipeline

    outcome = pipeline.plan(wiring.reader(repo), wiring.source(snapshot, kubeconfig, context))
    _show(outcome.plan, format)
    _leave(outcome.plan)
    if exit_code and outcome.plan.files:
        raise typer.Exit(EXIT_CHANGES)


@app.command()
def publish(
    repo: RepoOption = ".",
    snapshot: SnapshotOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    format: FormatOption = Format.TEXT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Stop after the plan.")] = False,
) -> None:
    """Commit the plan and push it, never by force."""
    from publisher.cli import screen
    from publisher.commands.publish import publish as run

    def retrying(attempt: int) -> None:
        screen.say(f"somebody was faster to push; planning anew (attempt {attempt})")

    done = run(wiring.repository(repo), wiring.source(snapshot, kubeconfig, context), dry_run, retrying)
    _show(done.outcome.plan, format, done.commit)
    if done.commit:
        screen.say(f"published as {done.commit[:12]}; git revert {done.commit[:12]} takes it back")
    elif dry_run and done.outcome.plan.files:
        screen.say("dry run: nothing was committed")
    _leave(done.outcome.plan)


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

    found = run(pipeline.plan(wiring.reader(repo), wiring.source(snapshot, kubeconfig, context)), service)
    if format is TextOrJson.JSON:
        screen.result(json.dumps(found.document(), indent=2) + "\n")
        return
    state = f"not published: {found.unpublished}" if found.unpublished else "published"
    screen.lines([f"{found.service}: {state}" + (", its file stays as it is" if found.kept else "")])
    screen.lines(f"  route {route}" for route in found.routes)
    if found.targets:
        rows = ([item.cluster, item.node or "-", item.address, str(item.weight)] for item in found.targets)
        screen.table(("cluster", "node", "address", "weight"), rows)
    screen.lines(f"- {'/'.join(filter(None, (item.cluster, item.node)))}: {item.reason}" for item in found.excluded)
    screen.lines(f"? {item.cluster}: unknown, left as published: {item.reason}" for item in found.unknown)
    screen.findings(found.findings)


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
    from publisher.core.report import count, finding_document
    from publisher.edge.files import Folder

    found = run(Folder(directory))
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

    topology = wiring.source(None, kubeconfig, context)(settings.load(wiring.reader(repo).settings()))
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


def _show(plan: Plan, format: Format, commit: str = "") -> None:
    from publisher.cli import screen
    from publisher.core import report

    match format:
        case Format.TEXT:
            screen.lines(report.text(plan))
        case Format.JSON:
            screen.result(report.as_json(plan, commit))
        case Format.MARKDOWN:
            screen.result(report.markdown(plan))


def _leave(plan: Plan) -> None:
    """Exit with 4 where something was refused; the rest is done all the same."""
    if plan.errors:
        raise typer.Exit(EXIT_REFUSED)
