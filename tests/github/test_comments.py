"""Sticky comments."""

from __future__ import annotations

from typing import Any

import pytest

from publisher.edge.github.text import LIMIT

PLAN = "<!-- publisher:plan -->\n"


@pytest.mark.parametrize("page", [2, 100])
def test_edited_in_place(world: Any, page: int) -> None:
    """The comment of a key is written once, then edited, and not touched where it is right."""
    number = world.request().number
    world.fake.most_per_page = page
    for _ in range(5):
        world.fake.say(number, "a person's")
    hub = world.hub()
    for text in ("one", "one", "two"):
        hub.comment(number, "plan", text)
        world.fake.say(number, "a person's")
    assert [body for body in world.fake.said(number) if body != "a person's"] == [PLAN + "two"]
    assert [write.split()[0] for write in world.fake.writes] == ["POST", "PATCH"]


def test_keys_do_not_mix(world: Any) -> None:
    """Each key has its own comment, also where one begins as the other, and each pull request its own."""
    one, two = world.request().number, world.request().number
    hub = world.hub()
    for number, key in ((one, "plan"), (one, "plan-2"), (two, "plan")):
        hub.comment(number, key, f"{number} {key}")
    assert world.fake.said(one) == [f"{PLAN}{one} plan", f"<!-- publisher:plan-2 -->\n{one} plan-2"]
    assert world.fake.said(two) == [f"{PLAN}{two} plan"]


@pytest.mark.parametrize("user", [8, 0], ids=["a person", "an account that is gone"])
def test_of_somebody_else(world: Any, user: int) -> None:
    """A comment of somebody else is never edited, though it has our marker."""
    number = world.request().number
    world.fake.say(number, PLAN + "quoted", user)
    world.hub().comment(number, "plan", "ours")
    assert world.fake.said(number) == [PLAN + "quoted", PLAN + "ours"]


def test_doubled(world: Any) -> None:
    """Where there are two of ours, the newest is edited."""
    number = world.request().number
    for text in ("old", "newer"):
        world.fake.say(number, PLAN + text, world.fake.viewer)
    for text in ("now", "now", "old"):
        world.hub().comment(number, "plan", text)
    assert world.fake.said(number) == [PLAN + "old", PLAN + "old"]
    assert len(world.fake.writes) == 2


def test_a_marker_inside_is_none(world: Any) -> None:
    """A comment of ours that quotes the marker further down is another one."""
    number = world.request().number
    world.fake.say(number, f"see {PLAN}", world.fake.viewer)
    world.hub().comment(number, "plan", "now")
    assert world.fake.said(number)[1:] == [PLAN + "now"]


def test_who_we_are_is_asked_once_and_only_where_it_matters(world: Any) -> None:
    """The first comment needs no question who we are, all later ones need one."""
    number = world.request().number
    hub = world.hub()
    hub.comment(number, "plan", "one")
    assert world.did("POST", "graphql viewer") == 0
    hub.comment(number, "plan", "two")
    hub.comment(number, "plan", "three")
    assert world.did("POST", "graphql viewer") == 1


def test_too_long(world: Any) -> None:
    """A comment that is too long is cut, and stays as it is when it is written again."""
    number = world.request().number
    for _ in range(2):
        world.hub().comment(number, "plan", "line\n" * 20_000)
    (body,) = world.fake.said(number)
    assert LIMIT - 100 < len(body) <= LIMIT
    assert body.startswith(f"{PLAN}line\n")
    assert body.endswith("line\n\n(The rest is left out: GitHub takes no longer text.)")
    assert len(world.fake.writes) == 1
