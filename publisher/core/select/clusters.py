"""Which clusters and nodes count, and with which address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from publisher.core import labels
from publisher.core.config import State, address_refusal
from publisher.core.model import Cluster, Node, Topology, Unknown
from publisher.core.policy import Policy

DRAIN_REMEDY = "TrafficControl"
NOT_READY = "Node is not Ready"


@dataclass(frozen=True, slots=True)
class SelectedCluster:
    """A cluster that counts."""

    name: str
    region: str
    state: State
    state_reason: str
    """Why it is drained; empty where it is active."""
    nodes: Mapping[str, str] | Unknown
    """Address of each node that counts."""
    excluded: Mapping[str, str]
    """Why each other node does not."""
    unknown: tuple[tuple[str, str], ...] = ()
    """Kinds that could not be read, and why."""


def select_clusters(topology: Topology, policy: Policy) -> tuple[dict[str, SelectedCluster], dict[str, str]]:
    """Give the clusters that count, and the reason why each other does not."""
    wanted = policy.karmada.clusters
    selector = labels.parse(wanted.labels)
    nodes_selector = labels.parse(policy.select.nodes.labels)
    selected, excluded = {}, {}
    for name, cluster in sorted(topology.clusters.items()):
        if reason := cluster_refusal(name, cluster.labels, cluster.annotations, selector, wanted.exclude):
            excluded[name] = reason
            continue
        reason = ""
        if cluster.annotations.get("drain") == "true":
            reason = "annotation drain"
        elif DRAIN_REMEDY in cluster.remedies:
            reason = f"Karmada remedy {DRAIN_REMEDY}"
        nodes, why_not = _nodes(cluster, policy, nodes_selector)
        unknown = tuple(
            (kind, part.reason)
            for kind, part in (
                ("Nodes", cluster.nodes),
                ("Services", cluster.services),
                ("EndpointSlices", cluster.endpoints),
            )
            if isinstance(part, Unknown)
        )
        state: State = "drained" if reason else "active"
        selected[name] = SelectedCluster(name, cluster.region, state, reason, nodes, why_not, unknown)
    return selected, excluded


def cluster_refusal(
    name: str,
    cluster_labels: Mapping[str, str],
    annotations: Mapping[str, str],
    selector: labels.Selector,
    exclude: Iterable[str],
) -> str:
    """Say why a cluster does not count; empty where it does."""
    if any(fnmatchcase(name, pattern) for pattern in exclude):
        return "karmada.clusters.exclude names it"
    if not labels.selects(selector, cluster_labels):
        return "its labels do not match karmada.clusters.labels"
    if annotations.get("exclude") == "true":
        return "annotation exclude"
    return ""


def _nodes(
    cluster: Cluster, policy: Policy, selector: labels.Selector
) -> tuple[dict[str, str] | Unknown, dict[str, str]]:
    if isinstance(cluster.nodes, Unknown):
        return cluster.nodes, {}
    chosen, excluded = {}, {}
    for name, node in sorted(cluster.nodes.items()):
        address, reason = _node_address(node, policy, selector)
        if reason:
            excluded[name] = reason
        else:
            chosen[name] = address
    return chosen, excluded


def _node_address(node: Node, policy: Policy, selector: labels.Selector) -> tuple[str, str]:
    """Give the address of a node that counts, or the reason why it does not."""
    wanted = policy.select.nodes
    if not labels.selects(selector, node.labels):
        return "", "its labels do not match select.nodes.labels"
    if node.annotations.get("exclude") == "true":
        return "", "annotation exclude"
    if node.annotations.get("drain") == "true":
        return "", "annotation drain"
    if not node.ready:
        return "", NOT_READY
    fitting = [
        address.ip
        for family in wanted.families
        for kind in wanted.addresses
        for address in node.addresses
        if address.type == kind and (":" in address.ip) == (family == "IPv6")
    ]
    if not fitting:
        return "", f"it has no {' or '.join(wanted.addresses)} of {' or '.join(wanted.families)}"
    refusals = [address_refusal(ip, policy.allowed_networks) for ip in fitting]
    for ip, refusal in zip(fitting, refusals, strict=True):
        if not refusal:
            return ip, ""
    return "", refusals[0]
