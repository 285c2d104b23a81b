"""A plan as Markdown: for pull requests, comments and step summaries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from publisher.core import report
from publisher.core.config import Config, percent, shares
from publisher.core.diff import ServiceChange
from publisher.core.model import ServiceKey
from publisher.core.plan import Plan
from publisher.core.redact import one_line
from publisher.core.rollout import Rollout, summary

_DRAWN = 8
"""Services in the picture; as many routes of each, and clusters."""
_LINES = 12
"""Lines of a cell."""
_CLUSTERS, _SERVICES, _LIST, _FILES, _TABLE = 8_000, 28_000, 2_000, 4_000, 30_000
"""Characters of each part: GitHub takes 65,536 in all; the commit message and the plan's JSON have more."""


def markdown(plan: Plan, before: Config, after: Config) -> str:
    """Write a plan for a comment or a step summary."""
    return "\n".join([f"### Publisher `{plan.publisher}`: {report.summary(plan)}", "", *_sections(plan, before, after)])


def title(plan: Plan) -> str:
    """Write the title of a pull request."""
    return one_line(report.subject(plan))


def body(plan: Plan, before: Config, after: Config) -> str:
    """Write the body of a pull request; the trailers stand last, so that a squash merge keeps them."""
    sections = _sections(plan, before, after)
    back = (
        "**Roll back.** Once merged, `publisher rollback COMMIT`, or `git revert COMMIT` (`-m 1` for a merge commit); "
        "what was taken back is then held until `publisher resume`."
    )
    return "\n".join([*sections, back, "", *map(one_line, report.trailers(plan))]) + "\n"


def closed(text: str) -> str:
    """Take the trailers off the body of a pull request: it asks for its plan no more."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("Publisher-")).rstrip() + "\n"


def labels(plan: Plan) -> tuple[str, ...]:
    """Give the labels of a pull request."""
    states = (("held", plan.held), ("refused", plan.refusals or plan.errors), ("unknown", plan.unknown))
    return (f"publisher/{plan.publisher}", *(f"publisher/{name}" for name, found in states if found))


def _sections(plan: Plan, before: Config, after: Config) -> Iterator[str]:
    if plan.clusters:
        rows = ((change.cluster, list(report.cluster_lines(change)) or [change.action]) for change in plan.clusters)
        yield from _table(("cluster", "change"), ((f"`{name}`", _cells(lines)) for name, lines in rows), _CLUSTERS)
    if plan.services:
        headings = ("service", "targets", "share of its traffic", "change")
        yield from _table(headings, (_row(change, before, after) for change in plan.services), _SERVICES)
        yield from _picture(plan.services[:_DRAWN], before, after)
    for heading, lines in (
        ("Unknown, left as published", [line[2:] for line in report.unknown_lines(plan)]),
        ("Held: a person has the last word", [line.removeprefix("= ") for line in report.held_lines(plan)]),
        ("Refused, left as published", [line[2:] for line in report.refusal_lines(plan)]),
        ("Allowed", list(plan.allowed)),
        ("Resumed", list(plan.resumed)),
        ("Findings", [f"{finding.severity}: {finding}" for finding in plan.findings]),
    ):
        if lines:
            yield from (f"**{heading}**", "")
            items = (f"{'  ' if line.startswith(' ') else ''}- {cell(line.strip())}" for line in lines)
            yield from _cut(items, _LIST, "line")
            yield ""
    if plan.files:
        yield from ("<details><summary>Files</summary>", "")
        yield from _cut((f"- {file.action} `{file.path}`" for file in plan.files), _FILES, "file")
        yield from ("", "</details>", "")
    yield f"Plan `{plan.digest}`, snapshot `{plan.snapshot}`"
    yield ""


def synced(rollout: Rollout) -> str:
    """Say what a sync did."""
    places = (
        (cell(item.place), item.result.value, str(len(item.uploaded)), str(len(item.deleted)), cell(item.message))
        for item in rollout.synced
    )
    workers = (
        (cell(item.place), cell(worker.name or worker.uuid), cell(worker.version), worker.state.value)
        for item in rollout.synced
        for worker in item.workers
    )
    lines = [f"### publisher sync: {summary(rollout)}", ""]
    lines += _table(("place", "result", "uploaded", "deleted", "message"), places, _TABLE)
    lines += _table(("place", "worker", "version", "state"), workers, _TABLE) if rollout.workers else ()
    return "\n".join(lines) + "\n"


def _table(headings: Sequence[str], rows: Iterable[Iterable[str]], most: int) -> Iterator[str]:
    yield from (f"| {' | '.join(headings)} |", f"| {' | '.join('---' for _ in headings)} |")
    yield from _cut((f"| {' | '.join(row)} |" for row in rows), most, headings[0])
    yield ""


def _cut(lines: Iterable[str], most: int, noun: str) -> Iterator[str]:
    """Give lines of so many characters, and how many more there are."""
    more = 0
    for line in lines:
        most -= len(line)
        if most < 0:
            more += 1
        else:
            yield line
    if more:
        yield from ("", f"... and {report.count(more, f'more {noun}')}")


def _row(change: ServiceChange, before: Config, after: Config) -> tuple[str, ...]:
    was, now = shares(change.service, before), shares(change.service, after)
    moved = [f"{cell(name)} {_moved(was.get(name, 0), now.get(name, 0))}" for name in sorted(was.keys() | now.keys())]
    return (
        f"`{change.service}`",
        f"{change.targets_before} → {change.targets_after}",
        "<br>".join(_some(moved, _LINES)),
        _cells(report.details(change)),
    )


def _moved(was: float, now: float) -> str:
    return percent(was) if was == now else f"{percent(was)} → {percent(now)}"


def _picture(changes: Iterable[ServiceChange], before: Config, after: Config) -> Iterator[str]:
    """Draw routes -> services -> clusters, what comes with thick lines and what goes with dotted ones."""
    clusters: dict[str, str] = {}
    yield from ("```mermaid", "flowchart LR")
    for number, change in enumerate(changes):
        yield f'  s{number}["{_label(change.service)}"]'
        for place, (route, arrow) in enumerate([*_drawn_routes(change, before, after)][:_DRAWN]):
            yield f'  r{number}x{place}(["{_label(route)}"]) {arrow} s{number}'
        was, now = shares(change.service, before), shares(change.service, after)
        for name in sorted(was.keys() | now.keys())[:_DRAWN]:
            known = name in clusters
            node = clusters.setdefault(name, f"c{len(clusters)}")
            arrow = "==>" if name not in was else "-.->" if name not in now else "-->"
            share = _moved(was.get(name, 0), now.get(name, 0))
            yield f'  s{number} {arrow}|"{share}"| {node}' + ("" if known else f'[("{_label(name)}")]')
    yield from ("```", "")


def _drawn_routes(change: ServiceChange, before: Config, after: Config) -> Iterator[tuple[str, str]]:
    for route in sorted({*_routes(change.service, before), *_routes(change.service, after)}):
        yield route, "==>" if route in change.routes_added else "-.->" if route in change.routes_removed else "-->"


def _routes(key: ServiceKey, config: Config) -> Iterator[str]:
    service = config.services.get(key)
    yield from (str(entry.route) for entry in service.routes) if service else ()


def _label(text: str) -> str:
    return "".join(char if char.isalnum() or char in " ./-*:_" else f"#{ord(char)};" for char in text)


def _cells(lines: Iterable[str]) -> str:
    return "<br>".join(_some([*map(cell, lines)], _LINES))


def _some(lines: Sequence[str], most: int) -> Iterator[str]:
    yield from lines[:most]
    if len(lines) > most:
        yield f"... and {len(lines) - most} more"


def cell(line: str) -> str:
    """Keep what comes from the fleet from being read as Markdown or HTML, or as somebody's name."""
    marked = "".join(f"\\{char}" if char in "\\`*_[]<>|#~&$!" else char for char in one_line(line))
    return marked.replace("@", "@&#8203;")  # a space of no width; GitHub tells people whose name it finds
