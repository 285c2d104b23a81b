"""Which repository, which API, and in whose name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from publisher.cli import wiring
from publisher.edge.github import from_environment
from publisher.edge.github.api import Timing
from publisher.errors import ApiError, UsageError

TOKEN = {"GITHUB_TOKEN": "ghp_0123456789abcdefgh"}
APP, KEY, FILE = (f"PUBLISHER_GITHUB_APP_{name}" for name in ("ID", "PRIVATE_KEY", "PRIVATE_KEY_FILE"))
HOME = "https://api.github.com"


def pem(key: Any) -> str:
    """Write a private key as GitHub gives it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    """Make the key of an App."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def app(world: Any, key: rsa.RSAPrivateKey) -> dict[str, str]:
    """Install an App; gives its variables."""
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    world.fake.app = ("4711", public)
    return {"GITHUB_TOKEN": "", APP: "4711", KEY: pem(key)}


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://github.com/acme/config", HOME),
        ("https://github.com/acme/config.git/", HOME),
        ("https://user:secret@github.com/acme/config.git", HOME),
        ("git@github.com:acme/config.git", HOME),
        ("github.com:acme/config", HOME),
        ("ssh://git@github.com/acme/config.git", HOME),
        ("ssh://git@ssh.github.com:443/acme/config.git", HOME),
        ("https://git.example.com/acme/config.git", "https://git.example.com/api/v3"),
        ("https://git.example.com:8443/acme/config.git", "https://git.example.com:8443/api/v3"),
        ("ssh://git@git.example.com:2222/acme/config.git", "https://git.example.com/api/v3"),
        ("git@git.example.com:acme/config.git", "https://git.example.com/api/v3"),
        ("https://acme.ghe.com/acme/config", "https://api.acme.ghe.com"),
    ],
)
def test_the_remote_tells(remote: str, url: str) -> None:
    """Repository and API follow from the remote's URL, in each form that git knows."""
    api = from_environment(remote, TOKEN)._api
    assert (api.repository, api._url) == ("acme/config", url)


@pytest.mark.parametrize(
    ("remote", "more", "repository", "url"),
    [
        ("/srv/config.git", {}, "acme/runs", HOME),
        ("file:///srv/acme/config.git", {}, "acme/runs", HOME),
        ("https://mirror.example.com/git/acme/config.git", {}, "acme/runs", HOME),
        ("https://mirror.example.com/acme/config.git", {"GITHUB_API_URL": HOME}, "acme/runs", HOME),
        ("https://github.com/acme/config", {}, "acme/config", HOME),
        (
            "https://git.example.com/acme/config",
            {"GITHUB_SERVER_URL": "https://git.example.com", "GITHUB_API_URL": "https://git.example.com/api/v3/"},
            "acme/config",
            "https://git.example.com/api/v3",
        ),
    ],
)
def test_the_environment_tells(remote: str, more: dict[str, str], repository: str, url: str) -> None:
    """GITHUB_REPOSITORY counts unless the remote names another repository of the same GitHub: that is published to."""
    api = from_environment(remote, TOKEN | {"GITHUB_REPOSITORY": "acme/runs"} | more)._api
    assert (api.repository, api._url) == (repository, url)


@pytest.mark.parametrize(
    ("remote", "environment", "says"),
    [
        ("https://github.com/acme/config", {}, "set PUBLISHER_GITHUB_TOKEN or GITHUB_TOKEN, or for an App " + APP),
        ("https://github.com/acme/config", {"GITHUB_TOKEN": "two words"}, "GITHUB_TOKEN is not a token"),
        ("/srv/config.git", TOKEN, "set GITHUB_REPOSITORY to owner/name"),
        ("https://[/acme/config", TOKEN, "set GITHUB_REPOSITORY to owner/name"),
        ("", TOKEN | {"GITHUB_REPOSITORY": "../config"}, "names no repository"),
        ("https://u:hunter22@x.example/a/b/c", TOKEN, "https://***@x.example/a/b/c names no repository"),
        ("", TOKEN | {"GITHUB_REPOSITORY": "a/b", "GITHUB_API_URL": "http://git.example.com/api/v3"}, "in clear"),
        ("", TOKEN | {"GITHUB_REPOSITORY": "a/b", "GITHUB_API_URL": "git.example.com"}, "is no address of an API"),
        ("", TOKEN | {"GITHUB_REPOSITORY": "a/b", "GITHUB_API_URL": "https://u:p@git.example.com"}, "is no address"),
        ("", TOKEN | {"GITHUB_REPOSITORY": "a/b", "GITHUB_API_URL": "https://x:port"}, "is no address"),
        ("git@github.com:acme/config", {APP: "4711"}, f"set {KEY} or {FILE}"),
        ("git@github.com:acme/config", {APP: "4711", FILE: "/no/such.pem"}, "/no/such.pem: No such file or directory"),
        ("git@github.com:acme/config", {APP: "4711", KEY: "ghp_0123456789abcdefgh"}, f"{KEY} holds no private key"),
        (
            "git@github.com:acme/config",
            {APP: "4711", KEY: pem(ec.generate_private_key(ec.SECP256R1()))},
            f"{KEY} holds no private key",
        ),
    ],
)
def test_what_is_missing_is_named(
    fails: Callable[..., str], remote: str, environment: dict[str, str], says: str
) -> None:
    """What cannot be told ends with exit code 2 and the variables to set."""
    line = fails(lambda: from_environment(remote, environment), UsageError)
    assert says in line
    assert "PRIVATE KEY--" not in line


@pytest.mark.parametrize(
    ("more", "given"),
    [({"PUBLISHER_GITHUB_TOKEN": "ghp_our0wn000000000000"}, "ghp_our0wn000000000000"), ({}, TOKEN["GITHUB_TOKEN"])],
)
def test_a_token_of_our_own_comes_first(world: Any, more: dict[str, str], given: str) -> None:
    """PUBLISHER_GITHUB_TOKEN wins over the one that a workflow has."""
    world.fake.token = given
    assert world.hub(**more).find(world.branch, "main") is None


def test_wired(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line builds it from its environment."""
    for name, value in world.fake.environment.items():
        monkeypatch.setenv(name, value)
    request = world.request()
    assert wiring.forge("file:///srv/config.git")().find(world.branch, "main") == request


@pytest.mark.parametrize("loopback", ["localhost", "127.0.0.1"])
def test_loopback_needs_no_tls(world: Any, loopback: str) -> None:
    """Nobody listens in between on this machine."""
    url = world.fake.url.replace("127.0.0.1", loopback)
    assert world.hub(GITHUB_API_URL=url).find(world.branch, "main") is None


@pytest.mark.parametrize("prefix", ["", "/api/v3"])
def test_the_base_path(forge: Any, github_description: Any, tmp_path: Path, prefix: str) -> None:
    """REST and GraphQL are found on github.com's paths and on those of an Enterprise Server."""
    fake = forge.FakeGitHub(tmp_path, github_description, prefix)
    head = fake.commit("publisher/edge", {"a": b"1"}, "a", fake.tip("main"))
    hub = from_environment("", fake.environment)
    made = hub.open("publisher/edge", "main", "T", "", ())
    hub.comment(made.number, "plan", "one")
    hub.comment(made.number, "plan", "two")
    fake.close()
    assert made.head == head
    assert fake.said(made.number) == ["<!-- publisher:plan -->\ntwo"]
    assert not fake.wrong


@pytest.mark.parametrize("form", ["text", "file"])
def test_an_app(world: Any, app: dict[str, str], tmp_path: Path, form: str) -> None:
    """An App signs in with its key, and works with the token of its installation until that ends."""
    if form == "file":
        (tmp_path / "app.pem").write_text(app.pop(KEY))
        app[FILE] = str(tmp_path / "app.pem")
    hub = world.hub(**app)
    assert world.fake.requests == []
    assert hub.find(world.branch, "main") is None
    assert hub.find(world.branch, "main") is None
    tokens = "/app/installations/33/access_tokens"
    pulls = "GET /repos/acme/config/pulls"
    assert world.fake.requests == ["GET /repos/acme/config/installation", f"POST {tokens}", pulls, pulls]


def test_a_token_of_an_app_is_renewed(world: Any, app: dict[str, str]) -> None:
    """A token that ends in less than 20 s is replaced before it is used."""
    hub = world.hub(**app)
    world.fake.lifetime = 10
    hub.find(world.branch, "main")
    short = len(world.fake.issued)
    world.fake.lifetime = 3600
    for _ in range(2):
        hub.find(world.branch, "main")
    assert len(world.fake.issued) == short + 1
    assert world.did("GET", ".*/installation") == 1


@pytest.mark.parametrize(
    ("verb", "path", "fault", "says"),
    [
        ("GET", "installation", {"status": 404, "body": b'{"message": "Not Found"}'}, "the App is not installed there"),
        (
            "GET",
            "installation",
            {"status": 401, "body": b'{"message": "Bad"}'},
            "HTTP 401: Bad (the token is not known",
        ),
        ("GET", "installation", {"body": b"{}"}, "not as its API is described: id is of another kind"),
        ("GET", "installation", {"kind": "reset"}, "Connection reset by peer"),
        ("POST", "access_tokens", {"status": 403, "body": b'{"message": "Suspended"}'}, "HTTP 403: Suspended"),
        ("POST", "access_tokens", {"status": 500}, "HTTP 500"),
        ("POST", "access_tokens", {"body": b"{}"}, "no token for the App"),
        ("POST", "access_tokens", {"body": b"[]"}, "no token for the App"),
        ("POST", "access_tokens", {"body": b'{"token": 1, "expires_at": "never"}'}, "no token for the App"),
        ("POST", "access_tokens", {"body": b"<html>"}, "HTTP 200: the answer is not JSON"),
        ("POST", "access_tokens", {"kind": "reset"}, "Connection reset by peer"),
    ],
)
def test_an_app_that_gets_no_token(
    world: Any, forge: Any, fails: Callable[..., str], app: dict[str, str], verb: str, path: str, fault: Any, says: str
) -> None:
    """Each failure on the way to a token is one line."""
    world.fake.fail(verb, path, forge.Fault(**fault), times=9)
    line = fails(lambda: world.hub(**app).find(world.branch, "main"), ApiError)
    assert line.startswith("GitHub: ")
    assert says in line


def test_a_fault_on_the_way_to_a_token_passes(world: Any, forge: Any, app: dict[str, str]) -> None:
    """A token that could not be had at first is asked for again."""
    for verb, path in (("GET", "installation"), ("POST", "access_tokens")):
        world.fake.fail(verb, path, forge.Fault(502))
    hub = world.hub(Timing(attempts=3, backoff=0.01), **app)
    assert hub.find(world.branch, "main") is None


def test_nothing_secret_is_logged(world: Any, app: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """Neither a token nor the key is in a log, however much is logged."""
    caplog.set_level(logging.DEBUG)
    world.hub().find(world.branch, "main")
    world.hub(**app).find(world.branch, "main")
    secrets = [world.fake.token, *world.fake.issued, app[KEY].splitlines()[1], "Bearer ey"]
    assert caplog.records
    assert not [secret for secret in secrets if secret in caplog.text]


def test_a_key_of_another_app(world: Any, app: dict[str, str], fails: Callable[..., str]) -> None:
    """GitHub does not take what another key has signed."""
    other = pem(rsa.generate_private_key(65537, 2048))
    line = fails(lambda: world.hub(**app | {KEY: other}).find(world.branch, "main"), ApiError)
    assert "HTTP 401" in line


def test_nothing_listens(world: Any, fails: Callable[..., str]) -> None:
    """An address where nobody answers is told as such."""
    hub = world.hub(GITHUB_API_URL="http://127.0.0.1:9/api/v3")
    assert "Connection refused" in fails(lambda: hub.find(world.branch, "main"), ApiError)
