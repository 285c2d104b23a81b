"""What ``publisher rollback`` would do, told before anything is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from publisher.core import documents, report
from publisher.core.comeback import Doubt
from publisher.core.plan import Plan
from publisher.core.redact import one_line

_SIGN = {"create": "+", "change": "~", "delete": "-"}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a rollback would do."""

    plan: Plan
    base: str
    message: str
    branch: str
    """Where a pull request of it comes from."""
    doubts: tuple[Doubt, ...]
    uncompared: str
    """Why the fleet could not be asked; empty where it was."""
    held: tuple[str, ...]
    """``service default/flask``: touched, and left alone by the publisher from then on."""
    released: tuple[str, ...]
    """The same for what is as the publisher left it, and so its own again."""

    def lines(self) -> Iterator[str]:
        """Tell it to people."""
        return map(one_line, self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.message.partition(chr(10))[0]}: {report.summary(self.plan)}"
        for file in self.plan.files:
            yield f"  {_SIGN[file.action]} {file.path}"
        yield from report.changes(self.plan, most=1000)
        if self.uncompared:
            yield f"? not compared with the fleet: {self.uncompared}"
        for state, sign, what in (("gone", "!", "no longer there"), ("unknown", "?", "perhaps no longer there")):
            number = sum(doubt.targets.total for doubt in self.doubts if doubt.state == state)
            if number and not self.uncompared:
                yield f"{sign} {report.count(number, 'target')} that would come back: {what}"
        for name in self.held:
            yield f"= {name}: held from then on; publisher resume {name.partition(' ')[2]} ends that"
        for name in self.released:
            yield f"= {name}: as the publisher left it, so no longer held"

    def document(self) -> dict[str, Any]:
        """Build the JSON document: that of a plan, and what only a rollback has."""
        return {
            **documents.document(self.plan),
            "base": self.base,
            "message": self.message,
            "doubts": [item for doubt in self.doubts for item in _doubt_documents(doubt)],
            "uncompared": self.uncompared,
            "heldAfter": list(self.held),
            "released": list(self.released),
        }


def _doubt_documents(doubt: Doubt) -> Iterator[dict[str, str]]:
    """Give one document a target."""
    facts = {"state": doubt.state, "service": doubt.service, "cluster": doubt.targets.cluster}
    for node, address in report.addresses(doubt.targets):
        yield {**facts, "node": node, "address": address, "reason": doubt.targets.reason}
