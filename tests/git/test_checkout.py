"""Publishing in a checkout: what is written, what survives, what is refused; never anything between."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from publisher.core import report
from publisher.errors import GitError, Refused, UsageError


def refused(world: Any, repo: Path, match: str, error: type[Exception] = Refused) -> None:
    """Publish to a checkout, which is refused and changes neither it nor the remote."""
    before, remote = world.state(repo), world.git("for-each-ref")
    with pytest.raises(error, match=match):
        world.publish(repo)
    assert world.state(repo) == before
    assert world.git("for-each-ref") == remote
    assert not world.leftovers(repo)


# what is written


def test_first_publish(world: Any) -> None:
    """One commit here and on the remote, with only files of publisher; all that people have is as it was."""
    repo = world.checkout()
    before = world.files()
    done = world.publish(repo)
    assert done.commit == world.head(repo) == world.head()
    assert done.base == world.head(name="main~")
    assert world.changed() == {world.cluster, world.service}
    assert {path: blob for path, blob in world.files().items() if path in before} == before
    assert world.state(repo)["status"] == ""
    assert (repo / world.cluster).read_text() == world.git("show", f"main:{world.cluster}") + "\n"
    assert not world.leftovers(repo)
    assert not (repo / ".git/FETCH_HEAD").exists(), "this is for the fetches of people"


def test_message_author_and_trailers(world: Any) -> None:
    """All that a commit says comes from the plan and publisher.yaml."""
    repo = world.checkout()
    author = "Jörg Publisher <joerg@example.com>"
    world.other({"publisher.yaml": world.settings + f'git: {{author: "{author}"}}\n'})
    done = world.publish(repo)
    assert world.git("log", "-1", "--format=%an <%ae>|%cn <%ce>") == f"{author}|{author}"
    assert world.git("log", "-1", "--format=%B") + "\n" == report.commit_message(done.outcome.plan)
    trailers = world.git("log", "-1", "--format=%(trailers:only)").splitlines()
    plan = done.outcome.plan
    assert trailers == [
        "Publisher-Id: edge",
        f"Publisher-Plan: {plan.digest}",
        f"Publisher-Snapshot: {plan.snapshot}",
    ]


def test_nothing_to_do(world: Any) -> None:
    """Equal input: no commit, and nothing moves, neither here nor there."""
    repo = world.checkout()
    world.publish(repo)
    before, remote = world.state(repo), world.git("for-each-ref")
    objects = world.git("count-objects", at=repo)
    done = world.publish(repo)
    assert done.commit == ""
    assert (world.state(repo), world.git("for-each-ref")) == (before, remote)
    assert world.git("count-objects", at=repo) == objects


def test_dry_run(world: Any) -> None:
    """--dry-run stops after the plan."""
    repo = world.checkout()
    before, remote = world.state(repo), world.git("for-each-ref")
    done = world.publish(repo, dry_run=True)
    assert (done.commit, len(done.outcome.plan.files)) == ("", 2)
    assert (world.state(repo), world.git("for-each-ref")) == (before, remote)


def test_a_service_that_goes(world: Any) -> None:
    """A file that is not wanted any more is removed, here too."""
    repo = world.checkout()
    world.publish(repo)
    world.commit(repo, {"publisher.yaml": "publisher: edge\nguards: {deleted-service: false}\n"})
    world.git("push", "--quiet", at=repo)
    world.publish(repo)
    assert world.service not in world.files()
    assert not (repo / world.service).exists()
    assert world.state(repo)["status"] == ""


def test_reverts(world: Any) -> None:
    """A commit of publisher reverts with plain git revert."""
    repo = world.checkout()
    before = world.files()
    made = world.publish(repo).commit
    world.git("revert", "--no-edit", made, at=repo)
    assert world.files("HEAD", repo) == before


def test_without_a_remote(world: Any) -> None:
    """A checkout without a remote gets the commit, and there is nothing to push."""
    repo = world.checkout()
    world.git("remote", "remove", "origin", at=repo)
    made = world.publish(repo).commit
    assert made == world.head(repo)
    assert world.publish(repo).commit == ""


def test_an_empty_remote(world: Any) -> None:
    """The first push makes the branch."""
    repo = world.checkout()
    empty = world.bare("empty.git")
    world.git("remote", "set-url", "origin", str(empty), at=repo)
    made = world.publish(repo).commit
    assert made == world.head(empty) == world.head(repo)
    assert world.publish(repo).commit == ""


def test_behind_the_remote(world: Any) -> None:
    """Commits of others come along with ours."""
    repo = world.checkout()
    theirs = world.other({"theirs.txt": "theirs\n"})
    world.git("tag", "-a", "-m", "theirs", "v1", at=world.folder / "other")
    world.git("push", "--quiet", "origin", "v1", at=world.folder / "other")
    made = world.publish(repo).commit
    assert made == world.head(repo) == world.head()
    assert world.git("tag", at=repo) == "", "only what is needed"
    assert world.head(repo, "main~") == theirs
    assert (repo / "theirs.txt").read_text() == "theirs\n"
    assert world.state(repo)["status"] == ""


@pytest.mark.parametrize("depth", ["--depth=1", "--filter=blob:none"])
def test_a_shallow_or_partial_clone(world: Any, depth: str) -> None:
    """A clone as CI makes it is enough."""
    world.git("config", "uploadpack.allowFilter", "true")
    repo = world.checkout("repo", depth)
    world.other({"theirs.txt": "theirs\n"})
    assert world.publish(repo).commit == world.head() == world.head(repo)
    assert world.linear() == ["set up", "the other side's change", world.first]


def test_a_worktree(world: Any) -> None:
    """git worktree add makes a checkout like any other."""
    home = world.checkout()
    world.git("switch", "--quiet", "-c", "feature", at=home)
    world.git("worktree", "add", "--quiet", "../tree", "main", at=home)
    before = world.state(home)
    repo = world.folder / "tree"
    made = world.publish(repo).commit
    assert made == world.head() == world.head(repo, "HEAD")
    assert world.state(repo)["status"] == ""
    assert world.state(home) == {**before, "refs": world.state(home)["refs"]}
    assert not world.leftovers(home)


@pytest.mark.parametrize("recurse", ["true", "false"])
def test_a_submodule(world: Any, recurse: str) -> None:
    """What is in a submodule is somebody else's: it is neither fetched nor checked out nor pushed."""
    repo = world.checkout()
    module = world.bare("module.git")
    allowed = ("-c", "protocol.file.allow=always")
    sub = world.folder / "sub"
    world.git("init", "--quiet", str(sub), at=world.folder)
    world.commit(sub, {"plugin.js": "1"})
    world.git("push", "--quiet", str(module), "main", at=sub)
    world.git(*allowed, "submodule", "--quiet", "add", str(module), "pipy/plugins", at=repo)
    world.commit(repo, {})
    world.git("push", "--quiet", at=repo)
    newer = world.commit(sub, {"plugin.js": "2"})
    world.checkout("other")
    world.git("update-index", "--cacheinfo", f"160000,{newer},pipy/plugins", at=world.folder / "other")
    world.git("commit", "--quiet", "-m", "newer plugins", at=world.folder / "other")
    world.git("push", "--quiet", at=world.folder / "other")
    module.rename(world.folder / "away.git")
    for name in ("submodule.recurse", "fetch.recurseSubmodules"):
        world.git("config", name, recurse, at=repo)
    assert world.publish(repo).commit == world.head() == world.head(repo)
    assert world.changed() == {world.cluster, world.service}
    assert (repo / "pipy/plugins/plugin.js").read_text() == "1"
    assert world.publish(repo, "node1", "node2").commit == world.head() == world.head(repo)


def test_sha256(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository with the newer kind of ids works."""
    repo = world.folder / "new"
    world.git("init", "--quiet", "--object-format=sha256", str(repo), at=world.folder)
    world.commit(repo, {"publisher.yaml": world.settings})
    assert len(world.publish(repo).commit) == 64
    world.commit(repo, {"publisher.yaml": "publisher: edge\nguards: {deleted-service: false}\n"})
    assert len(world.publish(repo).commit) == 64
    assert world.service not in world.files(repo=repo)


@pytest.mark.parametrize("name", ["with space", "übung", "-dash", "new\nline", "trailing "])
def test_names_of_folders(world: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout may be called anything, and be named from where one stands."""
    world.checkout(f"./{name}")
    monkeypatch.chdir(world.folder)
    assert world.publish(f"./{name}").commit == world.head()
    monkeypatch.chdir(world.folder / name)
    assert world.publish(Path(), "node2").commit == world.head()


# what survives


def test_changes_elsewhere_survive(world: Any) -> None:
    """Whatever is edited, staged, deleted, new or ignored elsewhere is as before."""
    repo = world.checkout()
    world.commit(repo, {"gone.txt": "g\n", "staged.txt": "s\n", "both.txt": "b\n"})
    world.git("push", "--quiet", at=repo)
    (repo / "README.md").write_text("edited\n")
    (repo / "docs/überblick mit leer.txt").write_text("edited, with a space\n")
    (repo / "staged.txt").write_text("staged\n")
    (repo / "both.txt").write_text("staged\n")
    (repo / "added.txt").write_text("added\n")
    world.git("add", "staged.txt", "both.txt", "added.txt", at=repo)
    (repo / "both.txt").write_text("and edited\n")
    (repo / "gone.txt").unlink()
    (repo / "pipy/config").mkdir()
    (repo / "pipy/config/untracked ü.json").write_text("{}")
    (repo / "notes.swp").write_text("ignored\n")
    (repo / "main.js").symlink_to("pipy/main.js")
    before = world.state(repo)
    made = world.publish(repo).commit
    after = world.state(repo)
    ours = {world.cluster, world.service}
    assert (made, world.changed()) == (world.head(repo), ours)
    assert after["status"] == before["status"]
    assert {path: data for path, data in after["files"].items() if path not in ours} == before["files"]
    assert [line for line in after["index"].splitlines() if not line.endswith(tuple(ours))] == before[
        "index"
    ].splitlines()


def test_people_s_files_keep_what_they_are(world: Any) -> None:
    """Modes, links and contents of people's files are in our commit what they were in theirs."""
    repo = world.checkout()
    (repo / "run.sh").write_text("#!/bin/sh\n")
    (repo / "run.sh").chmod(0o755)
    (repo / "link").symlink_to("run.sh")
    (repo / "windows.txt").write_bytes(b"a\r\nb\r\n")
    (repo / "binary").write_bytes(bytes(range(256)))
    world.git("add", "--all", at=repo)
    world.commit(repo, {"näme with\ttab": "x"})
    world.git("push", "--quiet", at=repo)
    before = world.files()
    world.publish(repo)
    assert {path: blob for path, blob in world.files().items() if path in before} == before


# what is refused


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("what", ["edited", "deleted"])
def test_a_dirty_file_of_ours(world: Any, what: str, staged: bool) -> None:
    """What would be overwritten is named, and nothing changes."""
    repo = world.checkout()
    world.publish(repo, "node1", "node2")
    if what == "edited":
        (repo / world.cluster).write_text("{}\n")
    else:
        (repo / world.cluster).unlink()
    if staged:
        world.git("add", "--all", at=repo)
    refused(world, repo, f"uncommitted changes in what would be written: {world.cluster}; commit or restore")


@pytest.mark.parametrize("pattern", ["", "*.json", "config/", "pipy/config/clusters/*"])
def test_a_file_in_the_way(world: Any, pattern: str) -> None:
    """A file that git does not know, or ignores, is not overwritten."""
    repo = world.checkout()
    world.commit(repo, {".gitignore": f"{pattern}\n"})
    world.git("push", "--quiet", at=repo)
    (repo / world.cluster).parent.mkdir(parents=True)
    (repo / world.cluster).write_text("mine\n")
    refused(world, repo, f"would be written: {world.cluster};")


def test_an_ignored_neighbour_is_not_in_the_way(world: Any) -> None:
    """Of a folder that is ignored only what would be overwritten counts."""
    repo = world.checkout()
    world.commit(repo, {".gitignore": "config/\n"})
    world.git("push", "--quiet", at=repo)
    (repo / "pipy/config/clusters").mkdir(parents=True)
    (repo / "pipy/config/clusters/mine.json").write_text("mine\n")
    assert world.publish(repo).commit == world.head(repo)
    assert (repo / "pipy/config/clusters/mine.json").read_text() == "mine\n"


@pytest.mark.parametrize("what", ["file", "link", "folder"])
def test_something_else_in_the_way(world: Any, what: str, tmp_path: Path) -> None:
    """A file or link where a folder goes, or a folder where a file goes."""
    repo = world.checkout()
    if what == "file":
        (repo / "pipy/config").write_text("mine\n")
    elif what == "link":
        (tmp_path / "elsewhere").mkdir()
        (repo / "pipy/config").symlink_to(tmp_path / "elsewhere")
    else:
        (repo / world.cluster).mkdir(parents=True)
        (repo / world.cluster / "mine").write_text("mine\n")
    refused(world, repo, "pipy/config", Exception)
    assert not (tmp_path / "elsewhere").exists() or not list((tmp_path / "elsewhere").iterdir())


def test_what_others_changed_counts_too(world: Any) -> None:
    """An edit of a file that a newer commit of the remote touches is refused like one of ours."""
    repo = world.checkout()
    world.other({"README.md": "theirs\n"})
    (repo / "README.md").write_text("mine\n")
    refused(world, repo, "README.md")


@pytest.mark.parametrize("other", [False, True])
def test_ahead_or_diverged(world: Any, other: bool) -> None:
    """Commits that are not pushed are somebody's own business."""
    repo = world.checkout()
    world.commit(repo, {"mine.txt": "mine\n"})
    if other:
        world.other({"theirs.txt": "theirs\n"})
    refused(world, repo, "main has commits that origin/main has not; push or drop them first")


@pytest.mark.parametrize("arguments", [("-c", "feature"), ("--detach",)])
def test_another_branch(world: Any, arguments: tuple[str, ...]) -> None:
    """Publishing to a branch that is not checked out would move what nobody looks at."""
    repo = world.checkout()
    world.git("switch", "--quiet", *arguments, at=repo)
    name = "feature" if "-c" in arguments else "no branch"
    refused(world, repo, f"{name} is checked out, publisher.yaml publishes to main", UsageError)


def test_the_branch_of_publisher_yaml(world: Any) -> None:
    """git.branch may be another one, with a slash."""
    repo = world.checkout()
    world.git("switch", "--quiet", "-c", "env/prod", at=repo)
    world.commit(repo, {"publisher.yaml": world.settings + "git: {branch: env/prod}\n"})
    main = world.head()
    made = world.publish(repo).commit
    assert world.head(name="env/prod") == made == world.head(repo, "HEAD")
    assert world.head() == main


def test_the_branch_that_the_commit_is_built_on_is_the_one_pushed_to(world: Any) -> None:
    """publisher.yaml of the remote names another branch now: ours goes where it was planned."""
    repo = world.checkout()
    world.other({"publisher.yaml": world.settings + "git: {branch: prod}\n"})
    made = world.publish(repo).commit
    assert world.git("for-each-ref", "--format=%(refname)").split() == ["refs/heads/main", "refs/heads/snapshots/edge"]
    assert world.head() == made == world.head(repo)
    refused(world, repo, "main is checked out, publisher.yaml publishes to prod", UsageError)


@pytest.mark.parametrize("state", ["merge", "cherry-pick", "conflict"])
def test_something_half_done(world: Any, state: str) -> None:
    """A merge or cherry-pick that is under way is left alone, before anything is pushed."""
    repo = world.checkout()
    world.git("switch", "--quiet", "-c", "feature", at=repo)
    world.commit(repo, {"README.md": "feature\n"})
    world.git("switch", "--quiet", "main", at=repo)
    world.commit(repo, {"README.md" if state == "conflict" else "mine.txt": "mine\n"})
    world.git("push", "--quiet", at=repo)
    if state == "cherry-pick":
        world.git("cherry-pick", "--no-commit", "feature", at=repo)
        (repo / ".git/CHERRY_PICK_HEAD").write_text(world.head(repo, "feature"))
    else:
        os.system(f"git -C '{repo}' merge --quiet --no-commit --no-ff feature >/dev/null 2>&1")  # conflicts, or not
    before, remote = world.state(repo), world.git("for-each-ref")
    with pytest.raises(Refused, match="half done"):
        world.publish(repo)
    assert (world.state(repo), world.git("for-each-ref")) == (before, remote)


def test_another_git_at_work(world: Any) -> None:
    """While the index is locked nothing is pushed."""
    repo = world.checkout()
    (repo / ".git/index.lock").touch()
    remote = world.git("for-each-ref")
    with pytest.raises(GitError, match=r"index\.lock.*another git is at work"):
        world.publish(repo)
    assert world.git("for-each-ref") == remote
    (repo / ".git/index.lock").unlink()
    assert world.publish(repo).commit == world.head()


def test_which_remote(world: Any) -> None:
    """The branch's own, origin, or the only one; a commit never stays here because there are several."""
    repo = world.checkout()
    world.git("remote", "rename", "origin", "upstream", at=repo)
    assert world.publish(repo).commit == world.head()
    world.git("config", "--unset", "branch.main.remote", at=repo)
    assert world.publish(repo, "node1", "node2").commit == world.head()
    world.git("remote", "add", "second", str(world.bare("second.git")), at=repo)
    refused(world, repo, r"git config branch\.main\.remote second\|upstream", UsageError)
    world.git("config", "branch.main.remote", "second", at=repo)
    assert world.publish(repo).commit == world.head(world.folder / "second.git")
    world.git("config", "branch.main.remote", "https://example.com/x", at=repo)
    refused(world, repo, "which remote", UsageError)
    world.git("config", "branch.main.remote", ".", at=repo)
    assert world.publish(repo, "node2").commit == world.head(repo)


# publisher.yaml


def test_publisher_yaml_edited_here(world: Any) -> None:
    """An edit that is not committed is what is published with, and stays an edit."""
    repo = world.checkout()
    (repo / "publisher.yaml").write_text(world.settings + "output: proxies\n")
    world.other({"theirs.txt": "theirs\n"})
    world.publish(repo)
    assert world.changed() == {path.replace("pipy/", "proxies/") for path in (world.cluster, world.service)}
    assert world.state(repo)["status"] == " M publisher.yaml"


def test_publisher_yaml_changed_on_the_remote(world: Any) -> None:
    """What counts is the newest one, not the one that lies here."""
    repo = world.checkout()
    world.other({"publisher.yaml": world.settings + "output: proxies\n"})
    world.publish(repo)
    assert world.changed() == {path.replace("pipy/", "proxies/") for path in (world.cluster, world.service)}


@pytest.mark.parametrize("there", [None, "publisher: edge\n"])
def test_publisher_yaml_changed_on_both_sides(world: Any, there: str | None) -> None:
    """Which one counts is for a person to say."""
    repo = world.checkout()
    (repo / "publisher.yaml").write_text(world.settings + "output: proxies\n")
    world.other({"publisher.yaml": there})
    refused(world, repo, "publisher.yaml is neither as committed here nor as on the remote; pull first")


def test_publisher_yaml_gone_from_the_remote(world: Any) -> None:
    """Nothing to publish with is not what lies here."""
    repo = world.checkout()
    world.other({"publisher.yaml": None})
    refused(world, repo, "publisher.yaml is neither as committed here nor as on the remote; pull first")


def test_publisher_yaml_that_is_not_committed(world: Any) -> None:
    """One that is in no commit counts."""
    repo = world.checkout()
    world.commit(repo, {"publisher.yaml": None})
    world.git("push", "--quiet", at=repo)
    (repo / "publisher.yaml").write_text(world.settings)
    assert world.publish(repo).commit == world.head()
    assert world.state(repo)["status"] == "?? publisher.yaml"


# what is no checkout


def test_no_checkout(world: Any, typed: Any, tmp_path: Path) -> None:
    """A sub-folder, no folder, no repository, no commit, no publisher.yaml: exit 2 and a line that says what to do."""
    repo = world.checkout()
    (tmp_path / "plain").mkdir()
    world.git("init", "--quiet", "new", at=tmp_path)
    for folder, line in {
        repo / "pipy": f"{repo}/pipy: not the top of a Git checkout; name {repo}",
        tmp_path / "nowhere": "No such file or directory",
        tmp_path / "plain": "run git init there first",
        repo / "README.md": "not a Git checkout",
        repo / ".git": "not a Git checkout",
        tmp_path / "new": f"{tmp_path}/new: nothing is committed yet; commit what is there first",
    }.items():
        done = typed(folder)
        assert done.code == 2
        assert line in done.line
    (repo / "publisher.yaml").unlink()
    assert "publisher init lays one down" in typed(repo).line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_somebody_else_s_checkout(world: Any, typed: Any) -> None:
    """A checkout of another owner, as in a container: git's own reason and what to do."""
    repo = world.checkout()
    os.chown(repo, 12345, 12345)
    os.chown(repo / ".git", 12345, 12345)
    done = typed(repo)
    assert done.code == 2
    assert "dubious ownership" in done.line
    assert "safe.directory" in done.line


# the surroundings


def test_variables_of_a_hook(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What git sets for its hooks points at another repository; ours is the one that is named."""
    repo, elsewhere = world.checkout(), world.checkout("elsewhere")
    before = world.state(elsewhere)
    for name, value in {
        "GIT_DIR": elsewhere / ".git",
        "GIT_WORK_TREE": elsewhere,
        "GIT_INDEX_FILE": elsewhere / ".git/index",
        "GIT_OBJECT_DIRECTORY": elsewhere / ".git/objects",
        "GIT_COMMON_DIR": elsewhere / ".git",
        "GIT_NAMESPACE": "other",
        "GIT_PREFIX": "pipy/",
        "GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_DEFAULT_HASH": "sha256",
    }.items():
        monkeypatch.setenv(name, str(value))
    for target, nodes in ((repo, ("node1",)), (world.remote.as_uri(), ("node1", "node2"))):
        made = world.publish(target, *nodes).commit
        with monkeypatch.context() as clean:
            for name in [name for name in os.environ if name.startswith("GIT_") and "CONFIG" not in name]:
                clean.delenv(name)
            assert made == world.head()
            assert world.head(repo) == world.head(name=f"main{'~' * len(nodes[1:])}")
            assert world.state(elsewhere) == before
            assert world.state(repo)["status"] == ""
            assert "2001" not in world.git("log", "-1", "--format=%ad")


FAILING = "echo no >&2; exit 1"
CONFIGURED = {
    "push.gpgSign": "true",
    "push.followTags": "true",
    "push.default": "nothing",
    "pull.rebase": "true",
    "fetch.prune": "true",
    "fetch.recurseSubmodules": "true",
    "submodule.recurse": "true",
    "merge.ff": "false",
    "merge.verifySignatures": "true",
    "branch.main.mergeOptions": "--squash --no-commit",
    "branch.main.rebase": "true",
    "remote.origin.tagOpt": "--tags",
    "rebase.autoStash": "true",
    "merge.autoStash": "true",
    "core.autocrlf": "true",
    "core.quotePath": "true",
    "core.fileMode": "false",
    "core.pager": "false",
    "core.editor": "false",
    "color.ui": "always",
    "diff.external": "false",
    "diff.noprefix": "true",
    "diff.renames": "copies",
    "diff.ignoreSubmodules": "all",
    "status.branch": "true",
    "status.short": "true",
    "status.showUntrackedFiles": "no",
    "status.relativePaths": "true",
    "log.showSignature": "true",
    "transfer.fsckObjects": "true",
    "safe.bareRepository": "explicit",
    "advice.detachedHead": "true",
    "i18n.commitEncoding": "ISO-8859-1",
    "index.skipHash": "true",
    "core.splitIndex": "true",
    "core.untrackedCache": "true",
    "extensions.worktreeConfig": "true",
}


def test_the_user_s_configuration(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However people set up git for themselves: the same commit, pushed alone."""
    repo = world.checkout()
    world.commit(repo, {"README.md": "# lines\nmore\n", "pipy/deep/x": "x"})
    world.git("push", "--quiet", at=repo)
    world.git("tag", "-a", "-m", "mine", "v1", at=repo)
    names = ("pre-commit", "commit-msg", "pre-push", "post-merge", "reference-transaction", "post-index-change")
    for name in names:
        world.hook(repo, name, FAILING)
    (repo / "README.md").write_text("staged\n")
    world.git("add", "README.md", at=repo)
    (repo / "README.md").write_text("edited\n")
    for key, value in CONFIGURED.items():
        world.git("config", key, value, at=repo)
    file = world.folder / "gitconfig"
    file.write_text(Path(os.environ["GIT_CONFIG_GLOBAL"]).read_text())
    for key, value in CONFIGURED.items():
        world.git("config", "--file", str(file), key, value)
    for target, nodes in ((repo, ("node1",)), (world.remote.as_uri(), ("node1", "node2")), (repo, ("node2",))):
        with monkeypatch.context() as configured:
            configured.setenv("GIT_CONFIG_GLOBAL", str(file))
            made = world.publish(target, *nodes).commit
        assert made == world.head()
        assert made == world.head(repo) or target != repo
        assert world.changed() == {world.cluster} | ({world.service} if len(world.linear()) == 3 else set())
        assert world.git("for-each-ref", "--format=%(refname)").split() == [
            "refs/heads/main",
            "refs/heads/snapshots/edge",
        ]
        assert "encoding" not in world.git("cat-file", "commit", "main")
        with monkeypatch.context() as plain:
            plain.setenv("GIT_CONFIG_PARAMETERS", "'core.hooksPath=/dev/null' 'status.showUntrackedFiles=all'")
            assert world.git("status", "--porcelain", "--no-branch", at=repo) == "MM README.md"
    assert not world.leftovers(repo)


def test_filters(world: Any) -> None:
    """What a filter makes of people's files it does not make of ours."""
    repo = world.checkout()
    (repo / ".git/info").mkdir()
    (repo / ".git/info/attributes").write_text("* filter=shout\n")
    world.git("config", "filter.shout.clean", "tr a-z A-Z", at=repo)
    world.publish(repo)
    assert '"cluster": "member1"' in world.git("show", f"main:{world.cluster}")


def test_line_ends_of_the_work_tree(world: Any) -> None:
    """core.autocrlf=true: publisher.yaml lies here with other line ends; that is no edit of it."""
    repo = world.folder / "repo"
    world.git("clone", "--quiet", "-c", "core.autocrlf=true", world.remote.as_uri(), str(repo), at=world.folder)
    assert b"\r\n" in (repo / "publisher.yaml").read_bytes()
    world.other({"publisher.yaml": world.settings + "output: proxies\n"})
    world.publish(repo)
    assert world.changed() == {path.replace("pipy/", "proxies/") for path in (world.cluster, world.service)}
    assert world.state(repo)["status"] == ""
    assert b"\r\n" in (repo / "publisher.yaml").read_bytes()
    assert world.publish(repo).commit == ""
