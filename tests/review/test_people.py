"""What people do to the pull request: commit, approve, update the branch, merge, revert, resume, allow."""

from __future__ import annotations

from typing import Any

import pytest

from publisher.edge.git import Checkout


def test_a_commit_of_a_person(flow: Any) -> None:
    """Publishing stops at it: nothing is pushed, and the one comment that says so is there once."""
    flow.did("node1")
    number = flow.one()["number"]
    commit = flow.person(flow.branch, {"README.md": b"edited\n"})
    flow.sees("node1", "node2")
    before = flow.refs()
    for _ in range(3):
        out = flow.typed()
        assert out.code == 4
        assert f"stopped: commit {commit[:12]} of Tester on {flow.branch} is not the publisher's; merge it" in out.err
    assert flow.refs() == before
    (said,) = flow.fake.said(number)
    assert said.startswith("<!-- publisher:stopped -->\nPublishing stops here: commit ")
    flow.calm("stopped")
    flow.fake.delete(flow.branch)
    assert flow.did() == "opened"
    assert len(flow.ahead()) == 1


def test_a_commit_of_a_person_where_none_asks(flow: Any) -> None:
    """It counts as well where no pull request is open."""
    flow.did("node1")
    flow.person(flow.branch, {"README.md": b"edited\n"})
    flow.fake.pulls[flow.one()["number"]]["state"] = "closed"
    flow.calm("stopped")
    assert flow.typed().code == 4


def test_a_commit_of_a_person_that_was_squashed(flow: Any) -> None:
    """Once it is merged, as a part of another commit, publishing goes on."""
    flow.did("node1")
    flow.person(flow.branch, {"README.md": b"edited\n"})
    flow.fake.merge(flow.one()["number"], "squash")
    flow.calm("")
    assert flow.did("node1", "node2") == "opened"
    assert flow.ahead() == ["member1: add node2"]


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_merged_then_reverted(flow: Any, how: str) -> None:
    """Whichever way it is merged it counts as ours: nothing is held, until a person takes it back on main."""
    flow.published("node1")
    flow.did("node1", "node2")
    made = flow.fake.merge(flow.one()["number"], how)
    flow.calm("")
    flow.calm("")
    assert flow.did("node1", "node2", "node3") == "opened"
    assert flow.publish().outcome.plan.held == ()
    assert flow.ahead() == ["member1: add node3"]
    flow.fake.pulls[flow.one()["number"]]["state"] = "closed"
    flow.revert(made, *(["-m", "1"] if how == "merge" else []))
    assert flow.nodes() == ["node1"]
    done = flow.publish()
    (held,) = done.outcome.plan.held
    assert (held.name, held.word.commit) == ("cluster member1", flow.tip("main"))
    assert done.review is None
    assert flow.open() == []
    flow.calm("")


def test_a_branch_that_was_squashed_is_no_plan_of_today(flow: Any) -> None:
    """The same change, wanted again after the fleet went back, is asked for anew and not declined."""
    flow.published("node1")
    flow.did("node1", "node2")
    flow.fake.merge(flow.one()["number"], "squash")
    flow.did("node1")
    flow.fake.merge(flow.one()["number"], "squash")
    assert flow.nodes() == ["node1"]
    assert flow.did("node1", "node2") == "opened"
    assert (flow.behind(), len(flow.ahead())) == (0, 1)
    flow.fake.merge(flow.one()["number"], "squash")
    assert flow.nodes() == ["node1", "node2"]


def test_resumed(flow: Any) -> None:
    """What is resumed goes through the pull request, stays in it while that is open, and is not held afterwards."""
    flow.published("node1")
    flow.did("node1", "node2")
    flow.fake.merge(flow.one()["number"], "squash")
    flow.revert()
    flow.calm("")
    assert flow.typed("member1", verb="resume").code == 0
    assert flow.nodes(flow.branch) == ["node1", "node2"]
    assert "Publisher-Resume: member1" in flow.message()
    assert "**Resumed**" in flow.one()["body"]
    flow.calm("unchanged")
    flow.sees("node1", "node2", "node3")
    assert flow.did() == "updated"
    assert flow.nodes(flow.branch) == ["node1", "node2", "node3"]
    assert "Publisher-Resume: member1" in flow.message()
    flow.fake.update_branch(flow.one()["number"])
    assert flow.publish().outcome.plan.resumed == ("member1",)
    flow.fake.merge(flow.one()["number"], "squash")
    assert flow.publish().outcome.plan.held == ()
    assert flow.nodes() == ["node1", "node2", "node3"]


def test_resumed_and_declined(flow: Any) -> None:
    """A resume ends with its pull request: what a person closes is held again."""
    flow.published("node1")
    flow.did("node1", "node2")
    flow.fake.merge(flow.one()["number"], "squash")
    flow.revert()
    flow.typed("--all", verb="resume")
    flow.fake.pulls[flow.one()["number"]]["state"] = "closed"
    assert [held.name for held in flow.publish().outcome.plan.held] == ["cluster member1"]
    flow.calm("")


def test_nothing_to_resume(flow: Any) -> None:
    """What is not held cannot be resumed."""
    flow.published("node1")
    before = flow.refs()
    out = flow.typed("default/flask", verb="resume")
    assert (out.code, flow.refs(), flow.fake.writes) == (2, before, [])
    assert out.err == "publisher: default/flask: not held, or nothing would become of it; held: nothing\n"


def test_approved(flow: Any) -> None:
    """What is approved stays as it is, unless it would keep targets that are dead by now."""
    flow.published("node1")
    flow.did("node1", "node2")
    number = flow.one()["number"]
    flow.fake.review(number, 8, "APPROVED")
    flow.calm("unchanged")
    flow.sees("node1", "node2", "node3")
    flow.calm("waits")
    assert "waits: it is approved as it is" in flow.typed().err
    flow.sees("node2", "node3")
    assert flow.did() == "updated"
    assert flow.nodes(flow.branch) == ["node2", "node3"]
    flow.fake.review(number, 8, "APPROVED")
    flow.fake.review(number, 9, "CHANGES_REQUESTED")
    assert flow.did("node2", "node3", "node4") == "updated"


def test_approved_and_gone(flow: Any) -> None:
    """Also what is approved is closed when nothing is left to change."""
    flow.published("node1")
    flow.did("node1", "node2")
    flow.fake.review(flow.one()["number"], 8, "APPROVED")
    assert flow.did("node1") == "closed"


def test_approved_and_dead_on_main_already(flow: Any) -> None:
    """Targets that the base has not any more are none that a merge would keep."""
    flow.published("node1", "node2")
    flow.set_up(PULL + 'services: {default/flask: {routes: ["/env/*", "/new/*"]}}\n', services="")
    flow.did()
    flow.fake.review(flow.one()["number"], 8, "APPROVED")
    text = flow.file(flow.cluster).replace('    "node2": "10.1.0.2",\n', "")
    flow.person("main", {flow.cluster: text.encode()}, "quick\n\nPublisher-Id: edge")
    flow.set_up(PULL + 'services: {default/flask: {routes: ["/env/*", "/new/*", "/more/*"]}}\n', services="")
    flow.sees("node1")
    flow.calm("waits")


PULL = "publish: {mode: pull-request}\nguards: {removed-targets: false}\n"


def test_update_branch(flow: Any) -> None:
    """A merge of the base that says nothing of its own is nobody's word; the pull request stays as it is."""
    flow.published("node1")
    flow.did("node1", "node2")
    flow.person("main", {"README.md": b"news\n"})
    flow.fake.update_branch(flow.one()["number"])
    flow.calm("unchanged")
    assert flow.did("node1", "node2", "node3") == "updated"
    assert flow.ahead() == ["member1: add node2, node3"]


@pytest.mark.parametrize("path", ["README.md", "pipy/config/clusters/member1.json"])
def test_a_merge_with_an_edit(flow: Any, path: str) -> None:
    """What a person writes into a merge is a person's word."""
    flow.published("node1")
    flow.did("node1", "node2")
    flow.person("main", {"other.md": b"news\n"})
    merge = flow.fake.update_branch(flow.one()["number"])
    amended = flow.fake._commit(merge, {path: b"{}\n"}, "x")
    parents = [word for name in flow.fake.git("show", "-s", "--format=%P", merge).split() for word in ("-p", name)]
    made = flow.fake.git("commit-tree", f"{amended}^{{tree}}", *parents, "-m", "Merge main, and more")
    flow.fake.git("update-ref", f"refs/heads/{flow.branch}", made)
    flow.sees("node1", "node2", "node3")
    before = flow.refs()
    assert flow.did() == "stopped"
    assert flow.refs() == before


def test_an_allowance_by_label(flow: Any) -> None:
    """A label on the pull request lets a guard pass just what it names."""
    flow.published("node1", "node2", "node3", "node4", text="publish: {mode: pull-request}\n")
    flow.sees("node1", services=("flask", "shop"))
    assert flow.typed().code == 4
    pull = flow.fake.pulls[flow.one()["number"]]
    assert pull["labels"] == ["publisher/edge", "publisher/refused"]
    assert "**Refused, left as published**" in pull["body"]
    assert flow.changed(flow.branch) == {"pipy/config/services/default.shop.json"}
    flow.calm("unchanged")
    pull["labels"] += ["removed-targets=default/other", "removed-targets", "removed-targets=default/flask"]
    assert flow.typed().code == 0
    assert flow.nodes(flow.branch) == ["node1"]
    assert {name for name in pull["labels"] if name.startswith("publisher/")} == {"publisher/edge"}
    assert "Publisher-Allow: removed-targets=default/flask" in flow.message()
    assert len(flow.ahead()) == 1
    flow.calm("unchanged")


def test_an_allowance_stays(flow: Any) -> None:
    """What the pull request was opened with stays allowed while it is open, by the trailer of its commit."""
    text = "publish: {mode: pull-request}\n"
    flow.published("node1", "node2", "node3", "node4", text=text)
    flow.sees("node1")
    assert flow.typed().code == 4
    assert flow.open() == []
    assert flow.typed("--allow", "removed-targets=default/flask").code == 0
    assert "Publisher-Allow: removed-targets=default/flask" in flow.message()
    assert flow.nodes(flow.branch) == ["node1"]
    flow.calm("unchanged")
    flow.fake.merge(flow.one()["number"], "merge")
    assert flow.nodes() == ["node1"]
    flow.calm("")


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_shallow_checkout(flow: Any, depth: int) -> None:
    """What main had before the branch began counts as nobody's commit on the branch, however little is here."""
    flow.published("node1")
    flow.did("node1", "node2")
    for number in range(3):
        flow.person("main", {"README.md": f"news {number}\n".encode()})
    flow.fake._git("clone", "--quiet", f"--depth={depth}", flow.url, "shallow", at=flow.folder)
    flow.calm("unchanged", repository=Checkout(flow.folder / "shallow"))
    flow.sees("node1", "node2", "node3")
    assert flow.did(repository=Checkout(flow.folder / "shallow")) == "updated"
    assert (flow.ahead(), flow.behind()) == (["member1: add node2, node3"], 0)
    flow.fake.merge(flow.one()["number"], "squash")
    flow.person("main", {"README.md": b"more news\n"})
    flow.fake._git("clone", "--quiet", f"--depth={depth}", flow.url, "later", at=flow.folder)
    flow.calm("", repository=Checkout(flow.folder / "later"))
