"""The answers of an API server that are not objects of its own: errors, and what it says about itself."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter

from publisher.demo.messages import Reply
from publisher.demo.plane import Object, Plane, Resource, encode, load

HEALTH = ("/healthz", "/readyz", "/livez")
"""The paths that need no token."""


class RefusedError(Exception):
    """A request that gets `reply` instead of what it asked for."""

    def __init__(self, reply: Reply) -> None:
        """Carry the reply to whoever sends it."""
        super().__init__(reply.status)
        self.reply = reply


def json_reply(body: bytes, status: int = 200) -> Reply:
    """Answer with JSON."""
    return Reply(status, {"Content-Type": "application/json"}, body + b"\n")


def text_reply(text: str, status: int = 200) -> Reply:
    """Answer with plain text."""
    return Reply(status, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())


def failure(code: int, message: str, reason: str = "", *, details: object = None, meta: Object | None = None) -> Object:
    """Build the Status object of an error."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": meta or {}, "status": "Failure", "message": message}
    optional = {"reason": reason} if reason else {}
    return status | optional | ({} if details is None else {"details": details}) | {"code": code}


def refuse(code: int, message: str, reason: str = "", *, details: object = None, meta: Object | None = None) -> Reply:
    """Answer with the Status object of an error."""
    return json_reply(encode(failure(code, message, reason, details=details, meta=meta)), code)


def unauthorized() -> Reply:
    """Answer a request without a token that the server knows."""
    return refuse(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> Reply:
    """Answer anything but a GET."""
    message = "the server does not allow this method on the requested resource"
    return refuse(405, message, "MethodNotAllowed", details={})


def no_such_path() -> Reply:
    """Answer a request for something that is not part of the API."""
    return text_reply("404 page not found\n", 404)


def not_found(resource: Resource, name: str) -> Reply:
    """Answer a request for an object that does not exist."""
    qualified = f"{resource.name}.{resource.group}" if resource.group else resource.name
    details = {"name": name} | ({"group": resource.group} if resource.group else {}) | {"kind": resource.name}
    return refuse(404, f'{qualified} "{name}" not found', "NotFound", details=details)


def bad_request(message: str) -> Reply:
    """Answer a request whose parameters make no sense."""
    return refuse(400, message, "BadRequest")


def invalid_version(text: str) -> Reply:
    """Answer a request with a resourceVersion that is no number."""
    quoted = encode(text).decode()
    message = f"resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax"
    return refuse(500, message)


def too_large_version(wanted: int, current: int) -> Reply:
    """Answer a request for a state that is still to come."""
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    reply = refuse(504, message, "Timeout", details=details)
    return Reply(reply.status, {**reply.headers, "Retry-After": "1"}, reply.body)


def connection_refused(port: int) -> Reply:
    """Answer for a member that the cluster proxy cannot reach."""
    return refuse(500, f"dial tcp 127.0.0.1:{port}: connect: connection refused")


def about(plane: Plane, path: str) -> Reply | None:
    """Answer /version, the health checks and discovery; None for any other path."""
    if path == "/version":
        return json_reply(encode(load("version")))
    if path in HEALTH:
        return text_reply("ok")
    if path == "/api":
        return json_reply(encode({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}))
    if path == "/apis":
        return json_reply(encode({"kind": "APIGroupList", "apiVersion": "v1", "groups": _groups(plane)}))
    group_version = path.removeprefix("/apis/" if path.startswith("/apis/") else "/api/")
    resources = [
        _described(resource) for resource in plane.resources.values() if resource.group_version == group_version
    ]
    if not resources:
        return None
    listed = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}
    return json_reply(encode(listed))


def _groups(plane: Plane) -> list[Object]:
    named = sorted((resource for resource in plane.resources.values() if resource.group), key=attrgetter("group"))
    groups = []
    for name, resources in groupby(named, key=attrgetter("group")):
        group_versions = sorted({resource.group_version for resource in resources}, reverse=True)
        versions = [{"groupVersion": item, "version": item.rpartition("/")[2]} for item in group_versions]
        groups.append({"name": name, "versions": versions, "preferredVersion": versions[0]})
    return groups


def _described(resource: Resource) -> Object:
    return {
        "name": resource.name,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": ["get", "list", "watch"],
        "shortNames": list(resource.short_names),
    }
