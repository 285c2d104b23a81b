"""A plan as JSON: made from the plan alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from publisher.core.diff import ClusterChange, ServiceChange, TargetChange
from publisher.core.model import Finding
from publisher.core.plan import Held, Plan
from publisher.core.report import addresses, summary


def as_json(plan: Plan, **came: Any) -> str:
    """Write a plan, and what came of it, for scripts; the schema is schemas/plan.schema.json."""
    made = {name: value for name, value in came.items() if value}
    return json.dumps({**document(plan), **made}, indent=2, ensure_ascii=False) + "\n"


def document(plan: Plan) -> dict[str, Any]:
    """Build the JSON document of a plan."""
    return {
        "publisher": plan.publisher,
        "digest": plan.digest,
        "snapshot": plan.snapshot,
        "changed": bool(plan.files),
        "summary": summary(plan),
        "files": [{"path": file.path, "action": file.action} for file in plan.files],
        "clusters": [_cluster_document(change) for change in plan.clusters],
        "services": [_service_document(change) for change in plan.services],
        "unknown": [part._asdict() for part in plan.unknown],
        "unpublished": [{"service": key, "reason": reason} for key, reason in plan.unpublished],
        "findings": [finding_document(finding) for finding in plan.findings],
        "held": [_held_document(held) for held in plan.held],
        "refusals": [asdict(refusal) for refusal in plan.refusals],
        "allowed": list(plan.allowed),
        "resumed": list(plan.resumed),
    }


def _held_document(held: Held) -> dict[str, Any]:
    return {
        "path": held.path,
        "name": held.name,
        "action": held.action,
        "commit": held.word.commit,
        "author": held.word.author,
        "since": held.word.time,
        "subject": held.word.subject,
        "becomes": list(held.becomes),
    }


def _cluster_document(change: ClusterChange) -> dict[str, Any]:
    return {
        "cluster": change.cluster,
        "action": change.action,
        "state": change.state,
        "added": dict(change.added),
        "removed": {node: {"address": ip, "reason": reason} for node, (ip, reason) in change.removed.items()},
    }


def _service_document(change: ServiceChange) -> dict[str, Any]:
    return {
        "service": change.service,
        "action": change.action,
        "reason": change.reason,
        "targets": {
            "before": change.targets_before,
            "after": change.targets_after,
            "added": [_target_document(item) for item in change.targets if item.action == "add"],
            "removed": [_target_document(item) for item in change.targets if item.action == "remove"],
        },
        "weights": [item._asdict() for item in change.weights],
        "routes": {"added": list(change.routes_added), "removed": list(change.routes_removed)},
    }


def _target_document(item: TargetChange) -> Mapping[str, Any]:
    return {
        "cluster": item.cluster,
        "weight": item.weight,
        "reason": item.reason,
        "targets": [{"node": node, "address": address} for node, address in addresses(item)],
    }


def finding_document(finding: Finding) -> dict[str, str]:
    """Build the JSON document of a finding."""
    return {
        "severity": finding.severity,
        "where": finding.where,
        "pointer": finding.pointer,
        "rule": finding.rule,
        "message": finding.message,
        "hint": finding.hint,
    }
