"""The publisher's side of a GitHub, and all that it can be asked to do there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from publisher.core.forge import PullRequest
from publisher.core.history import Draft
from publisher.edge.github import GitHub, from_environment
from publisher.edge.github.api import Timing
from publisher.errors import PublisherError

BRANCH = "publisher/edge"
QUICK = Timing(answer=5, attempts=2, backoff=0.01, patience=5)
"""For faults that show at once."""


class World:
    """A GitHub with a branch of the publisher's, as one that uses it."""

    branch = BRANCH

    def __init__(self, fake: Any) -> None:
        self.fake = fake
        self.base = fake.tip("main")
        self.head = fake.commit(BRANCH, {"a.json": b"1\n"}, "update a", self.base)

    def hub(self, timing: Timing = QUICK, **environment: str) -> GitHub:
        """Give the repository, with the token that the environment has or with others."""
        return from_environment("", {**self.fake.environment, **environment}, timing)

    def request(self, **state: Any) -> PullRequest:
        """Open a pull request with a title, a body, and labels of ours and of a person."""
        number = self.fake.pull(BRANCH, title="Old", body="old")
        self.fake.pulls[number] |= {"labels": ["publisher/old", "people"]} | state
        found = self.fake.pulls[number]
        url = f"https://github.invalid/acme/config/pull/{number}"
        return PullRequest(number, url, found["title"], found["body"], tuple(found["labels"]), self.head, False)

    def draft(self, branch: str = "main", replaces: str | None = None) -> Draft:
        """Give a commit that adds, changes and removes files."""
        changes = {"b.json": b"\xff\x00", "README.md": None}
        return Draft(branch, self.base, changes, "update b\n\nwhy\n\nPublisher-Id: edge\n", replaces=replaces)

    def call(self, name: str) -> Callable[[GitHub], object]:
        """Set up for one of the calls, and give it."""
        if name == "open":
            return lambda hub: hub.open(BRANCH, "main", "New", "new", ("publisher/edge",))
        if name == "commit":
            draft = self.draft()
            return lambda hub: hub.commit(draft)
        if name == "replace":
            replacing = self.draft(BRANCH, self.head)
            return lambda hub: hub.commit(replacing)
        if name == "status":
            return lambda hub: hub.set_status(self.base, "success", "2/2 workers")
        request = self.request()
        if name == "edit":
            self.fake.say(request.number, "<!-- publisher:plan -->\nold", self.fake.viewer)
        return {
            "find": lambda hub: hub.find(BRANCH, "main"),
            "update": lambda hub: hub.update(request, "New", "new", ("publisher/edge",)),
            "close": lambda hub: hub.close(request, "gone", "was"),
            "comment": lambda hub: hub.comment(request.number, "plan", "new"),
            "edit": lambda hub: hub.comment(request.number, "plan", "new"),
        }[name]

    def state(self) -> dict[str, object]:
        """Take down all that GitHub has, but for the ids that it gives out."""
        fake = self.fake
        pulls = [dict(pull) for pull in fake.pulls.values()]
        comments = [comment["body"] for comment in fake.comments.values()]
        lines = fake.git("for-each-ref", "--format=%(refname) %(tree)").splitlines()
        refs = fake.git("for-each-ref", "--format=%(refname)", "refs/heads")
        trees = {ref: fake.git("log", "--format=%T %B", ref) for ref in refs.split()}
        assert len(lines) == len(trees)
        return {
            "pulls": pulls,
            "comments": comments,
            "labels": dict(fake.labels),
            "refs": trees,
            "statuses": fake.statuses,
        }

    def did(self, verb: str, path: str) -> int:
        """Count requests."""
        return sum(bool(re.fullmatch(f"{verb} (.*/)?{path}", request)) for request in self.fake.requests)


@pytest.fixture
def world(github: Any) -> World:
    """Give every test a GitHub of its own."""
    return World(github)


@pytest.fixture
def fails(world: World) -> Callable[..., str]:
    """Do what has to fail in a way that the user is told of, and give that one line, which holds no token."""

    def call(work: Callable[[], object], kind: type[PublisherError] = PublisherError) -> str:
        with pytest.raises(kind) as caught:
            work()
        text = str(caught.value)
        assert caught.value.exit_code in (1, 2)
        assert "\n" not in text
        assert 10 < len(text) < 500
        assert world.fake.token not in text
        return text

    return call
