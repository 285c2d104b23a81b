"""A GitHub of one repository on a loopback port: it keeps state, its branches are those of a real bare repository.

Every request and every answer is checked against GitHub's own description. Faults can be ordered.
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jwt
from jsonschema import Draft202012Validator

NONE = "0" * 40
_OID = {"type": "string", "pattern": "^[0-9a-f]{40}$"}
_TEXT = {"type": "string"}


def _input(required: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def _list(**properties: Any) -> dict[str, Any]:
    return {"type": "array", "items": _input(" ".join(properties), **properties)}


INPUTS = {
    "createCommitOnBranch": _input(
        "branch expectedHeadOid message",
        branch=_input("repositoryNameWithOwner branchName", repositoryNameWithOwner=_TEXT, branchName=_TEXT),
        expectedHeadOid=_OID,
        message=_input("headline", headline={"type": "string", "pattern": "^[^\n]+$"}, body=_TEXT),
        fileChanges=_input("", additions=_list(path=_TEXT, contents=_TEXT), deletions=_list(path=_TEXT)),
    ),
    "updateRefs": _input(
        "repositoryId refUpdates",
        repositoryId=_TEXT,
        refUpdates={
            "type": "array",
            "items": _input(
                "name afterOid",
                name={"type": "string", "pattern": "^refs/heads/"},
                afterOid=_OID,
                beforeOid=_OID,
                force={"type": "boolean"},
            ),
        },
    ),
}
"""The inputs of the mutations, by GitHub's GraphQL schema, of what the publisher uses of them."""


@dataclass(frozen=True)
class Fault:
    """An answer that is none, or not the right one."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None
    """Content-Length, where it is not that of the body."""
    kind: str = ""
    """reset, hang or drip; empty: the answer above."""


@dataclass
class _Order:
    verb: str
    path: re.Pattern[str]
    fault: Fault
    after: bool
    times: int
    down: bool
    skip: int


class Refusal(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "documentation_url": "https://docs.github.invalid", **more}


class GraphQLError(Exception):
    """An error in an answer 200."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.body = {"data": None, "errors": [{"type": kind, "path": [], "message": message}]}


Made = tuple[int, Any]


class FakeGitHub:
    """The repository acme/config."""

    repository = "acme/config"
    token = "ghp_0123456789abcdefgh"

    def __init__(self, folder: Path, description: Any, prefix: str = "/api/v3") -> None:
        self.description = description
        self.prefix = prefix
        self.bare = folder / "github.git"
        self.folder = folder
        self.pulls: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        self.labels: dict[str, dict[str, Any]] = {}
        self.viewer = 7
        """Who the token belongs to; 8 is another person."""
        self.requests: list[str] = []
        """``VERB path`` of each, in order, without the prefix."""
        self.wrong: list[str] = []
        """What did not fit the description; has to stay empty."""
        self.most_per_page = 100
        self.app = ("", "")
        """Id and public key of the App that is installed, if one is."""
        self.lifetime = 3600.0
        """Seconds that the next token of an App lasts."""
        self.issued: dict[str, float] = {}
        """Tokens given out to the App, and when they end."""
        self._orders: list[_Order] = []
        self._down: Fault | None = None
        self._ids = 100
        self._heads: dict[int, str] = {}
        self._lock = threading.RLock()
        self.watch: Callable[[str], None] = lambda when: None
        """Called with ``before`` and ``after`` each request has its effect."""
        self.closed = threading.Event()
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare), at=folder)
        self.commit("main", {"README.md": b"# people's\n"}, "set up")
        self._server = _Server(self)

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
        names = ("pulls", "comments", "labels", "_heads", "_ids")
        return deepcopy({name: getattr(self, name) for name in names})

    def restore(self, saved: dict[str, Any]) -> None:
        """Be as it was when that was taken down."""
        for name, value in deepcopy(saved).items():
            setattr(self, name, value)

    # what people do

    def _git(self, *arguments: str, at: Path | None = None, stdin: bytes = b"", index: str = "") -> str:
        command = ["git", "-C", str(at or self.bare), *arguments]
        environment = {**os.environ, **({"GIT_INDEX_FILE": index} if index else {})}
        done = subprocess.run(command, input=stdin, capture_output=True, env=environment, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        return done.stdout.decode().rstrip("\n")

    def git(self, *arguments: str) -> str:
        """Ask git in the repository."""
        return self._git(*arguments)

    def tip(self, branch: str) -> str:
        """Give the commit of a branch, or nothing."""
        return self._git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def commit(self, branch: str, changes: dict[str, bytes | None], message: str, base: str | None = None) -> str:
        """Put a commit on a branch, on top of what it has or of another commit; gives it."""
        parent = self.tip(branch) if base is None else base
        made = self._commit(parent, changes, message)
        self._git("update-ref", f"refs/heads/{branch}", made)
        return made

    def _commit(self, parent: str, changes: dict[str, bytes | None], message: str) -> str:
        index = str(self.folder / f"index-{self._id()}")
        self._git("read-tree", parent or "--empty", index=index)
        lines = []
        for path, content in changes.items():
            blob = NONE if content is None else self._git("hash-object", "-w", "--stdin", stdin=content)
            lines.append(f"{0 if content is None else 100644} {blob}\t{path}\0")
        self._git("update-index", "-z", "--index-info", index=index, stdin="".join(lines).encode())
        tree = self._git("write-tree", index=index)
        return self._git("commit-tree", tree, *(["-p", parent] if parent else []), stdin=message.encode())

    def pull(self, branch: str, base: str = "main", title: str = "", body: str = "", fork: bool = False) -> int:
        """Open a pull request; from a fork of the same owner, whose branches have the same names to the API."""
        number = self._id()
        self.pulls[number] = {
            "head": branch, "base": base, "title": title, "body": body, "state": "open",
            "labels": [], "reviews": [], "repo": 2 if fork else 1,
        }  # fmt: skip
        return number

    def merge(self, number: int, how: str) -> str:
        """Merge a pull request by its button: ``merge``, ``squash`` (title and body are the message) or ``rebase``."""
        pull = self.pulls[number]
        base, head = self.tip(pull["base"]), self.tip(pull["head"])
        tree = self._git("merge-tree", "--write-tree", base, head)
        message = {
            "merge": f"Merge pull request #{number} from acme/{pull['head']}\n\n{pull['title']}",
            "squash": f"{pull['title']} (#{number})\n\n{pull['body']}",
            "rebase": self._git("show", "-s", "--format=%B", head),
        }[how]
        parents = ["-p", base, *(["-p", head] if how == "merge" else [])]
        made = self._git("commit-tree", tree, *parents, stdin=message.encode())
        self._git("update-ref", f"refs/heads/{pull['base']}", made)
        self._settle()
        pull |= {"state": "closed", "merged": True}
        return made

    def delete(self, branch: str) -> None:
        """Delete a branch."""
        self._git("update-ref", "-d", f"refs/heads/{branch}")
        self._settle()

    def update_branch(self, number: int) -> str:
        """Merge the base into the branch, as the button does."""
        pull = self.pulls[number]
        base, head = self.tip(pull["base"]), self.tip(pull["head"])
        tree = self._git("merge-tree", "--write-tree", head, base)
        message = f"Merge branch '{pull['base']}' into {pull['head']}"
        made = self._git("commit-tree", tree, "-p", head, "-p", base, stdin=message.encode())
        self._git("update-ref", f"refs/heads/{pull['head']}", made)
        return made

    def review(self, number: int, user: int, state: str, commit: str = "") -> None:
        """Review the newest commit of a pull request, or another."""
        commit = commit or self.tip(self.pulls[number]["head"])
        self.pulls[number]["reviews"].append({"user": user, "state": state, "commit": commit})

    def say(self, number: int, body: str, user: int = 8) -> int:
        """Write a comment."""
        made = self._id()
        self.comments[made] = {"number": number, "user": user, "body": body}
        return made

    def said(self, number: int) -> list[str]:
        """Give the comments of a pull request."""
        return [comment["body"] for comment in self.comments.values() if comment["number"] == number]

    def _id(self) -> int:
        self._ids += 1
        return self._ids

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
        more: dict[str, str] = {}
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
                answer, more = self._page(answer, query, path)
        except Refusal as error:
            status, answer = error.status, error.body
        wrong += self.description.answer(verb, template, status, answer)
        self.wrong += [f"{verb} {path}: {what}" for what in wrong]
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
            ("GET", repo): lambda: (200, self._repo("full-repository", 1)),
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
            ("GET", f"{repo}/installation"): self._installation,
            ("POST", "/app/installations/{installation_id}/access_tokens"): self._issue,
        }

    # pull requests

    @staticmethod
    def _one(items: dict[Any, Any], key: Any) -> Any:
        if key not in items:
            raise Refusal(404, "Not Found")
        return items[key]

    def _user(self, number: int) -> dict[str, Any]:
        return self.description.sample("simple-user") | {"id": number, "login": f"user{number}"}

    def _repo(self, schema: str, number: int) -> dict[str, Any]:
        name = self.repository if number == 1 else "acme/fork"
        return self.description.sample(schema) | {"id": number, "full_name": name, "node_id": f"R_{number}"}

    def _pull(self, number: int | str, schema: str = "pull-request") -> dict[str, Any]:
        state = self._one(self.pulls, int(number))
        pull = self.description.sample(schema) | {
            "number": int(number),
            "html_url": f"https://github.invalid/acme/config/pull/{number}",
            "title": state["title"],
            "body": state["body"] or None,
            "state": state["state"],
            "labels": [self._label(name) for name in state["labels"]],
            "user": self._user(self.viewer),
            "merged_at": "2026-01-02T03:04:05Z" if state.get("merged") else None,
        }
        for side, repo in (("head", state["repo"]), ("base", 1)):
            commit = self.tip(state[side]) or NONE
            commit = self._heads.get(int(number), commit) if side == "head" else commit
            pull[side] |= {"ref": state[side], "sha": commit, "label": f"acme:{state[side]}"}
            pull[side]["repo"] = self._repo("repository", repo) if repo else None
        return pull

    def _list_pulls(self, state: str, head: str, base: str, per_page: str, page: str) -> Made:
        found = [
            number
            for number, pull in reversed(self.pulls.items())
            if (pull["state"], f"acme:{pull['head']}", pull["base"]) == (state, head, base)
        ]
        return 200, [self._pull(number, "pull-request-simple") for number in found]

    def _open(self, body: dict[str, Any]) -> Made:
        head, base = body["head"], body["base"]
        wrong = [
            {"resource": "PullRequest", "field": side, "code": "invalid"}
            for side in ("head", "base")
            if not self.tip(body[side])
        ]
        if self.tip(head) == self.tip(base):
            wrong = [{"resource": "PullRequest", "code": "custom", "message": f"No commits between {base} and {head}"}]
        if any((p["state"], p["head"], p["base"], p["repo"]) == ("open", head, base, 1) for p in self.pulls.values()):
            message = f"A pull request already exists for acme:{head}."
            wrong = [{"resource": "PullRequest", "code": "custom", "message": message}]
        wrong += self._too_long(body["body"])
        if wrong:
            raise Refusal(422, "Validation Failed", errors=wrong)
        return 201, self._pull(self.pull(head, base, body["title"], body["body"]))

    @staticmethod
    def _too_long(text: str) -> list[dict[str, str]]:
        message = "body is too long (maximum is 65536 characters)"
        return (
            [{"resource": "Issue", "code": "custom", "field": "body", "message": message}] if len(text) > 65536 else []
        )

    def _edit(self, number: str, body: dict[str, Any]) -> Made:
        if wrong := self._too_long(body.get("body", "")):
            raise Refusal(422, "Validation Failed", errors=wrong)
        self._one(self.pulls, int(number)).update(body)
        return 200, self._pull(number)

    def _reviews(self, number: str, per_page: str, page: str) -> Made:
        sample = self.description.sample("pull-request-review")
        reviews = self._one(self.pulls, int(number))["reviews"]
        return 200, [
            sample | {
                "id": count,
                "user": self._user(review["user"]) if review["user"] else None,
                "state": review["state"],
                "commit_id": review["commit"],
            }
            for count, review in enumerate(reviews)
        ]  # fmt: skip

    def _shown(self, number: int) -> dict[str, Any]:
        comment = self._one(self.comments, number)
        user = self._user(comment["user"]) if comment["user"] else None
        return self.description.sample("issue-comment") | {"id": number, "body": comment["body"], "user": user}

    def _list_comments(self, number: str, per_page: str, page: str) -> Made:
        self._one(self.pulls, int(number))
        return 200, [self._shown(made) for made, c in self.comments.items() if c["number"] == int(number)]

    def _comment(self, number: str, body: dict[str, str]) -> Made:
        self._one(self.pulls, int(number))
        if wrong := self._too_long(body["body"]):
            raise Refusal(422, "Validation Failed", errors=wrong)
        return 201, self._shown(self.say(int(number), body["body"], self.viewer))

    def _edit_comment(self, number: str, body: dict[str, str]) -> Made:
        self._one(self.comments, int(number))["body"] = body["body"]
        return 200, self._shown(int(number))

    def _label(self, name: str) -> dict[str, Any]:
        return self.labels.setdefault(
            name, self.description.sample("label") | {"name": name, "color": "ededed", "description": ""}
        )

    def _make_label(self, body: dict[str, str]) -> Made:
        if body["name"] in self.labels:
            raise Refusal(
                422, "Validation Failed", errors=[{"resource": "Label", "code": "already_exists", "field": "name"}]
            )
        self._label(body["name"])["color"] = body["color"]
        return 201, self._label(body["name"])

    def _add_labels(self, number: str, body: dict[str, list[str]]) -> Made:
        labels = self._one(self.pulls, int(number))["labels"]
        labels += [name for name in body["labels"] if name not in labels]
        return 200, [self._label(name) for name in labels]

    def _remove_label(self, number: str, name: str) -> Made:
        labels = self._one(self.pulls, int(number))["labels"]
        if name not in labels:
            raise Refusal(404, "Label does not exist")
        labels.remove(name)
        return 200, [self._label(name) for name in labels]

    # git

    def _settle(self) -> None:
        """Take note of what was pushed, and close for good what has nothing ahead of its base any more."""
        for number, pull in self.pulls.items():
            head = self.tip(pull["head"])
            if head and pull["state"] == "open":
                self._heads[number] = head
            if pull["repo"] == 1 and head in ("", self.tip(pull["base"])):
                pull["state"] = "closed"

    def _ref(self, ref: str) -> Made:
        commit = self.tip(ref.removeprefix("heads/"))
        if not commit or not ref.startswith("heads/"):
            raise Refusal(404, "Not Found")
        found = self.description.sample("git-ref") | {"ref": f"refs/{ref}"}
        found["object"] |= {"sha": commit, "type": "commit"}
        return 200, found

    def _show(self, commit: str) -> Made:
        parents, _, message = self._git("show", "-s", "--format=%P%n%B", commit).partition("\n")
        uri = "https://github.invalid/x"
        listed = [{"sha": sha, "url": uri, "html_url": uri} for sha in parents.split()]
        return 200, self.description.sample("git-commit") | {"sha": commit, "message": message, "parents": listed}

    def _graphql(self, name: str, document: Any) -> Any:
        if name == "viewer":
            return {"viewer": {"databaseId": self.viewer}}
        given = document["variables"]["input"]
        self.wrong += [f"{name}: {error.message}" for error in Draft202012Validator(INPUTS[name]).iter_errors(given)]
        made = {"createCommitOnBranch": self._commit_on_branch, "updateRefs": self._update_refs}[name](given)
        self._settle()
        return {name: made}

    def _commit_on_branch(self, given: Any) -> Any:
        branch, expected = given["branch"]["branchName"], given["expectedHeadOid"]
        tip = self.tip(branch)
        if not tip or given["branch"]["repositoryNameWithOwner"] != self.repository:
            raise GraphQLError("NOT_FOUND", f'No ref exists named "{branch}"')
        if tip != expected:
            raise GraphQLError(
                "STALE_DATA", f'Expected branch to point to "{expected}" but it did not. Pull and try again.'
            )
        changes: dict[str, bytes | None] = {}
        for addition in given["fileChanges"]["additions"]:
            changes[addition["path"]] = base64.b64decode(addition["contents"], validate=True)
        there = self._git("ls-tree", "-r", "--name-only", "-z", tip).split("\0")
        for deletion in given["fileChanges"]["deletions"]:
            if deletion["path"] not in there:
                raise GraphQLError(
                    "UNPROCESSABLE", f"A path was requested for deletion which does not exist as of commit oid `{tip}`"
                )
            changes[deletion["path"]] = None
        message = "\n\n".join(filter(None, [given["message"]["headline"], given["message"].get("body", "")]))
        return {"commit": {"oid": self.commit(branch, changes, message)}}

    def _update_refs(self, given: Any) -> Any:
        if given["repositoryId"] != "R_1":
            raise GraphQLError("NOT_FOUND", "Could not resolve to a node")
        lines = []
        for update in given["refUpdates"]:
            before = self.tip(update["name"].removeprefix("refs/heads/"))
            if "beforeOid" in update and update["beforeOid"] != (before or NONE):
                raise GraphQLError("UNPROCESSABLE", f"{update['name']} is not at {update['beforeOid']}")
            lines.append(f"update {update['name']} {update['afterOid']}\n")
        self._git("update-ref", "--stdin", stdin="".join(lines).encode())
        return {"clientMutationId": None}

    # the App

    def _installation(self) -> Made:
        return 200, self.description.sample("installation") | {"id": 33}

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


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, fake: FakeGitHub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that clients ended; anything else is a mistake in here."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self.fake.wrong.append(f"the fake failed: {error!r}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        given = self.server.fake.answer(self.command, self.path, self.headers, body)
        if isinstance(given, Fault):
            self._fail(given)
            return
        status, answer, headers = given
        content = b"" if answer is None else json.dumps(answer).encode()
        self._begin(status, {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers})
        self.wfile.write(content)

    do_POST = do_PATCH = do_DELETE = do_GET

    def _fail(self, fault: Fault) -> None:
        self.close_connection = True
        if fault.kind == "hang":
            self.server.fake.closed.wait()
        elif fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.close(self.connection.detach())
        else:
            length = len(fault.body) if fault.length is None else fault.length
            self._begin(fault.status, {"Content-Length": str(length), **fault.headers})
            self.wfile.write(fault.body)
            while fault.kind == "drip":
                self.wfile.write(b" ")
                self.server.fake.closed.wait(0.05)

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
