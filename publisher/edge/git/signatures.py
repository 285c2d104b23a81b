"""Who signed a commit, and whether that is a key that is allowed to."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from publisher.core.redact import redact
from publisher.edge.git.run import GitRunner, failure
from publisher.errors import GitError, Refused, UsageError

_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}")
_SSH_KEY = re.compile(r"\S.*\s(sk-)?(ssh|ecdsa)-[\w.@-]+\s+[\w+/]{40,}=*(\s|$)", re.ASCII)
_SIGNATURE = re.compile(rb"^gpgsig (?:-----BEGIN (SSH|PGP) (?:SIGNATURE|MESSAGE)-----)?", re.MULTILINE)
_BAD = {
    "BADSIG": "the signature is bad: the commit is not what was signed",
    "REVKEYSIG": "the key is revoked",
    "EXPKEYSIG": "the key has expired",
    "EXPSIG": "the signature has expired",
}


@dataclass(frozen=True)
class Signers:
    """The keys that are allowed to sign."""

    file: str
    """Where they are listed."""
    ssh: str
    """Lines in git's allowed-signers format."""
    openpgp: frozenset[str]
    """Fingerprints of OpenPGP keys, or of their subkeys, in capitals."""


def read_signers(file: Path) -> Signers:
    """Read a file of SSH keys in git's allowed-signers format and of OpenPGP fingerprints, one a line.

    Raises UsageError, with the line, for anything else, and where there is no key at all.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{file}: {getattr(error, 'strerror', None) or 'not a text in UTF-8'}") from error
    ssh, openpgp = [], set()
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        key = line.partition("#")[0].strip()
        if _FINGERPRINT.fullmatch(key):
            openpgp.add(key.upper())
        elif _SSH_KEY.match(line):
            ssh.append(line)
        else:
            raise UsageError(
                f"{file}:{number}: neither a line of git's allowed-signers format (such as me@example.com ssh-ed25519 "
                "AAAA...) nor an OpenPGP fingerprint of 40 hex digits"
            )
    if not ssh and not openpgp:
        raise UsageError(f"{file}: there is no key in it, so no commit could be synced")
    return Signers(str(file), "".join(f"{line}\n" for line in ssh), frozenset(openpgp))


def check_signature(git: GitRunner, commit: str, signers: Signers) -> None:
    """Raise Refused, saying why, unless one of the keys has signed the commit."""
    found = _SIGNATURE.search(git.run("cat-file", "commit", commit).partition(b"\n\n")[0])
    if found is None:
        why = "it is not signed"
    elif found[1] is None:
        why = "its signature is neither of SSH nor of OpenPGP"
    else:
        why = (_ssh if found[1] == b"SSH" else _openpgp)(git, commit, signers)
    if why:
        raise Refused(
            f"commit {commit[:12]} is not synced: {why}; have it signed by a key that {signers.file} lists, "
            "or list the key there"
        )


def _ssh(git: GitRunner, commit: str, signers: Signers) -> str:
    """Say what is wrong with an SSH signature; nothing where an allowed key has made it."""
    with tempfile.NamedTemporaryFile("w", prefix="publisher-signers-", encoding="utf-8") as file:
        file.write(signers.ssh)
        file.flush()
        allowed = f"gpg.ssh.allowedSignersFile={file.name}"
        status, _, told = git.attempt("-c", allowed, "verify-commit", "--raw", commit)
    good = re.search(r'^Good "git" signature (?:for .* )?with (\S+ key \S+)$', told, re.MULTILINE)
    if not status and good:
        return ""
    if "cannot run" in told:
        raise GitError(failure("verify-commit", told))
    late = re.search(r"key (has expired|is not yet valid|is not permitted for use)[^\n]*", told)
    if late:
        return f"the {redact(late[0], 200)}"
    if good:
        return f"it is signed by a key that is not allowed: {good[1]}"
    return "the signature is bad: the commit is not what was signed, or the signature is damaged"


def _openpgp(git: GitRunner, commit: str, signers: Signers) -> str:
    """Say what is wrong with an OpenPGP signature; nothing where an allowed key has made it.

    Which keys are allowed is in the list alone: how far the keyring trusts them does not count.
    """
    status, _, told = git.attempt("-c", "gpg.minTrustLevel=undefined", "verify-commit", "--raw", commit)
    found = [line.split()[1:] for line in told.splitlines() if line.startswith("[GNUPG:] ") and len(line.split()) > 1]
    words = {name: values for name, *values in found}
    if "cannot run" in told:
        raise GitError(failure("verify-commit", told))
    if missing := words.get("NO_PUBKEY"):
        return f"the key is unknown: {redact(missing[-1], 80)} is not in the keyring here (gpg --import)"
    for name, why in _BAD.items():
        if name in words:
            return why
    prints = [word for word in words.get("VALIDSIG", ()) if _FINGERPRINT.fullmatch(word)]  # subkey, primary key
    if status or "GOODSIG" not in words or not prints:
        return f"the signature cannot be checked: {failure('verify-commit', told)}"
    return "" if signers.openpgp.intersection(prints) else f"it is signed by a key that is not allowed: {prints[-1]}"
