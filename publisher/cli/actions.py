"""GitHub Actions: the summary and the outputs of a step, and annotations of files. Nothing of it elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from publisher.core.redact import one_line, redact

if TYPE_CHECKING:
    from publisher.core.model import Finding
    from publisher.core.plan import Plan
    from publisher.core.rollout import Rollout
    from publisher.errors import PublisherError


def tell(plan: Plan, markdown: Callable[[], str], commit: str, request: str) -> None:
    """Write summary, outputs and annotations of a plan, as far as the environment asks for them."""
    from publisher.core import report

    outputs = {
        "changed": str(bool(plan.files)).lower(),
        "digest": plan.digest,
        "commit": commit,
        "pull-request": request,
        "held": str(len(plan.held)),
        "refused": str(len(plan.refusals) + len(plan.errors)),
    }
    _append("GITHUB_OUTPUT", lambda: "".join(f"{name}={value}\n" for name, value in outputs.items()))
    _append("GITHUB_STEP_SUMMARY", markdown)
    annotate(plan.findings)
    for line in report.refusal_lines(plan):
        _annotate("error", line.removeprefix("! "))
    for held in plan.held:
        _annotate("warning", f"{held.name}: held, {report.whose(held.word)}; publisher resume publishes it again")


def tell_sync(rollout: Rollout) -> None:
    """Write summary and outputs of a sync, and mark what went wrong."""
    from publisher.core import markdown
    from publisher.core.rollout import Result, summary

    bad = [item for item in rollout.synced if not item.result.good]
    results = [item.result for item in bad or rollout.synced]
    outputs = {
        "commit": rollout.commit,
        "result": Result.PUBLISHED if Result.PUBLISHED in results else results[0],
        "workers": summary(rollout).partition(" workers")[0].replace("no", "0/0"),
    }
    _append("GITHUB_OUTPUT", lambda: "".join(f"{name}={value}\n" for name, value in outputs.items()))
    _append("GITHUB_STEP_SUMMARY", lambda: markdown.synced(rollout))
    for item in bad:
        _annotate("error", item.message or f"{item.place}: {item.result}")


def fail(error: PublisherError) -> None:
    """Mark what an error found, or say the error itself."""
    if error.findings:
        annotate(error.findings)
    else:
        _annotate("error", redact(str(error)))


def annotate(findings: Iterable[Finding]) -> None:
    """Mark the lines of files that something is wrong with."""
    for finding in findings:
        file = "" if " " in finding.where else finding.where  # else an object, such as "cluster member1"
        line = finding.pointer.removeprefix("line ")
        _annotate(finding.severity, str(finding), file, line if line.isdecimal() else "")


def harmless(line: str) -> str:
    """Keep what tenants write from being a command: the runner looks for this old form of one anywhere in a line."""
    return line.replace("##[", "## [") if os.environ.get("GITHUB_ACTIONS") == "true" else line


def _annotate(kind: str, message: str, file: str = "", line: str = "") -> None:
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    place = f" file={_escape(file, property=True)}" if file else ""
    place += f",line={line}" if file and line else ""
    print(f"::{kind}{place}::{_escape(harmless(one_line(message)))}", file=sys.stderr)


def _append(variable: str, text: Callable[[], str]) -> None:
    if path := os.environ.get(variable):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text())


def _escape(text: str, *, property: bool = False) -> str:
    for char in "%\r\n" + (":," if property else ""):
        text = text.replace(char, f"%{ord(char):02X}")
    return text
