"""GitHub Actions: the summary and the outputs of a step, and annotations of files. Nothing of it elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publisher.core.model import Finding
    from publisher.core.plan import Plan


def tell(plan: Plan, markdown: Callable[[], str], commit: str, request: str) -> None:
    """Write summary, outputs and annotations of a plan, as far as the environment asks for them."""
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


def annotate(findings: Iterable[Finding]) -> None:
    """Mark the lines of files that something is wrong with."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for finding in findings:
        file = f" file={_escape(finding.where, property=True)}" if "." in finding.where else ""
        line = finding.pointer.removeprefix("line ")
        place = f",line={line}" if file and line.isdecimal() else ""
        print(f"::{finding.severity}{file}{place}::{_escape(str(finding))}", file=sys.stderr)


def _append(variable: str, text: Callable[[], str]) -> None:
    if path := os.environ.get(variable):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text())


def _escape(text: str, *, property: bool = False) -> str:
    for char in "%\r\n" + (":," if property else ""):
        text = text.replace(char, f"%{ord(char):02X}")
    return text
