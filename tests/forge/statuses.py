"""Statuses of commits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .branches import Made, Refusal
from .pulls import Pulls


class Statuses(Pulls):
    """A repository whose commits have statuses."""

    def __init__(self, folder: Path, description: Any) -> None:
        super().__init__(folder, description)
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        """By commit, oldest first."""

    def _list_statuses(self, commit: str, per_page: str, page: str) -> Made:
        self._known(commit)
        sample = self.description.sample("status")
        return 200, [sample | status for status in reversed(self.statuses.get(commit, []))]

    def _set_status(self, commit: str, body: dict[str, str]) -> Made:
        self._known(commit)
        given = self.statuses.setdefault(commit, [])
        if len(body.get("description") or "") > 140:
            self._refuse("description", "description is too long (maximum is 140 characters)")
        if len(given) >= 1000:
            self._refuse("base", "This SHA and context has reached the maximum number of statuses.")
        given.append({"context": "default", "description": None, "target_url": None} | body)
        return 201, self.description.sample("status") | given[-1]

    def _known(self, commit: str) -> None:
        if commit not in self._git("rev-list", "--all").split():
            raise Refusal(422, f"No commit found for SHA: {commit}")

    @staticmethod
    def _refuse(field: str, message: str) -> None:
        wrong = [{"resource": "Status", "code": "custom", "field": field, "message": message}]
        raise Refusal(422, "Validation Failed", errors=wrong)
