"""The verbs about what was published: how it stands, who changed it, back to before, and made again."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from publisher.cli import wiring
from publisher.cli.options import (
    EXIT_REFUSED,
    ContextOption,
    DryRunOption,
    KubeconfigOption,
    RepoOption,
    SnapshotOption,
    TextOrJson,
    TextOrJsonOption,
)

if TYPE_CHECKING:
    from publisher.commands.history import Entry
    from publisher.commands.rehearsal import Rehearsal
    from publisher.commands.replay import Replayed
    from publisher.commands.status import Status
    from publisher.core.history import Commit


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (rollback, history, status, replay):
        app.command()(verb)


def rollback(
    what: Annotated[
        str, typer.Argument(metavar="COMMIT|NAMESPACE/NAME|CLUSTER", help="What goes back.", show_default=False)
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="COMMIT",
            help="Bring a service or cluster back as of it (default: before the publisher changed it last).",
            show_default=False,
        ),
    ] = "",
    pull_request: Annotated[
        bool, typer.Option("--pull-request", help="Ask to merge it instead of pushing it.")
    ] = False,
    repo: RepoOption = ".",
    snapshot: SnapshotOption = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Compare with the newest snapshot that publish recorded.")
    ] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    format: TextOrJsonOption = TextOrJson.TEXT,
    dry_run: DryRunOption = False,
) -> None:
    """Put back a commit, a service or a cluster.

    Tells first what that does, compared with the fleet where it can be read.
    """
    from publisher.cli import screen
    from publisher.commands import record
    from publisher.commands.rollback import Order
    from publisher.commands.rollback import rollback as run

    def tell(rehearsal: Rehearsal) -> None:
        if format is TextOrJson.TEXT:
            screen.lines(rehearsal.lines())

    repository = wiring.repository(repo)
    source = record.source(repository) if recorded else wiring.source(snapshot, kubeconfig, context)
    done = run(repository, source, wiring.forge(repo), Order(what, to, pull_request, dry_run), tell)
    if format is TextOrJson.JSON:
        _json(done.document())
    if done.request:
        screen.say(f"pull request {done.request.url} asks to merge it")
    elif done.commit:
        screen.say(f"rolled back as {done.commit[:12]}; git revert {done.commit[:12]} takes that back")
    elif done.rehearsal.plan.files:
        screen.say("dry run: nothing was committed")
    else:
        screen.say(f"nothing to roll back: {what} is as it was already")


def history(
    name: Annotated[
        str, typer.Argument(metavar="[NAMESPACE/NAME|CLUSTER]", help="Only of it.", show_default=False)
    ] = "",
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="So many commits.")] = 20,
    repo: RepoOption = ".",
    format: TextOrJsonOption = TextOrJson.TEXT,
) -> None:
    """Tell who changed what, when and why."""
    from publisher.cli import screen
    from publisher.commands.history import history as run

    entries = run(wiring.repository(repo), name, number, time.time())
    if format is TextOrJson.JSON:
        _json({"commits": [entry.document() for entry in entries]})
    elif entries:
        screen.table(("when", "commit", "what", "who", "subject", "touched", "since"), map(_row, entries))
    else:
        screen.say("nothing was published yet")


def _row(entry: Entry) -> list[str]:
    from publisher.core.redact import one_line
    from publisher.core.report import count, date

    names = entry.names if len(entry.names) <= 3 else (*entry.names[:2], f"{len(entry.names) - 2} more")
    since = [f"reverts {one[:12]}" for one in entry.reverts]
    since += [f"reverted by {entry.reverted_by[:12]}"] if entry.reverted_by else []
    since += [f"holds {', '.join(entry.holds) if len(entry.holds) <= 3 else count(len(entry.holds), 'file')}"] * bool(
        entry.holds
    )
    commit = entry.commit
    cells = (date(commit.time), commit.id[:12], entry.kind, commit.author, commit.subject, ", ".join(names))
    return [one_line(cell) for cell in (*cells, "; ".join(since))]


def status(
    max_age: Annotated[
        str,
        typer.Option(
            "--max-age",
            metavar="DURATION",
            help="Exit with 1 where nothing was published or recorded for so long, such as 90m, 25h, 2d.",
            show_default=False,
        ),
    ] = "",
    repo: RepoOption = ".",
    format: TextOrJsonOption = TextOrJson.TEXT,
) -> None:
    """Tell if publishing is alive, and what is held."""
    from publisher.cli import screen
    from publisher.commands.status import status as run
    from publisher.errors import PublisherError, UsageError
    from publisher.settings import seconds

    limit = seconds(max_age)
    if max_age and not limit:
        raise UsageError(f"--max-age {max_age}: not a duration; write 90m, 25h or 2d")
    found = run(wiring.repository(repo), time.time())
    if format is TextOrJson.JSON:
        _json(found.document())
    else:
        screen.lines(_status_lines(found))
    if limit and (found.quiet is None or found.quiet > limit):
        raise PublisherError(_late(found, max_age))


def _status_lines(found: Status) -> list[str]:
    from publisher.commands.review import branch_of
    from publisher.core.redact import one_line
    from publisher.core.report import count, whose

    policy = found.policy
    branch = branch_of(policy)
    ahead = f"{count(found.ahead, 'commit')} that {policy.git.branch} has not" if found.ahead else "nothing to merge"
    return [
        f"publisher {policy.publisher} on {policy.git.branch}",
        f"last published: {_when(found, found.published)}",
        f"last recorded: {_when(found, found.recorded)}",
        f"{branch}: {ahead}",
        f"{count(len(found.held), 'file')} held",
        *(one_line(f"= {hold.name}: held, {whose(hold.word)}") for hold in found.held),
    ]


def _when(found: Status, commit: Commit | None) -> str:
    from publisher.core.report import date

    if commit is None:
        return "never"
    return f"{date(commit.time)}, {_age(max(0, found.now - commit.time))} ago, {commit.id[:12]}"


def _age(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _late(found: Status, limit: str) -> str:
    publisher = found.policy.publisher
    if found.quiet is None:
        return (
            f"publisher {publisher} has never published or recorded anything on this remote; is its schedule running?"
        )
    hint = "is its schedule running?"
    if not found.policy.publish.heartbeat:
        hint += " A quiet fleet is told from a dead schedule by publish.heartbeat in publisher.yaml"
    return (
        f"publisher {publisher} has published and recorded nothing for {_age(found.quiet)}, more than {limit}; {hint}"
    )


def replay(
    commits: Annotated[list[str], typer.Argument(metavar="COMMIT...", help="Commits of the publisher.")],
    repo: RepoOption = ".",
    format: TextOrJsonOption = TextOrJson.TEXT,
) -> None:
    """Render again what was published, and compare.

    Exits with 4 where a commit differs; where none does, with 1 where a snapshot is not recorded, and with 2 where a
    commit is not the publisher's.
    """
    from publisher.cli import screen
    from publisher.commands.replay import replay as run

    found = run(wiring.repository(repo), commits)
    if format is TextOrJson.JSON:
        _json({"commits": [item.document() for item in found]})
    else:
        screen.lines(line for item in found for line in _replay_lines(item))
    codes = {"differs": EXIT_REFUSED, "no snapshot": 1, "not ours": 2}
    verdicts = {item.verdict for item in found}
    if code := next((code for verdict, code in codes.items() if verdict in verdicts), 0):
        raise typer.Exit(code)


def _replay_lines(item: Replayed) -> list[str]:
    from publisher.core.redact import one_line
    from publisher.core.report import count

    why = f": {item.why}" if item.why else f", {count(len(item.files), 'file')}"
    lines = [f"{item.commit.id[:12]} {item.verdict}{why} ({item.commit.subject})"]
    if item.differs:
        lines.append("  edited by hand, rendered by another version, or with a publisher.yaml that was not committed:")
        lines += [f"  ~ {path}" for path in item.differs]
    lines += [f"  left out: {path}" for path in item.left_out]
    return [one_line(line) for line in lines]


def _json(document: dict[str, Any]) -> None:
    from publisher.cli import screen

    screen.result(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
