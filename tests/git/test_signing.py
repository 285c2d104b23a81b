"""Who makes a commit, and that it is signed where git is told to sign: real keys, checked by git itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from publisher.errors import GitError, UsageError

IDENTITY = "%an <%ae>|%cn <%ce>"


@pytest.fixture
def settings(world: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a file with git settings of the test's own, which a checkout and a URL both go by."""
    file = world.folder / "gitconfig"
    shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], file)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(file))
    return file


def put(world: Any, file: Path, **values: str) -> None:
    """Set git settings, ``section__name``."""
    for key, value in values.items():
        world.git("config", "--file", str(file), key.replace("__", "."), value)


def ssh_key(world: Any, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an SSH key that git is to sign with, and that it trusts."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not installed")
    key = world.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (world.folder / "allowed").write_text(f"a@example.com {key.with_suffix('.pub').read_text()}")
    put(world, settings, gpg__format="ssh", user__signingKey=str(key))
    put(world, settings, gpg__ssh__allowedSignersFile=str(world.folder / "allowed"))


def openpgp_key(world: Any, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an OpenPGP key in a home of its own; git finds it by the author's mail."""
    if not shutil.which("gpg"):
        pytest.skip("gpg is not installed")
    home = world.folder / "g"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    make = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", "A <a@example.com>", "ed25519", "sign"]
    done = subprocess.run(make, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"gpg makes no key here: {done.stderr}")


KEYS = {"ssh": ssh_key, "openpgp": openpgp_key}


@pytest.fixture
def agent() -> Any:
    """End the agent that gpg has started."""
    yield
    if "GNUPGHOME" in os.environ:
        subprocess.run(["gpgconf", "--kill", "all"], check=False)


@pytest.mark.parametrize("kind", KEYS)
def test_signed(world: Any, repo: Any, settings: Path, agent: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With commit.gpgSign every commit of a publish is signed so that git verifies it."""
    KEYS[kind](world, settings, monkeypatch)
    put(world, settings, commit__gpgSign="yes")
    opened = world.open(repo)
    opened.publish(world.draft("main", opened.newest("main")), world.draft("snapshots/edge", ""))
    for branch in ("main", "snapshots/edge"):
        world.git("verify-commit", branch)
        assert world.git("log", "-1", "--format=%G?", branch) in ("G", "U")
    assert world.git("log", "-1", f"--format={IDENTITY}") == "A <a@example.com>|A <a@example.com>"


@pytest.mark.parametrize("value", [None, "false", "no"])
def test_not_signed(world: Any, repo: Any, settings: Path, value: str | None) -> None:
    """Nobody is asked for a key who has not set commit.gpgSign, or has it off."""
    put(world, settings, gpg__program="/bin/false", user__signingKey="nobody")
    if value:
        put(world, settings, commit__gpgSign=value)
    opened = world.open(repo)
    made = opened.publish(world.draft("main", opened.newest("main")))
    assert "gpgsig" not in world.git("cat-file", "commit", made)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"gpg__program": "/bin/false"}, "gpg failed to sign the data"),
        ({"gpg__program": "/nowhere/gpg"}, "cannot run /nowhere/gpg"),
        ({"gpg__format": "ssh"}, "user.signingkey or gpg.ssh.defaultKeyCommand needs to be configured"),
        ({"gpg__format": "ssh", "user__signingKey": "/nowhere/key"}, "/nowhere/key"),
    ],
)
def test_signing_fails(world: Any, repo: Any, typed: Any, settings: Path, given: dict[str, str], reason: str) -> None:
    """Nothing is published unsigned that shall be signed: one line with git's reason and what to do."""
    put(world, settings, commit__gpgSign="true", **given)
    before = world.refs()
    done = typed(repo)
    assert done.code == 1
    assert reason in done.line
    assert done.line.endswith("commit.gpgSign is set: see to user.signingKey and gpg.format, or unset it")
    assert world.refs() == before


def test_a_setting_that_cannot_be_read(world: Any, repo: Any, settings: Path) -> None:
    """commit.gpgSign that is neither true nor false is not taken for false."""
    put(world, settings, commit__gpgSign="perhaps")
    with pytest.raises(GitError, match=r"bad boolean config value 'perhaps' for 'commit\.gpgsign'"):
        world.publish(repo)
    assert world.linear() == ["set up"]


# who


def test_whoever_git_says(world: Any, repo: Any, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A draft that names no author is made by who is set up in git; the environment wins, as always."""
    opened = world.open(repo)
    opened.publish(world.draft("main", opened.newest("main"), author=""))
    assert world.git("log", "-1", f"--format={IDENTITY}") == "Tester <tester@example.com>|Tester <tester@example.com>"
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", role.title())
        monkeypatch.setenv(f"GIT_{role}_EMAIL", f"{role}@example.com")
    opened.publish(world.draft("main", opened.newest("main"), author=""))
    told = world.git("log", "-1", f"--format={IDENTITY}")
    assert told == "Author <AUTHOR@example.com>|Committer <COMMITTER@example.com>"
    opened.publish(world.draft("main", opened.newest("main")))
    assert world.git("log", "-1", f"--format={IDENTITY}") == "A <a@example.com>|A <a@example.com>"


@pytest.mark.parametrize("sign", ["true", "false"])
@pytest.mark.parametrize("known", ["nobody", "author"])
def test_nobody_knows_who(
    world: Any, repo: Any, settings: Path, known: str, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a name and mail git makes no commit: what to set is said, and nothing has moved."""
    settings.write_text("[user]\n\tuseConfigOnly = true\n")
    put(world, settings, commit__gpgSign=sign)
    if known == "author":
        monkeypatch.setenv("GIT_AUTHOR_NAME", "A")
        monkeypatch.setenv("GIT_AUTHOR_EMAIL", "a@example.com")
    opened = world.open(repo)
    with pytest.raises(UsageError, match=r"git config user\.name NAME, and git config user\.email MAIL"):
        opened.publish(world.draft("main", opened.newest("main"), author=""))
    assert world.linear() == ["set up"]
