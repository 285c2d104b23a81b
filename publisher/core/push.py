"""Push events of GitHub, Gitea, Forgejo and GitLab: whether one is genuine, and whether it moves what we follow."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

_EVENTS = ("X-GitHub-Event", "X-Gitea-Event", "X-Forgejo-Event", "X-Gitlab-Event")
_PUSHES = {"push", "Push Hook", "Tag Push Hook"}
_SIGNATURES = ("X-Hub-Signature-256", "X-Gitea-Signature", "X-Forgejo-Signature")


class NotAnEvent(ValueError):
    """What was sent is no event of a host that we know; the message says what is wrong with it."""


def genuine(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Tell whether whoever sent an event knows the secret. The names of headers may be in any case."""
    for name in _SIGNATURES:
        if given := headers.get(name):
            signed = hmac.new(secret.encode(), body, "sha256").hexdigest()
            return hmac.compare_digest(given.removeprefix("sha256=").encode("latin-1", "replace"), signed.encode())
    return hmac.compare_digest(headers.get("X-Gitlab-Token", "").encode("latin-1", "replace"), secret.encode())


def ignored(headers: Mapping[str, str], body: bytes, ref: str) -> str:
    """Say why an event is none of our business; empty where it moves a branch or tag, or HEAD where ``ref`` is empty.

    ``body`` is the JSON text of the event.
    Raises NotAnEvent.
    """
    event = next(filter(None, map(headers.get, _EVENTS)), "")
    if not event:
        raise NotAnEvent("not an event of GitHub, Gitea, Forgejo or GitLab")
    if event not in _PUSHES:
        return "no push"
    document = _read(body)
    moved = document.get("ref")
    if not isinstance(moved, str):
        raise NotAnEvent("the event does not say which ref was pushed")
    if ref:
        followed = {f"refs/heads/{ref}", f"refs/tags/{ref}", ref}
    else:
        homes = (document.get("repository"), document.get("project"))
        names = [home.get("default_branch") for home in homes if isinstance(home, dict)]
        followed = {f"refs/heads/{name}" for name in names if name} or {moved}
    return "" if moved in followed else "another branch"


def _read(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotAnEvent("the event is not JSON") from error
    if not isinstance(document, dict):
        raise NotAnEvent("the event is no object")
    return document
