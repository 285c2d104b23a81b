"""Pull requests: opened, found, changed no more than needed, closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from publisher.core.forge import PullRequest
from publisher.edge.github.text import LIMIT
from publisher.errors import ApiError

LABELS = ("publisher/edge", "publisher/held")
TRAILERS = "Publisher-Id: edge\nPublisher-Plan: 12ab"


def test_open_then_find(world: Any) -> None:
    """What was opened is found as it was opened, with labels of one colour."""
    hub = world.hub()
    assert hub.find(world.branch, "main") is None
    made = hub.open(world.branch, "main", "Title", "Body", LABELS)
    found = hub.find(world.branch, "main")
    number = next(iter(world.fake.pulls))
    url = f"https://github.invalid/acme/config/pull/{number}"
    assert found == PullRequest(number, url, "Title", "Body", LABELS, world.head, False)
    assert made == replace(found, labels=())  # as it was before the labels were put on
    assert {label["color"] for label in world.fake.labels.values()} == {"1d76db"}
    assert found.head == world.fake.tip(world.branch)


def test_unchanged_is_not_written(world: Any) -> None:
    """Where nothing differs, nothing is written, whoever else put labels on, and however a browser ended lines."""
    request = world.request(body="one\r\ntwo\r\n", labels=["people", "Publisher/Edge"])
    found = world.hub().find(world.branch, "main")
    assert found == request
    world.hub().update(found, "Old", "one\ntwo", ("publisher/edge",))
    assert world.fake.writes == []


@pytest.mark.parametrize(
    ("title", "body", "labels", "writes"),
    [
        ("New", "old", ("publisher/old",), ["PATCH /repos/acme/config/pulls/102"]),
        ("Old", "new", ("publisher/old",), ["PATCH /repos/acme/config/pulls/102"]),
        ("Old", "old", (), ["DELETE /repos/acme/config/issues/102/labels/publisher%2Fold"]),
        (
            "Old",
            "old",
            ("publisher/old", "publisher/x y"),
            ["POST /repos/acme/config/labels", "POST /repos/acme/config/issues/102/labels"],
        ),
    ],
    ids=["title", "body", "label off", "label on"],
)
def test_only_what_differs_is_written(
    world: Any, title: str, body: str, labels: tuple[str, ...], writes: list[str]
) -> None:
    """One thing that differs is one thing written; the labels of people stay."""
    request = world.request()
    number = request.number
    world.hub().update(request, title, body, labels)
    assert world.fake.writes == [write.replace("102", str(number)) for write in writes]
    now = world.fake.pulls[number]
    assert (now["title"], now["body"]) == (title, body)
    assert set(now["labels"]) == {"people", *labels}


def test_a_label_that_is_there_is_not_made(world: Any) -> None:
    """A label keeps the colour that people gave it."""
    world.fake.commit("main", {"x": b"1"}, "so that there is something to merge")
    world.fake._make_label({"name": LABELS[0], "color": "000000"})
    world.hub().open(world.branch, "main", "Title", "", LABELS[:1])
    assert world.did("POST", "config/labels") == 0
    assert world.fake.labels[LABELS[0]]["color"] == "000000"


def test_somebody_makes_the_label_meanwhile(world: Any, forge: Any) -> None:
    """A label that another run makes between our look and our write is taken as it is."""
    world.fake._make_label({"name": LABELS[0], "color": "000000"})
    missing = forge.Fault(404, body=b'{"message": "Not Found"}')
    world.fake.fail("GET", "labels/publisher%2Fedge", missing)
    world.hub().open(world.branch, "main", "Title", "", LABELS[:1])
    assert next(iter(world.fake.pulls.values()))["labels"] == [LABELS[0]]


def test_a_label_that_a_person_took_off_meanwhile(world: Any) -> None:
    """A label of ours that is off already is no failure."""
    request = world.request()
    world.fake.pulls[request.number]["labels"].clear()
    world.hub().update(request, "Old", "old", ())
    assert world.did("DELETE", ".*") == 1


@pytest.mark.parametrize("fork", ["of the same owner", "that is gone"])
def test_a_pull_request_of_a_fork_is_none_of_ours(world: Any, fork: str) -> None:
    """A fork may have a branch of the same name; its pull request is neither found nor in the way."""
    number = world.fake.pull(world.branch, title="A fork's", fork=True)
    if fork == "that is gone":
        world.fake.pulls[number]["repo"] = 0
    hub = world.hub()
    assert hub.find(world.branch, "main") is None
    ours = hub.open(world.branch, "main", "Ours", "", ())
    assert ours.number != number
    found = hub.find(world.branch, "main")
    assert found == ours


@pytest.mark.parametrize(("branch", "base"), [("publisher/edge", "release"), ("publisher/other", "main")])
def test_another_branch_or_base_is_another_pull_request(world: Any, branch: str, base: str) -> None:
    """Only the pull request between these two branches is found."""
    world.request()
    world.fake.commit("release", {"x": b"1"}, "release", world.base)
    assert world.hub().find(branch, base) is None


def test_somebody_opened_it_first(world: Any) -> None:
    """Where GitHub says that there is one already, that one is given, with what is missing of the labels."""
    request = world.request()
    assert world.hub().open(world.branch, "main", "New", "new", LABELS) == request
    assert world.fake.pulls[request.number]["title"] == "Old"
    assert world.fake.pulls[request.number]["labels"] == ["people", *LABELS]


def test_nothing_to_merge(world: Any, fails: Callable[..., str]) -> None:
    """GitHub's own reason is told where it does not open a pull request."""
    world.fake.commit(world.branch, {"a.json": None}, "back", world.base)
    world.fake.git("update-ref", f"refs/heads/{world.branch}", world.base)
    line = fails(lambda: world.hub().open(world.branch, "main", "T", "", ()), ApiError)
    assert "HTTP 422: Validation Failed; No commits between main and publisher/edge (" in line


YES, NO, GONE, SAID, PENDING = "APPROVED", "CHANGES_REQUESTED", "DISMISSED", "COMMENTED", "PENDING"


@pytest.mark.parametrize(
    ("reviews", "approved"),
    [
        ([], False),
        ([(8, YES)], True),
        ([(8, SAID)], False),
        ([(8, NO), (8, YES)], True),
        ([(8, YES), (8, NO)], False),
        ([(8, YES), (8, GONE)], False),
        ([(8, YES), (8, SAID), (8, PENDING)], True),
        ([(8, YES), (9, NO)], False),
        ([(8, YES), (9, NO), (9, GONE)], True),
        ([(8, YES), (9, NO), (9, YES)], True),
        ([(0, YES)], True),
        ([(8, YES, "old")], False),
        ([(8, YES, "old"), (9, YES)], True),
        ([(8, YES), (9, YES, "old")], True),
    ],
)
@pytest.mark.parametrize("page", [1, 100])
def test_approved(world: Any, reviews: list[tuple[Any, ...]], approved: bool, page: int) -> None:
    """The newest word of each reviewer counts, for the newest commit, over all pages."""
    request = world.request()
    world.fake.most_per_page = page
    for user, state, *old in reviews:
        world.fake.review(request.number, user, state, world.base if old else "")
    assert world.hub().find(world.branch, "main") == replace(request, approved=approved)
    assert world.did("GET", ".*/reviews") == (max(1, len(reviews)) if page == 1 else 1)


@pytest.mark.parametrize("state", ["open", "closed"])
def test_close(world: Any, state: str) -> None:
    """The reason is said once, however often it is closed; the branch stays."""
    request = world.request(state=state)
    for _ in range(2):
        world.hub().close(request, "The fleet is as published.", request.body)
    assert world.fake.pulls[request.number]["state"] == "closed"
    assert world.fake.said(request.number) == ["<!-- publisher:closed -->\nThe fleet is as published."]
    assert world.fake.tip(world.branch) == world.head
    assert world.hub().find(world.branch, "main") is None


@pytest.mark.parametrize(
    "body",
    [
        "line\n" * 20_000 + f"\n{TRAILERS}\n",
        "intro\n\n```mermaid\n" + "a --> b\n" * 20_000 + f"```\n\n{TRAILERS}",
        "x" * 70_000 + f"\n\n{TRAILERS}",
    ],
    ids=["lines", "picture", "one line"],
)
def test_a_long_body_keeps_its_trailers(world: Any, body: str) -> None:
    """A body that is too long is cut at a line, says so, closes what it opened, and ends with its trailers."""
    hub = world.hub()
    request = hub.open(world.branch, "main", "Title", body, ())
    assert LIMIT - 100 < len(request.body) <= LIMIT
    kept, note, last = request.body.rsplit("\n\n", 2)
    assert last == TRAILERS
    assert "left out" in note
    assert body.startswith(kept.removesuffix("\n```"))
    assert kept.count("```") % 2 == 0
    assert kept.endswith(("line", "a --> b\n```", "x"))
    before = len(world.fake.writes)
    hub.update(request, "Title", body, ())
    assert len(world.fake.writes) == before, "what was cut is compared as it was cut"


def test_a_list_without_end(world: Any, forge: Any, fails: Callable[..., str]) -> None:
    """A server that goes round in circles is told of."""
    link = {"Link": '<https://api.github.invalid/x>; rel="next"'}
    world.fake.fail("GET", "pulls", forge.Fault(headers=link, body=b"[]"), times=999)
    assert "/pulls has no end after 100 pages" in fails(lambda: world.hub().find(world.branch, "main"), ApiError)
