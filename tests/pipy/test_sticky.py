"""The Pipy program: a client stays with its target."""

from __future__ import annotations

from collections import Counter

import pytest

from publisher.core.config import Part


@pytest.fixture
def started(tmp_path, targets, service, write_codebase, running):
    """Run a service of two clusters, sticky as a test says."""
    ports = {"http": targets.http}
    item = service("app", [("", "/*", "http")], member1=Part(60, ports), member2=Part(40, ports))
    codebase = write_codebase(tmp_path, [item])
    return lambda sticky, **settings: running(codebase, service={"sticky": sticky}, **settings)


def cookie_of(answer):
    return answer.header("set-cookie").partition(";")[0]


def test_a_cookie_keeps_a_client_on_its_target(started):
    """New clients get a cookie, and a target by the weights; who has one goes where it leads and gets no other."""
    with started("cookie") as proxy:
        found = [proxy.ask("/") for _ in range(10)]
        assert Counter(answer.document["host"] for answer in found)["127.1.2.1"] == 4
        for answer in found:
            kept = [proxy.ask("/", cookie=f"a=b; {cookie_of(answer)}; c=d") for _ in range(3)]
            assert {item.document["host"] for item in kept} == {answer.document["host"]}
            assert {item.header("set-cookie") for item in kept} == {""}


def test_the_cookie_says_nothing_of_addresses(started):
    """It is a hash, for this service, out of reach of scripts."""
    with started("cookie") as proxy:
        cookie = proxy.ask("/").header("set-cookie")
        name, _, rest = cookie.partition("=")
        value, _, attributes = rest.partition("; ")
        assert name.startswith("pipy-")
        assert (len(value), set(value) <= set("0123456789abcdef")) == (16, True)
        assert attributes == "Path=/; HttpOnly; SameSite=Lax"


def test_a_cookie_is_the_same_on_all_workers(started):
    """Another Pipy, or the same after a reload, knows it."""
    with started("cookie") as proxy:
        first = proxy.ask("/")
    with started("cookie") as proxy:
        assert proxy.hosts("/", 5, cookie=cookie_of(first)) == {first.document["host"]: 5}


def test_a_cookie_of_a_target_that_is_gone_is_replaced(started, targets):
    """The client moves on, with an answer and a new cookie."""
    with started("cookie") as proxy:
        first = proxy.ask("/")
        targets.at(first.document["host"]).kill()
        second = proxy.ask("/", cookie=cookie_of(first))
        assert second.status == 200
        assert cookie_of(second) != cookie_of(first)
        assert proxy.hosts("/", 5, cookie=cookie_of(second)) == {second.document["host"]: 5}


def test_a_strange_cookie_is_no_cookie(started):
    """What names no target is replaced."""
    with started("cookie") as proxy:
        name = cookie_of(proxy.ask("/")).partition("=")[0]
        for value in ("", "x", "constructor", "__proto__", "0" * 16):
            assert cookie_of(proxy.ask("/", cookie=f"{name}={value}"))


def test_a_client_address_keeps_its_target(started, targets):
    """Addresses are spread by the weights; when a target goes, only its own clients move."""
    clients = [f"192.0.2.{number}" for number in range(60)]

    def places(proxy):
        return {client: proxy.ask("/", x_forwarded_for=client).document["host"] for client in clients}

    with started("source", trustForwarded=True) as proxy:
        before = places(proxy)
        assert places(proxy) == before
        assert 12 <= Counter(before.values())["127.1.2.1"] <= 36  # of 60, 24 by weight
        targets.at("127.1.1.1").kill()
        for _ in range(3):
            proxy.ask("/", x_forwarded_for=next(client for client in clients if before[client] == "127.1.1.1"))
        after = places(proxy)
        assert {client for client in clients if after[client] != before[client]} == {
            client for client in clients if before[client] == "127.1.1.1"
        }


def test_a_client_address_is_the_same_on_all_workers(started):
    """Without a trusted proxy the peer's address counts, and no header."""
    found = set()
    for _ in range(2):
        with started("source") as proxy:
            found |= {proxy.ask("/", x_forwarded_for=f"192.0.2.{number}").document["host"] for number in range(8)}
    assert len(found) == 1
