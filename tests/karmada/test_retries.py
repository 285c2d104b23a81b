"""What is asked for again, how often, after which pause, and when no more."""

from __future__ import annotations

import json
import threading
from email.utils import formatdate
from time import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.demo.server import Reply
from publisher.edge.karmada import Timing, connection, dates, lists
from publisher.errors import ApiError

CLUSTERS = "/apis/cluster.karmada.io/v1alpha1/clusters"
NODES = "/api/v1/nodes"
PATIENT = Timing(connect=5, read=5, total=20, attempts=3, backoff=0.01, longest=2)
SHORT = Timing(connect=5, read=0.3, total=20, attempts=3, backoff=0.01, longest=2)
REFUSED = json.dumps({"kind": "Status", "message": "dial tcp 127.0.0.1:5483: connect: connection refused"}).encode()

PASSING = {
    "hang": Reply(hang=True),
    "reset": Reply(reset=True),
    "truncated": Reply(body=b'{"kind": "NodeList"}', truncate_at=5),
    "429": Reply(429, {}, b"{}"),
    "429-at-once": Reply(429, {"Retry-After": "0"}, b"{}"),
    "429-date": Reply(429, {"Retry-After": formatdate(usegmt=True)}, b"{}"),
    "500-dial": Reply(500, {}, REFUSED),
    "502": Reply(502, {"Content-Type": "text/html"}, b"<html>"),
    "503": Reply(503),
    "504": Reply(504, {"Retry-After": "0"}, b"{}"),
}

DATE = "a date"


def in_seconds(seconds: int) -> str:
    """Write a time from now on as HTTP does."""
    return formatdate(time() + seconds, usegmt=True)


class Waits(threading.Event):
    """Tells how long a connection wants to wait, and does not."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def wait(self, timeout=None):
        self.seconds.append(timeout)
        return self.is_set()


@pytest.fixture
def waits(world):
    """A connection of four attempts, the bound of which is 30 s, and the pauses it makes."""
    made = world.connect(Timing())
    made.closed = Waits()
    return made, made.closed.seconds


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("path", [CLUSTERS, NODES])
def test_a_fault_that_passes(world, access, fault, times, path):
    """After one or two attempts everything is observed, and each attempt was one request."""
    whole = world.read()
    plane = "karmada" if path == CLUSTERS else "member2"
    pages = len(world.asked(plane, path))
    world.seen.clear()
    left = [PASSING[fault]] * times
    world.answer(lambda request: left.pop() if left and (request.plane, request.path) == (plane, path) else None)
    assert world.read(SHORT if fault == "hang" else PATIENT) == whole
    assert len(world.asked(plane, path)) == pages + times


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_no_more_attempts_than_told(world, attempts):
    world.answer(lambda request: Reply(503))
    world.fails(Timing(attempts=attempts, backoff=0.001))
    assert len(world.seen) == attempts


@pytest.mark.parametrize("code", [201, 204, 301, 302, 307, 308, 400, 401, 403, 404, 405, 406, 409, 415, 422, 501])
def test_what_no_second_attempt_changes(world, code):
    """A refusal, or an answer nobody asked for, is final, even with Retry-After."""
    world.answer(lambda request: Reply(code, {"Retry-After": "0", "Location": f"{world.server.url}{NODES}"}))
    with pytest.raises(ApiError) as caught:
        world.connect().get(NODES, {})
    assert caught.value.status == code
    assert len(world.seen) == 1


@pytest.mark.parametrize("code", [429, 500, 503])
@pytest.mark.parametrize(("header", "least", "most"), [("7", 7, 7), ("0", 0, 0), (DATE, 1, 25)])
def test_retry_after_is_honoured(world, waits, code, header, least, most):
    """What the server asks for is what is waited, each time."""
    header = in_seconds(25) if header == DATE else header
    world.answer(lambda request: Reply(code, {"Retry-After": header}))
    with pytest.raises(ApiError):
        waits[0].get(NODES, {})
    assert len(world.seen) == 4
    assert len(waits[1]) == 3
    assert all(least <= pause <= most for pause in waits[1])


@pytest.mark.parametrize("header", ["31", "999999999999", "9" * 400, DATE])
def test_a_retry_after_that_is_too_long(world, waits, header):
    """It is not waited for, nor cut short: the server said when, and that is too late."""
    header = in_seconds(9999) if header == DATE else header
    world.answer(lambda request: Reply(429, {"Retry-After": header}))
    with pytest.raises(ApiError, match="429"):
        waits[0].get(NODES, {})
    assert (len(world.seen), waits[1]) == (1, [])


@pytest.mark.parametrize("header", [None, "", "soon", "-5", "1.5", "\u00b2", "Thu, 99 Foo 2026 99:99:99 GMT"])
def test_pauses_double_where_nothing_usable_is_said(world, waits, header):
    world.answer(lambda request: Reply(503, {} if header is None else {"Retry-After": header}))
    with pytest.raises(ApiError):
        waits[0].get(NODES, {})
    assert len(world.seen) == 4
    for pause, usual in zip(waits[1], (0.5, 1, 2), strict=True):
        assert 0.75 * usual <= pause <= 1.25 * usual


@given(st.text(st.characters(max_codepoint=255)) | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z]\w+ \d+ [\d:]+ [-+\w]+"))
def test_any_retry_after(header):
    """A header that says nothing is not an error of its own."""
    wait = dates.seconds(header)
    assert wait is None or wait >= 0


def test_no_request_after_close(world):
    made = world.connect()
    made.get(NODES, {})
    made.close()
    with pytest.raises(ApiError, match="Karmada: reading was broken off"):
        made.get(NODES, {})
    assert len(world.seen) == 1


def test_close_ends_the_wait_for_the_next_attempt(world):
    """Whoever closes does not wait for a Retry-After, and the next attempt is never made."""
    made = world.connect(Timing(longest=300))

    def answer(request):
        threading.Timer(0.05, made.close).start()
        return Reply(503, {"Retry-After": "300"})

    world.answer(answer)
    with pytest.raises(ApiError, match="503"):
        made.get(NODES, {})
    assert len(world.seen) == 1


def test_no_next_page_after_close(world):
    made = world.connect()

    def answer(request):
        if "continue" in request.query:
            made.close()

    world.answer(answer)
    with pytest.raises(ApiError, match="broken off"):
        lists.list_all(made, f"{CLUSTERS}/member2/proxy", lists.SERVICES, lambda item: item)
    assert len(world.seen) == 2


def test_one_connection_serves_many_requests(world, monkeypatch):
    """Answers are read to their end, so that the connection is used again."""
    made = world.connect()
    opened = []
    connect = connection.urllib3.connection.HTTPSConnection.connect
    monkeypatch.setattr(
        connection.urllib3.connection.HTTPSConnection, "connect", lambda self: (opened.append(self), connect(self))
    )
    replies = [Reply(200, {}, b"x" * 200_000), Reply(404, {}, b"<html>" * 50), None, Reply(503), None]
    world.answer(lambda request: replies.pop(0))
    for _ in range(2):
        made.get(NODES, {})
        with pytest.raises(ApiError, match="404"):
            made.get(NODES, {})
        replies.insert(1, Reply(404))
    assert len(opened) == 1


def test_a_connection_that_the_server_closed_meanwhile(world):
    """A load balancer drops idle connections: the next request opens another."""
    made = world.connect()
    made.get(NODES, {})
    world.answer(lambda request: Reply(reset=True) if len(world.seen) == 2 else None)
    made.get(NODES, {})
    assert len(world.seen) == 3
