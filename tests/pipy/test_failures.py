"""The Pipy program: targets that fail are passed over, and requests that can be saved are saved."""

from __future__ import annotations

import threading
import time
from collections import Counter
from http.client import IncompleteRead

import pytest

from publisher.core.config import Part

TWO = ("127.1.1.1", "127.1.1.2")
QUICK = {"ejection": {"base": 3, "serverErrors": 3, "keep": 50}}


@pytest.fixture
def started(tmp_path, targets, service, write_codebase, running):
    """Run a service of two clusters with what a test says of its settings; `alone` has one cluster only."""

    def start(**settings):
        ports = {"http": targets.http}
        pair = service("pair", [("", "/*", "http")], member1=Part(80, ports), member2=Part(20, ports))
        alone = service("alone", [("", "/alone/*", "http")], member1=Part(100, ports))
        single = service("single", [("", "/single/*", "http")], member3=Part(100, ports))
        return running(write_codebase(tmp_path, [pair, alone, single]), service=settings)

    return start


def states(proxy, name="pair", cluster="member1"):
    return next(iter(proxy.config(f"/shop/{name}")["routes"].values()))[cluster]["targets"]


def statuses(proxy, path, number, method="GET"):
    return Counter(proxy.ask(path, method).status for _ in range(number))


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_a_request_is_tried_again_where_a_target_is_gone(started, targets, method):
    """Whoever asks gets an answer from the other target, and the target that is gone is not asked any more."""
    with started(ejection={"connectErrors": 2, "base": 60}) as proxy:
        targets.at(TWO[0]).kill()
        assert statuses(proxy, "/alone/x", 10, method) == {200: 10}
        assert set(states(proxy, "alone").values()) == {"ok", "ejected"}
        assert proxy.metrics()['proxy_retries_total{service="shop/alone",cluster="member1"}'] == 2


def test_a_post_is_tried_again_only_where_nothing_was_sent(started, targets):
    """Where the connection is refused a POST is safe to send again; where a target hangs up it is not."""
    with started(ejection={"connectErrors": 0}) as proxy:
        assert proxy.ask("/hang-up", "POST", b"x").status == 502
        assert sum(server.seen["POST"] for server in targets.servers.values()) == 1
        targets.at(TWO[0]).kill()
        assert {proxy.ask("/alone/x", "POST", b"x").document["body"] for _ in range(4)} == {1}


def test_a_target_that_hangs_up_is_left_for_another(started, targets):
    """Only the first two targets see the request, and the answer says nothing of the inside."""
    with started() as proxy:
        answer = proxy.ask("/alone/hang-up")
        assert answer[:3] == (502, "application/json", b'{"error":"target failed"}\n')
        assert [targets.at(ip).seen["GET"] for ip in TWO] == [1, 1]


def test_no_second_try_where_none_is_wanted(started, targets):
    """With retry off a failure is the client's."""
    with started(retry=False, ejection={"connectErrors": 0}) as proxy:
        targets.at(TWO[0]).kill()
        assert statuses(proxy, "/alone/x", 4) == {200: 2, 502: 2}


def test_large_bodies_are_sent_once(started, targets):
    """A body is held for a second try only up to 64 KiB."""
    with started() as proxy:
        assert proxy.ask("/alone/hang-up", "PUT", b"x" * 70000).status == 502
        assert sum(server.seen["PUT"] for server in targets.servers.values()) == 1
        assert proxy.ask("/alone/hang-up", "PUT", b"x" * 60000).status == 502
        assert sum(server.seen["PUT"] for server in targets.servers.values()) == 3


def test_a_cluster_without_targets_fails_over(started, targets):
    """The share of a cluster that is gone goes to the next, without a request lost."""
    with started(ejection={"base": 60}) as proxy:
        for ip in TWO:
            targets.at(ip).kill()
        assert proxy.hosts("/x", 30) == {"127.1.2.1": 30}
        assert states(proxy) == dict.fromkeys((f"{ip}:{targets.http}" for ip in TWO), "ejected")
        assert proxy.metrics()['proxy_targets{service="shop/pair",cluster="member1",state="ejected"}'] == 2


def test_answers_of_5xx_in_a_row_take_a_target_out(started, targets, wait_for):
    """It comes back after a while, and takes its turns as the others do."""
    bad = targets.at(TWO[0])
    with started(**QUICK) as proxy:
        bad.status = 500
        assert statuses(proxy, "/alone/x", 10) == {500: 3, 200: 7}
        assert states(proxy, "alone")[f"{TWO[0]}:{targets.http}"] == "ejected"
        bad.status = 200
        wait_for(lambda: "ejected" not in states(proxy, "alone").values())
        assert proxy.hosts("/alone/x", 10) == {TWO[0]: 5, TWO[1]: 5}
        assert proxy.metrics()['proxy_ejections_total{service="shop/alone",cluster="member1"}'] == 1


def test_good_answers_start_the_count_afresh(started, targets):
    """Only 5xx answers in a row count."""
    bad = targets.at(TWO[0])
    with started(**QUICK) as proxy:
        for _ in range(3):
            bad.status = 503
            assert statuses(proxy, "/alone/x", 4) == {503: 2, 200: 2}
            bad.status = 404
            assert statuses(proxy, "/alone/x", 2) == {404: 1, 200: 1}
        assert set(states(proxy, "alone").values()) == {"ok"}


def test_some_targets_stay_whatever_they_answer(started, targets):
    """5xx answers take out half of the targets and no more: the service itself may be at fault."""
    with started(ejection=QUICK["ejection"] | {"base": 60}) as proxy:
        for ip in TWO:
            targets.at(ip).status = 500
        assert statuses(proxy, "/alone/x", 20) == {500: 20}
        assert sorted(states(proxy, "alone").values()) == ["ejected", "ok"]


def test_where_all_targets_are_out_all_are_used(started, targets):
    """A target that cannot be reached is asked all the same where there is no other."""
    with started(ejection={"base": 60}) as proxy:
        targets.at("127.1.3.1").kill()
        assert statuses(proxy, "/single/x", 5) == {502: 5}
        assert states(proxy, "single", "member3") == {f"127.1.3.1:{targets.http}": "ejected"}


@pytest.mark.parametrize("path", ["/alone/cut", "/alone/cut-short"])
def test_an_answer_that_breaks_off_does_not_look_whole(started, path):
    """The client sees its connection break, and not a shorter answer."""
    with started() as proxy:
        assert proxy.ask("/alone/x").status == 200
        with pytest.raises((IncompleteRead, ConnectionError)):
            proxy.ask(path)


def test_a_target_killed_under_load_costs_no_request(started, targets):
    """All GETs are answered, before, while and after a target goes."""
    found, stopping = [], threading.Event()

    def client(proxy):
        while not stopping.is_set():
            found.append(proxy.ask("/alone/x").status)

    with started() as proxy:
        clients = [threading.Thread(target=client, args=(proxy,)) for _ in range(4)]
        for thread in clients:
            thread.start()
        time.sleep(0.5)
        targets.at(TWO[0]).kill()
        time.sleep(0.5)
        stopping.set()
        for thread in clients:
            thread.join()
    assert Counter(found).keys() == {200}
    assert len(found) > 10
