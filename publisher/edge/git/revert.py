"""What `git revert` would change, without a work tree."""

from __future__ import annotations

import re

from publisher.core.redact import redact
from publisher.edge.git import store
from publisher.edge.git.run import GitRunner, failure
from publisher.errors import GitError, Refused


def reverted(git: GitRunner, base: str, commit: str) -> dict[str, bytes | None]:
    """Give what changes on ``base`` when a commit is taken back; a merge goes back to its first parent.

    Raises Refused naming what later commits have changed in the same places, and those commits.
    """
    found = store.find(git, commit)
    merged = _merge(git, base, found, _before(git, found))
    changed = git.run("diff-tree", "-r", "-z", "--no-renames", f"{base}^{{tree}}", merged).split(b"\0")
    changes: dict[str, bytes | None] = {}
    ids: dict[str, bytes] = {}
    for facts, name in zip(changed[::2], changed[1::2], strict=False):
        _, mode, _, sha, _ = facts.split()
        path = name.decode(errors="surrogateescape")
        changes[path] = None
        if mode == b"100644":
            ids[path] = sha
        elif mode != b"000000":
            raise Refused(f"{redact(path)}: no plain file in what {found[:12]} takes back; git revert it in a checkout")
    return {**changes, **dict(zip(ids, store.read_blobs(git, [*ids.values()]), strict=True))}


def _before(git: GitRunner, commit: str) -> str:
    """Give the tree that a commit was made on."""
    # read from the commit itself: where a shallow clone ends, git takes it for the first one
    head = git.run("cat-file", "commit", commit).partition(b"\n\n")[0]
    parent = re.search(rb"^parent (\S+)$", head, re.MULTILINE)
    if not parent:
        return git.run("mktree").decode().strip()
    found = store.resolve(git, parent[1].decode())
    if not found:
        raise GitError(f"the commit before {commit[:12]} is not in this shallow clone; git fetch --unshallow")
    return f"{found}^{{tree}}"


def _merge(git: GitRunner, base: str, commit: str, before: str) -> str:
    """Merge trees as git revert does: from that of the commit to that of ``base`` and to the one before the commit."""
    # merge-tree takes the common ancestor from history: so here is one, of three commits that nobody will see
    nobody = store.identity("publisher <publisher@localhost>")

    def stand_in(tree: str, *parents: str) -> str:
        made = git.run("commit-tree", tree, *parents, stdin=b"", extra=nobody)
        return made.decode().strip()

    ancestor = stand_in(f"{commit}^{{tree}}")
    ours, theirs = stand_in(f"{base}^{{tree}}", "-p", ancestor), stand_in(before, "-p", ancestor)
    arguments = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs)
    status, out, err = git.attempt(*arguments)
    if status > 1:
        raise GitError(failure("merge-tree", err))
    tree, *paths = filter(None, out.decode(errors="surrogateescape").split("\0"))
    if status:
        told = "; ".join(f"{path}{_since(git, base, commit, path)}" for path in paths)
        told = redact(f"{commit[:12]} cannot be taken back, later commits changed the same: {told}")
        raise Refused(f"{told}; take those back first, or edit the files")
    return tree


def _since(git: GitRunner, base: str, commit: str, path: str) -> str:
    """Name the newest commit after another that touched a path."""
    spec = f":(top,literal){path}"
    out = git.run(
        "log", "--max-count=1", "--no-show-signature", "--format= (%h %an: %s)", f"{commit}..{base}", "--", spec
    )
    return out.decode(errors="replace").strip("\n")
