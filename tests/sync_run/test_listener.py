"""The port of a sync that runs on: who may ask for a sync, and that nobody can keep it from others."""

from __future__ import annotations

import hmac
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from publisher.edge import listener
from publisher.edge.listener import Listener, Service
from publisher.errors import UsageError

SECRET = "it's a secret, ключ"
PUSH = {"ref": "refs/heads/main", "repository": {"default_branch": "main"}, "commits": [{"message": "überall"}]}
BODY = json.dumps(PUSH).encode()


def digest(body: bytes, secret: str = SECRET) -> str:
    """Sign as GitHub and Gitea do."""
    return hmac.new(secret.encode(), body, "sha256").hexdigest()


def github(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """Give the headers of GitHub."""
    return {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={digest(body, secret)}"}


def gitea(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """Give the headers of Gitea, as far as they are its own."""
    return {"X-Gitea-Event": "push", "X-Gitea-Signature": digest(body, secret)}


def forgejo(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """Give the headers of Forgejo."""
    return {"X-Forgejo-Event": "push", "X-Forgejo-Signature": digest(body, secret)}


def gitlab(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """Give the headers of GitLab, which sends the secret itself."""
    return {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret.encode().decode("latin-1")}


HOSTS = [github, gitea, forgejo, gitlab]


class Port:
    """A listener, with what stands behind it."""

    def __init__(self) -> None:
        self.pushes = 0
        self.sick = self.unready = ""
        self.open: list[Listener] = []

    def pushed(self) -> None:
        """Count pushes."""
        self.pushes += 1

    def listen(self, ref: str = "", secret: str = SECRET, address: str = "127.0.0.1:0") -> Listener:
        """Begin."""
        given = Service(self.pushed, lambda: "a_metric 1\n", lambda: self.sick, lambda: self.unready, ref, secret)
        self.open.append(Listener(address, given))
        return self.open[-1]

    def ask(
        self, verb: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Ask something; gives status and text."""
        if not self.open:
            self.listen()
        connection = http.client.HTTPConnection(urlsplit(self.open[-1].url).netloc, timeout=20)
        try:
            connection.request(verb, path, body, headers or {})
            answer = connection.getresponse()
            assert "Python" not in str(answer.headers)
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def post(
        self, body: bytes = BODY, headers: dict[str, str] | None = None, path: str = "/webhook"
    ) -> tuple[int, str]:
        """Send an event."""
        return self.ask("POST", path, body, headers)

    def socket(self) -> socket.socket:
        """Connect."""
        if not self.open:
            self.listen()
        return socket.create_connection(self.open[-1].server_address[:2], timeout=20)  # type: ignore[arg-type]


@pytest.fixture
def port(capfd: pytest.CaptureFixture[str]) -> Iterator[Port]:
    """Give a port; it has to be silent, whatever clients do."""
    found = Port()
    yield found
    for one in found.open:
        one.close()
    assert capfd.readouterr() == ("", "")


# who may


@pytest.mark.parametrize("path", ["/", "/webhook"])
@pytest.mark.parametrize("host", HOSTS)
def test_a_signed_push(port: Port, host: Callable[..., dict[str, str]], path: str) -> None:
    """A push that is signed with the secret asks for a sync, and is answered before there is one."""
    assert port.post(BODY, host(BODY), path) == (202, "a sync is under way\n")
    assert port.pushes == 1


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("secret", ["", "wrong", SECRET[:-1], SECRET + "x"])
def test_another_secret(port: Port, host: Callable[..., dict[str, str]], secret: str) -> None:
    """A push that is signed with another secret does nothing, and says nothing of ours."""
    status, text = port.post(BODY, host(BODY, secret))
    assert (status, port.pushes) == (403, 0)
    assert SECRET not in text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-GitHub-Event": "push"},
        {"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256="},
        {"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=é"},
        {"X-GitHub-Event": "push", "X-Hub-Signature": f"sha1={'0' * 40}"},
        {"X-GitHub-Event": "push", "X-Hub-Signature-256": SECRET.encode().decode("latin-1")},
        github(b"{}"),
    ],
)
def test_not_signed(port: Port, headers: dict[str, str]) -> None:
    """A push without a signature, or with that of another body, does nothing."""
    assert port.post(BODY, headers)[0] == 403
    assert port.pushes == 0


def test_the_first_signature_counts(port: Port) -> None:
    """A wrong signature is not made good by another way to sign."""
    assert port.post(BODY, github(BODY, "wrong") | gitlab(BODY))[0] == 403


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_nobody_signs(port: Port, address: str) -> None:
    """Without a secret nobody else can get at it."""
    if ":" in address[:-2] and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with pytest.raises(UsageError, match="anybody could ask for a sync there; set PUBLISHER_WEBHOOK_SECRET"):
        port.listen(secret="", address=address)
    port.listen(address=address)


def test_on_loopback(port: Port) -> None:
    """Without a secret it can be asked from this machine."""
    port.listen(secret="", address="localhost:0")
    assert port.post(BODY, {"X-GitHub-Event": "push"})[0] == 202


@pytest.mark.parametrize(
    "address", ["", "9090", ":9090", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "::1:80", "a b:1"]
)
def test_no_address(port: Port, address: str) -> None:
    """What is no address is told, with what one looks like."""
    with pytest.raises(UsageError, match="not HOST:PORT, such as"):
        port.listen(address=address)


def test_a_port_that_is_taken(port: Port) -> None:
    """Where another program listens already, that is told."""
    taken = port.listen().url.removeprefix("http://")
    with pytest.raises(UsageError, match=f"^{taken}: cannot listen there: Address already in use"):
        port.listen(address=taken)
    with pytest.raises(UsageError, match="no such address here"):
        port.listen(address="host.invalid:1")


# what for


@pytest.mark.parametrize(
    ("ref", "event", "moves"),
    [
        ("main", {"ref": "refs/heads/main"}, True),
        ("main", {"ref": "refs/heads/other"}, False),
        ("main", {"ref": "refs/heads/feature/main"}, False),
        ("v1", {"ref": "refs/tags/v1"}, True),
        ("refs/heads/main", {"ref": "refs/heads/main"}, True),
        ("main", {"ref": "main"}, True),
        ("", {"ref": "refs/heads/trunk", "repository": {"default_branch": "trunk"}}, True),
        ("", {"ref": "refs/heads/other", "repository": {"default_branch": "trunk"}}, False),
        ("", {"ref": "refs/heads/trunk", "project": {"default_branch": "trunk"}, "repository": {"name": "x"}}, True),
        ("", {"ref": "refs/heads/other", "project": {"default_branch": "trunk"}, "repository": {"name": "x"}}, False),
        ("", {"ref": "refs/heads/other"}, True),
        ("", {"ref": "refs/heads/other", "repository": "x", "project": None}, True),
        ("", {"ref": "refs/heads/other", "repository": {"default_branch": ["x"]}}, False),
    ],
)
def test_which_branch(port: Port, ref: str, event: dict[str, Any], moves: bool) -> None:
    """Only what is followed asks for a sync: the branch or tag that was named, or else the one that HEAD is."""
    port.listen(ref)
    body = json.dumps(event).encode()
    status, text = port.post(body, github(body))
    assert (status, text) == ((202, "a sync is under way\n") if moves else (200, "ignored: another branch\n"))
    assert port.pushes == moves


@pytest.mark.parametrize("event", ["ping", "issues", "Merge Request Hook"])
def test_another_event(port: Port, event: str) -> None:
    """Hosts send other events too; they do nothing."""
    assert port.post(BODY, github(BODY) | {"X-GitHub-Event": event}) == (200, "ignored: no push\n")
    assert port.pushes == 0


def test_a_form(port: Port) -> None:
    """GitHub sends a form unless it is told to send JSON."""
    body = b"payload=" + quote(BODY).encode()
    headers = github(body) | {"Content-Type": "application/x-www-form-urlencoded"}
    assert port.post(body, headers)[0] == 202
    for body in (b"other=1", b"payload=", b"payload=%ff", b"payload={"):
        assert port.post(body, github(body))[0] == 400


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"{}", b'{"ref": 1}', b"\xff", b"[" * 500_000, b'{"ref": NaN}', b"null"]
)
def test_garbage(port: Port, body: bytes) -> None:
    """What is signed, and no event, is told so and does nothing."""
    status, text = port.post(body, github(body))
    assert (status, port.pushes) == (400, 0)
    assert len(text) < 100


def test_of_no_host(port: Port) -> None:
    """What does not say which host it is from is none of their events."""
    headers = github(BODY)
    del headers["X-GitHub-Event"]
    assert port.post(BODY, headers) == (400, "not an event of GitHub, Gitea, Forgejo or GitLab\n")


# how it does


def test_how_it_does(port: Port) -> None:
    """Whether it is well, whether it can be relied on, and its metrics are told to whoever asks."""
    assert port.ask("GET", "/metrics") == (200, "a_metric 1\n")
    assert port.ask("GET", "/healthz") == port.ask("GET", "/readyz?verbose") == (200, "ok\n")
    port.sick, port.unready = "stuck", "no run yet"
    assert port.ask("GET", "/healthz") == (503, "stuck\n")
    assert port.ask("GET", "/readyz") == (503, "no run yet\n")


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/", 405), ("GET", "/webhook", 405), ("GET", "/x", 404), ("GET", "/../etc/passwd", 404),
        ("POST", "/metrics", 404), ("DELETE", "/", 501), ("PUT", "/webhook", 501),
    ],
)  # fmt: skip
def test_nothing_else(port: Port, verb: str, path: str, status: int) -> None:
    """There is nothing else."""
    assert port.ask(verb, path)[0] == status
    assert port.pushes == 0


# who tries to be in the way


def test_oversized(port: Port) -> None:
    """An event that is too large is refused before it is read, and the sender gets to hear it."""
    body = BODY + b" " * listener.MAX_BODY
    assert port.post(body, github(body)) == (413, "the event is larger than 1 MiB\n")
    body = BODY + b" " * (listener.MAX_BODY - len(BODY))
    assert port.post(body, github(body))[0] == 202


@pytest.mark.parametrize("length", ["", "-1", "1e3", "9" * 5000, "٣", "0x10"])
def test_no_length(port: Port, length: str) -> None:
    """An event of no known length is not read."""
    with port.socket() as client:
        client.sendall(f"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 41")
    with port.socket() as client:
        client.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 411 ")


@pytest.mark.parametrize(
    "sent", [b"", b"POST /webh", b"POST /webhook HTTP/1.1\r\nContent-Length: 99\r\n\r\n{", b"\0\r\n\r\n"]
)
def test_gone_in_the_middle(port: Port, sent: bytes) -> None:
    """A client that leaves in the middle has done nothing, and leaves nothing behind."""
    with port.socket() as client:
        client.sendall(sent)
    assert port.ask("GET", "/healthz")[0] == 200
    assert port.pushes == 0


@pytest.mark.parametrize(
    "begun", [b"", b"POST /webhook HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n"]
)
def test_slow(port: Port, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    """A client that sends a byte now and then is cut off, however long it would go on."""
    monkeypatch.setattr(listener, "PATIENCE", 0.5)
    with port.socket() as client:
        client.sendall(begun)
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            for _ in range(2000):
                client.sendall(b"x")
                assert port.ask("GET", "/healthz")[0] == 200
                time.sleep(0.05)
    assert port.pushes == 0


def test_many(port: Port) -> None:
    """However many connections stand around, others are answered at once and threads do not pile up."""
    clients = [port.socket() for _ in range(4 * listener.MOST)]
    try:
        assert port.post(BODY, github(BODY))[0] == 202
        assert port.ask("GET", "/metrics")[0] == 200
        deadline = time.monotonic() + 20
        while sum("process_request" in thread.name for thread in threading.enumerate()) > listener.MOST + 1:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        for client in clients:
            client.close()
