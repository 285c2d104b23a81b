"""What an account has to be allowed to in Karmada, and what it is told where it is not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from publisher.core.policy import Access
from publisher.core.topology import Member, valid_name

_GROUP = "cluster.karmada.io"
_IMPERSONATED = re.compile(r'(?:groups|users|serviceaccounts|userextras/\S+) "([^"]+)" is forbidden')


@dataclass(frozen=True, slots=True)
class Right:
    """What an access review asks about."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    """Empty: all of them."""

    def __str__(self) -> str:
        """Say it as RBAC does: ``get clusters/proxy member1``."""
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        words = [self.verb, f"{resource}.{self.group}" if self.group and not self.subresource else resource]
        words += [self.name] if self.name else []
        return " ".join([*words, *([f"in {self.namespace}"] if self.namespace else [])])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who an API server takes a request to be from."""

    name: str
    groups: tuple[str, ...]


LIST_CLUSTERS = Right("list", "clusters", _GROUP)


def needed(access: Access, members: Iterable[Member]) -> dict[Right, tuple[Right, ...]]:
    """Give what is needed to read members, each with the narrower rights that together do as well."""
    found: dict[Right, tuple[Right, ...]] = {}
    for member in members:
        if access is Access.PROXY:
            right = Right("get", "clusters", _GROUP, "proxy", name=member.name)
        elif member.secret and all(map(valid_name, member.secret)):
            right = Right("get", "secrets", namespace=member.secret[0], name=member.secret[1])
        else:
            continue
        broad = Right(right.verb, right.resource, right.group, right.subresource, right.namespace)
        found[broad] = (*found.get(broad, ()), right)
    return found


def advice(message: str, status: int) -> str:
    """Say what to do about an answer of Karmada or of a member; empty where it says so itself."""
    if found := _IMPERSONATED.search(message):
        return (
            "the cluster proxy impersonates the caller with all its groups: make "
            f"{found[1]} and the account's other groups subjects of a ClusterRoleBinding in Karmada, or use a client "
            "certificate"
        )
    if status == 401:
        return "renew the token or certificate, see the user in the kubeconfig"
    if status == 403:
        return "give the account the right that is named, see Access in docs/configuration.md"
    if ": TLS: " in message:
        return "mend certificate-authority-data in the kubeconfig; for access: direct, caBundle of the Cluster's Secret"
    if "dial tcp" in message:
        return "Karmada cannot reach that member: look at it, and at spec.apiEndpoint of its Cluster"
    return "check the address and the network" if status == 0 else ""
