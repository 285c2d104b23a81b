"""What is in a repository's object store: trees read, commits made, pushed. No work tree is touched."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from publisher.core.redact import redact
from publisher.edge.git.run import GitRunner, failure
from publisher.errors import GitError, PushRejected, UsageError

MAX_TREE = 512 * 1024 * 1024
"""Bytes of all files that are read from one commit."""

_URL = re.compile(r"(https?|ssh|git|file)://(?!-)\S+|[\w.-]+@(?!-)[\w.-]+:\S+")

_MOVED_ON = re.compile(
    r"fetch first|non-fast-forward|cannot lock ref|incorrect old value|reference already exists|failed to update ref"
)


def is_url(text: str) -> bool:
    """Tell whether ``--repo`` names a remote; raises UsageError for one that git must not be given."""
    url = _URL.fullmatch(text) is not None
    if text.startswith("-") or "::" in text.partition("/")[0] or ("://" in text and not url):
        raise UsageError(f"--repo {text}: neither a folder nor a file, https or ssh URL")
    return url


def read_tree(git: GitRunner, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
    """Read the files of a commit below some paths."""
    listing = git.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit, "--", *paths)
    entries = []
    size = 0
    for line in filter(None, listing.split(b"\0")):
        facts, _, name = line.partition(b"\t")
        _, kind, sha, file_size = facts.split()
        if file_size == b"BAD":
            raise GitError(f"git ls-tree: a file of {commit[:12]} is not in the repository (git fsck says more)")
        if kind == b"blob":
            entries.append((name.decode(errors="replace"), sha))
            size += int(file_size)
    if size > MAX_TREE:
        raise GitError(f"the files below {', '.join(paths)} have more than {MAX_TREE >> 20} MiB")
    out = git.run("cat-file", "--batch", stdin=b"".join(sha + b"\n" for _, sha in entries))
    tree = {}
    position = 0
    for path, _ in entries:
        end = out.index(b"\n", position)
        length = int(out[position:end].split()[2])
        tree[path] = out[end + 1 : end + 1 + length]
        position = end + 2 + length
    return tree


def resolve(git: GitRunner, name: str) -> str:
    """Give the commit a name stands for; empty where there is none."""
    status, out, _ = git.attempt("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    return "" if status else out.decode().strip()


def commit(git: GitRunner, base: str, changes: Mapping[str, bytes | None], message: str, author: str) -> str:
    """Make a commit on top of ``base`` and give its id. No branch moves yet."""
    with tempfile.TemporaryDirectory(prefix="publisher-") as scratch:
        blobs = _store_blobs(git, Path(scratch), {path: data for path, data in changes.items() if data is not None})
        gone = "0" * len(base)
        records = "".join(
            f"0 {gone}\t{path}\0" if data is None else f"100644 {blobs[path]}\t{path}\0"
            for path, data in changes.items()
        )
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        git.run("read-tree", base, extra=index)
        git.run("update-index", "-z", "--index-info", stdin=records.encode(), extra=index)
        tree = git.run("write-tree", extra=index).decode().strip()
    name, _, mail = author.partition(" <")
    identity = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", name), ("EMAIL", mail.rstrip(">")))
    }
    made = git.run("commit-tree", tree, "-p", base, "-F", "-", stdin=message.encode(), extra=identity)
    return made.decode().strip()


def _store_blobs(git: GitRunner, scratch: Path, files: Mapping[str, bytes]) -> dict[str, str]:
    """Store contents as blobs, all with one process, and give their ids by path."""
    names = []
    for number, content in enumerate(files.values()):
        file = scratch / f"blob{number}"
        file.write_bytes(content)
        names.append(str(file))
    if not names:
        return {}
    out = git.run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin="\n".join(names).encode() + b"\n")
    return dict(zip(files, out.decode().split(), strict=True))


def fetch(git: GitRunner, remote: str, *refspecs: str) -> bool:
    """Fetch from a remote; tells whether it has what was asked for."""
    arguments = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--prune", "--end-of-options", remote)
    status, _, err = git.network(*arguments, *refspecs)
    if status and "couldn't find remote ref" in err:
        return False
    if status:
        raise GitError(failure("fetch", err))
    return True


def push(git: GitRunner, remote: str, made: str, branch: str) -> None:
    """Push a commit to a branch, never by force. Raises PushRejected where somebody was faster."""
    status, out, err = git.network("push", "--porcelain", "--end-of-options", remote, f"{made}:refs/heads/{branch}")
    if status == 0:
        return
    lines = out.decode(errors="replace").splitlines()
    refused = next((line for line in lines if line.startswith("!")), "")
    reason = refused.rpartition("\t")[2]
    if _MOVED_ON.search(reason) and "; cannot create" not in err:  # env is in the way of env/prod, for good
        raise PushRejected(f"git push: {branch} has moved on: {redact(reason, 200)}")
    raise GitError(failure("push", f"error: {reason}\n{err}" if reason else err))
