"""What a sync does to a Repo, whoever runs on it."""

from __future__ import annotations

from typing import Any

import pytest


def test_the_first_sync_brings_everything(world: Any) -> None:
    """The codebase of the commit, all of it and nothing else, under the commit's id."""
    done = world.sync()
    assert (done.code, done.place["result"]) == (0, "published")
    assert world.rig.info()["version"] == world.head
    assert world.rig.published() == world.content()
    assert sorted(done.place["uploaded"]) == sorted(world.content())
    assert sorted(world.proxy.uploads()) == sorted(world.quoted(world.content()))


def test_nothing_to_do_is_nothing_done(world: Any) -> None:
    """The second sync asks, and writes nothing at all."""
    assert world.sync().code == 0
    world.proxy.clear()
    done = world.sync()
    assert (done.code, done.place["result"]) == (0, "unchanged")
    assert world.proxy.asked
    assert not world.proxy.writes()


def test_one_file_changed_is_one_file_uploaded(world: Any) -> None:
    """Exactly one, and one request that publishes it."""
    world.sync()
    world.proxy.clear()
    world.commit({f"pipy/{world.cluster}": world.write_cluster("10.1.0.2")})
    done = world.sync()
    assert (done.code, done.place["result"], done.place["uploaded"]) == (0, "published", [world.cluster])
    assert [(asked.method, asked.path) for asked in world.proxy.writes()] == [
        ("POST", f"/api/v1/repo-files/edge/{world.cluster}"),
        ("PATCH", "/api/v1/repo/edge"),
    ]
    world.has()


def test_what_a_commit_removes_is_deleted(world: Any) -> None:
    """And what it adds is there, at once."""
    world.sync()
    world.proxy.clear()
    world.commit({"pipy/plugins/empty.js": None, "pipy/plugins/new.js": "// new\n"})
    done = world.sync()
    assert (done.code, done.place["uploaded"], done.place["deleted"]) == (0, ["plugins/new.js"], ["plugins/empty.js"])
    assert world.proxy.uploads() == ["plugins/new.js"]
    world.has()


def test_a_commit_that_changes_nothing_for_pipy(world: Any) -> None:
    """The Repo gets its id, so that everybody sees which commit runs; nothing is uploaded."""
    world.sync()
    world.proxy.clear()
    world.commit({"README.md": "# more\n"})
    done = world.sync()
    assert (done.code, done.place["version"]) == (0, world.head)
    assert not world.proxy.uploads()
    world.has()


def test_an_older_commit_can_be_asked_for(world: Any) -> None:
    """By branch or commit; that is a rollback."""
    old = world.head
    world.commit({f"pipy/{world.cluster}": world.write_cluster("10.1.0.2")})
    assert world.sync().code == 0
    assert world.sync("--ref", old).code == 0
    world.has(old)


@pytest.mark.parametrize("first", [True, False], ids=["before the first sync", "later"])
def test_what_somebody_left_staged_is_dropped(world: Any, first: bool) -> None:
    """Edits, new files and deletions that somebody began and did not publish never go out with ours."""
    if first:
        world.rig.do("POST", "/api/v1/repo/edge", "{}")
    else:
        world.sync()
        world.commit({"pipy/plugins/new.js": "// new\n"})
        world.rig.do("DELETE", f"/api/v1/repo-files/edge/{world.service}")
    world.rig.do("POST", f"/api/v1/repo-files/edge/{world.cluster}", "{}")
    world.rig.do("POST", "/api/v1/repo-files/edge/left/behind.js", "throw 1")
    assert world.sync().code == 0
    world.has()


def test_leftovers_do_not_make_a_sync_of_nothing(world: Any) -> None:
    """They are dropped though there is nothing to publish, and nothing is published."""
    world.sync()
    world.rig.do("POST", "/api/v1/repo-files/edge/left/behind.js", "throw 1")
    world.proxy.clear()
    done = world.sync()
    assert (done.code, done.place["result"]) == (0, "unchanged")
    assert [asked.method for asked in world.proxy.writes()] == ["PATCH"]
    world.has()


@pytest.mark.parametrize("version", ["7", "v1.2.3", "0" * 40], ids=["number", "name", "a commit of elsewhere"])
def test_what_somebody_else_published_is_not_touched(world: Any, version: str) -> None:
    """It is reported, with exit code 4; only --take-over overwrites it."""
    world.rig.do("POST", "/api/v1/repo/edge", "{}")
    world.rig.do("POST", "/api/v1/repo-files/edge/main.js", "// somebody else's\n")
    world.rig.do("POST", "/api/v1/repo-files/edge/other.json", "{}")
    world.rig.do("PATCH", "/api/v1/repo/edge", f'{{"version": "{version}"}}')
    before = world.rig.published()
    done = world.sync()
    assert (done.code, done.place["result"]) == (4, "foreign")
    assert not world.proxy.writes()
    assert (world.rig.info()["version"], world.rig.published()) == (version, before)
    assert version[:12] in done.place["message"]
    assert "--take-over" in done.place["message"]
    taken = world.sync("--take-over")
    assert (taken.code, taken.place["result"], taken.place["before"]) == (0, "published", version)
    world.has()


def test_content_that_somebody_changed_under_our_version(world: Any) -> None:
    """A file more or less under our version string: it is put right."""
    world.sync()
    world.rig.do("POST", "/api/v1/repo-files/edge/more.js", "// more\n")
    world.rig.do("DELETE", f"/api/v1/repo-files/edge/{world.service}")
    world.rig.do("PATCH", "/api/v1/repo/edge", f'{{"version": "{world.head}"}}')
    assert world.sync().code == 0
    world.has()


def test_an_invalid_commit_is_refused(world: Any) -> None:
    """Exit code 4, and not one request that writes."""
    world.sync()
    before = world.head
    world.proxy.clear()
    world.commit({f"pipy/{world.cluster}": world.write_cluster("10.1.0.2").replace("10.1.0.2", "no address")})
    done = world.sync()
    assert done.code == 4
    assert world.cluster in done.err
    assert not world.proxy.writes()
    world.has(before)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_a_dry_run_writes_nothing(world: Any, first: bool) -> None:
    """It tells what would be uploaded and deleted; leftovers stay too."""
    if not first:
        world.sync()
        world.rig.do("POST", "/api/v1/repo-files/edge/left/behind.js", "throw 1")
        world.commit({"pipy/plugins/new.js": "// new\n", "pipy/plugins/empty.js": None})
    before = world.rig.info()
    world.proxy.clear()
    done = world.sync("--dry-run")
    assert done.code == 0
    assert not world.proxy.writes()
    assert world.rig.info() == before
    assert "plugins/new.js" in done.place["uploaded"] if not first else done.place["uploaded"]
    assert done.place["deleted"] == ([] if first else ["plugins/empty.js"])


def test_the_configuration_as_one_file(world: Any) -> None:
    """With --bundle; back without, both under versions that tell them apart."""
    assert world.sync("--bundle").code == 0
    assert world.rig.info()["version"] == f"{world.head}+bundle"
    published = world.rig.published()
    assert {path for path in published if path.startswith("config/")} == {"config/bundle.json"}
    assert published["main.js"] == world.content()["main.js"]
    world.proxy.clear()
    assert world.sync("--bundle").place["result"] == "unchanged"
    world.commit({f"pipy/{world.cluster}": world.write_cluster("10.1.0.2")})
    assert world.sync("--bundle").place["uploaded"] == ["config/bundle.json"]
    assert world.proxy.uploads() == ["config/bundle.json"]
    assert world.sync().code == 0
    world.has()


def test_a_repo_that_lost_everything_gets_it_again(world: Any) -> None:
    """A Repo has everything in memory only; the next sync is a first one."""
    world.sync()
    world.rig.restart()
    done = world.sync()
    assert (done.code, done.place["result"]) == (0, "published")
    world.has()


def test_a_repo_that_is_away(world: Any) -> None:
    """Exit code 1, and a line that names it; nothing of credentials in the address is told."""
    world.commit({"pipy/plugins/new.js": "// new\n"})
    world.proxy.close()
    done = world.sync(url=world.proxy.url.replace("//", "//somebody:s3cret@"))
    assert (done.code, done.place["result"]) == (1, "failed")
    assert f"127.0.0.1:{world.proxy.port}" in done.place["message"]
    assert "s3cret" not in done.out + done.err
