"""What was selected, joined with what is published already: an unknown part stays exactly as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from publisher.core import rules
from publisher.core.config import ClusterConfig, Config, Part, RoutedPort, ServiceConfig
from publisher.core.model import Finding, Route, ServiceKey, Unknown
from publisher.core.policy import Policy
from publisher.core.routes import Claim, winners
from publisher.core.select import Selection, keep_clusters
from publisher.core.select.services import SelectedService, service_finding

REFUSED = "refused, see the findings"
HELD_BACK = "held back"


@dataclass(frozen=True, slots=True)
class Back:
    """What stays as published, whatever the fleet says: held by a person, or refused by a guard."""

    services: frozenset[ServiceKey] = frozenset()
    clusters: frozenset[str] = frozenset()
    edited: frozenset[ServiceKey] = frozenset()
    """Of the services, those whose file, or entries in shared files, a person has the last word on."""
    everything: bool = False

    def joined(self, other: Back) -> Back:
        """Keep what either of the two keeps."""
        return Back(
            self.services | other.services,
            self.clusters | other.clusters,
            self.edited | other.edited,
            self.everything or other.everything,
        )

    def further(self, other: Back) -> Back:
        """Keep what either keeps, and everything where that is no more than this one does: it was no help."""
        joined = self.joined(other)
        return replace(joined, everything=joined.everything or joined == self)


NOTHING_BACK = Back()


@dataclass(frozen=True, slots=True)
class Desired:
    """What shall be published."""

    config: Config
    kept: frozenset[str]
    """Clusters and services whose files stay as they are, byte for byte."""
    findings: tuple[Finding, ...]
    unpublished: dict[ServiceKey, str]
    """Why a service that some cluster has is not published."""
    edited: frozenset[ServiceKey] = frozenset()
    """Services whose entries in shared files stay as a person has changed them."""
    untouched: bool = False
    """No file changes at all, however it is written."""


@dataclass(slots=True)
class _Draft:
    """The services while they are worked out."""

    before: Mapping[ServiceKey, ServiceConfig]
    """What is published, but for clusters that are gone."""
    services: dict[ServiceKey, ServiceConfig] = field(default_factory=dict)
    firm: set[ServiceKey] = field(default_factory=set)
    """Services that keep every route they have, since not all of them is known or right."""
    unpublished: dict[ServiceKey, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def leave(self, key: ServiceKey, why: str) -> None:
        """Leave a service as it is published, or unpublished."""
        if key in self.before:
            self.services[key] = self.before[key]
            self.firm.add(key)
        else:
            self.drop(key, why)

    def drop(self, key: ServiceKey, why: str) -> None:
        """Publish a service no more."""
        self.services.pop(key, None)
        self.unpublished[key] = why


def resolve(selection: Selection, current: Config, policy: Policy, back: Back = NOTHING_BACK) -> Desired:
    """Work out the configuration to publish."""
    if back.everything:
        return Desired(current, frozenset({*current.clusters, *current.services}), (), {}, untouched=True)
    selection = keep_clusters(selection, back.clusters, current)
    clusters: dict[str, ClusterConfig] = {}
    for name, cluster in selection.clusters.items():
        if not isinstance(cluster.nodes, Unknown) and name not in back.clusters:
            clusters[name] = ClusterConfig(name, cluster.nodes, cluster.state, cluster.region)
        elif name in current.clusters:
            clusters[name] = current.clusters[name]
    draft = _Draft(dict(_without_gone(current, {*selection.clusters, *back.clusters})))
    for selected in selection.services.values():
        if selected.key in back.services and selected.key in current.services:
            whole = current.services[selected.key]
            draft.services[selected.key] = (
                whole if selected.key in back.edited else draft.before.get(selected.key, whole)
            )
            draft.firm.add(selected.key)
        elif selected.key in back.services:
            draft.drop(selected.key, HELD_BACK)
        else:
            _service(selected, clusters, draft)
    wrong = tuple(
        replace(finding, severity="warning") if finding.where.removeprefix("service ") in back.services else finding
        for finding in rules.check_targets(Config(clusters, draft.services), policy.allowed_networks)
    )
    for where in sorted({finding.where for finding in wrong if finding.severity == "error"}):
        key = ServiceKey(where.removeprefix("service "))
        if key in draft.services and key not in back.services:
            draft.leave(key, REFUSED)
    _settle_routes(selection, current, policy, draft)
    kept = {name for name, cluster in clusters.items() if cluster is current.clusters.get(name)}
    kept |= {key for key, service in draft.services.items() if service is current.services.get(key)}
    config = Config(clusters, draft.services)
    return Desired(config, frozenset(kept), (*draft.findings, *wrong), draft.unpublished, back.edited)


def _without_gone(current: Config, here: Collection[str]) -> Iterator[tuple[ServiceKey, ServiceConfig]]:
    """Give what is published without clusters that are gone: their files go, whatever is wrong with a service."""
    for key, service in current.services.items():
        parts = {name: part for name, part in service.parts.items() if name in here}
        if parts:
            yield key, service if len(parts) == len(service.parts) else replace(service, parts=parts)


def _service(selected: SelectedService, clusters: Mapping[str, ClusterConfig], draft: _Draft) -> None:
    """Work out one service with all the routes that it asks for."""
    key = selected.key
    before = draft.before.get(key)
    if selected.refused:
        draft.leave(key, REFUSED)
        return
    parts: dict[str, Part] = {}
    known = unknown = False
    for name, part in sorted(selected.parts.items()):
        if not isinstance(part, Unknown) and name in clusters:
            parts[name] = part
            known = True
        else:
            unknown = True
            if before is not None and name in before.parts:
                parts[name] = before.parts[name]
                draft.firm.add(key)
    if not parts:
        draft.drop(key, _why_nowhere(selected, unknown))
    elif before is not None and not known:
        draft.services[key] = before if parts == before.parts else replace(before, parts=parts)
    elif not selected.routes:
        draft.drop(key, "it has no route" + (", and not all of its clusters could be read" if unknown else ""))
    elif len(ports := sorted({port for part in parts.values() for port in part.ports})) != 1:
        draft.findings.append(
            Finding(
                f"service {key}",
                "",
                "port-name",
                f"its clusters name the port differently: {', '.join(ports)}",
                "give the port one name in all clusters",
            )
        )
        draft.leave(key, REFUSED)
    else:
        draft.services[key] = ServiceConfig(key, tuple(RoutedPort(route, ports[0]) for route in selected.routes), parts)


def _why_nowhere(selected: SelectedService, unknown: bool) -> str:
    if unknown:
        return "no cluster that could be read has it"
    reasons = sorted(set(selected.excluded.values()))
    return "; ".join(reasons) if reasons else "no cluster counts"


def _settle_routes(selection: Selection, current: Config, policy: Policy, draft: _Draft) -> None:
    """Let one service have each route, of those that can be published: the rest of a loser is published without it."""
    published = {
        key: {entry.route for entry in before.routes} for key, before in draft.before.items() if key in draft.services
    }
    claims: dict[Route, list[Claim]] = {}
    for key, service in draft.services.items():
        selected = selection.services[key]
        for route in {entry.route for entry in service.routes}:
            has = route in published.get(key, ())
            claim = Claim(not (has and key in draft.firm), selected.from_annotations, not has, selected.created, key)
            claims.setdefault(route, []).append(claim)
    won = winners(claims)
    for key, service in sorted(draft.services.items()):
        lost = set()
        for route in sorted({entry.route for entry in service.routes}):
            stays = route in published.get(key, ())
            if won[route].service != key:
                owner = f"belongs to {won[route].service}"
                stays = stays and key in draft.firm
            elif (taken := current.taken.get(route)) and taken.service != key:
                owner = f"stands in {taken.path}, which belongs to {taken.whose}"
            else:
                continue
            what = f"route {route} {owner}"
            hint = "give one of the two another route"
            draft.findings.append(service_finding(key, policy.services.get(key), "route-conflict", what, hint))
            if not stays:
                lost.add(route)
        left = tuple(entry for entry in service.routes if entry.route not in lost)
        if not left:
            draft.drop(key, "refused: others have its routes, see the findings")
        elif lost:
            draft.services[key] = replace(service, routes=left)
