"""``publisher status``: a dead-man's switch, and what people hold, from Git alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from publisher.commands.status import Status, status

HOUR = 3600


@pytest.fixture
def repo(world: Any) -> Path:
    """Work in a checkout."""
    return world.checkout()


def after(hours: float, world: Any, repo: Path) -> Status:
    """Ask so many hours from now."""
    return status(world.open(repo), time.time() + hours * HOUR)


def test_what_was_last_published_and_recorded(world: Any, repo: Path) -> None:
    """From the remote, whoever published; a person's commit is none of the publisher's."""
    made = world.publish(world.checkout("elsewhere"), "node1").commit
    world.other({"README.md": "more\n"})
    found = after(3, world, repo)
    assert found.published.id == made
    assert found.recorded.id == world.head(name="snapshots/edge")
    assert 3 * HOUR <= found.quiet < 3 * HOUR + 600
    assert (found.ahead, found.held) == (0, ())


def test_a_snapshot_without_a_change_counts(world: Any, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newer of the two tells that publishing is alive."""
    world.publish(repo, "node1")
    last = world.head(name="snapshots/edge")
    monkeypatch.setenv("GIT_COMMITTER_DATE", f"{int(time.time()) + 5 * HOUR} +0000")
    again = world.git("commit-tree", f"{last}^{{tree}}", "-p", last, "-m", "again")
    world.git("update-ref", "refs/heads/snapshots/edge", again)
    assert after(6, world, repo).quiet < 2 * HOUR
    assert after(0, world, repo).quiet == 0


def test_the_branch_of_the_pull_request(world: Any, repo: Path) -> None:
    """It is ahead as long as it is not merged; and gone with the branch."""
    world.publish(repo, "node1")
    world.git("push", "--quiet", "origin", "HEAD:refs/heads/publisher/edge", at=repo)
    assert after(0, world, repo).ahead == 0
    world.git("switch", "--quiet", "-c", "ahead", at=repo)
    world.commit(repo, {"docs/a.md": "more\n"})
    world.git("push", "--quiet", "origin", "HEAD:refs/heads/publisher/edge", at=repo)
    world.git("switch", "--quiet", "main", at=repo)
    assert after(0, world, repo).ahead == 1
    world.git("update-ref", "-d", "refs/heads/publisher/edge")
    assert after(0, world, repo).ahead == 0


def test_all_that_is_held(world: Any, repo: Path) -> None:
    """Edited and removed by people, not what is only people's, nor what another publisher has."""
    world.publish(repo, "node1")
    text = world.git("show", f"main:{world.cluster}")
    ours = text.replace('"member1"', '"m9"')
    other = text.replace('"member1"', '"m8"').replace('"edge"', '"other"')
    edit = world.other({world.cluster: text.replace("10.1.0.1", "10.1.0.9")}, "by hand")
    removal = world.other({world.service: None, "pipy/config/proxy.json": "{}\n"}, "not now")
    added = world.other({"pipy/config/clusters/m8.json": other, "pipy/config/clusters/m9.json": ours}, "one of each")
    found = after(0, world, repo)
    assert [(hold.path, hold.name, hold.word.commit) for hold in found.held] == [
        ("pipy/config/clusters/m9.json", "cluster m9", added),
        (world.cluster, "cluster member1", edit),
        (world.service, "service default/flask", removal),
    ]


def test_a_hold_that_ends_by_its_age_has_ended(world: Any, repo: Path) -> None:
    """As publisher.yaml says; with release: changed only the next run can tell."""
    world.publish(repo, "node1")
    world.other({world.cluster: None}, "not now")
    world.other({"publisher.yaml": f"{world.settings}holds: {{release: 2h}}\n"})
    world.git("pull", "--quiet", at=repo)
    assert len(after(1, world, repo).held) == 1
    assert not after(3, world, repo).held
    world.other({"publisher.yaml": f"{world.settings}holds: {{release: changed}}\n"})
    world.git("pull", "--quiet", at=repo)
    assert len(after(3, world, repo).held) == 1


def test_entries_of_a_shared_file_are_held_by_service(world: Any, repo: Path) -> None:
    """In the tutorial layout."""
    world.other({"publisher.yaml": f"{world.settings}layout: tutorial\n"})
    world.git("pull", "--quiet", at=repo)
    world.publish(repo, "node1")
    path = "pipy/config/balancer.json"
    edit = world.other({path: world.git("show", f"main:{path}").replace("10.1.0.1", "10.1.0.9")}, "by hand")
    found = after(0, world, repo)
    assert [(hold.path, hold.name, hold.word.commit) for hold in found.held] == [(path, "service default/flask", edit)]


@pytest.mark.parametrize("where", ["checkout", "url"])
def test_on_the_command_line(world: Any, run: Any, repo: Path, where: str) -> None:
    """Each fact on a line of stdout."""
    made = world.publish(repo, "node1").commit
    edit = world.other({world.cluster: None}, "not now")
    done = run("status", "--repo", repo if where == "checkout" else world.remote.as_uri(), "--max-age", "25h")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "publisher edge on main"
    assert lines[1].startswith("last published: 20")
    assert lines[1].endswith(f"s ago, {made[:12]}")
    assert lines[2].endswith(f"s ago, {world.head(name='snapshots/edge')[:12]}")
    assert lines[3:5] == ["publisher/edge: nothing to merge", "1 file held"]
    assert lines[5].startswith("= cluster member1: held, since 20")
    assert lines[5].endswith(f" by Tester in {edit[:12]} (not now)")


@pytest.mark.parametrize(("heartbeat", "hint"), [("", "publish.heartbeat"), ("publish: {heartbeat: 12h}\n", "")])
def test_too_long_ago(
    world: Any, run: Any, repo: Path, monkeypatch: pytest.MonkeyPatch, heartbeat: str, hint: str
) -> None:
    """Exit 1 with one line, after all that is known; it says how a quiet fleet is told from a dead schedule."""
    world.publish(repo, "node1")
    world.other({"publisher.yaml": f"{world.settings}# of people\n{heartbeat}"})
    world.git("pull", "--quiet", at=repo)
    later = time.time() + 30 * HOUR
    monkeypatch.setattr(time, "time", lambda: later)
    assert run("status", "--repo", repo).code == 0
    done = run("status", "--repo", repo, "--max-age", "25h")
    assert done.code == 1
    assert "publisher edge has published and recorded nothing for 30h, more than 25h" in done.line
    assert ("heartbeat" in done.line) == bool(hint)
    assert "last published: " in done.out
    assert run("status", "--repo", repo, "--max-age", "31h").code == 0


def test_nothing_was_ever_published(world: Any, run: Any, repo: Path) -> None:
    """With a limit that is a failure, without one it is told."""
    assert run("status", "--repo", repo).code == 0
    done = run("status", "--repo", repo, "--max-age", "1d", "--format", "json")
    assert done.code == 1
    assert "has never published" in done.line
    found = json.loads(done.out)
    assert (found["published"], found["recorded"], found["quiet"], found["held"]) == (None, None, None, [])


def test_a_limit_that_is_none(world: Any, run: Any, repo: Path) -> None:
    """One line, exit 2."""
    done = run("status", "--repo", repo, "--max-age", "tomorrow")
    assert done.code == 2
    assert "--max-age tomorrow: not a duration" in done.line


def test_it_takes_one_connection(world: Any, run: Any, http: Any) -> None:
    """All that it needs is fetched at once."""
    world.git("clone", "--quiet", http.url, "cloned", at=world.folder)
    world.publish(world.remote.as_uri(), "node1")
    http.requests.clear()
    assert run("status", "--repo", world.folder / "cloned", "--max-age", "1h").code == 0
    assert http.connections() == ["upload-pack"]


def test_a_remote_out_of_reach_is_a_failure(world: Any, run: Any, repo: Path) -> None:
    """Not a fleet that is well: one line, exit 1."""
    world.publish(repo, "node1")
    world.remote.rename(world.folder / "moved")
    done = run("status", "--repo", repo, "--max-age", "25h")
    assert done.code == 1
    assert "git fetch" in done.line
