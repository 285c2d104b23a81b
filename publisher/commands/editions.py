"""What the commits of a config repository make a place have."""

from __future__ import annotations

import threading

from publisher import settings
from publisher.commands.ports import Origin
from publisher.core.check import check_tree
from publisher.core.codebase import Edition, Version, below, bundle, parse, unloadable
from publisher.core.model import Finding
from publisher.errors import Refused, UsageError
from publisher.resources import schema


class Editions:
    """Reads commits; for several threads."""

    def __init__(self, origin: Origin, bundled: bool) -> None:
        self._origin = origin
        self._bundled = bundled
        self._lock = threading.Lock()
        self._known: dict[str, tuple[dict[str, bytes], tuple[Finding, ...]]] = {}

    def checked(self, commit: str) -> Edition:
        """Give the edition of a commit; raises Refused, with all that is wrong, where it is not valid."""
        files, findings = self._read(commit)
        if errors := [item for item in findings if item.severity == "error"]:
            raise Refused(f"{commit[:12]} is not valid, and nothing was uploaded; correct it and commit", errors)
        return Edition(str(Version(commit, self._bundled)), bundle(files) if self._bundled else files)

    def contents(self, version: Version) -> dict[str, bytes] | None:
        """Give the files that were uploaded as a version; None where that cannot be told any more."""
        with self._lock:
            try:
                files, findings = self._read(version.commit)
            except UsageError:
                return None
        if any(item.severity == "error" for item in findings):
            return None
        return bundle(files) if version.bundled else files

    def ours(self, text: str) -> Version | None:
        """Read the version of a place; gives None where it is no commit of this repository."""
        version = parse(text)
        with self._lock:
            return version if version and self._origin.has(version.commit) else None

    def _read(self, commit: str) -> tuple[dict[str, bytes], tuple[Finding, ...]]:
        """Give the codebase of a commit, and what is wrong with it; each commit is read once."""
        if commit not in self._known:
            self._known[commit] = self._examine(commit)
        return self._known[commit]

    def _examine(self, commit: str) -> tuple[dict[str, bytes], tuple[Finding, ...]]:
        file = self._origin.settings_file
        found = self._origin.tree(commit, (file,)).get(file)
        if found is None:
            raise UsageError(f"{commit[:12]}: no {file} in it; is this a config repository?")
        policy, findings = settings.check(found, file)
        if policy is None:
            return {}, findings
        tree = self._origin.tree(commit, (policy.output,))
        findings += check_tree(tree, policy.output, policy.allowed_networks, schema)
        files = below(tree, policy.output)
        return files, findings + unloadable(files, policy.output)
