"""``publisher snapshot``, and reading one back with ``--snapshot``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from publisher.core import snapshot
from publisher.core.canonical import ParseError, load_plain_yaml
from publisher.core.model import Finding, Topology, Unknown
from publisher.core.validate import to_pointer
from publisher.errors import UsageError
from publisher.resources import schema


def load(files: Mapping[str, bytes], where: str = "--snapshot") -> Topology:
    """Read a snapshot; raises UsageError with everything that is wrong in it."""
    if snapshot.INDEX not in files:
        raise UsageError(f"{where}: there is no {snapshot.INDEX} in the folder; publisher snapshot writes one")
    findings: list[Finding] = []
    index = _document(snapshot.INDEX, "snapshot", files[snapshot.INDEX], findings)
    clusters: dict[str, Any] = {}
    for name in index.get("clusters", {}) if not findings else []:
        path = snapshot.cluster_path(name)
        if path not in files:
            findings.append(Finding(path, "", "missing", f"{snapshot.INDEX} names it and it is not there"))
            continue
        clusters[name] = document = _document(path, "snapshot-cluster", files[path], findings)
        findings += [
            Finding(path, to_pointer(place), "address", "this is not an IP address", "correct it")
            for place in (snapshot.not_addresses(document) if document else ())
        ]
        if document.get("cluster", name) != name:
            findings.append(Finding(path, "/cluster", "file-name", "the name in the file and of the file differ"))
    if findings:
        raise UsageError(f"{where}: it cannot be used", findings)
    return snapshot.load(index, clusters)


def _document(path: str, name: str, data: bytes, findings: list[Finding]) -> dict[str, Any]:
    try:
        document = load_plain_yaml(data)
    except ParseError as error:
        findings.append(Finding(path, f"line {error.line}", "unreadable", str(error), "take the snapshot anew"))
        return {}
    wrong = schema(name).findings(document, path)
    findings.extend(wrong)
    return {} if wrong else dict(document)


def overview(topology: Topology) -> list[dict[str, Any]]:
    """Count what was read of each cluster; text says why a part is unknown."""
    return [
        {
            "cluster": cluster.name,
            **{
                name: f"unknown: {part.reason}" if isinstance(part, Unknown) else len(part)
                for name, part in (
                    ("nodes", cluster.nodes),
                    ("services", cluster.services),
                    ("endpoints", cluster.endpoints),
                )
            },
        }
        for cluster in topology.clusters.values()
    ]
