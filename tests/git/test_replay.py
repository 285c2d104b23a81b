"""``publisher replay``: what was published is made again from what Git has, to the byte."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.commands.pipeline import Say
from publisher.commands.publish import Order, Publisher
from publisher.commands.replay import replay
from publisher.core.model import Endpoints, Topology, Unknown
from publisher.errors import UsageError


@pytest.fixture
def repo(world: Any) -> Path:
    """Work in a checkout."""
    return world.checkout()


def verdicts(world: Any, repo: Path | str, *commits: str) -> list[str]:
    """Replay, and give what came of each."""
    return [item.verdict for item in replay(world.open(repo), commits)]


def order(world: Any, repo: Any, *nodes: str, allow: tuple[str, ...] = (), resume: tuple[str, ...] = ()) -> str:
    """Publish with allowances and resumes; gives the commit."""
    repository = world.open(repo)
    publisher = Publisher(repository, lambda _: world.fleet(*nodes), _no_forge, time.time)
    return publisher.publish(Order(say=Say(allow, frozenset(resume)))).commit


def _no_forge() -> Any:
    raise AssertionError("nothing is to be asked of a host")


@pytest.mark.parametrize("place", ["checkout", "url", "elsewhere"])
def test_what_was_published_is_the_same(world: Any, repo: Path, place: str) -> None:
    """Every commit, wherever it is looked at from, later changes of publisher.yaml notwithstanding."""
    commits = [world.publish(repo, *(f"node{i}" for i in range(1, most))).commit for most in (2, 3, 4)]
    world.other({"publisher.yaml": "publisher: edge\nselect: {namespaces: [none]}\n"})
    there = {"checkout": repo, "url": world.remote.as_uri(), "elsewhere": None}[place] or world.checkout("elsewhere")
    found = replay(world.open(there), commits)
    assert [(item.verdict, len(item.files), item.left_out) for item in found] == [
        ("same", 2, ()),
        ("same", 1, ()),
        ("same", 1, ()),
    ]


def test_a_shallow_clone_fetches_what_it_takes(world: Any, repo: Path) -> None:
    """The commit before, and as much of history as the holds need."""
    world.publish(repo, "node1")
    second = world.publish(repo, "node1", "node2").commit
    shallow = world.checkout("shallow", "--depth=1")
    assert verdicts(world, shallow, second) == ["same"]


def test_what_was_edited_by_hand_differs(world: Any, run: Any, repo: Path) -> None:
    """Amended before it was pushed: the files are named, and the exit code is 4."""
    made = world.publish(repo, "node1").commit
    world.git("reset", "--quiet", "--hard", made, at=repo)
    file = repo / world.cluster
    file.write_text(file.read_text().replace("10.1.0.1", "10.1.0.9"))
    world.git("commit", "--quiet", "--all", "--amend", "--no-edit", at=repo)
    world.git("push", "--quiet", "--force", at=repo)
    done = run("replay", world.head(), "--repo", repo)
    assert done.code == 4
    assert done.out.splitlines() == [
        f"{world.head()[:12]} differs, 2 files ({world.first})",
        "  edited by hand, rendered by another version, or with a publisher.yaml that was not committed:",
        f"  ~ {world.cluster}",
    ]


def test_a_squash_merge_is_the_publishers(world: Any, repo: Path) -> None:
    """Its trailers may stand anywhere in the message."""
    message = world.git("log", "-1", "--format=%B", world.publish(repo, "node1").commit)
    world.git("reset", "--quiet", "--hard", "HEAD~", at=repo)
    world.git("push", "--quiet", "--force", at=repo)
    world.git("merge", "--quiet", "--squash", "HEAD@{1}", at=repo)
    quoted = f"Update the fleet (#12)\n\n* {message}\n\nCo-authored-by: Someone <someone@example.com>\n"
    world.git("commit", "--quiet", "--file=-", at=repo, stdin=quoted)
    world.git("push", "--quiet", at=repo)
    assert verdicts(world, repo, world.head()) == ["same"]


def test_holds_allowances_and_resumes_are_as_they_were(world: Any, repo: Path) -> None:
    """What a person held then is not in the plan; what was resumed, and what was allowed, is."""
    world.other({"publisher.yaml": "publisher: edge\nservices: {default/flask: {routes: [/env/*]}}\n"})
    world.git("pull", "--quiet", at=repo)
    world.publish(repo, "node1", "node2", "node3")
    lost = order(world, repo, "node1", allow=("removed-targets=default/flask",))
    assert "Publisher-Allow: " in world.git("log", "-1", "--format=%B", lost)
    world.git("pull", "--quiet", at=repo)
    text = world.git("show", f"main:{world.cluster}")
    world.other({world.cluster: text.replace("10.1.0.1", "10.1.0.9")}, "by hand")
    held = order(world, repo, "node1", "node4")
    assert not held
    resumed = order(world, repo, "node1", "node4", resume=("member1",))
    found = replay(world.open(repo), [lost, resumed])
    assert [item.verdict for item in found] == ["same", "same"]


def test_the_rest_of_a_plan_is_left_out(world: Any, run: Any, repo: Path) -> None:
    """A resume publishes a part; what else the fleet asked for is listed, and is no difference."""
    world.publish(repo, "node1")
    text = world.git("show", f"main:{world.service}")
    world.other({world.service: text.replace("100", "50")}, "by hand")
    resumed = order(world, repo, "node1", "node2", resume=("default/flask",))
    assert world.changed(resumed) == {world.service}
    done = run("replay", resumed, "--repo", repo)
    assert done.code == 0
    assert done.out.splitlines()[1:] == [f"  left out: {world.cluster}"]


def test_what_was_held_is_not_left_out(world: Any, repo: Path) -> None:
    """It was in no plan then, and is in none now; whatever became of the hold since."""
    world.publish(repo, "node1")
    text = world.git("show", f"main:{world.cluster}")
    world.other({world.cluster: text.replace("10.1.0.1", "10.1.0.9")}, "by hand")
    world.other({"publisher.yaml": world.settings.replace("/env/*", "/other/*")}, "another route")
    world.git("pull", "--quiet", at=repo)
    made = order(world, repo, "node1", "node2")
    assert world.changed(made) == {world.service}
    order(world, repo, "node1", "node2", resume=("member1",))
    (found,) = replay(world.open(repo), [made])
    assert (found.verdict, found.left_out) == ("same", ())


def test_a_part_of_a_plan_may_differ_from_the_whole(world: Any, repo: Path) -> None:
    """A resumed service does not get the route that another only gives up in the rest of the plan."""

    def fleet(_: object) -> Topology:
        member = world.fleet("node1").clusters["member1"]
        flask = member.services["default/flask"]
        web = replace(flask, name="web", ports=(flask.ports[0]._replace(node_port=30002),))
        both = {"default/flask": flask, "default/web": web}
        return Topology({"member1": replace(member, services=both, endpoints=dict.fromkeys(both, Endpoints(True)))})

    guards = world.settings[world.settings.index("guards:") :].replace("{", "{moved-route: false, ")
    services = "publisher: edge\nservices: {{default/flask: {{routes: [{}]}}, default/web: {{routes: [{}]}}}}\n"
    world.other({"publisher.yaml": services.format("/a", "/b, /c") + guards})
    world.git("pull", "--quiet", at=repo)
    world.publish(repo, source=fleet)
    text = world.git("show", f"main:{world.service}")
    world.other({world.service: text.replace("100", "50")}, "by hand")
    world.other({"publisher.yaml": services.format("/a, /c", "/b") + guards})
    world.git("pull", "--quiet", at=repo)
    publisher = Publisher(world.open(repo), fleet, _no_forge, time.time)
    made = publisher.publish(Order(say=Say(resume=frozenset(["default/flask"])))).commit
    assert world.changed(made) == {world.service}
    assert '"/c"' not in world.git("show", f"{made}:{world.service}")
    (found,) = replay(world.open(repo), [made])
    assert (found.verdict, found.left_out) == ("same", ("pipy/config/services/default.web.json",))


def test_what_is_not_the_publishers_is_not_replayed(world: Any, run: Any, repo: Path) -> None:
    """A person's commit, the first one, a merge; exit 2, and why."""
    first = world.publish(repo, "node1").commit
    world.git("switch", "--quiet", "-c", "side", at=repo)
    world.commit(repo, {"docs/a.md": "a person's\n"})
    side = world.head(repo, "side")
    world.git("switch", "--quiet", "main", at=repo)
    world.git("merge", "--quiet", "--no-ff", "side", at=repo)
    world.git("push", "--quiet", at=repo)
    root = world.git("rev-list", "--max-parents=0", "main")
    found = replay(world.open(repo), [side, root, world.head()])
    assert [(item.verdict, item.why) for item in found] == [
        ("not ours", "it has no trailer Publisher-Id: edge"),
        ("not ours", "nothing is before it"),
        ("not ours", f"a merge is a person's; replay {side[:12]}"),
    ]
    assert run("replay", side, first, "--repo", repo).code == 2


@pytest.mark.parametrize("how", ["branch", "commit", "trailer"])
def test_without_its_snapshot_nothing_is_said(world: Any, run: Any, repo: Path, how: str) -> None:
    """Neither same nor different: the branch is gone, has others, or the commit names none; exit 1."""
    made = world.publish(repo, "node1").commit
    if how == "branch":
        world.git("update-ref", "-d", "refs/heads/snapshots/edge")
    elif how == "commit":
        world.publish(repo, "node1", "node2")
        world.git("update-ref", "refs/heads/snapshots/edge", world.head(name="main~2"))
    else:
        message = world.git("log", "-1", "--format=%B", made)
        lines = [line for line in message.splitlines() if not line.startswith("Publisher-Snapshot")]
        world.git("commit", "--quiet", "--amend", "--file=-", at=repo, stdin="\n".join(lines))
        world.git("push", "--quiet", "--force", at=repo)
        made = world.head()
    done = run("replay", made, "--repo", repo, "--format", "json")
    assert done.code == 1
    (item,) = json.loads(done.out)["commits"]
    assert item["verdict"] == "no snapshot"
    assert "is not on the branch snapshots/edge" in item["why"]


def test_a_commit_that_is_not_there_is_named(world: Any, run: Any, repo: Path) -> None:
    """One line, exit 2."""
    world.publish(repo, "node1")
    done = run("replay", "nowhere", "--repo", repo)
    assert done.code == 2
    assert done.line == "publisher: nowhere: no such commit here; git log shows which there are"
    with pytest.raises(UsageError):
        replay(world.open(world.remote.as_uri()), ["--all"])


def test_a_remote_out_of_reach_is_said(world: Any, run: Any, repo: Path) -> None:
    """One line, exit 1."""
    made = world.publish(repo, "node1").commit
    world.remote.rename(world.folder / "moved")
    done = run("replay", made, "--repo", repo)
    assert done.code == 1
    assert "git fetch" in done.line


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "publish", "publish", "unknown", "edit", "revert", "resume", "layout"]),
        st.sets(st.integers(1, 4), min_size=1),
    ),
    min_size=4,
    max_size=9,
)


@settings(max_examples=12)
@given(STEPS)
def test_every_commit_of_ours_is_the_same(new_world: Callable[[Path], Any], steps: list[tuple[str, set[int]]]) -> None:
    """Whatever came before it: nodes that come and go, clusters unknown, edits, reverts, resumes, another layout."""
    with tempfile.TemporaryDirectory() as name:
        world = new_world(Path(name))
        repo = world.checkout()
        ours = []
        for kind, numbers in steps:
            nodes = [f"node{number}" for number in sorted(numbers)]
            if made := _step(world, repo, kind, nodes):
                ours.append(made)
            world.git("pull", "--quiet", at=repo)
        found = replay(world.open(repo), ours)
        assert [(item.verdict, item.differs) for item in found] == [("same", ())] * len(ours)


def _step(world: Any, repo: Path, kind: str, nodes: list[str]) -> str:
    """Do one thing; gives the publisher's commit, where one was made."""
    fleet: Topology = world.fleet(*nodes)
    match kind:
        case "unknown":
            member = fleet.clusters["member1"]
            fleet = Topology({"member1": type(member)("member1", Unknown("no answer"), member.services, Unknown("no"))})
        case "edit":
            text = world.git("show", f"main:{world.cluster}") if world.cluster in world.files() else ""
            if "10.1.0." in text:
                world.other({world.cluster: text.replace("10.1.0.", "10.2.0.")}, "by hand")
            return ""
        case "revert":
            if len(world.linear()) == 1:
                return ""
            world.git("revert", "--no-edit", "HEAD", at=repo)
            world.git("push", "--quiet", at=repo)
            return ""
        case "layout":
            here = world.git("show", "main:publisher.yaml")
            layout = "" if "layout" in here else "layout: tutorial\n"
            world.other({"publisher.yaml": f"{world.settings}{layout}"}, "another layout")
            return ""
        case "resume":
            try:
                return order(world, repo, *nodes, resume=("--all",))
            except UsageError:
                return ""
    return world.publish(repo, source=lambda _: fleet).commit
