"""A GitHub of one repository on a loopback port: it keeps state, its branches are those of a real bare repository.

Every request and every answer is checked against GitHub's own description. Faults can be ordered.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jwt

from .branches import GraphQLError, Made, Refusal
from .listener import Fault, Server
from .openapi import Description
from .statuses import Statuses

__all__ = ["Description", "FakeGitHub", "Fault"]


@dataclass
class _Order:
    verb: str
    path: re.Pattern[str]
    fault: Fault
    after: bool
    times: int
    down: bool
    skip: int


class FakeGitHub(Statuses):
    """The repository acme/config."""

    token = "ghp_0123456789abcdefgh"

    def __init__(self, folder: Path, description: Any, prefix: str = "/api/v3") -> None:
        super().__init__(folder, description)
        self.prefix = prefix
        self.requests: list[str] = []
        """``VERB path`` of each, in order, without the prefix."""
        self.most_per_page = 100
        self.app = ("", "")
        """Id and public key of the App that is installed, if one is."""
        self.lifetime = 3600.0
        """Seconds that the next token of an App lasts."""
        self.app_permissions = {"contents": "write", "pull_requests": "write", "metadata": "read"}
        self.scopes: str | None = None
        """Of a classic token; None for any other."""
        self.facts: dict[str, Any] = {"permissions": {"pull": True, "push": True, "admin": False}}
        """What the repository says of itself."""
        self.issued: dict[str, float] = {}
        """Tokens given out to the App, and when they end."""
        self._orders: list[_Order] = []
        self._down: Fault | None = None
        self._lock = threading.RLock()
        self.watch: Callable[[str], None] = lambda when: None
        """Called with ``before`` and ``after`` each request has its effect."""
        self.closed = threading.Event()
        self._server = Server(self)

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.prefix}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead here."""
        return {"GITHUB_API_URL": self.url, "GITHUB_REPOSITORY": self.repository, "GITHUB_TOKEN": self.token}

    @property
    def writes(self) -> list[str]:
        """The requests so far that changed something or tried to."""
        reads = ("GET ", "POST /graphql viewer", "POST /app/")
        return [request for request in self.requests if not request.startswith(reads)]

    def close(self) -> None:
        """Stop."""
        self.closed.set()
        self._server.close()

    def fail(
        self,
        verb: str,
        path: str,
        fault: Fault,
        *,
        after: bool = False,
        times: int = 1,
        down: bool = False,
        skip: int = 0,
    ) -> None:
        """Let requests fail whose path has this pattern at its end, before or after they had their effect.

        No verb is any verb. ``down``: and whatever comes then; ``skip``: not the first ones.
        """
        self._orders.append(_Order(verb, re.compile(f"(.*/)?{path}"), fault, after, times, down, skip))

    def mend(self) -> None:
        """Let nothing fail any more."""
        self._orders.clear()
        self._down = None

    def saved(self) -> dict[str, Any]:
        """Take down all but the repository."""
        names = ("pulls", "comments", "labels", "statuses", "_heads", "_ids")
        return deepcopy({name: getattr(self, name) for name in names})

    def restore(self, saved: dict[str, Any]) -> None:
        """Be as it was when that was taken down."""
        for name, value in deepcopy(saved).items():
            setattr(self, name, value)

    # one request

    def answer(self, verb: str, target: str, headers: Any, body: bytes) -> tuple[int, Any, dict[str, str]] | Fault:
        """Answer a request, or give the fault that was ordered."""
        with self._lock:
            raw, _, query = target.partition("?")
            api = raw.removeprefix(self.prefix)
            path = "/graphql" if raw == self.prefix.removesuffix("/v3") + "/graphql" else api
            document = json.loads(body) if body else None
            name = _named(document["query"]) if path == "/graphql" else ""
            shown = f"{path} {name}".strip()
            self.requests.append(f"{verb} {shown}")
            if self._down:
                return self._down
            found = (o for o in self._orders if o.times and o.verb in ("", verb) and o.path.fullmatch(shown))
            order = next(found, None)
            if order and order.skip:
                order.skip -= 1
                order = None
            if order:
                order.times -= 1
                self._down = order.fault if order.down else None
                if not order.after:
                    return order.fault
            self.watch("before")
            self._settle()
            given = self._answer(verb, path, name, dict(parse_qsl(query)), headers, document)
            self.watch("after")
            return order.fault if order else given

    def _answer(
        self, verb: str, path: str, name: str, query: dict[str, str], headers: Any, document: Any
    ) -> tuple[int, Any, dict[str, str]]:
        more = {} if self.scopes is None else {"X-OAuth-Scopes": self.scopes}
        if name:
            self._check_headers(path, headers)
            try:
                self._authorized(path, headers)
                return 200, {"data": self._graphql(name, document)}, more
            except GraphQLError as error:
                return 200, error.body, more
            except Refusal as error:
                return error.status, error.body, more
        found = self.description.find(verb, path)
        if found is None:
            self.wrong.append(f"{verb} {path}: not described")
            return 404, {"message": "Not Found"}, more
        template, places = found
        self._check_headers(template, headers)
        wrong = self.description.request(verb, template, places, query, document)
        try:
            self._authorized(template, headers)
            if template.startswith("/repos/") and "/".join(places[:2]).lower() != self.repository:
                raise Refusal(404, "Not Found")
            places = places[2:] if template.startswith("/repos/") else places
            status, answer = self._handlers()[verb, template](
                *places, **(query or {}), **({"body": document} if document is not None else {})
            )
            if isinstance(answer, list) and "per_page" in query:
                answer, links = self._page(answer, query, path)
                more |= links
        except Refusal as error:
            status, answer = error.status, error.body
        wrong += self.description.answer(verb, template, status, answer)
        # of a fork that is gone GitHub gives no repository, whatever it says of itself
        self.wrong += [f"{verb} {path}: {what}" for what in wrong if "head.repo: None is not" not in what]
        return status, answer, more

    def _check_headers(self, template: str, headers: Any) -> None:
        accepted = headers["Accept"] == "application/vnd.github+json" or template.startswith("/app/")
        named = headers["User-Agent"].startswith("publisher/") and headers["X-GitHub-Api-Version"] == "2022-11-28"
        if not accepted or not named:
            self.wrong.append(f"{template}: headers {dict(headers)}")

    def _authorized(self, template: str, headers: Any) -> None:
        kind, _, secret = (headers["Authorization"] or "").partition(" ")
        if template.startswith("/app/") or template.endswith("/installation"):
            app, key = self.app
            try:
                assert kind == "Bearer"
                claims = jwt.decode(secret, key, algorithms=["RS256"], issuer=app, options={"require": ["exp", "iat"]})
                assert claims["exp"] - claims["iat"] <= 600
            except (AssertionError, jwt.PyJWTError, ValueError) as error:
                raise Refusal(401, "A JSON web token could not be decoded") from error
        elif kind != "token" or (secret != self.token and self.issued.get(secret, 0) < time.time()):
            raise Refusal(401, "Bad credentials")

    def _page(self, items: list[Any], query: dict[str, str], path: str) -> tuple[list[Any], dict[str, str]]:
        size, page = min(int(query["per_page"]), self.most_per_page), int(query.get("page", 1))
        more = len(items) > size * page
        link = f'<{self.url}{path}?page={page + 1}>; rel="next", <{self.url}{path}?page=99>; rel="last"'
        return items[size * (page - 1) : size * page], {"Link": link} if more else {}

    def _handlers(self) -> dict[tuple[str, str], Callable[..., Made]]:
        repo = "/repos/{owner}/{repo}"
        return {
            ("GET", repo): lambda: (200, self._repo("full-repository", 1) | self.facts),
            ("GET", f"{repo}/pulls"): self._list_pulls,
            ("POST", f"{repo}/pulls"): self._open,
            ("GET", f"{repo}/pulls/{{pull_number}}"): lambda number: (200, self._pull(number)),
            ("PATCH", f"{repo}/pulls/{{pull_number}}"): self._edit,
            ("GET", f"{repo}/pulls/{{pull_number}}/reviews"): self._reviews,
            ("GET", f"{repo}/issues/{{issue_number}}/comments"): self._list_comments,
            ("POST", f"{repo}/issues/{{issue_number}}/comments"): self._comment,
            ("PATCH", f"{repo}/issues/comments/{{comment_id}}"): self._edit_comment,
            ("POST", f"{repo}/issues/{{issue_number}}/labels"): self._add_labels,
            ("DELETE", f"{repo}/issues/{{issue_number}}/labels/{{name}}"): self._remove_label,
            ("POST", f"{repo}/labels"): self._make_label,
            ("GET", f"{repo}/labels/{{name}}"): lambda name: (200, self._one(self.labels, name)),
            ("GET", f"{repo}/git/ref/{{ref}}"): self._ref,
            ("GET", f"{repo}/git/commits/{{commit_sha}}"): self._show,
            ("GET", f"{repo}/commits/{{ref}}/statuses"): self._list_statuses,
            ("POST", f"{repo}/statuses/{{sha}}"): self._set_status,
            ("GET", f"{repo}/installation"): self._installation,
            ("POST", "/app/installations/{installation_id}/access_tokens"): self._issue,
        }

    # the App

    def _installation(self) -> Made:
        sample = self.description.sample("installation")
        return 200, sample | {"id": 33, "permissions": self.app_permissions}

    def _issue(self, installation: str, body: Any) -> Made:
        if installation != "33":
            raise Refusal(404, "Not Found")
        token = f"ghs_installation{self._id()}"
        self.issued[token] = time.time() + self.lifetime
        until = datetime.now(UTC) + timedelta(seconds=self.lifetime)
        sample = self.description.sample("installation-token")
        return 201, sample | {"token": token, "expires_at": until.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _named(query: str) -> str:
    """Give the one field that a query or mutation asks for."""
    found = re.search(r"\{\s*(\w+)", query)
    assert found, query
    return found[1]
