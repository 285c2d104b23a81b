"""``publisher rollback``: what it tells before, what it does, and what it does without."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from publisher.commands.rollback import Order, rollback
from publisher.core.model import Topology, Unknown
from publisher.errors import ApiError, PushRejected, Refused

UNREACHABLE = ApiError("Karmada does not answer")


BOTH = pytest.mark.parametrize("repo", ["checkout", "url"], indirect=True)


@pytest.fixture
def repo(world: Any, request: pytest.FixtureRequest) -> Path | str:
    """Work in a checkout, or where a test asks for it by URL."""
    return world.remote.as_uri() if getattr(request, "param", "") == "url" else world.checkout()


@pytest.fixture
def twice(world: Any, repo: Path | str) -> tuple[str, str]:
    """Publish node1, then node1 and node2; gives both commits."""
    return world.publish(repo, "node1").commit, world.publish(repo, "node1", "node2").commit


def back(world: Any, repo: Path | str, name: str, fleet: Topology | Exception | None = None, **order: Any) -> Any:
    """Roll back in this process, and give what was done and what was told before."""

    def source(_: object) -> Topology:
        if isinstance(fleet, Exception):
            raise fleet
        return fleet or world.fleet("node1", "node2")

    told: list[Any] = []
    done = rollback(world.open(repo), source, order.pop("forge", _no_forge), Order(name, **order), told.append)
    return done, told


def _no_forge() -> Any:
    raise AssertionError("nothing is to be asked of a host")


@BOTH
def test_a_commit_goes_back_by_a_persons_commit(world: Any, repo: Path | str, twice: tuple[str, str]) -> None:
    """The files are as before it, with git's words, by whoever runs it, and without a trailer of the publisher."""
    first, second = twice
    done, told = back(world, repo, second[:10])
    assert told == [done.rehearsal]
    assert world.head() == done.commit
    assert world.git("log", "-1", "--format=%an <%ae>|%cn|%B", "main") == (
        f'Tester <tester@example.com>|Tester|Revert "member1: add node2"\n\nThis reverts commit {second}.'
    )
    assert world.git("diff", "--stat", first, done.commit) == ""


def test_what_is_rolled_back_is_held(world: Any, repo: Path | str, twice: tuple[str, str]) -> None:
    """The rehearsal names what will be held, and the next run holds it."""
    done, _ = back(world, repo, twice[1])
    assert done.rehearsal.held == ("cluster member1",)
    after = world.publish(repo, "node1", "node2")
    assert [item.name for item in after.outcome.plan.held] == ["cluster member1"]
    assert not after.commit


def test_the_rollback_of_a_rollback_ends_the_hold(world: Any, repo: Path | str, twice: tuple[str, str]) -> None:
    """It brings back what the publisher left, says so, and words it as git does."""
    done, _ = back(world, repo, twice[1])
    again, _ = back(world, repo, done.commit)
    assert again.rehearsal.released == ("cluster member1",)
    assert again.rehearsal.held == ()
    assert world.git("log", "-1", "--format=%s", "main") == 'Reapply "member1: add node2"'
    assert not world.publish(repo, "node1", "node2").outcome.plan.held


def test_a_cluster_goes_back_to_before_the_publisher_changed_it(
    world: Any, repo: Path | str, twice: tuple[str, str]
) -> None:
    """Only its file changes, and the message says to which commit."""
    done, _ = back(world, repo, "member1")
    assert world.changed() == {world.cluster}
    assert world.git("diff", "--stat", twice[0], done.commit) == ""
    assert world.git("log", "-1", "--format=%s", "main") == f"Roll back member1 to {twice[0][:12]}"


def test_a_service_goes_back_to_before_there_was_one(world: Any, repo: Path | str, twice: tuple[str, str]) -> None:
    """The publisher's last commit that touched it, not its last one, is what counts; and a person's is not."""
    text = world.git("show", f"main:{world.service}")
    world.other({world.service: text.replace("100", "50")}, "by hand")
    back(world, repo, "default/flask")
    assert world.changed() == {world.service}
    assert world.service not in world.files()


def test_a_file_goes_back_as_of_a_commit(world: Any, repo: Path | str, twice: tuple[str, str]) -> None:
    """--to names it."""
    world.publish(repo, "node1", "node2", "node3")
    done, _ = back(world, repo, "member1", to=twice[0])
    assert world.git("diff", "--stat", twice[0], done.commit) == ""


@BOTH
def test_a_removed_service_comes_back(world: Any, repo: Path | str, twice: tuple[str, str]) -> None:
    """A service without a file is still known by its history."""
    empty = world.fleet("node1", "node2")
    member = empty.clusters["member1"]
    gone = replace(empty, clusters={"member1": replace(member, services={}, endpoints={})})
    world.publish(repo, source=lambda _: gone)
    assert world.service not in world.files()
    done, _ = back(world, repo, "default/flask", gone)
    assert world.service in world.files()
    (doubt,) = done.rehearsal.doubts
    assert (doubt.state, doubt.targets.reason) == ("gone", "comes back, gone: the cluster has no such Service")


def test_a_merge_goes_back_to_its_first_parent(world: Any, twice: Any, repo: Path | str) -> None:
    """The message names both, as git's does."""
    other = world.checkout("merging")
    world.git("switch", "--quiet", "-c", "side", at=other)
    world.commit(other, {"pipy/main.js": "// of the side\n"})
    world.git("switch", "--quiet", "main", at=other)
    world.git("merge", "--quiet", "--no-ff", "side", at=other)
    world.git("push", "--quiet", "origin", "main", at=other)
    merge = world.head()
    back(world, repo, merge)
    assert world.git("log", "-1", "--format=%b", "main") == (
        f"This reverts commit {merge}, reversing\nchanges made to {twice[1]}."
    )
    assert world.changed() == {"pipy/main.js"}


def test_a_dry_run_and_nothing_to_do_leave_all_as_it_is(world: Any, repo: Path | str, twice: tuple[str, str]) -> None:
    """Neither commits; the second says that there is nothing."""
    before = world.refs()
    done, _ = back(world, repo, twice[1], dry_run=True)
    assert done.rehearsal.plan.files
    assert world.refs() == before
    back(world, repo, twice[1])
    before = world.refs()
    again, _ = back(world, repo, twice[1])
    assert not again.rehearsal.plan.files
    assert world.refs() == before


def unknown(topology: Topology, part: str) -> Topology:
    """Let a part of member1 be unknown."""
    return Topology({"member1": replace(topology.clusters["member1"], **{part: Unknown("no answer")})})


@pytest.mark.parametrize(
    ("change", "state", "reason"),
    [
        (lambda world: world.fleet("node1", "node2"), "", ""),
        (lambda world: world.fleet("node1"), "gone", "no Node has this name and address"),
        (lambda world: Topology({}), "gone", "the fleet that publisher.yaml selects has no such cluster"),
        (lambda world: unknown(world.fleet("node1"), "nodes"), "unknown", "no answer"),
        (lambda world: unknown(world.fleet("node1"), "services"), "unknown", "no answer"),
    ],
)
def test_targets_that_come_back_are_compared_with_the_fleet(
    world: Any, repo: Path | str, change: Any, state: str, reason: str
) -> None:
    """What the fleet no longer has is gone; what could not be read is unknown, never gone."""
    world.publish(repo, "node1", "node2")
    removal = world.publish(repo, "node1").commit
    done, _ = back(world, repo, removal, change(world), dry_run=True)
    doubts = done.rehearsal.document()["doubts"]
    assert [(item["state"], item["node"], item["address"]) for item in doubts] == (
        [(state, "node2", "10.1.0.2:31193")] if state else []
    )
    assert all(item["reason"] == f"comes back, {state}: {reason}" for item in doubts)


def test_a_nodeport_that_moved_is_gone(world: Any, repo: Path | str, twice: tuple[str, str]) -> None:
    """The node alone does not make a target."""
    fleet = world.fleet("node1", "node2")
    member = fleet.clusters["member1"]
    (service,) = member.services.values()
    moved = replace(service, ports=(service.ports[0]._replace(node_port=30001),))
    fleet = Topology({"member1": replace(member, services={service.key: moved})})
    moving = world.publish(repo, source=lambda _: fleet).commit
    done, _ = back(world, repo, moving, fleet, dry_run=True)
    assert {item["reason"] for item in done.rehearsal.document()["doubts"]} == {
        "comes back, gone: the Service has no nodePort 31193"
    }


def test_it_needs_no_fleet(world: Any, repo: Path | str, twice: tuple[str, str]) -> None:
    """Where Karmada does not answer it says so, and rolls back all the same."""
    done, _ = back(world, repo, twice[1], UNREACHABLE)
    assert done.commit
    assert "? not compared with the fleet: Karmada does not answer" in list(done.rehearsal.lines())


def test_what_would_not_be_valid_is_refused(world: Any, repo: Path | str) -> None:
    """A service may not come to name a cluster without a file; the findings say where."""
    world.publish(repo, "node1")
    before = world.refs()
    with pytest.raises(Refused, match="member1 is not rolled back") as refused:
        back(world, repo, "member1")
    assert [(item.where, item.rule) for item in refused.value.findings] == [(world.service, "cluster-missing")]
    assert world.refs() == before


def test_a_publisher_yaml_that_is_wrong_does_not_come_back(world: Any, repo: Path | str) -> None:
    """What a person mended stays mended."""
    right = world.settings
    world.other({"publisher.yaml": "publisher: Not An Id\n"})
    mended = world.other({"publisher.yaml": right})
    if isinstance(repo, Path):
        world.git("pull", "--quiet", at=repo)
    with pytest.raises(Refused) as refused:
        back(world, repo, mended)
    assert refused.value.findings[0].where == "publisher.yaml"


def test_later_changes_in_the_same_place_are_named(world: Any, repo: Path | str, twice: tuple[str, str]) -> None:
    """A conflict is refused, and nothing is pushed."""
    text = world.git("show", f"main:{world.cluster}")
    world.other({world.cluster: text.replace("10.1.0.2", "10.1.0.99")}, "by hand")
    before = world.refs()
    with pytest.raises(Refused, match=r"later commits changed the same: .*member1.json.*by hand"):
        back(world, repo, twice[1])
    assert world.refs() == before


class Slow:
    """A repository in which somebody else pushes right before the first pushes."""

    def __init__(self, world: Any, repo: Path | str, times: int) -> None:
        self.world, self.inner, self.times = world, world.open(repo), times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def publish(self, *drafts: Any) -> str:
        if self.times:
            self.times -= 1
            self.world.other({f"docs/{self.times}.md": "theirs\n"})
        return self.inner.publish(*drafts)


@BOTH
@pytest.mark.parametrize("times", [1, 5])
def test_somebody_may_be_faster(world: Any, repo: Path | str, twice: tuple[str, str], times: int) -> None:
    """It is rehearsed again on what they pushed, told once, and given up after the fifth time."""
    told: list[Any] = []
    slow = Slow(world, repo, times)
    args = (slow, lambda _: world.fleet("node1"), _no_forge, Order(twice[1]), told.append)
    if times == 5:
        with pytest.raises(PushRejected):
            rollback(*args)  # type: ignore[arg-type]
    else:
        rollback(*args)  # type: ignore[arg-type]
        assert world.linear()[-2:] == ["the other side's change", 'Revert "member1: add node2"']
    assert len(told) == 1


@BOTH
def test_on_the_command_line(world: Any, run: Any, twice: tuple[str, str], repo: Path | str) -> None:
    """The rehearsal is on stdout, what was done on stderr; the recorded snapshot serves for the fleet."""
    done = run("rollback", twice[1], "--repo", repo, "--recorded")
    assert done.code == 0
    assert done.out.splitlines() == [
        'Revert "member1: add node2": 1 file: 1 changed',
        f"  ~ {world.cluster}",
        "~ cluster member1",
        "    - node node2 10.1.0.2 (goes with the rollback)",
        "~ service default/flask: 2 -> 1 target",
        "    - member1: 10.1.0.2:31193 (goes with the rollback)",
        "= cluster member1: held from then on; publisher resume member1 ends that",
    ]
    assert done.err == f"rolled back as {world.head()[:12]}; git revert {world.head()[:12]} takes that back\n"
    again = run("rollback", twice[1], "--repo", repo, "--recorded")
    assert (again.code, again.err) == (0, f"nothing to roll back: {twice[1]} is as it was already\n")


def test_as_json(world: Any, run: Any, repo: Path | str) -> None:
    """One document with the plan, the doubts and the commit."""
    world.publish(repo, "node1", "node2")
    removal = world.publish(repo, "node1").commit
    done = run("rollback", removal, "--repo", repo, "--snapshot", world.snapshot("node1"), "--format", "json")
    found = json.loads(done.out)
    assert found["commit"] == world.head()
    assert [item["state"] for item in found["doubts"]] == ["gone"]
    assert found["heldAfter"] == ["cluster member1"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nowhere"], 2, "nowhere: neither a service or cluster that ever had a file, nor a commit here"),
        (["default/nothing"], 2, "default/nothing: neither a service or cluster"),
        (["--", "--all"], 2, "--all: neither a service or cluster"),
        (["HEAD", "--to", "HEAD~1"], 2, "HEAD is a commit, and --to is for a service or cluster"),
        (["member1", "--to", "nowhere"], 2, "nowhere: no such commit here"),
    ],
)
def test_what_is_not_there_is_named(
    world: Any, run: Any, twice: tuple[str, str], repo: Path | str, arguments: list[str], code: int, says: str
) -> None:
    """One line, exit 2, nothing pushed."""
    before = world.refs()
    found = run("rollback", "--repo", repo, "--recorded", *arguments)
    assert found.code == code
    assert says in found.line
    assert world.refs() == before


def test_a_snapshot_that_is_not_there_does_not_matter(
    world: Any, run: Any, twice: tuple[str, str], repo: Path | str
) -> None:
    """Nor does Karmada, of which there is no kubeconfig here."""
    done = run("rollback", twice[1], "--repo", repo)
    assert done.code == 0
    assert "? not compared with the fleet: " in done.out
    assert "\n    + " not in done.out


class TestPullRequest:
    """With --pull-request."""

    @pytest.fixture
    def asked(self, world: Any, github: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Let the remote be one of GitHub."""
        github.bare = world.remote
        for name, value in github.environment.items():
            monkeypatch.setenv(name, value)
        return github

    @BOTH
    def test_it_is_opened(self, world: Any, run: Any, twice: tuple[str, str], repo: Path | str, asked: Any) -> None:
        """On a branch of its own, with the rehearsal in the body, and main is as it was."""
        done = run("rollback", twice[1], "--repo", repo, "--recorded", "--pull-request")
        assert done.code == 0
        (pull,) = asked.pulls.values()
        assert (pull["head"], pull["base"]) == (f"rollback/{twice[1][:12]}", "main")
        assert pull["title"] == 'Revert "member1: add node2"'
        assert f"This reverts commit {twice[1]}." in pull["body"]
        assert "- node node2 10.1.0.2 (goes with the rollback)" in pull["body"]
        assert "Publisher-Id" not in pull["body"]
        assert world.head() == twice[1]
        assert world.changed(pull["head"]) == {world.cluster}

    def test_it_is_opened_once(self, run: Any, twice: tuple[str, str], repo: Path | str, asked: Any) -> None:
        """A second run gives the one that is open, and pushes nothing."""
        run("rollback", twice[1], "--repo", repo, "--recorded", "--pull-request")
        before = asked.git("for-each-ref")
        again = run("rollback", twice[1], "--repo", repo, "--recorded", "--pull-request")
        assert again.code == 0
        assert len(asked.pulls) == 1
        assert asked.git("for-each-ref") == before

    @BOTH
    def test_another_run_repairs(
        self, world: Any, run: Any, twice: tuple[str, str], repo: Path | str, asked: Any, forge: Any
    ) -> None:
        """A branch without a pull request, which may be of another checkout, is taken over."""
        asked.fail("POST", "pulls", forge.Fault(404, body=b'{"message": "Not Found"}'))
        assert run("rollback", twice[1], "--repo", repo, "--recorded", "--pull-request").code == 1
        assert not asked.pulls
        elsewhere = world.checkout("elsewhere")
        assert run("rollback", twice[1], "--repo", elsewhere, "--recorded", "--pull-request").code == 0
        assert len(asked.pulls) == 1

    def test_it_needs_a_host(self, world: Any, run: Any, twice: tuple[str, str], repo: Path | str) -> None:
        """Without credentials nothing is pushed."""
        before = world.refs()
        done = run("rollback", twice[1], "--repo", repo, "--recorded", "--pull-request")
        assert done.code == 2
        assert world.refs() == before


def test_the_tutorial_layout_goes_back_by_commit(world: Any, run: Any, repo: Path | str) -> None:
    """Its files are about all services, so one alone cannot; a commit can, and what was merged by hand stays."""
    world.other({"publisher.yaml": f"{world.settings}layout: tutorial\n"})
    if isinstance(repo, Path):
        world.git("pull", "--quiet", at=repo)
    world.publish(repo, "node1")
    second = world.publish(repo, "node1", "node2").commit
    refused = run("rollback", "default/flask", "--repo", repo, "--recorded")
    assert refused.code == 2
    assert "name a commit" in refused.line
    done, _ = back(world, repo, second)
    assert done.rehearsal.held == ("layout tutorial",)
    assert world.git("diff", "--stat", f"{second}~", done.commit) == ""
