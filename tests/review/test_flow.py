"""One pull request from first to last: opened, updated, left alone, closed."""

from __future__ import annotations

import json
from typing import Any

import pytest


def test_opened(flow: Any) -> None:
    """One commit on the newest base with its snapshot, pushed at once; the pull request says what the commit says."""
    base = flow.tip("main")
    done = flow.publish()
    pull = flow.one()
    assert (done.review.did, done.review.number, done.commit) == ("opened", pull["number"], "")
    assert (pull["title"], pull["base"], pull["labels"]) == (
        "update member1, default/flask", "main", ["publisher/edge"],
    )  # fmt: skip
    assert flow.ahead() == ["update member1, default/flask"]
    assert flow.fake.git("rev-parse", f"{flow.branch}~") == base == flow.tip("main")
    assert flow.changed(flow.branch) == {flow.cluster, flow.service}
    assert flow.pushes() == [["refs/heads/publisher/edge", "refs/heads/snapshots/edge"]]
    plan = done.outcome.plan
    last = [f"Publisher-Id: edge\nPublisher-Plan: {plan.digest}", f"Publisher-Snapshot: {plan.snapshot}"]
    assert pull["body"].endswith("\n\n" + "\n".join(last) + "\n")
    assert flow.message().endswith("\n\n" + "\n".join(last))
    for words in ("`default/flask`", "0 → 1", "0 % → 100 %", "```mermaid", "==>", f"Plan `{plan.digest}`", "Roll back"):
        assert words in pull["body"]
    assert f"Publisher-Snapshot: {plan.snapshot}" in flow.message(flow.snapshots)


def test_updated(flow: Any) -> None:
    """Another plan takes the commit's place, by a lease on that branch alone."""
    flow.did("node1")
    first, body = flow.tip(), flow.one()["body"]
    main = flow.tip("main")
    assert flow.did("node1", "node2") == "updated"
    pull = flow.one()
    assert len(flow.ahead()) == 1
    assert flow.tip() != first
    assert flow.fake.git("rev-parse", f"{flow.branch}~") == main == flow.tip("main")
    assert flow.nodes(flow.branch) == ["node1", "node2"]
    assert "0 → 2" in pull["body"] != body
    assert len(flow.fake.pulls) == 1
    assert flow.pushes()[1] == ["refs/heads/publisher/edge", "refs/heads/snapshots/edge"]


def test_unchanged(flow: Any, checkout: Any) -> None:
    """The same plan is neither pushed nor told again, from wherever it is published."""
    flow.did("node1")
    flow.calm("unchanged")
    flow.calm("unchanged", repository=checkout)
    out = flow.typed()
    assert (out.code, "pull request https://github.invalid/acme/config/pull/" in out.err) == (0, True)
    assert "unchanged" in out.err
    assert json.loads(flow.typed("--format", "json").out)["pullRequest"].startswith("https://github.invalid/")


def test_from_a_checkout(flow: Any, checkout: Any) -> None:
    """Somebody's work tree stays as it is, edits and all, and so do the branches there."""
    repo = flow.folder / "repo"
    (repo / "README.md").write_text("edited\n")
    (repo / "pipy/config/clusters").mkdir(parents=True)
    (repo / flow.cluster).write_text("in the way\n")
    before = {
        path: path.read_bytes() for path in sorted(repo.rglob("*")) if path.is_file() and ".git" not in path.parts
    }
    looks = [("status", "--porcelain"), ("for-each-ref", "refs/heads"), ("symbolic-ref", "HEAD")]
    said = [flow.fake._git(*look, at=repo) for look in looks]
    for nodes, did in (("node1",), "opened"), (("node1", "node2"), "updated"), ((), "unchanged"):
        assert flow.did(*nodes, repository=checkout) == did
    assert len(flow.ahead()) == 1
    assert {path: path.read_bytes() for path in before} == before
    assert [flow.fake._git(*look, at=repo) for look in looks] == said


def test_one_look(flow: Any) -> None:
    """A run without news asks GitHub for the pull request and its reviews, and nothing else."""
    flow.did("node1")
    flow.fake.requests.clear()
    flow.did()
    assert [request.partition("/")[0] for request in flow.fake.requests] == ["GET ", "GET "]


def test_nothing_to_do(flow: Any) -> None:
    """Without a change and without a branch nothing is asked of GitHub."""
    flow.published("node1")
    flow.calm("")
    assert flow.fake.requests == []


def test_diff_gone(flow: Any) -> None:
    """What is no longer wanted is closed with a reason, once; the same plan may come again later."""
    flow.published("node1")
    flow.did("node1", "node2")
    number = flow.one()["number"]
    assert flow.did("node1") == "closed"
    assert flow.open() == []
    (said,) = flow.fake.said(number)
    assert said == "<!-- publisher:closed -->\nClosed: the fleet and publisher.yaml no longer ask for a change."
    assert "Publisher-Plan" not in flow.fake.pulls[number]["body"]
    flow.calm("")
    flow.calm("")
    assert flow.did("node1", "node2") == "opened"
    assert flow.one()["number"] > number
    assert len(flow.ahead()) == 1


def test_branch_deleted(flow: Any) -> None:
    """Whoever deletes the branch, which closes the pull request, is asked anew."""
    flow.did("node1")
    number = flow.one()["number"]
    flow.fake.delete(flow.branch)
    assert flow.did("node1") == "opened"
    assert flow.one()["number"] != number
    flow.calm("unchanged")


def test_behind(flow: Any) -> None:
    """A base that has moved elsewhere changes nothing; one that has moved in the plan's files does."""
    flow.published("node1", services=("flask", "shop"))
    flow.sees("node1", "node2", services=("flask", "shop"))
    assert flow.did() == "opened"
    flow.person("main", {"README.md": b"news\n"})
    flow.calm("unchanged")
    assert flow.behind() == 1
    text = flow.file(flow.cluster)
    flow.person("main", {flow.cluster: text.replace("10.1.0.1", "10.1.0.9").encode()}, "Publisher-Id: edge")
    assert flow.did() == "updated"
    assert (flow.behind(), len(flow.ahead())) == (0, 1)
    flow.calm("unchanged")


def test_closed_by_a_person(flow: Any) -> None:
    """A pull request that a person closes is not opened again with what it had; another plan is another question."""
    flow.did("node1")
    number = flow.one()["number"]
    flow.fake.pulls[number]["state"] = "closed"
    for _ in range(3):
        flow.calm("declined")
    out = flow.typed()
    assert out.code == 0
    assert f"pull/{number} declined: it was closed with just this plan; delete the branch {flow.branch}" in out.err
    assert flow.did("node1", "node2") == "opened"
    assert flow.did("node1") == "updated"
    flow.fake.pulls[flow.one()["number"]]["state"] = "closed"
    flow.calm("declined")
    flow.fake.delete(flow.branch)
    assert flow.did("node1") == "opened"


def test_reopened_by_a_person(flow: Any) -> None:
    """One that a person opens again goes on, also where it had been closed because nothing was left to change."""
    flow.published("node1")
    flow.did("node1", "node2")
    number = flow.one()["number"]
    flow.did("node1")
    flow.fake.pulls[number]["state"] = "open"
    assert flow.did("node1", "node2") == "updated"
    assert flow.one()["number"] == number
    assert "Publisher-Plan: " in flow.one()["body"]
    flow.calm("unchanged")


def test_what_people_write(flow: Any) -> None:
    """A person's title, labels and comments stay while the plan is the same; what is ours comes back."""
    flow.did("node1")
    pull = flow.fake.pulls[flow.one()["number"]]
    pull["title"] = "Better"
    pull["labels"].append("people")
    flow.fake.say(flow.one()["number"], "hello")
    flow.calm("unchanged")
    pull["labels"].remove("publisher/edge")
    assert flow.did() == "updated"
    assert sorted(pull["labels"]) == ["people", "publisher/edge"]
    flow.calm("unchanged")


def test_two_publishers(flow: Any, another: Any) -> None:
    """Each has a branch and a pull request of its own, and keeps its hands off the other's."""
    other = another("shop")
    flow.did("node1")
    other.set_up(services='services: {default/shop: {routes: ["/shop/*"]}}\n')
    other.sees("node1", services=("shop",))
    before = (flow.tip(), flow.tip(flow.snapshots), dict(flow.one()))
    assert other.did() == "opened"
    pulls = {pull["head"]: pull for pull in flow.open()}
    assert pulls.keys() == {"publisher/edge", "publisher/shop"}
    assert pulls["publisher/shop"]["labels"] == ["publisher/shop"]
    assert (flow.tip(), flow.tip(flow.snapshots), pulls["publisher/edge"]) == before
    other.calm("unchanged")
    other.fake.pulls[pulls["publisher/shop"]["number"]]["state"] = "closed"
    other.calm("declined")


@pytest.mark.parametrize("digest", ["right", "wrong"])
def test_plan_digest(flow: Any, digest: str) -> None:
    """Only the plan that was agreed on is asked for."""
    (plan,) = [json.loads(flow.typed("--format", "json", verb="plan").out)["digest"]]
    before = flow.refs()
    out = flow.typed("--plan-digest", plan if digest == "right" else "0" * 16)
    if digest == "right":
        assert (out.code, len(flow.open())) == (0, 1)
    else:
        assert (out.code, flow.refs(), flow.fake.writes) == (4, before, [])
        assert out.err == f"publisher: the plan is {plan} by now, not {'0' * 16}; look at it again: publisher plan\n"


def test_dry_run(flow: Any) -> None:
    """Nothing is written anywhere, whatever there would be to do."""
    before = flow.refs()
    assert "dry run: nothing was committed" in flow.typed("--dry-run").err
    assert (flow.refs(), flow.fake.requests) == (before, [])
    flow.did("node1")
    before, writes = flow.refs(), len(flow.fake.writes)
    flow.sees("node1", "node2")
    assert flow.typed("--dry-run").code == 0
    assert (flow.refs(), flow.fake.writes[writes:], len(flow.pushes())) == (before, [], 1)
