"""What can go wrong on the way to a Pipy Repo, and what people are told then."""

from __future__ import annotations

import base64
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from publisher.core.codebase import Difference, Edition, Holding
from publisher.edge.pipy import Access, PipyRepo, Timing, http
from publisher.errors import Overtaken, RepoError, UsageError

QUICK = Timing(connect=5, read=0.3, tries=3, backoff=0.01)
PATIENT = Timing(tries=3, backoff=0.01)
Answer = Callable[..., bytes]


def place(server: Any, timing: Timing = PATIENT, user: str = "") -> PipyRepo:
    return PipyRepo(f"http://{user}127.0.0.1:{server.port}/repo/edge", timing=timing)


@pytest.mark.parametrize(
    ("fault", "said", "tries"),
    [
        ("hang", "no answer within 0.3 s", 3),
        ("reset", "the answer broke off", 3),
        (b"", "the answer broke off", 3),
        (b"SSH-2.0-OpenSSH\r\n", "the answer broke off", 3),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{", "the answer broke off", 3),
        (500, "HTTP 500 (some words); see its log", 3),
        (503, "HTTP 503", 3),
        (429, "HTTP 429", 3),
        (401, "--pipy-cert", 1),
        (403, "--pipy-cert", 1),
        (405, "is this a Pipy Repo", 1),
        (302, "is this a Pipy Repo", 1),
    ],
)
def test_faults(server: Any, answer: Answer, fault: bytes | str | int, said: str, tries: int) -> None:
    """A fault that may pass is tried again, no other; the error names place, step and what to do."""
    server.answers(answer(fault, "some words") if isinstance(fault, int) else fault)
    with pytest.raises(RepoError, match=f"^http://127.0.0.1:{server.port}: read: ") as caught:
        place(server, QUICK).look()
    assert said in str(caught.value)
    assert len(server.requests) == tries


@pytest.mark.parametrize("fault", ["hang", "reset", b"", 429, 500, 502, 503])
def test_a_fault_that_passes_is_not_seen(server: Any, answer: Answer, codebase: Answer, fault: Any) -> None:
    """One good answer is enough."""
    server.answers(answer(fault) if isinstance(fault, int) else fault, codebase("abc"))
    assert place(server, QUICK).look().version == "abc"


def test_retry_after_is_honoured(server: Any, answer: Answer, codebase: Answer) -> None:
    """The server says how long it wants to be left alone."""
    server.answers(answer(429, retry_after="1"), codebase())
    began = time.monotonic()
    place(server).look()
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(
    "body", ["<html>", "[]", "{}", "null", b"\xff", '{"version": "1"}', '{"version": {}, "main": 1, "files": 3}']
)
def test_what_is_no_answer_of_a_repo(server: Any, answer: Answer, body: bytes | str) -> None:
    """Something else that listens there is not taken for an empty codebase."""
    server.answers(answer(200, body))
    with pytest.raises(RepoError, match="this is no answer of a Pipy Repo; check the address"):
        place(server).look()


def test_an_answer_without_end(server: Any, answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than so much is kept in memory, and it is not asked for again."""
    monkeypatch.setattr(http, "MAX_ANSWER", 1000)
    server.answers(answer(200, b"x" * 2000))
    with pytest.raises(RepoError, match="an answer of more than"):
        place(server).look()
    assert len(server.requests) == 1


def test_nobody_listens() -> None:
    """A port that is closed is told from a slow server."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(RepoError, match=r"no connection \(Connection refused\); is it running"):
        PipyRepo(f"http://127.0.0.1:{port}/repo/edge", timing=QUICK).look()


def test_credentials_are_sent_and_never_told(server: Any, answer: Answer) -> None:
    """A proxy before the Repo may want them; names and errors are without."""
    server.answers(answer(403))
    there = place(server, user="me:s3%23cret@")
    with pytest.raises(RepoError) as caught:
        there.look()
    assert base64.b64encode(b"me:s3#cret").decode().lower() in server.requests[0].headers
    assert "cret" not in str(caught.value) + there.name


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:6060/repo/edge",
        "ftp://127.0.0.1/repo/edge",
        "http://127.0.0.1:6060/edge",
        "http://127.0.0.1:6060/repo/",
        "http://127.0.0.1:6060/repo/../edge",
        "http://127.0.0.1:6060/repo/edge?x=1",
        "http://127.0.0.1:99999/repo/edge",
        "http:///repo/edge",
    ],
)
def test_a_url_that_names_no_codebase(url: str) -> None:
    """It is refused before anything is asked."""
    with pytest.raises(UsageError, match=r"named http\(s\)://HOST:6060/repo/CODEBASE"):
        PipyRepo(url)


def test_paths_are_quoted(server: Any, answer: Answer) -> None:
    """What means something in a URL arrives as it is called."""
    server.answers(answer(200, "data"))
    there = PipyRepo(f"http://127.0.0.1:{server.port}/repo/region/edge/", timing=PATIENT)
    assert there.read(["config/a?#ü.json"]) == {"config/a?#ü.json": b"data"}
    assert [item.path for item in server.requests] == ["/repo/region/edge/config/a%3F%23%C3%BC.json"]


def test_what_is_nowhere(server: Any, answer: Answer) -> None:
    """A codebase that is not there is empty; a file that nobody published is left out."""
    server.answers(answer(404))
    assert place(server).look() == Holding(instances=())
    assert place(server).read(["a"]) == {}


def test_a_publication_that_is_none(server: Any, answer: Answer, codebase: Answer) -> None:
    """The Repo answers 201 to a PATCH that does nothing: it is tried again, then what was staged is dropped."""

    def respond(request: Any) -> bytes:
        staged = codebase("abc", editFiles=["/main.js"])
        return staged if request.method == "GET" else answer(201)

    server.respond = respond
    before = Holding("abc", frozenset({"main.js"}))
    with pytest.raises(RepoError, match="says that it published, and has not"):
        place(server).publish(before, Edition("def", {"main.js": b"x"}), Difference(("main.js",)), lambda *_: None)
    sent = [(item.method, item.path) for item in server.requests if item.method != "GET"]
    publish = ("PATCH", "/api/v1/repo/edge")
    file = "/api/v1/repo-files/edge/main.js"
    assert sent == [("POST", file), publish, publish, publish, ("PATCH", file)]


@pytest.mark.parametrize("worked", [True, False])
@pytest.mark.parametrize("fault", ["reset", 502])
def test_a_publication_without_an_answer(
    server: Any, answer: Answer, codebase: Answer, fault: str | int, worked: bool
) -> None:
    """Whether it was done is looked up: nothing is published twice, and nothing is forgotten."""
    state = {"version": "abc", "staged": ["/main.js"], "publications": 0}

    def respond(request: Any) -> bytes | str:
        if request.path == "/repo/edge/main.js":
            return answer(200, "x")
        if request.method == "PATCH":
            state["publications"] += 1  # type: ignore[operator]
            first = state["publications"] == 1
            if worked or not first:
                state.update(version="def", staged=[])
            return (answer(fault) if isinstance(fault, int) else fault) if first else answer(201)
        return codebase(state["version"], editFiles=state["staged"]) if request.method == "GET" else answer(201)

    server.respond = respond
    before = Holding("abc", frozenset({"main.js"}))
    place(server).publish(before, Edition("def", {"main.js": b"x"}), Difference(("main.js",)), lambda *_: None)
    assert state["publications"] == 2 - worked


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"version": "other"}, "version other"),
        ({"files": ("/main.js", "/b.js")}, "other files"),
        ({"editFiles": ["/main.js", "/b.js"]}, "b.js"),
        ({"editFiles": []}, "main.js"),
        ({"editFiles": ["/main.js"], "erasedFiles": ["/c.js"]}, "c.js"),
        (None, "it is gone"),
    ],
)
def test_somebody_else_is_at_it(server: Any, answer: Answer, codebase: Answer, now: Any, said: str) -> None:
    """Nothing is published where the codebase is not as it was, or other things are staged than ours."""
    seen = answer(404) if now is None else codebase(**{"version": "abc", "editFiles": ["/main.js"], **now})
    server.respond = lambda request: seen if request.method == "GET" else answer(201)
    before = Holding("abc", frozenset({"main.js"}))
    with pytest.raises(Overtaken, match=said):
        place(server).publish(before, Edition("def", {"main.js": b"x"}), Difference(("main.js",)), lambda *_: None)
    assert "/api/v1/repo/edge" not in [item.path for item in server.requests if item.method == "PATCH"]


def test_what_is_published_is_read_back(server: Any, answer: Answer, codebase: Answer) -> None:
    """Where somebody staged the same file at the last moment, that is noticed."""
    versions = iter(["abc", "def", "def"])

    def respond(request: Any) -> bytes:
        if request.path == "/repo/edge/main.js":
            return answer(200, "theirs")
        if request.method != "GET":
            return answer(201)
        version = next(versions)
        return codebase(version, editFiles=["/main.js"] if version == "abc" else [])

    server.respond = respond
    before = Holding("abc", frozenset({"main.js"}))
    with pytest.raises(Overtaken, match=r"published is not what was meant: main\.js"):
        place(server).publish(before, Edition("def", {"main.js": b"x"}), Difference(("main.js",)), lambda *_: None)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> Path:
    """Write the authority's certificate, another's, and a client's certificate with its key."""
    client = authority.issue_cert("client@example.com")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    client.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    client.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    client.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    (tmp_path / "text").write_text("nothing of the kind")
    return tmp_path


@pytest.fixture
def secure(server: Any, authority: trustme.CA, codebase: Answer) -> Any:
    """Make the server want a client certificate."""
    server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server.tls)
    authority.configure_trust(server.tls)
    server.tls.verify_mode = ssl.CERT_REQUIRED
    server.answers(codebase("abc"))
    return server


@pytest.mark.parametrize(("cert", "key"), [("client.pem", None), ("cert.pem", "key.pem")])
def test_a_client_certificate(secure: Any, files: Path, cert: str, key: str | None) -> None:
    """It opens the Repo, with its key in the same file or beside it."""
    access = Access(files / "ca.pem", files / cert, files / key if key else None)
    assert PipyRepo(f"https://127.0.0.1:{secure.port}/repo/edge", access, PATIENT).look().version == "abc"


@pytest.mark.parametrize(
    ("access", "said"),
    [
        (lambda files: Access(files / "other.pem", files / "client.pem"), "TLS failed .*--pipy-ca"),
        (lambda files: Access(None, files / "client.pem"), "TLS failed .*--pipy-ca"),
        (lambda files: Access(files / "ca.pem"), "--pipy-cert"),
    ],
)
def test_no_trust(secure: Any, files: Path, access: Callable[[Path], Access], said: str) -> None:
    """The server's certificate counts, and without one of ours nothing is told."""
    with pytest.raises(RepoError, match=said):
        PipyRepo(f"https://127.0.0.1:{secure.port}/repo/edge", access(files), PATIENT).look()
    assert secure.requests == []


@pytest.mark.parametrize(
    ("access", "said"),
    [
        (lambda files: Access(files / "none"), "none: no such file"),
        (lambda files: Access(files / "text"), "text: no certificates in PEM"),
        (lambda files: Access(None, files / "ca.pem", files / "key.pem"), "another certificate"),
        (lambda files: Access(None, files / "text"), "no PEM files"),
        (lambda files: Access(None, None, files / "key.pem"), "--pipy-cert"),
    ],
)
def test_files_that_are_none(files: Path, access: Callable[[Path], Access], said: str) -> None:
    """The file that is wrong is named before anything is asked."""
    with pytest.raises(UsageError, match=said):
        PipyRepo("https://127.0.0.1:1/repo/edge", access(files))
