"""What people see: results on stdout, the story on stderr, colour and progress on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from publisher.cli import actions
from publisher.commands.ports import Progress as Report
from publisher.core.model import Finding

_STYLES = {"+": "green", "-": "red", "~": "yellow", "?": "cyan", "!": "bold red"}
_WORDS = {"error:": "bold red", "warning:": "yellow", "ok": "green", "warn": "yellow", "FAIL": "bold red"}


def _console(stream: Any) -> Console:
    return Console(file=stream, soft_wrap=True, highlight=False, markup=False, emoji=False)


def result(text: str) -> None:
    """Print a result as it is."""
    sys.stdout.write(text)
    sys.stdout.flush()


def lines(found: Iterable[str]) -> None:
    """Print result lines, each coloured on a terminal by the sign or word that it begins with."""
    out = _console(sys.stdout)
    for line in found:
        word = line.split(" ", 1)[0] if line[:1] != " " else line.lstrip()[:1]
        out.print(Text(actions.harmless(line), style=_STYLES.get(word) or _WORDS.get(word) or ""))


def say(line: str, style: str = "") -> None:
    """Tell the story, on stderr."""
    _console(sys.stderr).print(Text(actions.harmless(line), style=style))


def findings(found: Iterable[Finding]) -> None:
    """Print findings, on stderr."""
    for finding in found:
        say(f"{finding.severity}: {finding}", _WORDS[f"{finding.severity}:"])


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table; columns of plain text where there is no terminal."""
    out = _console(sys.stdout)
    cells = [list(headings), *(list(row) for row in rows)]
    if not out.is_terminal:
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            result("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for heading in cells[0]:
        drawn.add_column(heading, overflow="fold")
    for row in cells[1:]:
        drawn.add_row(*(Text(cell) for cell in row))
    out.print(drawn)


@contextmanager
def reading() -> Iterator[Report]:
    """Show how many clusters are read: a bar on a terminal, one line elsewhere."""
    with progress() as bar:
        yield bar("reading clusters", lambda done, total: f"read {done} of {total} clusters")


@contextmanager
def progress() -> Iterator[Callable[[str, Callable[[int, int], str]], Report]]:
    """Give what shows how far each of several things is: bars on a terminal, one line each elsewhere, when done."""
    screen = _console(sys.stderr)
    if not screen.is_terminal:
        yield lambda _, line: lambda done, total: say(line(done, total)) if done == total else None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True) as bars:

        def bar(what: str, _: Callable[[int, int], str]) -> Report:
            task = bars.add_task(what, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield bar
