"""The Pipy program: what a target sees of a request, and what is too much."""

from __future__ import annotations

import socket

import pytest

from publisher.core.config import Part

SPOOFED = {
    "x_forwarded_for": "192.0.2.1",
    "x_forwarded_proto": "https",
    "x_forwarded_host": "evil.test",
    "x_forwarded_port": "1",
}


@pytest.fixture(scope="module")
def codebase(tmp_path_factory, upstreams, service, write_codebase):
    """Write services that differ by what proxy.json says of them."""
    parts = {"member2": Part(100, {"http": upstreams.http})}
    names = ("plain", "named", "target", "rewritten", "stripped", "small", "busy", "hasty", "wrong")
    items = [service(name, [("", f"/{name}/*", "http")], **parts) for name in names]
    return write_codebase(
        tmp_path_factory.mktemp("config-repo"),
        items,
        services={
            "shop/named": {"host": "inner.test"},
            "shop/target": {"host": "target"},
            "shop/rewritten": {"rewrite": {"prefix": "/rewritten", "to": "/other/"}},
            "shop/stripped": {"rewrite": {"prefix": "/stripped/", "to": "/"}},
            "shop/small": {"limits": {"body": 1000}},
            "shop/busy": {"limits": {"requests": 1}},
            "shop/hasty": {"timeouts": {"read": 0.5}, "retry": False},
            "shop/wrong": {"stickyness": "cookie"},
        },
    )


@pytest.fixture(scope="module")
def proxy(codebase, running):
    with running(codebase) as started:
        yield started


def forwarded(answer):
    headers = {name.lower(): value for name, value in answer.document["headers"].items()}
    return [headers[f"x-forwarded-{name}"] for name in ("for", "proto", "host", "port")]


def test_targets_are_told_who_asks(proxy):
    """X-Forwarded-* say what the proxy sees, not what a client claims."""
    answer = proxy.ask("/plain/", host="shop.test", **SPOOFED)
    assert forwarded(answer) == ["127.0.0.1", "http", "shop.test", str(proxy.port)]


def test_a_trusted_proxy_in_front_is_believed(codebase, running):
    """With trustForwarded the chain is added to, and the rest is kept."""
    with running(codebase, trustForwarded=True) as proxy:
        answer = proxy.ask("/plain/", host="shop.test", **SPOOFED)
        assert forwarded(answer) == ["192.0.2.1, 127.0.0.1", "https", "evil.test", "1"]
        answer = proxy.ask("/plain/", host="shop.test")
        assert forwarded(answer) == ["127.0.0.1", "http", "shop.test", str(proxy.port)]


def test_the_host_is_what_the_service_says(proxy, upstreams):
    """It stays, or is a fixed name, or the target's address."""
    seen = {name: proxy.ask(f"/{name}/", host="shop.test").document["headers"] for name in ("plain", "named", "target")}
    hosts = {name: next(value for key, value in found.items() if key.lower() == "host") for name, found in seen.items()}
    assert hosts == {"plain": "shop.test", "named": "inner.test", "target": f"127.1.2.1:{upstreams.http}"}


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/plain/a?b=c", "/plain/a?b=c"),
        ("/rewritten/a?b=/rewritten", "/other/a?b=/rewritten"),
        ("/rewritten", "/other"),
        ("/rewritten?a", "/other?a"),
        ("/stripped/a/b", "/a/b"),
        ("/stripped", "/"),
        ("/stripped?a", "/?a"),
    ],
)
def test_paths_are_rewritten(proxy, path, seen):
    """Whole segments at the beginning of a path are replaced."""
    assert proxy.ask(path).document["path"] == seen


def test_a_body_of_the_right_size_passes(proxy):
    """Up to the limit a body comes to the target as it is, however it is sent."""
    assert proxy.ask("/small/", "POST", b"x" * 1000).document["body"] == 1000
    assert proxy.ask("/small/", "POST", iter([b"x" * 500, b"x" * 500])).document["body"] == 1000


@pytest.mark.parametrize("body", [b"x" * 1001, [b"x" * 500, b"x" * 501], [b"x" * 50000] * 20])
def test_413_for_a_large_body(proxy, upstreams, body):
    """A body beyond the limit is refused before the target sees any of it."""
    before = upstreams.at("127.1.2.1").seen["POST"]
    answer = proxy.ask("/small/", "POST", iter(body) if isinstance(body, list) else body)
    assert answer[:3] == (413, "application/json", b'{"error":"body too large"}\n')
    assert upstreams.at("127.1.2.1").seen["POST"] == before


def test_503_where_all_targets_are_busy(proxy, upstreams, wait_for):
    """A request more than a target may have under way goes elsewhere, and here there is no elsewhere."""
    server = upstreams.at("127.1.2.1")
    before = server.seen["GET"]
    with socket.create_connection(("127.0.0.1", proxy.port)) as waiting:
        waiting.sendall(b"GET /busy/slow HTTP/1.1\r\nhost: x\r\n\r\n")
        wait_for(lambda: server.seen["GET"] > before)
        assert proxy.metrics()['proxy_requests_active{service="shop/busy",cluster="member2"}'] == 1
        assert proxy.ask("/busy/").status == 503
        server.woken.set()
    wait_for(lambda: proxy.metrics()['proxy_requests_active{service="shop/busy",cluster="member2"}'] == 0)
    assert proxy.ask("/busy/").status == 200
    server.woken.clear()


def test_504_for_a_target_that_takes_too_long(proxy):
    """The read time-out of the service ends the wait, in JSON."""
    answer = proxy.ask("/hasty/slow")
    assert answer[:3] == (504, "application/json", b'{"error":"target took too long"}\n')


def test_wrong_settings_of_a_service_are_skipped(proxy):
    """The service goes by the settings for all, and the others are not touched."""
    assert proxy.config()["skipped"] == ["config/proxy.json: shop/wrong"]
    assert "skipped the settings of shop/wrong: unknown setting stickyness" in proxy.log()
    assert proxy.ask("/wrong/").status == 200


def test_long_header_lines_close_the_connection(proxy):
    """The longest line has 16 KiB."""
    assert proxy.ask("/plain/", long="x" * 15000).status == 200
    with pytest.raises((ConnectionError, OSError)):
        proxy.ask("/plain/", long="x" * 17000)


def test_long_answers_come_whole(proxy):
    """Whatever the size of a request's header comes back: beyond the buffer in chunks, below with its length."""
    small, large = proxy.ask("/plain/"), proxy.ask("/plain/", **{f"h{number}": "x" * 9000 for number in range(4)})
    assert small.header("content-length") == str(len(small.body))
    assert large.header("transfer-encoding") == "chunked"
    assert large.document["headers"]["h3"] == "x" * 9000


def test_connections_beyond_the_limit_wait(codebase, running):
    """They are served when one of the others goes."""
    with running(codebase, connections=1) as proxy:
        first = socket.create_connection(("127.0.0.1", proxy.port))
        first.sendall(b"GET /plain/ HTTP/1.1\r\nhost: x\r\n\r\n")
        assert first.recv(1)
        with socket.create_connection(("127.0.0.1", proxy.port)) as second:
            second.sendall(b"GET /plain/ HTTP/1.1\r\nhost: x\r\n\r\n")
            second.settimeout(0.3)
            with pytest.raises(TimeoutError):
                second.recv(1)
            first.close()
            second.settimeout(20)
            assert second.recv(1)
