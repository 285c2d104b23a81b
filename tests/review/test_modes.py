"""The other ways: each class to its side, commits made by GitHub, and reviews that the push itself asks for."""

from __future__ import annotations

from typing import Any

import pytest

GUARDS = "guards: {removed-targets: false, no-targets: false, empty-cluster: false}\n"
AUTO = "publish: {mode: auto, direct: [added-targets, not-ready-nodes]}\n" + GUARDS
SHOP = "pipy/config/services/default.shop.json"
PLACES = pytest.mark.parametrize("place", ["url", "checkout"])


def opened(flow: Any, request: pytest.FixtureRequest, place: str) -> Any:
    """Open the repository, or let publish do it."""
    return request.getfixturevalue("checkout") if place == "checkout" else None


@PLACES
@pytest.mark.parametrize("commits", ["git", "api"])
def test_auto(flow: Any, request: pytest.FixtureRequest, commits: str, place: str) -> None:
    """In one run what needs no review goes to the branch, and the rest to a pull request built on that."""
    text = AUTO.replace("auto,", "auto, commits: api,") if commits == "api" else AUTO
    flow.published("node1", text=text)
    repository = opened(flow, request, place)
    flow.sees("node1", "node2", services=("flask", "shop"))
    base = flow.tip("main")
    done = flow.publish(repository)
    assert (done.commit, flow.fake.git("rev-parse", "main~")) == (flow.tip("main"), base)
    assert flow.changed("main") == {flow.cluster}
    assert done.review.did == "opened"
    assert flow.fake.git("rev-parse", f"{flow.branch}~") == done.commit
    assert (flow.changed(flow.branch), flow.ahead()) == ({SHOP}, ["publish default/shop: 0 -> 2 targets"])
    assert "default/flask" not in flow.one()["body"]
    assert sorted(file.path for file in done.outcome.plan.files) == sorted([flow.cluster, SHOP])
    flow.calm("unchanged", repository=repository)
    flow.sees("node1", "node2", "node3", services=("flask", "shop"))
    again = flow.publish(repository)
    assert (flow.changed("main"), again.review.did) == ({flow.cluster}, "unchanged")
    assert flow.nodes() == ["node1", "node2", "node3"]
    flow.fake.merge(flow.one()["number"], "squash")
    flow.calm("", repository=repository)
    assert set(flow.fake.git("for-each-ref", "--format=%(refname:short)").split("\n")) == {
        "main", "publisher/edge", "snapshots/edge",
    }  # fmt: skip


def test_auto_takes_files_whole(flow: Any) -> None:
    """A service with one change that needs review waits for it with all of them."""
    flow.published("node1", "node2", services=("flask", "shop"), text=AUTO)
    flow.sees("node1", "node3", services=("flask", "shop"), unready=("node2",))
    done = flow.publish()
    assert (bool(done.commit), done.review) == (True, None)
    assert flow.nodes() == ["node1", "node3"]
    flow.sees("node3", services=("flask", "shop"))
    done = flow.publish()
    assert (done.commit, done.review.did) == ("", "opened")
    assert (flow.nodes(), flow.nodes(flow.branch)) == (["node1", "node3"], ["node3"])
    flow.sees("node3", "node4", services=("flask", "shop"))
    done = flow.publish()
    assert (done.commit, done.review.did) == ("", "updated")
    assert (flow.nodes(), flow.nodes(flow.branch)) == (["node1", "node3"], ["node3", "node4"])


def test_auto_allows_in_the_pull_request_alone(flow: Any) -> None:
    """A label lets the pull request have what a guard refuses, and nothing that goes past it."""
    text = "publish: {mode: auto, direct: [not-ready-nodes, added-targets]}\n"
    flow.published("node1", "node2", "node3", "node4", text=text)
    flow.sees("node1", services=("flask", "shop"), unready=("node2", "node3", "node4"))
    assert flow.typed().code == 4
    flow.fake.pulls[flow.one()["number"]]["labels"].append("removed-targets=default/flask")
    assert flow.typed().code == 0
    assert (flow.nodes(), flow.nodes(flow.branch)) == (["node1", "node2", "node3", "node4"], ["node1"])


def test_auto_and_somebody_faster(flow: Any, github: Any, forge: Any) -> None:
    """What went to the branch before somebody was faster at the pull request is told, and not made twice."""
    flow.published("node1", text=AUTO)
    flow.sees("node1", services=("flask", "shop"))
    flow.did()
    flow.set_up(AUTO, services="services: {default/flask: {routes: [/a]}, default/shop: {routes: [/b]}}\n")
    flow.sees("node1", "node2", services=("flask", "shop"))
    hook = github.bare / "hooks/update"
    once = flow.folder / "once"
    hook.write_text(
        f"#!/bin/sh\n[ $1 = refs/heads/{flow.branch} ] || exit 0\n[ -e {once} ] && exit 0\ntouch {once}\n"
        f"unset GIT_QUARANTINE_PATH\ngit update-ref -d refs/heads/{flow.branch}\n"
    )
    hook.chmod(0o755)
    done = flow.publish()
    assert once.exists()
    assert done.commit == flow.tip("main")
    assert (flow.nodes(), flow.changed("main")) == (["node1", "node2"], {flow.cluster})
    assert len(flow.ahead()) == 1


def test_auto_resumes_directly(flow: Any) -> None:
    """What is resumed goes to the branch by itself."""
    flow.published("node1", text=AUTO)
    flow.sees("node1", "node2")
    flow.publish()
    flow.revert()
    flow.sees("node1", "node2", services=("flask", "shop"))
    assert flow.did() == "opened"
    out = flow.typed("member1", verb="resume")
    assert (out.code, flow.nodes(), flow.changed("main")) == (0, ["node1", "node2"], {flow.cluster})


@PLACES
def test_commits_by_github(flow: Any, request: pytest.FixtureRequest, place: str) -> None:
    """GitHub makes the commits of a pull request, one after the other in the same place."""
    flow.set_up("publish: {mode: pull-request, commits: api}\n" + GUARDS)
    repository = opened(flow, request, place)
    for nodes, did in (("node1",), "opened"), (("node1", "node2"), "updated"), (("node1", "node2"), "unchanged"):
        flow.sees(*nodes)
        assert flow.did(repository=repository) == did
        assert len(flow.ahead()) == 1
        assert flow.behind() == 0
        assert flow.nodes(flow.branch) == list(nodes)
    assert {name for push in flow.pushes() for name in push} == {"refs/heads/snapshots/edge"}
    flow.calm("unchanged")
    flow.fake.merge(flow.one()["number"], "squash")
    assert flow.publish().outcome.plan.held == ()


@PLACES
def test_direct_commits_by_github(flow: Any, request: pytest.FixtureRequest, place: str) -> None:
    """GitHub makes commits on the branch; who was faster there is built upon."""
    flow.set_up("publish: {commits: api}\n" + GUARDS)
    repository = opened(flow, request, place)
    done = flow.publish(repository)
    assert done.commit == flow.tip("main")
    assert flow.changed("main") == {flow.cluster, flow.service}
    assert flow.open() == []
    other: list[str] = []

    def faster(when: str) -> None:
        if when == "before" and not other and "createCommitOnBranch" in flow.fake.requests[-1]:
            other.append(flow.person("main", {"README.md": b"faster\n"}))

    flow.fake.watch = faster
    flow.sees("node1", "node2")
    done = flow.publish(repository)
    assert flow.fake.git("log", "-2", "--format=%H", "main").split() == [done.commit, other[0]]
    assert flow.nodes() == ["node1", "node2"]


def test_push_options(flow: Any) -> None:
    """They reach the server with the push."""
    flow.set_up("publish: {mode: pull-request, pushOptions: [merge_request.create, 'a=b c']}\n" + GUARDS)
    out = flow.typed()
    assert (out.code, "set receive.advertisePushOptions there, or drop publish.pushOptions" in out.err) == (1, True)
    flow.fake.git("config", "receive.advertisePushOptions", "true")
    hook = flow.fake.bare / "hooks/post-receive"
    hook.write_text(
        f"#!/bin/sh\necho $GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1 >{flow.folder}/told\n"
    )
    hook.chmod(0o755)
    assert flow.typed().code == 0
    assert (flow.folder / "told").read_text() == "2 merge_request.create a=b c\n"


def test_refspec(flow: Any) -> None:
    """The push itself asks for review: the branch stays, and no snapshot is recorded of what is not published."""
    flow.set_up('publish: {refspec: "{commit}:refs/for/main"}\n' + GUARDS)
    main = flow.tip("main")
    done = flow.publish()
    refs = flow.refs()
    assert refs == {"refs/heads/main": main, "refs/for/main": done.commit}
    assert flow.changed(done.commit) == {flow.cluster, flow.service}


def test_no_credentials(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where GitHub cannot be asked, nothing is pushed either."""
    monkeypatch.delenv("GITHUB_TOKEN")
    before = flow.refs()
    out = flow.typed()
    assert (out.code, out.err.count("\n"), flow.refs()) == (2, 1, before)
    assert "GITHUB_TOKEN" in out.err
