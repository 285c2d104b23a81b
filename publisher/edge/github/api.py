"""One repository's API: requests through PyGithub, answers as plain JSON.

PyGithub's classes are left aside, for they ask for more than they were told to wherever an answer lacks something.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from github.Auth import AppAuth, Auth
from github.Requester import Requester

from publisher import __version__
from publisher.core.redact import redact
from publisher.edge.github.transport import Limited, Unsettled, limited, permission, too_many
from publisher.errors import ApiError

T = TypeVar("T")
_PAGE = 100
_PAGES = 100
"""More is no list, but a server that goes round in circles."""
_ACCEPT = "application/vnd.github+json"
_VERSION = "2022-11-28"
_ODD = "check GITHUB_API_URL, and that publisher is up to date"
_STATUS = {"FORBIDDEN": 403, "INSUFFICIENT_SCOPES": 403, "NOT_FOUND": 404, "STALE_DATA": 412, "UNPROCESSABLE": 422}
"""What a type of GraphQL error would be in REST."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long to wait, in seconds."""

    answer: float = 15.0
    """For a connection, and without a byte."""
    attempts: int = 4
    """To read something; what writes is not repeated like that."""
    backoff: float = 0.5
    """Before the second attempt; doubles with each."""
    patience: float = 120.0
    """For all waiting before requests together."""


class Api:
    """The API, for one repository."""

    def __init__(self, url: str, repository: str, auth: Auth, timing: Timing) -> None:
        self.repository = repository
        self._url = url
        self._auth = auth
        self._timing = timing
        self._patience = timing.patience
        self._ready: Requester | None = None
        self._installation: dict[str, Any] | None = None

    def get(self, path: str, **query: object) -> Any:
        """Read something of the repository."""
        return self._steadily(lambda: self._ask("GET", self._path(path), query)[0])

    def described(self) -> tuple[Any, Mapping[str, str]]:
        """Read the repository itself; with the headers of the answer, by their names in small letters."""
        return self._steadily(lambda: self._ask("GET", self._path("")))

    def installation(self) -> dict[str, Any] | None:
        """Give how the App is installed for the repository, once anything was asked; None where it is no App."""
        return self._installation

    def pages(self, path: str, **query: object) -> Iterator[dict[str, Any]]:
        """Read a list of the repository, page by page."""
        for page in range(1, _PAGES + 1):
            asked = {"per_page": _PAGE, "page": page} | query
            items, headers = self._steadily(lambda asked=asked: self._ask("GET", self._path(path), asked))  # type: ignore[misc]
            for item in at(items, list):
                yield at(item, dict)
            if 'rel="next"' not in headers.get("link", ""):
                return
        raise ApiError(f"GitHub: {redact(path)} has no end after {_PAGES} pages")

    def write(self, verb: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Change something of the repository, once; raises Unsettled where it may or may not have been done."""
        return self._patiently(lambda: self._ask(verb, self._path(path), body=body)[0])

    def query(self, query: str) -> dict[str, Any]:
        """Read through GraphQL."""
        return self._steadily(lambda: self._graphql(query, {}))

    def mutate(self, name: str, wanted: str, **given: object) -> dict[str, Any]:
        """Change something through GraphQL, as ``write`` does; the status of an error is as REST would have it."""
        kind = f"{name[0].upper()}{name[1:]}Input"
        query = f"mutation($input: {kind}!) {{ {name}(input: $input) {{ {wanted} }} }}"
        return at(self._patiently(lambda: self._graphql(query, {"input": given})), dict, name)  # type: ignore[no-any-return]

    def settled(self, work: Callable[[bool], T]) -> T:
        """Do work that writes; once more where an answer was lost. It is told then to look first what was done."""
        try:
            return work(False)
        except Unsettled:
            time.sleep(self._timing.backoff)
            return work(True)

    def _path(self, path: str) -> str:
        return f"/repos/{self.repository}{path}"

    def _steadily(self, work: Callable[[], T]) -> T:
        """Do what may be done again."""
        wait = self._timing.backoff
        for _ in range(self._timing.attempts - 1):
            try:
                return self._patiently(work)
            except Unsettled as error:
                self._sleep(max(wait, error.retry_after or 0), error)
                wait *= 2
        try:
            return self._patiently(work)
        except Unsettled as error:  # nothing is unsettled by having looked
            raise ApiError(str(error), status=error.status) from error

    def _patiently(self, work: Callable[[], T]) -> T:
        """Do what GitHub may be too busy for at first."""
        while True:
            try:
                return work()
            except Limited as error:
                self._sleep(max(self._timing.backoff, error.retry_after or 0), error)

    def _sleep(self, seconds: float, error: ApiError) -> None:
        if seconds > self._patience:
            raise error
        self._patience -= seconds
        time.sleep(seconds)

    def _graphql(self, query: str, variables: Mapping[str, object]) -> dict[str, Any]:
        url = self._requester().graphql_url
        answer, headers = self._ask("POST", url, body={"query": query, "variables": variables})
        if errors := at(answer, list | None, "errors"):
            kind, message = at(errors[0], str | None, "type") or "", at(errors[0], str, "message")
            told = f"GitHub: {redact(f'{kind}: {message}'.removeprefix(': '), 300)}"
            if kind == "RATE_LIMITED" or limited(message, {}):
                raise too_many(told, headers, 200)
            if not kind:  # such as "Something went wrong while executing your query"
                raise Unsettled(f"{told} (GitHub is in trouble; try again later)", status=200)
            status = _STATUS.get(kind, 200)
            what = f"the token needs {permission(url)}" if status == 403 else "check the branch and GITHUB_REPOSITORY"
            raise ApiError(f"{told} ({what})", status=status)
        return at(answer, dict, "data")  # type: ignore[no-any-return]

    def _ask(
        self, verb: str, path: str, query: Mapping[str, object] | None = None, body: Mapping[str, object] | None = None
    ) -> tuple[Any, Mapping[str, str]]:
        """Ask once; gives the answer and its headers, by their names in small letters."""
        requester = self._requester()
        try:
            token = requester.auth and requester.auth.token  # PyGithub asks for one, where that of an App has ended
        except ApiError:
            raise
        except Exception as error:  # it trips over what the answer lacks
            raise ApiError(f"GitHub: no token for the App: {type(error).__name__} ({_ODD})") from error
        if not isinstance(token, str):
            raise ApiError(f"GitHub: no token for the App in the answer ({_ODD})")
        _, headers, text = requester.requestJson(verb, path, dict(query or {}), {"Accept": _ACCEPT}, body)
        return json.loads(text) if text else None, headers

    def _requester(self) -> Requester:
        """Give what asks in the name of a token, or of the App's installation for the repository."""
        if self._ready is None:
            requester = self._made(self._auth)
            if isinstance(self._auth, AppAuth):
                _, _, text = requester.requestJson("GET", self._path("/installation"), headers={"Accept": _ACCEPT})
                self._installation = at(json.loads(text), dict)
                requester = self._made(self._auth.get_installation_auth(at(self._installation, int, "id")))
            self._ready = requester
        return self._ready

    def _made(self, auth: Auth) -> Requester:
        return Requester(
            auth=auth,
            base_url=self._url,
            timeout=round(self._timing.answer * 1000),
            user_agent=f"publisher/{__version__}",
            per_page=_PAGE,
            verify=True,
            retry=None,
            pool_size=None,
            api_version=_VERSION,
        )


def at(answer: Any, kind: Any, *path: str) -> Any:
    """Give what an answer has at a place; raises ApiError where that is not of its kind."""
    found = answer
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, kind):
        place = ".".join(path) or "it"
        raise ApiError(f"GitHub: the answer is not as its API is described: {place} is of another kind ({_ODD})")
    return found
