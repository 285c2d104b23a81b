"""Only commits signed by allowed keys pass: real keys, and git and gpg to check them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from publisher.edge.git import Checkout, Clone, read_signers
from publisher.errors import GitError, Refused, UsageError

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMWCZHRNsA7nMC1tQXqz0tDwMD9zmYmzSIkH1jgDhwn2"
PRINT = "0123456789abcdef0123456789ABCDEF01234567"
TOOLS = {"ssh": "ssh-keygen", "openpgp": "gpg"}


class Signer:
    """Somebody with a key, who commits to the remote of a world."""

    def __init__(self, world: Any, kind: str, name: str) -> None:
        self.world = world
        self.kind = kind
        self.line = ""
        """What lists the key as allowed."""
        self.options = ("-c", "gpg.format=openpgp", "-c", f"user.signingKey={name}@example.com")
        if kind == "ssh":
            key = world.folder / name
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
            self.line = f"{name}@example.com {key.with_suffix('.pub').read_text()}"
            self.options = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}")
        else:
            self.gpg("--passphrase", "", "--quick-generate-key", f"{name} <{name}@example.com>", "ed25519", "sign")
            listed = self.gpg("--with-colons", "--list-keys", f"{name}@example.com")
            self.line = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))

    @staticmethod
    def gpg(*arguments: str, stdin: str = "") -> str:
        """Run gpg in the test's own home."""
        command = ["gpg", "--quiet", "--batch", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"gpg does not do this here: {done.stderr}")
        return done.stdout

    def commit(self, *options: str) -> str:
        """Make a signed commit on top of the remote's branch; gives it."""
        tree = self.world.git("rev-parse", "main^{tree}")
        given = (*self.options, *options, "commit-tree", "-S", "-p", "main", "-m", "signed", tree)
        return str(self.world.git(*given))


@pytest.fixture
def home(world: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give gpg a home of the test's own, and end the agent that it starts."""
    folder = world.folder / "g"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(folder))
    yield folder
    if shutil.which("gpgconf"):
        subprocess.run(["gpgconf", "--homedir", str(folder), "--kill", "all"], check=False)


@pytest.fixture(params=TOOLS)
def signer(world: Any, home: Path, request: pytest.FixtureRequest) -> Callable[..., Signer]:
    """Make somebody with a key of either kind."""
    if not shutil.which(TOOLS[request.param]):
        pytest.skip(f"{TOOLS[request.param]} is not installed")
    return lambda name="ada": Signer(world, request.param, name)


@pytest.fixture
def check(world: Any) -> Callable[..., None]:
    """Check a commit of the remote against a list of keys."""

    def run(commit: str, *lines: str) -> None:
        listed = world.folder / "signers"
        listed.write_text("# who may\n\n" + "".join(f"{line.strip()}\n" for line in lines))
        world.git("update-ref", "refs/heads/main", commit)
        Clone(world.remote.as_uri()).check_signature(commit, read_signers(listed))

    return run


def test_an_allowed_key(check: Any, signer: Any) -> None:
    """A commit passes that one of the listed keys has signed, whatever else is listed."""
    ada = signer()
    check(ada.commit(), f"bob@example.com {KEY}", PRINT, ada.line)


def test_a_key_that_is_not_allowed(check: Any, signer: Any) -> None:
    """A good signature of another key does not count, though the keyring trusts it."""
    with pytest.raises(Refused, match=r"^commit \w{12} is not synced: it is signed by a key that is not allowed: \S+"):
        check(signer().commit(), f"bob@example.com {KEY}", PRINT)


def test_not_signed(world: Any, check: Any, signer: Any) -> None:
    """A commit without a signature does not pass, though the one before it is signed."""
    ada = signer()
    signed = ada.commit()
    plain = world.git("commit-tree", "-p", signed, "-m", "plain", f"{signed}^{{tree}}")
    with pytest.raises(Refused, match=r"is not synced: it is not signed; have it signed by a key that \S+ lists"):
        check(plain, ada.line)


@pytest.mark.parametrize("what", ["message", "tree", "signature"])
def test_a_bad_signature(world: Any, check: Any, signer: Any, what: str) -> None:
    """A commit that is not what was signed, or whose signature is damaged, does not pass."""
    ada = signer()
    raw = world.git("cat-file", "commit", ada.commit()) + "\n"
    other = world.git("mktree")
    changed = {
        "message": raw.replace("\nsigned\n", "\nother\n"),
        "tree": re.sub(r"^tree \w+", f"tree {other}", raw),
        "signature": re.sub(r"(?m)^ (?!-)(\S{20,})$", lambda line: f" {line[1].swapcase()}", raw),
    }[what]
    assert changed != raw
    made = world.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=changed)
    with pytest.raises(Refused, match=r"is not synced: the signature (is bad|cannot be checked): "):
        check(made, ada.line)


def test_a_signature_moved_to_another_commit(world: Any, check: Any, signer: Any) -> None:
    """A signature of an allowed key in the message, or in a merged tag, is none of the commit's own."""
    ada = signer()
    raw = world.git("cat-file", "commit", ada.commit())
    header, _, message = raw.partition("\n\n")
    signature = header[header.index("gpgsig ") :]
    plain = header[: header.index("\ngpgsig ")]
    tag = "mergetag object 0\n " + signature.replace("\n", "\n ")
    for text in (f"{plain}\n\n{signature}\n\n{message}\n", f"{plain}\n{tag}\n\n{message}\n"):
        made = world.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=text)
        with pytest.raises(Refused, match="it is not signed"):
            check(made, ada.line)


def test_a_merge_vouches_for_what_it_merges(world: Any, check: Any, signer: Any) -> None:
    """Only the commit that is synced has to be signed: its tree is all that is taken."""
    ada = signer()
    plain = world.git("commit-tree", "-p", "main", "-m", "plain", "main^{tree}")
    world.git("update-ref", "refs/heads/main", plain)
    check(ada.commit(), ada.line)


def test_of_another_kind(world: Any, check: Any) -> None:
    """A signature that is neither of SSH nor of OpenPGP does not pass."""
    raw = world.git("cat-file", "commit", "main")
    signed = raw.replace("\n\n", "\ngpgsig -----BEGIN SIGNED MESSAGE-----\n x\n -----END SIGNED MESSAGE-----\n\n", 1)
    made = world.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=signed)
    with pytest.raises(Refused, match="neither of SSH nor of OpenPGP"):
        check(made, PRINT)


@pytest.mark.parametrize("signer", ["openpgp"], indirect=True)
class TestOpenPGP:
    """What there is with keyrings alone."""

    def test_a_key_that_is_not_in_the_keyring(
        self, world: Any, check: Any, signer: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An allowed key has to be here to check anything by it: what to do is said."""
        ada = signer()
        made = ada.commit()
        empty = world.folder / "empty"
        empty.mkdir(mode=0o700)
        monkeypatch.setenv("GNUPGHOME", str(empty))
        with pytest.raises(Refused, match=r"the key is unknown: \w{16} is not in the keyring here \(gpg --import\)"):
            check(made, ada.line)

    def test_a_subkey(self, check: Any, signer: Any) -> None:
        """A signature of a subkey counts for it, and for the key that it belongs to."""
        ada = signer()
        ada.gpg("--passphrase", "", "--quick-add-key", ada.line, "ed25519", "sign")
        made = ada.commit()
        listed = ada.gpg("--with-colons", "--list-keys", ada.line)
        primary, subkey = (line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        check(made, subkey.lower())
        check(made, f"{primary}  # Ada")

    def test_a_revoked_key(self, home: Path, check: Any, signer: Any) -> None:
        """A key that its owner has revoked does not count any more."""
        ada = signer()
        made = ada.commit()
        revocation = (home / "openpgp-revocs.d" / f"{ada.line}.rev").read_text().replace("\n:---", "\n---")
        ada.gpg("--import", stdin=revocation)
        with pytest.raises(Refused, match="the key is revoked"):
            check(made, ada.line)

    def test_trust_does_not_count(self, check: Any, signer: Any) -> None:
        """The list alone says which keys are allowed, whatever the keyring makes of them."""
        ada = signer()
        made = ada.commit()
        ada.gpg("--import-ownertrust", stdin=f"{ada.line}:2:\n")
        check(made, ada.line)


@pytest.mark.parametrize("signer", ["ssh"], indirect=True)
@pytest.mark.parametrize(
    ("option", "why"),
    [('valid-before="20200101"', "the key has expired"), ('namespaces="file"', "the key is not permitted for use")],
)
def test_options_of_a_line(check: Any, signer: Any, option: str, why: str) -> None:
    """What the allowed-signers format can say of a key counts: until when, and for what."""
    ada = signer()
    with pytest.raises(Refused, match=why):
        check(ada.commit(), ada.line.replace(" ", f" {option} ", 1))


def test_the_program_is_missing(check: Any, signer: Any, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ssh-keygen or gpg nothing can be told: no refusal, but an error with what is missing."""
    ada = signer()
    made = ada.commit()
    file = world.folder / "gitconfig"
    shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], file)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(file))
    for name in ("gpg.program", "gpg.ssh.program"):
        world.git("config", "--file", str(file), name, "/nowhere/program")
    with pytest.raises(GitError, match="cannot run /nowhere/program"):
        check(made, ada.line)


@pytest.mark.parametrize("signer", ["ssh"], indirect=True)
def test_in_a_checkout(world: Any, signer: Any) -> None:
    """A checkout goes by the list too, not by what its own settings allow."""
    ada, eve = signer(), signer("eve")
    made = eve.commit()
    world.git("update-ref", "refs/heads/main", made)
    repo = world.checkout()
    (repo / "allowed").write_text(eve.line)
    world.git("config", "gpg.ssh.allowedSignersFile", str(repo / "allowed"), at=repo)
    (world.folder / "signers").write_text(ada.line)
    with pytest.raises(Refused, match="not allowed"):
        Checkout(repo).check_signature(made, read_signers(world.folder / "signers"))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (f"# x\n{PRINT[:-1]}\n", r":2: neither a line of git's allowed-signers format"),
        (f"{KEY}\n", r":1: neither"),
        ("ada@example.com\n", r":1: neither"),
        ("# nobody\n\n", r": there is no key in it"),
        ("", r": there is no key in it"),
        ("\x00\n", r":1: neither"),
        (None, r": No such file or directory"),
    ],
)
def test_a_list_that_is_none(tmp_path: Path, text: str | None, wrong: str) -> None:
    """What is no list of keys is a usage error that names the line, never an empty list."""
    file = tmp_path / "signers"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(str(file)) + wrong):
        read_signers(file)


def test_a_list_that_is_no_text(tmp_path: Path) -> None:
    """A key ring by mistake in the place of the list is told so."""
    (tmp_path / "ring").write_bytes(b"\x99\x01\xff")
    with pytest.raises(UsageError, match="not a text in UTF-8"):
        read_signers(tmp_path / "ring")
