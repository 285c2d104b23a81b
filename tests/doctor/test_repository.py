"""What the doctor finds wrong with the config repository, its remote, and the host that this is on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def test_stale_schemas(world: Any, doctor: Any) -> None:
    """Copies of another version are named, and so are those that are missing; publishing goes on."""
    (world.repo / "schemas/service.schema.json").write_text("{}")
    (world.repo / "schemas/doctor.schema.json").unlink()
    world.git("commit", "--quiet", "-am", "older")
    seen = doctor()
    seen.only(schemas="warn")
    assert "doctor.schema.json, service.schema.json" in seen.text("schemas")


@pytest.mark.parametrize(("layout", "state"), [("native", "fail"), ("tutorial", "warn")])
def test_no_program(world: Any, doctor: Any, layout: str, state: str) -> None:
    """Without main.js Pipy has nothing to start; another layout is for programs of one's own."""
    world.settings(f"layout: {layout}\n")
    (world.repo / "pipy/main.js").unlink()
    seen = doctor()
    assert seen.state("program") == state
    assert "pipy/main.js" in seen.text("program")


def test_half_a_program(world: Any, doctor: Any) -> None:
    """The program that was laid down takes all of its files."""
    (world.repo / "pipy/plugins/router.js").unlink()
    seen = doctor()
    seen.only(program="fail")
    assert "pipy/plugins/router.js" in seen.text("program")
    (world.repo / "pipy/main.js").write_text("// of people's own\n")
    doctor().only()


def test_an_invalid_generated_file(world: Any, doctor: Any) -> None:
    """The first error is shown, with the number of all."""
    file = world.repo / "pipy/config/services/default.flask.json"
    file.write_text(file.read_text().replace("31193", "99999"))
    seen = doctor()
    seen.only(files="fail")
    assert "2 errors, first pipy/config/services/default.flask.json: /clusters/member1/ports/http" in seen.text("files")


def test_nothing_published_yet(world: Any, doctor: Any) -> None:
    """A repository as publisher init lays it down is no failure."""
    world.git("rm", "-rq", "pipy/config/clusters", "pipy/config/services")
    world.git("commit", "--quiet", "-m", "anew")
    seen = doctor()
    seen.only(files="warn")
    assert "nothing is published yet" in seen.text("files")


def test_a_remote_that_is_not_there(world: Any, doctor: Any) -> None:
    """Git's own words and a hint; what takes git is not checked."""
    world.git("remote", "set-url", "origin", "file:///nowhere/config.git")
    seen = doctor()
    seen.only(git="fail", push="not_checked", signing="not_checked", user="not_checked")
    assert "check the address" in seen.text("git")


def test_a_url_that_is_not_there(world: Any, doctor: Any) -> None:
    """Behind a URL that leads nowhere there are no settings either."""
    world.where = "file:///nowhere/config.git"
    seen = doctor()
    assert seen.state("settings") == "fail"
    assert "check the address" in seen.text("settings")


def test_no_branch(world: Any, doctor: Any) -> None:
    """A branch that is nowhere fails; one that is here and not on the remote is what the first publish makes."""
    world.git("update-ref", "-d", "refs/heads/main", at=world.remote)
    seen = doctor()
    seen.only(git="warn")
    assert "no branch main yet" in seen.text("git")
    (world.repo / "publisher.yaml").write_text("publisher: edge\ngit: {branch: live}\n")
    seen = doctor()
    assert seen.state("git") == "fail"
    assert "git switch live" in seen.text("git")


def test_another_branch_is_checked_out(world: Any, doctor: Any) -> None:
    """A checkout can only follow the branch that it is on; a pull request moves none."""
    world.git("switch", "--quiet", "--create", "work")
    seen = doctor()
    seen.only(push="fail")
    assert "work is checked out" in seen.text("push")
    assert "git switch main" in seen.text("push")
    world.settings("publish: {mode: pull-request}\n")
    assert doctor().state("push") == "ok"


def test_no_remote(world: Any, doctor: Any) -> None:
    """A folder without a remote can be published to."""
    world.git("remote", "remove", "origin")
    seen = doctor()
    seen.only(push="warn")
    assert "git remote add" in seen.text("push")


@pytest.mark.parametrize(
    ("mode", "branches"),
    [
        ("{mode: direct}", "main, snapshots/edge"),
        ("{mode: pull-request}", "publisher/edge, snapshots/edge"),
        ("{mode: auto}", "main, publisher/edge, snapshots/edge"),
        ("{mode: pull-request, commits: api}", "snapshots/edge"),
        ('{refspec: "{commit}:refs/for/main"}', "refs/for/main"),
    ],
)
def test_a_key_that_may_only_read(world: Any, doctor: Any, mode: str, branches: str) -> None:
    """A server that refuses the push is told by a dry run to just the refs that the mode pushes to."""
    world.settings(f"publish: {mode}\n")
    seen = doctor()
    assert seen.state("push") == "ok"
    assert seen.text("push").startswith(f"{branches}: this account may push")
    refuse = world.repo.with_name("receive-pack")
    refuse.write_text("#!/bin/sh\necho 'ERROR: The key you are authenticating with is read only.' >&2\nexit 1\n")
    refuse.chmod(0o755)
    world.git("config", "remote.origin.receivepack", str(refuse))
    seen = doctor()
    assert (seen.state("git"), seen.state("push")) == ("ok", "fail")
    assert f"let this account push to {branches}" in seen.text("push")


@pytest.mark.parametrize(
    ("setting", "more", "said"),
    [
        ("receive.advertiseAtomic", "", "receive.advertiseAtomic"),
        ("receive.advertisePushOptions", "publish: {pushOptions: [ci.skip]}\n", "receive.advertisePushOptions"),
    ],
)
def test_a_server_that_cannot(world: Any, doctor: Any, setting: str, more: str, said: str) -> None:
    """What the server has to be able to do is found out before anything is pushed."""
    world.settings(more)
    world.git("config", setting, "true", at=world.remote)
    doctor().only()
    world.git("config", setting, "false", at=world.remote)
    seen = doctor()
    seen.only(push="fail")
    assert said in seen.text("push")


def test_signing(world: Any, doctor: Any, tmp_path: Path) -> None:
    """Where git is told to sign it is tried, with nothing left in the repository."""
    objects = world.git("count-objects", "-v")
    program = tmp_path / "sign"
    program.write_text("#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] SIG_CREATED D' >&2\necho signature\n")
    program.chmod(0o755)
    world.git("config", "commit.gpgSign", "true")
    world.git("config", "gpg.program", str(program))
    seen = doctor()
    seen.only()
    assert "git signs" in seen.text("signing")
    assert world.git("count-objects", "-v") == objects
    program.write_text("#!/bin/sh\necho 'no secret key' >&2\nexit 2\n")
    seen = doctor()
    seen.only(signing="fail")
    assert "user.signingKey" in seen.text("signing")


def test_nobody_is_at_work(world: Any, doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishing has an author of its own; only rollback takes a person."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    world.git("config", "user.useConfigOnly", "true")
    seen = doctor()
    seen.only(user="warn")
    assert "git config user.name" in seen.text("user")


# the host


@pytest.fixture
def hub(world: Any, github: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Publish by pull requests on a GitHub."""
    world.settings("publish: {mode: pull-request}\n")
    for name, value in github.environment.items():
        monkeypatch.setenv(name, value)
    return github


@pytest.mark.parametrize("scopes", [None, "repo", "gist, repo"])
def test_a_token_that_may(doctor: Any, hub: Any, scopes: str | None) -> None:
    """A classic token with the scope, and any other whose owner may push; nothing is written to find out."""
    hub.scopes = scopes
    seen = doctor()
    seen.only()
    assert "pull-requests: write" in seen.text("forge")
    assert not hub.writes


@pytest.mark.parametrize("scopes", ["", "gist", "public_repo"])
def test_a_token_without_the_scope(doctor: Any, hub: Any, scopes: str) -> None:
    """A classic token says what it lacks; public_repo is enough in public repositories only."""
    hub.scopes = scopes
    hub.facts["private"] = True
    seen = doctor()
    seen.only(forge="fail")
    assert "the classic token lacks the scope repo" in seen.text("forge")
    assert "docs/github-actions.md" in seen.text("forge")
    hub.facts["private"] = False
    assert doctor().state("forge") == ("ok" if scopes == "public_repo" else "fail")


def test_an_owner_who_may_not_push(doctor: Any, hub: Any) -> None:
    """What the owner may not, no token of his may."""
    hub.facts["permissions"] = {"pull": True, "push": False, "admin": False}
    seen = doctor()
    seen.only(forge="fail")
    assert "write access to the repository" in seen.text("forge")


def test_a_host_that_does_not_say(doctor: Any, hub: Any) -> None:
    """Unknown is neither fine nor broken."""
    hub.facts["permissions"] = None
    doctor().only(forge="warn")
    hub.wrong.clear()  # GitHub's own description has them


def test_a_token_that_is_not_known(doctor: Any, hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub's refusal is said, with where to look."""
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_expiredexpired00")
    seen = doctor()
    seen.only(forge="fail")
    assert "HTTP 401" in seen.text("forge")


def test_no_token(doctor: Any, hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables to set are named."""
    monkeypatch.delenv("GITHUB_TOKEN")
    seen = doctor()
    seen.only(forge="fail")
    assert "PUBLISHER_GITHUB_TOKEN" in seen.text("forge")


def test_an_archived_repository(doctor: Any, hub: Any) -> None:
    """It takes no changes from anybody."""
    hub.facts["archived"] = True
    seen = doctor()
    seen.only(forge="fail")
    assert "archived" in seen.text("forge")


@pytest.fixture(scope="module")
def app_key() -> tuple[str, str]:
    """Make the private key of an App, and its public one, as PEM."""
    key = rsa.generate_private_key(65537, 2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    info = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return key.private_bytes(*form).decode(), key.public_key().public_bytes(*info).decode()


@pytest.mark.parametrize(
    ("publish", "granted", "lacking"),
    [
        ("{mode: pull-request}", {"contents": "write", "pull_requests": "write"}, ""),
        ("{mode: pull-request}", {"contents": "write", "pull_requests": "read"}, "pull-requests: write"),
        ("{commits: api}", {"contents": "read"}, "contents: write"),
        ("{commits: api, mode: auto}", {"metadata": "read"}, "contents: write and pull-requests: write"),
    ],
)
def test_an_app(
    world: Any,
    doctor: Any,
    hub: Any,
    app_key: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    publish: str,
    granted: Any,
    lacking: str,
) -> None:
    """An App says in its installation what it may."""
    hub.app, hub.app_permissions = ("7", app_key[1]), granted
    monkeypatch.delenv("GITHUB_TOKEN")
    monkeypatch.setenv("PUBLISHER_GITHUB_APP_ID", "7")
    monkeypatch.setenv("PUBLISHER_GITHUB_APP_PRIVATE_KEY", app_key[0])
    world.settings(f"publish: {publish}\n")
    seen = doctor()
    assert seen.state("forge") == ("fail" if lacking else "ok")
    assert f"the App {f'lacks {lacking}' if lacking else 'may do'}" in seen.text("forge")
