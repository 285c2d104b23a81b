"""One thing that is looked at, and how it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from publisher.core.redact import redact
from publisher.errors import PublisherError

SKEW_WARNED = 30.0
"""Seconds between two clocks. Tokens and certificates still count, times in reports and ages do not quite."""
SKEW_FAILED = 300.0
"""Seconds from which on what was just issued may count as not yet valid, or as expired."""


class State(StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"
    """It works, but somebody should look."""
    FAIL = "fail"
    NOT_CHECKED = "not-checked"
    """It takes something else that failed."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at."""

    name: str
    state: State
    message: str
    advice: str = ""
    """What to do; empty where there is nothing, or the message says so."""

    def document(self) -> dict[str, Any]:
        """Build the JSON document."""
        return asdict(self)


def ok(name: str, message: str) -> Check:
    """Say that something is as it should be."""
    return Check(name, State.OK, redact(message))


def warn(name: str, message: str, advice: str) -> Check:
    """Say that something works, but should be looked at."""
    return Check(name, State.WARN, redact(message), advice)


def fail(name: str, what: PublisherError | str, advice: str = "") -> Check:
    """Say that something does not work."""
    return Check(name, State.FAIL, redact(str(what)), advice)


def skipped(names: Iterable[str], why: str) -> Iterator[Check]:
    """Say of each that it takes something that is not there."""
    return (Check(name, State.NOT_CHECKED, f"not checked: {why}") for name in names)


def clock(name: str, whose: str, ahead: float | None) -> Check:
    """Judge by how many seconds another clock is ahead of ours."""
    if ahead is None:
        return next(skipped((name,), f"{whose} did not say what time it is"))
    off = abs(ahead)
    if off <= SKEW_WARNED:
        return ok(name, f"this machine and {whose} agree within {SKEW_WARNED:g} s")
    said = f"{whose} is {off:.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine"
    advice = "set both clocks by NTP: tokens and certificates count from when to when"
    return warn(name, said, advice) if off <= SKEW_FAILED else fail(name, said, advice)
