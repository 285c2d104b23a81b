"""Pull requests with their labels, reviews and comments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .branches import NONE, Branches, Made, Refusal


class Pulls(Branches):
    """A repository with pull requests."""

    repository = "acme/config"

    def __init__(self, folder: Path, description: Any) -> None:
        super().__init__(folder, description)
        self.pulls: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        self.labels: dict[str, dict[str, Any]] = {}
        self.viewer = 7
        """Who the token belongs to; 8 is another person."""
        self._heads: dict[int, str] = {}

    def pull(self, branch: str, base: str = "main", title: str = "", body: str = "", fork: bool = False) -> int:
        """Open a pull request; from a fork of the same owner, whose branches have the same names to the API."""
        number = self._id()
        self.pulls[number] = {
            "head": branch, "base": base, "title": title, "body": body, "state": "open",
            "labels": [], "reviews": [], "repo": 2 if fork else 1,
        }  # fmt: skip
        return number

    def merge(self, number: int, how: str) -> str:
        """Merge a pull request by its button: ``merge``, ``squash`` (title and body are the message) or ``rebase``."""
        pull = self.pulls[number]
        base, head = self.tip(pull["base"]), self.tip(pull["head"])
        tree = self._git("merge-tree", "--write-tree", base, head)
        message = {
            "merge": f"Merge pull request #{number} from acme/{pull['head']}\n\n{pull['title']}",
            "squash": f"{pull['title']} (#{number})\n\n{pull['body']}",
            "rebase": self._git("show", "-s", "--format=%B", head),
        }[how]
        parents = ["-p", base, *(["-p", head] if how == "merge" else [])]
        made = self._git("commit-tree", tree, *parents, stdin=message.encode())
        self._git("update-ref", f"refs/heads/{pull['base']}", made)
        self._settle()
        pull |= {"state": "closed", "merged": True}
        return made

    def delete(self, branch: str) -> None:
        """Delete a branch."""
        self._git("update-ref", "-d", f"refs/heads/{branch}")
        self._settle()

    def update_branch(self, number: int) -> str:
        """Merge the base into the branch, as the button does."""
        pull = self.pulls[number]
        base, head = self.tip(pull["base"]), self.tip(pull["head"])
        tree = self._git("merge-tree", "--write-tree", head, base)
        message = f"Merge branch '{pull['base']}' into {pull['head']}"
        made = self._git("commit-tree", tree, "-p", head, "-p", base, stdin=message.encode())
        self._git("update-ref", f"refs/heads/{pull['head']}", made)
        return made

    def review(self, number: int, user: int, state: str, commit: str = "") -> None:
        """Review the newest commit of a pull request, or another."""
        commit = commit or self.tip(self.pulls[number]["head"])
        self.pulls[number]["reviews"].append({"user": user, "state": state, "commit": commit})

    def say(self, number: int, body: str, user: int = 8) -> int:
        """Write a comment."""
        made = self._id()
        self.comments[made] = {"number": number, "user": user, "body": body}
        return made

    def said(self, number: int) -> list[str]:
        """Give the comments of a pull request."""
        return [comment["body"] for comment in self.comments.values() if comment["number"] == number]

    @staticmethod
    def _one(items: dict[Any, Any], key: Any) -> Any:
        if key not in items:
            raise Refusal(404, "Not Found")
        return items[key]

    def _user(self, number: int) -> dict[str, Any]:
        return self.description.sample("simple-user") | {"id": number, "login": f"user{number}"}

    def _repo(self, schema: str, number: int) -> dict[str, Any]:
        name = self.repository if number == 1 else "acme/fork"
        return self.description.sample(schema) | {"id": number, "full_name": name, "node_id": f"R_{number}"}

    def _pull(self, number: int | str, schema: str = "pull-request") -> dict[str, Any]:
        state = self._one(self.pulls, int(number))
        pull = self.description.sample(schema) | {
            "number": int(number),
            "html_url": f"https://github.invalid/acme/config/pull/{number}",
            "title": state["title"],
            "body": state["body"] or None,
            "state": state["state"],
            "labels": [self._label(name) for name in state["labels"]],
            "user": self._user(self.viewer),
            "merged_at": "2026-01-02T03:04:05Z" if state.get("merged") else None,
        }
        for side, repo in (("head", state["repo"]), ("base", 1)):
            commit = self.tip(state[side]) or NONE
            commit = self._heads.get(int(number), commit) if side == "head" else commit
            pull[side] |= {"ref": state[side], "sha": commit, "label": f"acme:{state[side]}"}
            pull[side]["repo"] = self._repo("repository", repo) if repo else None
        return pull

    def _list_pulls(self, state: str, head: str, base: str, per_page: str, page: str) -> Made:
        found = [
            number
            for number, pull in reversed(self.pulls.items())
            if (pull["state"], f"acme:{pull['head']}", pull["base"]) == (state, head, base)
        ]
        return 200, [self._pull(number, "pull-request-simple") for number in found]

    def _open(self, body: dict[str, Any]) -> Made:
        head, base = body["head"], body["base"]
        wrong = [
            {"resource": "PullRequest", "field": side, "code": "invalid"}
            for side in ("head", "base")
            if not self.tip(body[side])
        ]
        if self.tip(head) == self.tip(base):
            wrong = [{"resource": "PullRequest", "code": "custom", "message": f"No commits between {base} and {head}"}]
        if any((p["state"], p["head"], p["base"], p["repo"]) == ("open", head, base, 1) for p in self.pulls.values()):
            message = f"A pull request already exists for acme:{head}."
            wrong = [{"resource": "PullRequest", "code": "custom", "message": message}]
        wrong += self._too_long(body["body"])
        if wrong:
            raise Refusal(422, "Validation Failed", errors=wrong)
        return 201, self._pull(self.pull(head, base, body["title"], body["body"]))

    @staticmethod
    def _too_long(text: str) -> list[dict[str, str]]:
        message = "body is too long (maximum is 65536 characters)"
        return (
            [{"resource": "Issue", "code": "custom", "field": "body", "message": message}] if len(text) > 65536 else []
        )

    def _edit(self, number: str, body: dict[str, Any]) -> Made:
        if wrong := self._too_long(body.get("body", "")):
            raise Refusal(422, "Validation Failed", errors=wrong)
        self._one(self.pulls, int(number)).update(body)
        return 200, self._pull(number)

    def _reviews(self, number: str, per_page: str, page: str) -> Made:
        sample = self.description.sample("pull-request-review")
        reviews = self._one(self.pulls, int(number))["reviews"]
        return 200, [
            sample | {
                "id": count,
                "user": self._user(review["user"]) if review["user"] else None,
                "state": review["state"],
                "commit_id": review["commit"],
            }
            for count, review in enumerate(reviews)
        ]  # fmt: skip

    def _shown(self, number: int) -> dict[str, Any]:
        comment = self._one(self.comments, number)
        user = self._user(comment["user"]) if comment["user"] else None
        return self.description.sample("issue-comment") | {"id": number, "body": comment["body"], "user": user}

    def _list_comments(self, number: str, per_page: str, page: str) -> Made:
        self._one(self.pulls, int(number))
        return 200, [self._shown(made) for made, c in self.comments.items() if c["number"] == int(number)]

    def _comment(self, number: str, body: dict[str, str]) -> Made:
        self._one(self.pulls, int(number))
        if wrong := self._too_long(body["body"]):
            raise Refusal(422, "Validation Failed", errors=wrong)
        return 201, self._shown(self.say(int(number), body["body"], self.viewer))

    def _edit_comment(self, number: str, body: dict[str, str]) -> Made:
        self._one(self.comments, int(number))["body"] = body["body"]
        return 200, self._shown(int(number))

    def _label(self, name: str) -> dict[str, Any]:
        return self.labels.setdefault(
            name, self.description.sample("label") | {"name": name, "color": "ededed", "description": ""}
        )

    def _make_label(self, body: dict[str, str]) -> Made:
        if body["name"] in self.labels:
            raise Refusal(
                422, "Validation Failed", errors=[{"resource": "Label", "code": "already_exists", "field": "name"}]
            )
        self._label(body["name"])["color"] = body["color"]
        return 201, self._label(body["name"])

    def _add_labels(self, number: str, body: dict[str, list[str]]) -> Made:
        labels = self._one(self.pulls, int(number))["labels"]
        labels += [name for name in body["labels"] if name not in labels]
        return 200, [self._label(name) for name in labels]

    def _remove_label(self, number: str, name: str) -> Made:
        labels = self._one(self.pulls, int(number))["labels"]
        if name not in labels:
            raise Refusal(404, "Label does not exist")
        labels.remove(name)
        return 200, [self._label(name) for name in labels]

    def _settle(self) -> None:
        """Take note of what was pushed, and close for good what has nothing ahead of its base any more."""
        for number, pull in self.pulls.items():
            head = self.tip(pull["head"])
            if head and pull["state"] == "open":
                self._heads[number] = head
            if pull["repo"] == 1 and head in ("", self.tip(pull["base"])):
                pull["state"] = "closed"
