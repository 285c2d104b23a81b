"""Small questions to Karmada and its members, for ``publisher doctor``. None of them changes anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from publisher.core.rights import Caller, Right
from publisher.core.topology import Member
from publisher.edge.karmada.fleet import KarmadaFleet, side_by_side
from publisher.edge.karmada.lists import ENDPOINT_SLICES, NODES, SERVICES, first_page
from publisher.errors import ApiError


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks what one would have to know before reading the fleet."""

    fleet: KarmadaFleet

    def version(self) -> str:
        """Give the Kubernetes version of Karmada's API server."""
        karmada = self.fleet.karmada
        document = karmada.parse(karmada.get("/version", {}))
        return str(document.get("gitVersion", "")) if isinstance(document, dict) else ""

    def ahead(self) -> float | None:
        """Give the seconds that Karmada's clock is ahead of ours, by its last answer; None where it never told."""
        return self.fleet.karmada.ahead

    def caller(self) -> Caller | None:
        """Ask who the credentials belong to; None where the server does not serve that."""
        try:
            status = self._review("authentication.k8s.io", "SelfSubjectReview")
        except ApiError as error:
            if error.status in (403, 404):
                return None
            raise
        user = status.get("userInfo")
        if not isinstance(user, dict):
            raise ApiError("Karmada: the answer to SelfSubjectReview has no userInfo", status=200)
        return Caller(str(user.get("username", "")), tuple(map(str, user.get("groups") or ())))

    def denied(self, rights: Iterable[Right]) -> tuple[Right, ...]:
        """Give those of some rights that the caller has not."""
        answers = dict(side_by_side(lambda right: (right, self._allowed(right)), rights, self._limit))
        return tuple(sorted((right for right, allowed in answers.items() if not allowed), key=str))

    def members(self) -> tuple[tuple[Member, str], ...]:
        """List all Clusters, each with the reason why it does not count; empty where it does."""
        return tuple(self.fleet.members())

    def unreadable(self, members: Iterable[Member]) -> dict[str, tuple[tuple[str, int], ...]]:
        """Ask members, side by side, for one object of each kind that is read.

        Gives by name each different complaint, with its HTTP status; none where all is well.
        """
        return dict(sorted(side_by_side(self._complaints, members, self._limit)))

    @property
    def _limit(self) -> int:
        return self.fleet.policy.karmada.concurrency

    def _complaints(self, member: Member) -> tuple[str, tuple[tuple[str, int], ...]]:
        try:
            reader = self.fleet.reader(member)
        except ApiError as error:
            return member.name, ((str(error), error.status),)
        found: dict[tuple[str, int], None] = {}
        try:
            for resource in (NODES, SERVICES, ENDPOINT_SLICES):
                try:
                    first_page(reader.connection, reader.prefix, resource)
                except ApiError as error:
                    found[str(error), error.status] = None
                    if error.status == 0:
                        break  # the others would wait for as long
        finally:
            reader.close()
        return member.name, tuple(found)

    def _allowed(self, right: Right) -> bool:
        attributes = {name: value for name in Right.__slots__ if (value := getattr(right, name))}
        spec = {"resourceAttributes": attributes}
        return self._review("authorization.k8s.io", "SelfSubjectAccessReview", spec=spec).get("allowed") is True

    def _review(self, group: str, kind: str, **more: Any) -> dict[str, Any]:
        """Create a review, which an API server answers and does not keep; gives its status."""
        karmada = self.fleet.karmada
        review = {"apiVersion": f"{group}/v1", "kind": kind, **more}
        document = karmada.parse(karmada.post(f"/apis/{group}/v1/{kind.lower()}s", review))
        status = document.get("status") if isinstance(document, dict) else None
        if not isinstance(status, dict) or document.get("kind") != kind:
            raise ApiError(f"Karmada: the answer to {kind} is none", status=200)
        return status
