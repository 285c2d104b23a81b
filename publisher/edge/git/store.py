"""What is in a repository's object store: trees read, commits made and fetched. No work tree is touched."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from publisher.core.history import Draft
from publisher.edge.git.run import GitRunner, failure
from publisher.errors import GitError, UsageError

MAX_TREE = 512 * 1024 * 1024
"""Bytes of all files that are read from one commit."""

_ROLES = ("AUTHOR", "COMMITTER")

_URL = re.compile(r"(https?|ssh|git|file)://(?!-)\S+|[\w.-]+@(?!-)[\w.-]+:\S+")


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
    return dict(zip((path for path, _ in entries), read_blobs(git, [sha for _, sha in entries]), strict=True))


def read_blobs(git: GitRunner, ids: Sequence[bytes]) -> Iterator[bytes]:
    """Give the contents of blobs, all from one process."""
    out = git.run("cat-file", "--batch", stdin=b"".join(sha + b"\n" for sha in ids))
    position = 0
    for _ in ids:
        end = out.index(b"\n", position)
        length = int(out[position:end].split()[2])
        yield out[end + 1 : end + 1 + length]
        position = end + 2 + length


def resolve(git: GitRunner, name: str) -> str:
    """Give the commit a name stands for; empty where there is none."""
    status, out, _ = git.attempt("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    return "" if status else out.decode().strip()


def find(git: GitRunner, name: str) -> str:
    """Give the commit a name stands for; raises UsageError where there is none."""
    if found := resolve(git, name):
        return found
    raise UsageError(f"{name}: no such commit here; git log shows which there are")


def commit(git: GitRunner, draft: Draft) -> str:
    """Make the commit of a draft, signed where git is told to, and give its id. No branch moves yet."""
    with tempfile.TemporaryDirectory(prefix="publisher-") as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        files = {path: data for path, data in draft.changes.items() if data is not None}
        records = "".join(f"100644 {sha}\t{path}\0" for path, sha in _store_blobs(git, Path(scratch), files).items())
        if draft.base:
            gone = "0" * len(draft.base)
            records = "".join(f"0 {gone}\t{path}\0" for path in draft.changes.keys() - files) + records
        git.run("read-tree", draft.base or "--empty", extra=index)
        git.run("update-index", "-z", "--index-info", stdin=records.encode(errors="surrogateescape"), extra=index)
        tree = git.run("write-tree", extra=index).decode().strip()
    return commit_tree(git, tree, draft.base, draft.message, draft.author)


def commit_tree(
    git: GitRunner, tree: str, base: str, message: str, author: str, extra: Mapping[str, str] | None = None
) -> str:
    """Make a commit of a tree, signed where git is told to; with an empty base the first one."""
    parent = ("-p", base) if base else ()
    sign = ("-S",) if signing(git) else ()  # it does not look at commit.gpgSign by itself
    arguments = ("commit-tree", *sign, tree, *parent, "-F", "-")
    status, out, err = git.attempt(*arguments, stdin=message.encode(), extra={**identity(author), **(extra or {})})
    if not status:
        return out.decode().strip()
    if not author and any(git.attempt("var", f"GIT_{role}_IDENT")[0] for role in _ROLES):
        raise UsageError("git does not know who you are; git config user.name NAME, and git config user.email MAIL")
    hint = "; commit.gpgSign is set: see to user.signingKey and gpg.format, or unset it" if sign else ""
    raise GitError(failure("commit-tree", err) + hint)


def identity(author: str) -> dict[str, str]:
    """Give the variables that make ``name <mail>`` author and committer; none where it is empty."""
    name, _, mail = author.partition(" <")
    facts = {"NAME": name, "EMAIL": mail.rstrip(">")} if author else {}
    return {f"GIT_{role}_{what}": value for role in _ROLES for what, value in facts.items()}


def signing(git: GitRunner) -> bool:
    """Tell whether git is told to sign commits."""
    status, out, err = git.attempt("config", "--type=bool", "--get", "commit.gpgSign")
    if status > 1:  # 1: not set
        raise GitError(failure("config", err))
    return out == b"true\n"


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


_ID = re.compile(r"[0-9a-f]{4,64}")
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NAME = re.compile(r"(?!-)(?!.*\.\.)[^\s~^:?*\[\\\x00-\x1f\x7f]+")
_NOT_THERE = re.compile(r"not our ref|couldn't find remote ref|unadvertised object|no such remote ref|bad object")


def latest(git: GitRunner, name: str, fetch_tag: Callable[[str], bool] = lambda refspec: True) -> str:
    """Give the commit of a branch, else of a tag, else of a commit id; empty where there is none.

    ``fetch_tag`` gets a tag before it is looked up, and tells whether there is one.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"--ref {name}: not the name of a branch, tag or commit")
    if found := resolve(git, f"refs/heads/{name.removeprefix('refs/heads/')}"):
        return found
    tag = f"refs/tags/{name.removeprefix('refs/tags/')}"
    if fetch_tag(f"+{tag}:{tag}") and (found := resolve(git, tag)):
        return found
    return resolve(git, name) if _ID.fullmatch(name) else ""


def has(git: GitRunner, remote: str, commit: str) -> bool:
    """Tell whether a commit is here, or at a remote, from which it is fetched then."""
    if not _HASH.fullmatch(commit):
        return False
    if resolve(git, commit):
        return True
    if not remote:
        return False
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-prune", "--refmap=")
    status, _, err = git.network("fetch", *options, "--end-of-options", remote, commit)
    if status and not _NOT_THERE.search(err):
        raise GitError(failure("fetch", err))
    return bool(resolve(git, commit))


def fetch(git: GitRunner, remote: str, *refspecs: str) -> bool:
    """Fetch from a remote; tells whether it has what was asked for."""
    arguments = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--prune", "--end-of-options", remote)
    status, _, err = git.network(*arguments, *refspecs)
    if status and "couldn't find remote ref" in err:
        return False
    if status:
        raise GitError(failure("fetch", err))
    return True
