"""What history tells: who has the last word on a file, what was allowed, and the log."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from publisher.core.history import Word
from publisher.edge.git import Checkout, Clone
from publisher.errors import GitError

FILE = "pipy/config/services/default.flask.json"
OTHER = "pipy/config/clusters/member1.json"
GONE = "0" * 40
OURS = "update default/flask\n\nPublisher-Id: edge\nPublisher-Plan: 1\n"


class Past:
    """A checkout in which a history is made."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.repo = world.checkout("past")
        self.ours("1\n")
        self.ours("2\n")

    def git(self, *arguments: str) -> str:
        return self.world.git(*arguments, at=self.repo)

    def ours(self, text: str | None, path: str = FILE, message: str = OURS) -> str:
        self.world.commit(self.repo, {path: text}, message)
        return self.head()

    def person(self, text: str | None, path: str = FILE) -> str:
        return self.ours(text, path, "a person's\n\nCloses: everything\n")

    def head(self) -> str:
        return self.world.head(self.repo, "HEAD")

    def blob(self, commit: str, path: str = FILE) -> str:
        return self.git("rev-parse", f"{commit}:{path}")

    def revert(self, *arguments: str) -> str:
        self.git("revert", "--no-edit", *arguments)
        return self.head()

    def switch(self, name: str, start: str = "main") -> None:
        self.git("switch", "--quiet", "-c", name, start)

    def merge(self, name: str, *options: str) -> str:
        """Merge a branch into main with a merge commit, as a host does."""
        self.git("switch", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "--no-edit", *options, name)
        return self.head()

    def squash(self, name: str, message: str) -> str:
        self.git("switch", "--quiet", "main")
        self.git("merge", "--quiet", "--squash", name)
        self.git("commit", "--quiet", "-m", message)
        return self.head()


Held = dict[str, tuple[str, str]]
"""The commit with the last word and what it rejects, by path."""


def ours_is_last(past: Past) -> Held:
    """Nothing but our commits."""
    return {}


def people_elsewhere(past: Past) -> Held:
    """People change other files, after us too."""
    past.person("x\n", "README.md")
    return {}


def revert_of_a_direct_commit(past: Past) -> Held:
    """Git revert of what was pushed to the branch."""
    ours = past.head()
    return {FILE: (past.revert(ours), past.blob(ours))}


def revert_of_a_merge(past: Past) -> Held:
    """Git revert -m 1 of a pull request that was merged."""
    past.switch("publisher/edge")
    ours = past.ours("3\n")
    merged = past.merge("publisher/edge")
    return {FILE: (past.revert("-m", "1", merged), past.blob(ours))}


def merge_of_a_pull_request(past: Past) -> Held:
    """A merge that takes our file as it is."""
    past.switch("publisher/edge")
    past.ours("3\n")
    past.switch("theirs", "main")
    past.person("x\n", "README.md")
    past.merge("theirs")
    past.merge("publisher/edge")
    return {}


def squash_merge(past: Past) -> Held:
    """A squash merge whose message goes on behind our trailers, with the line ends of a web form."""
    past.switch("publisher/edge")
    past.ours("3\n")
    past.squash("publisher/edge", f"{OURS}\nCo-authored-by: A <a@example.com>\n".replace("\n", "\r\n"))
    return {}


def revert_of_a_squash_merge(past: Past) -> Held:
    """Git revert of a squash merge."""
    squash_merge(past)
    ours = past.head()
    return {FILE: (past.revert(ours), past.blob(ours))}


def revert_pull_request(past: Past) -> Held:
    """GitHub's revert pull request, merged."""
    ours = past.head()
    past.switch("revert-1")
    revert = past.revert(ours)
    past.merge("revert-1")
    return {FILE: (revert, past.blob(ours))}


def revert_pull_request_squashed(past: Past) -> Held:
    """GitHub's revert pull request, merged by squash."""
    ours = past.head()
    past.switch("revert-1")
    past.revert(ours)
    return {FILE: (past.squash("revert-1", 'Revert "update default/flask" (#2)'), past.blob(ours))}


def revert_of_the_revert(past: Past) -> Held:
    """What we published is back."""
    past.revert(past.revert("HEAD"))
    return {}


def revert_of_the_revert_of_a_merge(past: Past) -> Held:
    """What we published by pull request is back, while our direct commits went on."""
    past.switch("publisher/edge")
    past.ours("3\n")
    past.git("switch", "--quiet", "main")
    past.ours("x\n", OTHER)
    past.revert(past.revert("-m", "1", past.merge("publisher/edge")))
    return {}


def hand_edit(past: Past) -> Held:
    """An edit of a generated file."""
    ours = past.head()
    return {FILE: (past.person("mine\n"), past.blob(ours))}


def hand_edit_taken_back(past: Past) -> Held:
    """An edit, and another one that undoes it."""
    past.person("mine\n")
    past.person("2\n")
    return {}


def hand_edit_twice(past: Past) -> Held:
    """The newest edit is the word; rejected is what we had."""
    ours = past.head()
    past.person("mine\n")
    return {FILE: (past.person("1\n"), past.blob(ours))}


def hand_deletion(past: Past) -> Held:
    """A generated file is removed."""
    ours = past.head()
    return {FILE: (past.person(None), past.blob(ours))}


def hand_written(past: Past) -> Held:
    """A file where we never had one."""
    return {OTHER: (past.person("mine\n", OTHER), "")}


def restored_by_hand(past: Past) -> Held:
    """We removed it, and a person put it back."""
    gone = past.ours(None)
    return {FILE: (past.revert(gone), GONE)}


def removed_again_by_hand(past: Past) -> Held:
    """It is gone, as we left it."""
    past.revert(past.ours(None))
    past.person(None)
    return {}


def edit_in_a_merge(past: Past) -> Held:
    """An edit amended into a merge."""
    ours = past.head()
    past.switch("theirs")
    past.person("x\n", "README.md")
    past.merge("theirs")
    (past.repo / FILE).write_text("mine\n")
    past.git("commit", "--quiet", "--all", "--amend", "--no-edit")
    return {FILE: (past.head(), past.blob(ours))}


def merge_with_our_trailer(past: Past) -> Held:
    """A merge is a person's whatever it says."""
    edit_in_a_merge(past)
    ours = past.blob("HEAD^1")
    past.git("commit", "--quiet", "--amend", "-m", OURS)
    return {FILE: (past.head(), ours)}


def cherry_pick(past: Past, *options: str) -> Held:
    """Our commit, picked from another branch over a person's edit."""
    past.switch("release", "main~")
    past.person("mine\n")
    past.git("switch", "--quiet", "main")
    past.ours("3\n")
    past.git("switch", "--quiet", "release")
    past.git("cherry-pick", *options, "-X", "theirs", "main")
    past.git("branch", "--quiet", "--force", "main", "release")
    past.git("switch", "--quiet", "main")
    return {}


def cherry_pick_x(past: Past) -> Held:
    """The same with a line behind our trailers."""
    return cherry_pick(past, "-x")


def stale_branch(past: Past) -> Held:
    """A branch from before a revert is merged into main."""
    past.switch("stale", "main~")
    past.person("x\n", "README.md")
    past.git("switch", "--quiet", "main")
    ours = past.head()
    revert = past.revert(ours)
    past.merge("stale")
    return {FILE: (revert, past.blob(ours))}


def into_the_stale_branch(past: Past) -> Held:
    """Main with a revert is merged into a branch from before it, which then is main."""
    past.switch("stale", "main~")
    past.person("x\n", "README.md")
    past.git("switch", "--quiet", "main")
    ours = past.head()
    revert = past.revert(ours)
    past.git("switch", "--quiet", "stale")
    past.git("merge", "--quiet", "--no-edit", "main")
    past.git("branch", "--quiet", "--force", "main", "stale")
    past.git("switch", "--quiet", "main")
    return {FILE: (revert, past.blob(ours))}


def another_publisher(past: Past) -> Held:
    """Another publisher is somebody else, be its name like ours or not."""
    ours = past.head()
    return {FILE: (past.ours("3\n", FILE, OURS.replace("edge", "edge-2")), past.blob(ours))}


def quoted_trailer(past: Past) -> Held:
    """Our trailer inside a line, or indented, is no trailer."""
    ours = past.head()
    message = "Revert it\n\n> Publisher-Id: edge\n Publisher-Id: edge\nno Publisher-Id: edge\n"
    return {FILE: (past.ours("1\n", FILE, message), past.blob(ours))}


def resumed(past: Past) -> Held:
    """We had the last word again."""
    past.person("mine\n")
    past.ours("3\n")
    return {}


def changed_mode(past: Past) -> Held:
    """A person made it executable, and nothing else."""
    (past.repo / FILE).chmod(0o755)
    past.git("commit", "--quiet", "--all", "-m", "a person's")
    return {}


def one_of_two(past: Past) -> Held:
    """Each file has its own history, under however many commits of ours."""
    ours = past.ours("1\n", OTHER)
    held = past.person("mine\n", OTHER)
    for number in range(130):
        past.ours(f"{number}\n")
    return {OTHER: (held, past.blob(ours, OTHER))}


PASTS = [
    ours_is_last, people_elsewhere, revert_of_a_direct_commit, revert_of_a_merge, merge_of_a_pull_request, squash_merge,
    revert_of_a_squash_merge, revert_pull_request, revert_pull_request_squashed, revert_of_the_revert,
    revert_of_the_revert_of_a_merge, hand_edit, hand_edit_taken_back, hand_edit_twice, hand_deletion, hand_written,
    restored_by_hand, removed_again_by_hand, edit_in_a_merge, merge_with_our_trailer, cherry_pick, cherry_pick_x,
    stale_branch, into_the_stale_branch, another_publisher, quoted_trailer, resumed, changed_mode, one_of_two,
]  # fmt: skip
WAYS: dict[str, tuple[str, ...]] = {
    "full": (),
    "blobless": ("--filter=blob:none",),
    "depth 1": ("--depth=1",),
    "depth 3": ("--depth=3",),
    "blobless, depth 1": ("--filter=blob:none", "--depth=1"),
}


@pytest.fixture
def past(world: Any) -> Past:
    """Begin with two versions of a file of ours, on a remote that lets itself be filtered."""
    world.git("config", "uploadpack.allowFilter", "true")
    return Past(world)


def ask(repository: Checkout | Clone) -> Held:
    """Ask for both files."""
    words = repository.last_words(repository.head(), "edge", [FILE, OTHER])
    return {path: (word.commit, word.rejected) for path, word in words.items()}


@pytest.mark.parametrize("make", PASTS, ids=lambda make: make.__name__)
def test_the_last_word(past: Past, http: Any, make: Callable[[Past], Held]) -> None:
    """It is found on every kind of clone, over file and HTTP; a blobless one fetches nothing for it."""
    expected = make(past)
    assert ask(Checkout(past.repo)) == expected
    past.git("push", "--quiet", "--force", "origin", "main")
    for scheme, url in (("file", past.world.remote.as_uri()), ("http", http.url)):
        assert ask(Clone(url)) == expected, scheme
        for way, options in WAYS.items():
            name = f"{way} {scheme}"
            past.world.git("clone", "--quiet", *options, url, name, at=past.world.folder)
            repository = Checkout(past.world.folder / name)
            before = len(http.requests)
            assert ask(repository) == expected, name
            assert "depth" in name or len(http.requests) == before, name


def test_a_word_says_who_when_and_what(past: Past) -> None:
    """Author, time and subject are those of the person's commit, whatever its encoding."""
    author, message = (os.fsdecode(text.encode("latin1")) for text in ("Zoë Übermut", "zurück\n\nmehr\n"))
    past.git("config", "user.name", author)
    past.git("config", "i18n.commitEncoding", "latin1")
    before = past.blob("HEAD")
    made = past.ours("mine\n", FILE, message)
    time = int(past.git("log", "-1", "--format=%ct"))
    words = Checkout(past.repo).last_words(made, "edge", {FILE})
    assert words == {FILE: Word(made, "Zoë Übermut", time, "zurück", before)}


def test_settings_do_not_mislead(past: Past, tmp_path: Path) -> None:
    """What people set for git log and git diff changes nothing."""
    expected = one_of_two(past)
    past.git("mv", FILE, "moved.json")
    past.git("commit", "--quiet", "-m", "überall")
    moved = past.head()
    (tmp_path / "order").write_text("*.json\n")
    for name, value in {
        "grep.patternType": "perl", "log.showSignature": "true", "diff.renames": "copies", "log.follow": "true",
        "i18n.logOutputEncoding": "latin1", "core.quotePath": "true", "core.abbrev": "5", "color.ui": "always",
        "format.pretty": "oneline", "log.diffMerges": "off", "log.date": "relative", "diff.external": "false",
        "diff.orderFile": str(tmp_path / "order"), "diff.noprefix": "true", "diff.relative": "true",
        "diff.ignoreSubmodules": "all", "log.decorate": "full", "notes.displayRef": "*", "log.abbrevCommit": "true",
    }.items():  # fmt: skip
        past.git("config", name, value)
    repository = Checkout(past.repo)
    assert ask(repository) == {**expected, FILE: (moved, past.blob(f"{moved}~"))}
    assert repository.log(moved, [FILE], 1)[0].message == "überall\n"


def test_any_number_of_paths(past: Path | Any) -> None:
    """There may be more than a command line holds, in as many folders, with any name."""
    odd = ["*", "[a]*?.json", "pipy/config/services/:(top)ü \\n.json", "-x", "pipy/config/services"]
    held = [past.person("mine\n", path) for path in odd[:4]]
    words = Checkout(past.repo).last_words(past.head(), "edge", [*odd, *(f"d{i}/{i:0100}" for i in range(20_000))])
    assert {path: word.commit for path, word in words.items()} == dict(zip(odd, held, strict=False))
    assert Checkout(past.repo).last_words(past.head(), "edge", []) == {}


def shallow(past: Past, url: str = "", depth: int = 1) -> Checkout:
    """Push, and clone no more than the newest commits."""
    past.git("push", "--quiet", "origin", "main")
    past.world.git(
        "clone", "--quiet", f"--depth={depth}", url or past.world.remote.as_uri(), "ci", at=past.world.folder
    )
    return Checkout(past.world.folder / "ci")


def known(past: Past) -> int:
    """Count the commits in the shallow clone."""
    return len(past.git("-C", "../ci", "rev-list", "HEAD").split())


def test_no_more_is_fetched_than_it_takes(past: Past, http: Any) -> None:
    """A shallow clone that knows the last word stays as it is; else it gets a step deeper, and no branch moves."""
    for number in range(60):
        past.ours(f"{number}\n", OTHER)
    repository = shallow(past, http.url, depth=3)
    past.world.other({"theirs.txt": "x\n"})
    before = past.world.state(past.world.folder / "ci"), past.git("-C", "../ci", "for-each-ref")
    asked = len(http.requests)
    head = repository.head()
    assert repository.last_words(head, "edge", [OTHER]) == {}
    assert repository.allowances(head, "edge") == ()
    assert [commit.id for commit in repository.log(head, [OTHER], 2)] == past.git("rev-list", "-2", "main").split()
    assert [commit.id for commit in repository.log(head, (), 3)] == past.git("rev-list", "-3", "main").split()
    assert len(http.requests) == asked
    assert len(repository.log(head, [OTHER], 20)) == 20
    assert known(past) == 53
    assert repository.last_words(head, "edge", [FILE]) == {}
    assert known(past) == 63
    assert (past.world.state(past.world.folder / "ci"), past.git("-C", "../ci", "for-each-ref")) == before


def test_our_commit_where_history_ends_may_not_have_touched_it(past: Past) -> None:
    """The oldest commit of a shallow clone seems to have made every file."""
    held = past.person("mine\n")
    past.ours("x\n", OTHER)
    assert ask(shallow(past)) == {FILE: (held, past.blob(f"{held}~"))}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no remote", "there is no remote"),
        ("gone", "does not (exist|appear)"),
        ("which", "which remote"),
        ("shallow too", "the remote has no more"),
    ],
)
def test_what_cannot_be_known_is_held(past: Past, fault: str, reason: str) -> None:
    """A word without a commit says in one line why; what is known is not among them."""
    past.ours("x\n", OTHER)
    if fault == "shallow too":
        past.git("push", "--quiet", "origin", "main")
        past.world.git(
            "clone", "--quiet", "--bare", "--depth=1", past.world.remote.as_uri(), "s.git", at=past.world.folder
        )
        shutil.rmtree(past.world.remote)
        (past.world.folder / "s.git").rename(past.world.remote)
        past.world.other({OTHER: "y\n"}, OURS)
        past.world.git("clone", "--quiet", "--depth=2", past.world.remote.as_uri(), "ci", at=past.world.folder)
        repository = Checkout(past.world.folder / "ci")
    else:
        repository = shallow(past, depth=2)
    match fault:
        case "no remote":
            past.git("-C", "../ci", "remote", "remove", "origin")
        case "which":
            past.git("-C", "../ci", "remote", "rename", "origin", "one")
            past.git("-C", "../ci", "remote", "add", "two", "two.git")
            past.git("-C", "../ci", "config", "--unset", "branch.main.remote")
        case "gone":
            shutil.rmtree(past.world.remote)
    words = repository.last_words(repository.head(), "edge", [FILE, OTHER])
    assert words.keys() == {FILE}
    assert (words[FILE].commit, words[FILE].author, words[FILE].time, words[FILE].rejected) == ("", "", 0, "")
    assert re.search(reason, words[FILE].subject)
    assert "\n" not in words[FILE].subject
    assert [commit.paths for commit in repository.log(repository.head(), [FILE, OTHER])] == [(OTHER,)]
    assert repository.allowances(repository.head(), "nobody") == ()


def test_a_secret_in_the_address_stays_one(past: Past, http: Any) -> None:
    """A fetch that fails names no password."""
    repository = shallow(past, http.url)
    http.user = "robot:right"
    past.git("-C", "../ci", "remote", "set-url", "origin", f"http://robot:wr0ng@{http.place}")
    word = repository.last_words(repository.head(), "edge", [FILE])[FILE]
    assert "Authentication failed" in word.subject
    assert "wr0ng" not in word.subject


def test_a_damaged_clone_is_made_anew(past: Past) -> None:
    """History that is missing from the cache is fetched again."""
    held = past.person("mine\n")
    past.git("push", "--quiet", "origin", "main")
    repository = Clone(past.world.remote.as_uri())
    folder = next((past.world.folder / "cache/publisher").glob("*.git"))
    name = past.git("rev-parse", f"{held}~2")
    for pack in [*folder.glob("objects/pack/*")]:
        pack.rename(past.world.folder / pack.name)
    for pack in past.world.folder.glob("*.pack"):
        past.world.git("-C", str(folder), "unpack-objects", "-q", stdin=pack.read_bytes())
    (folder / "objects" / name[:2] / name[2:]).unlink()
    assert ask(repository) == {FILE: (held, past.blob(f"{held}~"))}


def test_a_lost_object_is_not_an_empty_history(past: Past) -> None:
    """A checkout from which a commit is missing says so."""
    name = past.git("rev-parse", "HEAD~")
    (past.repo / ".git/objects" / name[:2] / name[2:]).unlink()
    with pytest.raises(GitError, match="git rev-list: "):
        ask(Checkout(past.repo))


def test_allowances(past: Past) -> None:
    """They count after our last commit, wherever a squash has put them, newest first."""
    repository = Checkout(past.repo)
    past.ours("x\n", "README.md", "an old one\n\nPublisher-Allow: old\n")
    past.ours("3\n")
    assert repository.allowances(past.head(), "edge") == ()
    past.switch("theirs")
    past.ours("x\n", "a", "allow\r\n\r\nPublisher-Allow: removed-targets=default/flask \r\n\r\nSigned-off-by: A\r\n")
    past.merge("theirs", "-m", "Merge\n\nPublisher-Allow: b\nPublisher-Allow: c\n not Publisher-Allow: d")
    assert repository.allowances(past.head(), "edge") == ("b", "c", "removed-targets=default/flask")
    assert repository.allowances(past.head(), "nobody") == ()


def test_allowances_are_looked_for(past: Past) -> None:
    """Our last commit may be far back, and not in a shallow clone."""
    past.ours("x\n", "a", "Allow it\n\nPublisher-Allow: a\n")
    for number in range(120):
        past.git("commit", "--quiet", "--allow-empty", "-m", f"{number}\n\nPublisher-Allow: {number}")
    expected = (*map(str, reversed(range(120))), "a")
    assert Checkout(past.repo).allowances(past.head(), "edge") == expected
    repository = shallow(past)
    assert repository.allowances(repository.head(), "edge") == expected


def test_log(past: Past) -> None:
    """Newest first, with the whole message; a merge has touched what it has like none of its parents."""
    repository = Checkout(past.repo)
    edit_in_a_merge(past)
    merge = past.head()
    everything = repository.log(merge)
    assert [commit.id for commit in everything] == past.git("rev-list", "main").split()
    assert {commit.paths for commit in everything} == {()}
    assert repository.log(merge, (), 2) == everything[:2]
    found = repository.log(merge, [FILE, OTHER])
    assert [commit.id for commit in found] == [merge, *past.git("rev-list", "main", "--", FILE).split()[1:]]
    assert {commit.paths for commit in found} == {(FILE,)}
    assert repository.log(merge, [FILE, "README.md"], 2) == repository.log(merge, [FILE, "README.md"])[:2]
    one = repository.log(merge, [FILE], 1)[0]
    assert one.parents == tuple(past.git("rev-parse", "HEAD^1", "HEAD^2").split())
    assert (one.author, one.subject) == ("Tester", "Merge branch 'theirs'")
    assert str(one.time) == past.git("log", "-1", "--format=%ct")
    assert found[-1].message == OURS
    assert repository.log(merge, ["never"]) == ()
