"""Who asks an API server, and what he may do there: all that is not denied."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from publisher.demo.answers import bad_request, json_reply, refuse
from publisher.demo.messages import Reply, Request
from publisher.demo.plane import Object, encode

_ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_OBJECT = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>[^/]+)(?:/(?P<name>[^/]+))?"
)


class Asked(NamedTuple):
    """What a request wants to do; as a denial, an empty namespace or name stands for each."""

    verb: str
    group: str
    resource: str
    """With the subresource: ``clusters/proxy``."""
    namespace: str = ""
    name: str = ""


@dataclass
class Caller:
    """The only user that an API server knows."""

    name: str = "publisher"
    groups: tuple[str, ...] = ("system:authenticated",)
    denied: set[Asked] = field(default_factory=set)

    def may(self, asked: Asked) -> bool:
        """Tell whether nothing of what is asked for is denied."""
        return not any(
            denied[:3] == asked[:3]
            and all(not wanted or denies in ("", wanted) for denies, wanted in zip(denied[3:], asked[3:], strict=True))
            for denied in self.denied
        )

    def forbid(self, asked: Asked) -> Reply:
        """Answer what is denied."""
        group = f".{asked.group}" if asked.group else ""
        name = f' "{asked.name}"' if asked.name else ""
        scope = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
        message = (
            f'{asked.resource.partition("/")[0]}{group}{name} is forbidden: User "{self.name}" cannot {asked.verb} '
            f'resource "{asked.resource}" in API group "{asked.group}" {scope}'
        )
        details = {"group": asked.group, "kind": asked.resource.partition("/")[0], "name": asked.name}
        return refuse(403, message, "Forbidden", details={key: text for key, text in details.items() if text})

    def review(self, request: Request) -> Reply | None:
        """Answer a review of the caller's own; None for any other request."""
        if request.method != "POST" or request.path not in (_ACCESS, _SELF):
            return None
        if request.path == _SELF:
            user = {"username": self.name, "groups": list(self.groups)}
            return _created("authentication.k8s.io", "SelfSubjectReview", {}, {"userInfo": user})
        try:
            attributes = json.loads(request.body)["spec"]["resourceAttributes"]
            asked = _asked(**attributes)
        except (ValueError, KeyError, TypeError):
            return bad_request("the object provided is unrecognized (must be of type SelfSubjectAccessReview)")
        status: Object = {"allowed": self.may(asked)}
        status |= {"reason": f'RBAC: allowed by ClusterRoleBinding "{self.name}"'} if status["allowed"] else {}
        spec = {"spec": {"resourceAttributes": attributes}}
        return _created("authorization.k8s.io", "SelfSubjectAccessReview", spec, status)


def asked_by(request: Request) -> Asked | None:
    """Say what a GET wants to do; None for a path that is no object or list."""
    match = _OBJECT.fullmatch(request.path)
    if not match:
        return None
    namespace, name = match["namespace"] or "", match["name"] or ""
    verb = "get" if name else "watch" if request.query.get("watch", "").lower() in ("1", "true") else "list"
    return Asked(verb, match["group"] or "", match["resource"], namespace, name)


def _asked(
    verb: str, resource: str, group: str = "", subresource: str = "", namespace: str = "", name: str = ""
) -> Asked:
    return Asked(verb, group, f"{resource}/{subresource}" if subresource else resource, namespace, name)


def _created(group: str, kind: str, content: Object, status: Object) -> Reply:
    meta = {"creationTimestamp": None}
    return json_reply(
        encode({"kind": kind, "apiVersion": f"{group}/v1", "metadata": meta, **content, "status": status}), 201
    )
