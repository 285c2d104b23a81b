"""How an API server answers a GET: which object, list page or watch a path and its query ask for."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping

from publisher.demo.answers import (
    RefusedError,
    about,
    bad_request,
    invalid_version,
    json_reply,
    no_such_path,
    not_found,
    refuse,
    too_large_version,
)
from publisher.demo.messages import Reply
from publisher.demo.plane import CompactedError, Object, Plane, Resource, encode
from publisher.demo.selector import Selector, parse
from publisher.demo.watch import Watch

_OBJECTS = re.compile(
    r"(?P<path>/api/v1|/apis/[^/]+/[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>[^/]+)(?:/(?P<name>[^/]+))?"
)
_BAD_CONTINUE = (
    "invalid continue token: continue key is not valid: invalid character '\\u009e' looking for beginning of value"
)
_EXACT_EXPIRED = "The resourceVersion for the provided list is too old."
_CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without"
    " the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
    " Continuing with the provided token results in an inconsistent list - objects that were created, modified, or"
    " deleted between the time the first chunk was returned and now may show up in the list."
)


def answer(plane: Plane, path: str, query: Mapping[str, str]) -> Reply | Watch:
    """Answer a GET that may see everything."""
    if reply := about(plane, path):
        return reply
    try:
        return _objects(plane, path, query)
    except RefusedError as refused:
        return refused.reply


def _objects(plane: Plane, path: str, query: Mapping[str, str]) -> Reply | Watch:
    match = _OBJECTS.fullmatch(path)
    resource = plane.resources.get(match["resource"]) if match else None
    if not match or not resource or resource.path != match["path"]:
        raise RefusedError(no_such_path())
    namespace, name = match["namespace"] or "", match["name"] or ""
    if (namespace and not resource.namespaced) or (name and resource.namespaced and not namespace):
        raise RefusedError(no_such_path())
    if name:
        obj = plane.get(resource.name, namespace, name)
        return json_reply(encode(obj)) if obj else not_found(resource, name)
    try:
        selector = parse(resource, namespace, query)
    except ValueError as error:
        raise RefusedError(bad_request(str(error))) from None
    if _flag(query, "watch"):
        return _watch(resource, selector, query)
    return _list(plane, resource, selector, query)


def _watch(resource: Resource, selector: Selector, query: Mapping[str, str]) -> Watch:
    since = _version(query)
    initial_events = _flag(query, "sendInitialEvents")
    return Watch(
        resource=resource,
        selector=selector,
        since=since,
        initial=initial_events or ("sendInitialEvents" not in query and not since),
        marks_initial_end=initial_events,
        bookmarks=_flag(query, "allowWatchBookmarks"),
        timeout_seconds=_integer(query, "timeoutSeconds"),
    )


def _list(plane: Plane, resource: Resource, selector: Selector, query: Mapping[str, str]) -> Reply:
    limit, version, token = _integer(query, "limit"), _version(query), query.get("continue", "")
    if query.get("resourceVersion") == "0":
        limit = 0  # as from the watch cache of a real server, which knows no pages
    at, start = None, ""
    if token:
        if version:
            raise RefusedError(bad_request("specifying resource version is not allowed when using continue"))
        at, start = _position(token)
    elif version:
        if version > plane.revision:
            raise RefusedError(too_large_version(version, plane.revision))
        match = query.get("resourceVersionMatch", "Exact" if limit else "NotOlderThan")
        at = version if match == "Exact" else None
    try:
        revision, items = plane.read(resource.name, at)
    except CompactedError:
        raise RefusedError(_expired(start)) from None
    rest = [item for item in items if selector.matches(item) and _below(selector, item.key) >= start]
    page = rest[:limit] if limit else rest
    meta: Object = {"resourceVersion": str(revision)}
    if len(rest) > len(page):
        meta["continue"] = _token(revision, _below(selector, page[-1].key) + "\0")
        if not selector.labels and not selector.fields:
            meta["remainingItemCount"] = len(rest) - len(page)
    head = {"kind": f"{resource.kind}List", "apiVersion": resource.group_version, "metadata": meta}
    return json_reply(encode(head)[:-1] + b',"items":[' + b",".join(item.body for item in page) + b"]}")


def _below(selector: Selector, key: str) -> str:
    """Cut the namespace off a key, where the list is that of a namespace, as continue tokens do."""
    return key[len(selector.prefix) - 1 :]


def _token(revision: int, start: str) -> str:
    text = encode({"v": "meta.k8s.io/v1", "rv": revision, "start": start})
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def _position(token: str) -> tuple[int | None, str]:
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, start = int(content["rv"]), str(content["start"])
    except (ValueError, KeyError, TypeError):
        raise RefusedError(bad_request(_BAD_CONTINUE)) from None
    return (version if version > 0 else None), "/" + start.removeprefix("/")


def _expired(start: str) -> Reply:
    if not start:
        return refuse(410, _EXACT_EXPIRED, "Expired")
    return refuse(410, _CONTINUE_EXPIRED, "Expired", meta={"continue": _token(-1, start.removeprefix("/"))})


def _version(query: Mapping[str, str]) -> int:
    text = query.get("resourceVersion") or "0"
    if not text.isdecimal():
        raise RefusedError(invalid_version(text))
    return int(text)


def _integer(query: Mapping[str, str], name: str) -> int:
    text = query.get(name) or "0"
    if not text.isdecimal():
        raise RefusedError(bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax'))
    return int(text)


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() in ("true", "1")
