"""Prints plans and what came of them; in GitHub Actions also where people look there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from publisher.cli import actions, screen
from publisher.cli.options import EXIT_REFUSED, Format
from publisher.core import documents, report
from publisher.core import markdown as written

if TYPE_CHECKING:
    from publisher.commands.pipeline import Outcome
    from publisher.commands.publish import Published
    from publisher.core.plan import Plan


def markdown(outcome: Outcome) -> str:
    """Write a plan as Markdown."""
    return written.markdown(outcome.plan, outcome.current, outcome.desired.config)


def plan(outcome: Outcome, format: Format, commit: str = "", request: str = "") -> None:
    """Print a plan, and tell GitHub Actions."""
    match format:
        case Format.TEXT:
            screen.lines(report.text(outcome.plan))
        case Format.JSON:
            screen.result(documents.as_json(outcome.plan, commit=commit, pullRequest=request))
        case Format.MARKDOWN:
            screen.result(markdown(outcome))
    actions.tell(outcome.plan, lambda: markdown(outcome), commit, request)


def published(done: Published, format: Format, dry_run: bool) -> None:
    """Print what publish did; raises typer.Exit where something was refused."""
    review = done.review
    plan(done.outcome, format, done.commit, review.url if review else "")
    if done.commit:
        screen.say(f"published as {done.commit[:12]}; git revert {done.commit[:12]} takes it back")
    elif dry_run and done.outcome.plan.files:
        screen.say("dry run: nothing was committed")
    if review:
        name = f"pull request {review.url}" if review.url else "pull request"
        screen.say(f"{name} {review.did}" + (f": {review.why}" if review.why else ""))
        if review.did == "stopped":
            raise typer.Exit(EXIT_REFUSED)
    leave(done.outcome.plan)


def leave(plan: Plan) -> None:
    """Exit with 4 where something was refused; the rest is done all the same."""
    if plan.errors or plan.refusals:
        raise typer.Exit(EXIT_REFUSED)
