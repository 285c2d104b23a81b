"""The branches: those of a real bare repository, and what GitHub's API does with them."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

Made = tuple[int, Any]
"""Status and body of an answer."""
NONE = "0" * 40
_OID = {"type": "string", "pattern": "^[0-9a-f]{40}$"}
_TEXT = {"type": "string"}


def _input(required: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def _list(**properties: Any) -> dict[str, Any]:
    return {"type": "array", "items": _input(" ".join(properties), **properties)}


INPUTS = {
    "createCommitOnBranch": _input(
        "branch expectedHeadOid message",
        branch=_input("repositoryNameWithOwner branchName", repositoryNameWithOwner=_TEXT, branchName=_TEXT),
        expectedHeadOid=_OID,
        message=_input("headline", headline={"type": "string", "pattern": "^[^\n]+$"}, body=_TEXT),
        fileChanges=_input("", additions=_list(path=_TEXT, contents=_TEXT), deletions=_list(path=_TEXT)),
    ),
    "updateRefs": _input(
        "repositoryId refUpdates",
        repositoryId=_TEXT,
        refUpdates={
            "type": "array",
            "items": _input(
                "name afterOid",
                name={"type": "string", "pattern": "^refs/heads/"},
                afterOid=_OID,
                beforeOid=_OID,
                force={"type": "boolean"},
            ),
        },
    ),
}
"""The inputs of the mutations, by GitHub's GraphQL schema, of what the publisher uses of them."""


class Refusal(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "documentation_url": "https://docs.github.invalid", **more}


class GraphQLError(Exception):
    """An error in an answer 200."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.body = {"data": None, "errors": [{"type": kind, "path": [], "message": message}]}


class Branches:
    """A bare repository."""

    def __init__(self, folder: Path, description: Any) -> None:
        self.description = description
        self.folder = folder
        self.bare = folder / "github.git"
        self.wrong: list[str] = []
        """What did not fit the description; has to stay empty."""
        self._ids = 100
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare), at=folder)
        self.commit("main", {"README.md": b"# people's\n"}, "set up")

    def _id(self) -> int:
        self._ids += 1
        return self._ids

    def _git(self, *arguments: str, at: Path | None = None, stdin: bytes = b"", index: str = "") -> str:
        command = ["git", "-C", str(at or self.bare), *arguments]
        environment = {**os.environ, **({"GIT_INDEX_FILE": index} if index else {})}
        done = subprocess.run(command, input=stdin, capture_output=True, env=environment, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        return done.stdout.decode().rstrip("\n")

    def git(self, *arguments: str) -> str:
        """Ask git in the repository."""
        return self._git(*arguments)

    def tip(self, branch: str) -> str:
        """Give the commit of a branch, or nothing."""
        return self._git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def commit(self, branch: str, changes: dict[str, bytes | None], message: str, base: str | None = None) -> str:
        """Put a commit on a branch, on top of what it has or of another commit; gives it."""
        parent = self.tip(branch) if base is None else base
        made = self._commit(parent, changes, message)
        self._git("update-ref", f"refs/heads/{branch}", made)
        return made

    def _commit(self, parent: str, changes: dict[str, bytes | None], message: str) -> str:
        index = str(self.folder / f"index-{self._id()}")
        self._git("read-tree", parent or "--empty", index=index)
        lines = []
        for path, content in changes.items():
            blob = NONE if content is None else self._git("hash-object", "-w", "--stdin", stdin=content)
            lines.append(f"{0 if content is None else 100644} {blob}\t{path}\0")
        self._git("update-index", "-z", "--index-info", index=index, stdin="".join(lines).encode())
        tree = self._git("write-tree", index=index)
        return self._git("commit-tree", tree, *(["-p", parent] if parent else []), stdin=message.encode())

    def _ref(self, ref: str) -> Made:
        commit = self.tip(ref.removeprefix("heads/"))
        if not commit or not ref.startswith("heads/"):
            raise Refusal(404, "Not Found")
        found = self.description.sample("git-ref") | {"ref": f"refs/{ref}"}
        found["object"] |= {"sha": commit, "type": "commit"}
        return 200, found

    def _show(self, commit: str) -> Made:
        parents, _, message = self._git("show", "-s", "--format=%P%n%B", commit).partition("\n")
        uri = "https://github.invalid/x"
        listed = [{"sha": sha, "url": uri, "html_url": uri} for sha in parents.split()]
        return 200, self.description.sample("git-commit") | {"sha": commit, "message": message, "parents": listed}

    def _graphql(self, name: str, document: Any) -> Any:
        if name == "viewer":
            return {"viewer": {"databaseId": self.viewer}}
        given = document["variables"]["input"]
        self.wrong += [f"{name}: {error.message}" for error in Draft202012Validator(INPUTS[name]).iter_errors(given)]
        made = {"createCommitOnBranch": self._commit_on_branch, "updateRefs": self._update_refs}[name](given)
        self._settle()
        return {name: made}

    def _commit_on_branch(self, given: Any) -> Any:
        branch, expected = given["branch"]["branchName"], given["expectedHeadOid"]
        tip = self.tip(branch)
        if not tip or given["branch"]["repositoryNameWithOwner"] != self.repository:
            raise GraphQLError("NOT_FOUND", f'No ref exists named "{branch}"')
        if tip != expected:
            raise GraphQLError(
                "STALE_DATA", f'Expected branch to point to "{expected}" but it did not. Pull and try again.'
            )
        changes: dict[str, bytes | None] = {}
        for addition in given["fileChanges"]["additions"]:
            changes[addition["path"]] = base64.b64decode(addition["contents"], validate=True)
        there = self._git("ls-tree", "-r", "--name-only", "-z", tip).split("\0")
        for deletion in given["fileChanges"]["deletions"]:
            if deletion["path"] not in there:
                raise GraphQLError(
                    "UNPROCESSABLE", f"A path was requested for deletion which does not exist as of commit oid `{tip}`"
                )
            changes[deletion["path"]] = None
        message = "\n\n".join(filter(None, [given["message"]["headline"], given["message"].get("body", "")]))
        return {"commit": {"oid": self.commit(branch, changes, message)}}

    def _update_refs(self, given: Any) -> Any:
        if given["repositoryId"] != "R_1":
            raise GraphQLError("NOT_FOUND", "Could not resolve to a node")
        lines = []
        for update in given["refUpdates"]:
            before = self.tip(update["name"].removeprefix("refs/heads/"))
            if "beforeOid" in update and update["beforeOid"] != (before or NONE):
                raise GraphQLError("UNPROCESSABLE", f"{update['name']} is not at {update['beforeOid']}")
            forward = (
                update["afterOid"] == NONE or not before or not self._git("rev-list", f"{update['afterOid']}..{before}")
            )
            if not forward and not update.get("force"):
                raise GraphQLError("UNPROCESSABLE", f"{update['name']} is no fast-forward")
            lines.append(f"update {update['name']} {update['afterOid']}\n")
        self._git("update-ref", "--stdin", stdin="".join(lines).encode())
        return {"clientMutationId": None}
