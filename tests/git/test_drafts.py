"""Several commits at once, on branches that move on or are replaced: all of them or none, and what of it is here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from publisher.errors import GitError, PushRejected, Refused, UsageError

SNAPSHOTS = "snapshots/edge"
OURS = "publisher/edge"


def both(world: Any, opened: Any) -> str:
    """Publish to main and to the branch for snapshots."""
    base = opened.newest("main", "edge")
    return opened.publish(world.draft("main", base), world.draft(SNAPSHOTS, opened.tip(SNAPSHOTS)))


def without_a_remote(world: Any) -> Path:
    """Give a checkout that has no remote."""
    repo = world.checkout()
    world.git("remote", "remove", "origin", at=repo)
    return repo


# several branches


def test_two_branches(world: Any, repo: Any) -> None:
    """Both are pushed; the second begins with its first commit and goes on from there; a checkout has only its own."""
    opened = world.open(repo)
    first = both(world, opened)
    assert first == world.head() == opened.newest("main", "edge")
    assert world.git("log", "--format=%s|%P", SNAPSHOTS) == f"ours on {SNAPSHOTS}|"
    assert world.files(SNAPSHOTS).keys() == {f"{SNAPSHOTS}.txt"}
    assert opened.tip(SNAPSHOTS) == world.head(name=SNAPSHOTS)
    second = both(world, opened)
    assert world.head(name="main~") == first
    assert (second, world.git("rev-list", "--count", SNAPSHOTS)) == (world.head(), "2")
    if not isinstance(repo, str):
        assert world.refs(repo, "refs/heads") == {"refs/heads/main": second}
        assert world.state(repo)["status"] == ""


def test_one_connection(world: Any, http: Any) -> None:
    """All is fetched at once and pushed at once; where there is nothing to do one fetch is all."""
    repo = world.checkout()
    world.git("remote", "set-url", "origin", http.url, at=repo)
    for place in (repo, http.url):
        http.requests.clear()
        both(world, world.open(place))
        assert http.connections() == ["upload-pack", "receive-pack"]
        world.open(place).newest("main", "edge")
        assert http.connections() == ["upload-pack", "receive-pack", "upload-pack"]


def test_tips_are_known_in_a_narrow_clone(world: Any) -> None:
    """A clone of one branch, as CI makes it, sees the publisher's branches too, right after a push."""
    repo = world.checkout("repo", "--single-branch", "--depth=1")
    both(world, world.open(repo))
    assert world.open(repo).tip(SNAPSHOTS) == world.head(name=SNAPSHOTS)


def test_branches_of_a_publisher_come_and_go(world: Any) -> None:
    """What is gone there is gone here; branches of others are left alone, stale or not."""
    repo = world.checkout()
    own = (OURS, SNAPSHOTS)
    others = (
        "publisher/edge2",
        "publisher-old/edge",
        "publisher/2edge",
        "snapshots/edge-2",
        "snapshots/other",
        "edge",
        "feature",
    )
    world.git("push", "--quiet", "origin", *(f"main:refs/heads/{name}" for name in (*own, *others)), at=repo)
    moved = world.git("commit-tree", "-m", "x", "-p", "main", "main^{tree}")
    for name in (OURS, "publisher/edge2"):
        world.git("update-ref", f"refs/heads/{name}", moved)
    stale = world.refs(repo, "refs/remotes")
    assert f"refs/remotes/origin/{OURS}" in stale
    opened = world.open(repo)
    opened.newest("main", "edge")
    assert world.refs(repo, "refs/remotes") == {**stale, f"refs/remotes/origin/{OURS}": moved}
    for name in (*own, "publisher/edge2", "snapshots/other"):
        world.git("update-ref", "-d", f"refs/heads/{name}")
    opened.newest("main", "edge")
    gone = {f"refs/remotes/origin/{name}" for name in own}
    assert world.refs(repo, "refs/remotes") == {name: commit for name, commit in stale.items() if name not in gone}
    assert [opened.tip(name) for name in own] == ["", ""]


def test_a_remote_that_is_empty(world: Any) -> None:
    """The first push makes both branches; what another remote had is forgotten."""
    repo = world.checkout()
    opened = world.open(repo)
    both(world, opened)
    empty = world.bare("empty.git")
    world.git("remote", "set-url", "origin", str(empty), at=repo)
    made = both(world, opened)
    assert world.refs(empty) == {"refs/heads/main": made, f"refs/heads/{SNAPSHOTS}": opened.tip(SNAPSHOTS)}
    assert world.git("rev-list", "--count", SNAPSHOTS, at=empty) == "1"


def test_a_branch_that_is_not_there(world: Any, repo: Any) -> None:
    """It has no commit; one that would be built on is an error."""
    opened = world.open(repo)
    assert opened.tip(OURS) == ""
    with pytest.raises(UsageError, match=r"change git\.branch"):
        opened.newest("prod")


def test_what_is_removed_from_nothing(world: Any, repo: Any) -> None:
    """A branch that begins has nothing that could be removed."""
    opened = world.open(repo)
    opened.newest("main")
    opened.publish(world.draft(SNAPSHOTS, "", {"gone": None, "made": b"x"}))
    assert world.files(SNAPSHOTS).keys() == {"made"}


def test_a_folder_takes_the_place_of_a_file(world: Any, repo: Any) -> None:
    """Whatever comes first in the draft: what is removed makes way."""
    opened = world.open(repo)
    opened.publish(world.draft("main", opened.newest("main"), {"x": b"x"}))
    opened.publish(world.draft("main", opened.newest("main"), {"x/y": b"y", "x": None}))
    assert {path for path in world.files() if path.startswith("x")} == {"x/y"}


# branches that are replaced


def test_a_branch_that_is_replaced(world: Any, repo: Any) -> None:
    """It begins where there is none, and each next commit takes the place of the one before."""
    opened = world.open(repo)
    for number in range(3):
        base = opened.newest("main", "edge")
        tip = opened.tip(OURS)
        made = opened.publish(world.draft(OURS, base, {"x": b"%d" % number}, replaces=tip))
        assert (made, world.head(name=f"{OURS}~")) == (world.head(name=OURS), base)
        assert bool(tip) == bool(number)
        world.other({"theirs.txt": f"{number}\n"})
    assert world.linear() == ["set up", *["the other side's change"] * 3]


@pytest.mark.parametrize("replaces", ["", "first", "nothing", None])
def test_a_branch_that_somebody_has_touched(world: Any, repo: Any, replaces: str | None) -> None:
    """What somebody else has pushed there meanwhile is never pushed over, whatever we think is there."""
    opened = world.open(repo)
    base = opened.newest("main", "edge")
    first = opened.publish(world.draft(OURS, base, replaces=""))
    theirs = world.git("commit-tree", "-m", "theirs", "-p", first, f"{first}^{{tree}}")
    world.git("update-ref", f"refs/heads/{OURS}", theirs)
    draft = world.draft(OURS, base, {"x": b"x"}, replaces=first if replaces == "first" else replaces)
    if replaces == "nothing":
        world.git("update-ref", "-d", f"refs/heads/{OURS}")
        draft = world.draft(OURS, base, {"x": b"x"}, replaces=first)
    refs = world.refs()
    with pytest.raises(PushRejected, match=f"{OURS} has moved on"):
        opened.publish(draft, world.draft(SNAPSHOTS, ""))
    assert world.refs() == refs


def test_a_server_that_lets_nobody_replace(world: Any, repo: Any) -> None:
    """receive.denyNonFastForwards is no race that could be won next time."""
    opened = world.open(repo)
    base = opened.newest("main", "edge")
    first = opened.publish(world.draft(OURS, base, replaces=""))
    world.git("config", "receive.denyNonFastForwards", "true")
    with pytest.raises(GitError, match="denying non-fast-forward") as raised:
        opened.publish(world.draft(OURS, base, {"x": b"x"}, replaces=first))
    assert not isinstance(raised.value, PushRejected)
    assert world.head(name=OURS) == first


@pytest.mark.parametrize("where", ["feature", "detached", "ahead", "dirty", "half done"])
def test_the_checkout_does_not_matter(world: Any, where: str) -> None:
    """A branch that is not checked out is published to from wherever one stands."""
    repo = world.checkout()
    match where:
        case "feature":
            world.git("switch", "--quiet", "-c", "feature", at=repo)
            world.commit(repo, {"mine.txt": "mine\n"})
        case "detached":
            world.git("switch", "--quiet", "--detach", at=repo)
        case "ahead":
            world.commit(repo, {"mine.txt": "mine\n"})
        case "dirty":
            (repo / "README.md").write_text("edited\n")
        case "half done":
            (repo / ".git/MERGE_HEAD").write_text(f"{world.head()}\n")
    base = world.other({"README.md": "theirs\n"})
    before = world.state(repo)
    opened = world.open(repo)
    assert opened.newest("main", "edge") == base
    made = opened.publish(world.draft(OURS, base, {"README.md": b"ours\n"}, replaces=""))
    assert (made, opened.tip(OURS)) == (world.head(name=OURS), made)
    assert world.state(repo) == before


def test_the_branch_that_is_replaced_is_checked_out(world: Any) -> None:
    """Somebody who looks at it keeps what they look at, as git does; without a remote there is no other, so no."""
    repo = world.checkout()
    opened = world.open(repo)
    base = opened.newest("main", "edge")
    first = opened.publish(world.draft(OURS, base, replaces=""))
    world.git("switch", "--quiet", "-c", OURS, f"origin/{OURS}", at=repo)
    before = world.state(repo)
    second = opened.publish(world.draft(OURS, base, {"x": b"x"}, replaces=first))
    assert (world.head(name=OURS), world.state(repo)) == (second, before)
    world.git("remote", "remove", "origin", at=repo)
    before = world.state(repo)
    with pytest.raises(Refused, match=f"{OURS} is checked out and would be replaced; git switch"):
        world.open(repo).publish(world.draft(OURS, base, {"x": b"x"}, replaces=first))
    assert {**world.state(repo), "config": before["config"]} == before


# without a remote


def test_two_branches_without_a_remote(world: Any) -> None:
    """They are branches here; the one that is checked out moves with its files."""
    repo = without_a_remote(world)
    opened = world.open(repo)
    both(world, opened)
    made = both(world, opened)
    assert world.refs(repo) == {"refs/heads/main": made, f"refs/heads/{SNAPSHOTS}": opened.tip(SNAPSHOTS)}
    assert world.git("rev-list", "--count", SNAPSHOTS, at=repo) == "2"
    assert world.state(repo)["status"] == ""
    base = opened.newest("main", "edge")
    for number in range(2):
        made = opened.publish(world.draft(OURS, base, {"x": b"%d" % number}, replaces=opened.tip(OURS)))
        assert (opened.tip(OURS), world.head(repo, f"{OURS}~")) == (made, base)


@pytest.mark.parametrize("who", ["main", SNAPSHOTS, OURS])
def test_somebody_is_faster_without_a_remote(world: Any, who: str) -> None:
    """A branch here that has moved on is a race too: nothing moves."""
    repo = without_a_remote(world)
    opened = world.open(repo)
    both(world, opened)
    base, tip = opened.newest("main", "edge"), opened.tip(SNAPSHOTS)
    if who == "main":
        world.commit(repo, {"mine.txt": "mine\n"})
    else:
        world.git("update-ref", f"refs/heads/{who}", world.git("rev-parse", "main~", at=repo), at=repo)
    before = world.state(repo)
    with pytest.raises(PushRejected, match="has moved on"):
        opened.publish(
            world.draft("main", base), world.draft(SNAPSHOTS, tip), world.draft(OURS, base, {"x": b"x"}, replaces="")
        )
    assert world.state(repo) == before


def test_a_dirty_checkout_without_a_remote(world: Any) -> None:
    """What is refused for one branch keeps the others where they are."""
    repo = without_a_remote(world)
    opened = world.open(repo)
    base = opened.newest("main", "edge")
    (repo / "README.md").write_text("edited\n")
    before = world.state(repo)
    with pytest.raises(Refused, match="uncommitted changes"):
        opened.publish(world.draft(SNAPSHOTS, ""), world.draft("main", base, {"README.md": b"x"}))
    assert world.state(repo) == before


def test_sha256_without_a_parent(world: Any) -> None:
    """A branch that begins works with the newer kind of ids."""
    repo = world.folder / "new"
    world.git("init", "--quiet", "--object-format=sha256", str(repo), at=world.folder)
    world.commit(repo, {"x": "x"})
    opened = world.open(repo)
    assert len(both(world, opened)) == len(opened.tip(SNAPSHOTS)) == 64


# what servers say


@pytest.mark.parametrize("which", ["main", SNAPSHOTS])
def test_the_server_declines_one_of_two(world: Any, repo: Any, which: str) -> None:
    """The reason is the server's, not that the other one could not go alone; nothing has moved."""
    world.hook(world.remote, "update", f'[ "$1" != "refs/heads/{which}" ] || {{ echo "frozen: $1"; exit 1; }}')
    refs = world.refs()
    with pytest.raises(GitError, match=r"hook declined.*frozen: refs/heads/") as raised:
        both(world, world.open(repo))
    assert not isinstance(raised.value, PushRejected)
    assert world.refs() == refs


def test_one_of_two_cannot_be(world: Any, repo: Any) -> None:
    """A branch in whose way another one stands is no race."""
    world.git("branch", "snapshots", "main")
    with pytest.raises(GitError, match=r"'refs/heads/snapshots' exists; cannot create") as raised:
        both(world, world.open(repo))
    assert not isinstance(raised.value, PushRejected)
    assert world.refs().keys() == {"refs/heads/main", "refs/heads/snapshots"}


def test_a_server_that_cannot_take_two(world: Any, repo: Any) -> None:
    """Two at once are not pushed one by one; one alone needs nothing of a server."""
    world.git("config", "receive.advertiseAtomic", "false")
    opened = world.open(repo)
    refs = world.refs()
    with pytest.raises(GitError, match=r"does not support --atomic push.*receive\.advertiseAtomic"):
        both(world, opened)
    assert world.refs() == refs
    assert opened.publish(world.draft("main", opened.newest("main"))) == world.head()


@pytest.fixture
def told(world: Any) -> Path:
    """Take down the push options that the server is given; gives the file."""
    file = world.folder / "told"
    script = (
        'i=0; while [ "$i" -lt "${GIT_PUSH_OPTION_COUNT:-0}" ]; do eval echo "\\$GIT_PUSH_OPTION_$i"; i=$((i+1)); done'
    )
    world.hook(world.remote, "pre-receive", f"({script}) >'{file}'")
    world.git("config", "receive.advertisePushOptions", "true")
    return file


def test_push_options(world: Any, repo: Any, told: Path) -> None:
    """The server gets those of all drafts, each once."""
    opened = world.open(repo)
    base = opened.newest("main", "edge")
    opened.publish(
        world.draft(OURS, base, replaces="", options=("merge_request.create", "merge_request.title=two words")),
        world.draft(SNAPSHOTS, "", options=("merge_request.create", "ci.skip")),
    )
    assert told.read_text().splitlines() == ["merge_request.create", "merge_request.title=two words", "ci.skip"]
    opened.publish(world.draft("main", opened.newest("main")))
    assert told.read_text() == ""


def test_push_options_are_not_taken(world: Any, repo: Any) -> None:
    """A server without them says so, and the line says what to do."""
    opened = world.open(repo)
    with pytest.raises(GitError, match=r"push options.*or drop publish\.pushOptions"):
        opened.publish(world.draft("main", opened.newest("main"), options=("x",)))
    assert world.linear() == ["set up"]


def test_a_refspec(world: Any, repo: Any) -> None:
    """A commit for review goes where the server wants it; no branch moves, here or there."""
    opened = world.open(repo)
    base = opened.newest("main", "edge")
    here = (world.state(repo), world.refs(repo)) if not isinstance(repo, str) else None
    made = opened.publish(world.draft("main", base, refspec="refs/for/main"), world.draft(SNAPSHOTS, ""))
    assert world.refs()["refs/for/main"] == made
    assert (world.head(), opened.newest("main", "edge")) == (base, base)
    assert opened.tip(SNAPSHOTS) == world.head(name=SNAPSHOTS)
    if here:
        refs = {**here[1], f"refs/remotes/origin/{SNAPSHOTS}": opened.tip(SNAPSHOTS)}
        assert (world.state(repo), world.refs(repo)) == (here[0], refs)


def test_a_refspec_from_another_branch(world: Any) -> None:
    """What does not move may be anywhere; that the branch itself is named is no refspec to elsewhere."""
    repo = world.checkout()
    world.git("switch", "--quiet", "-c", "feature", at=repo)
    opened = world.open(repo)
    base = opened.newest("main")
    opened.publish(world.draft("main", base, refspec="refs/for/main"))
    with pytest.raises(UsageError, match="feature is checked out"):
        opened.publish(world.draft("main", base, refspec="refs/heads/main"))
    assert world.head() == base
    world.git("remote", "remove", "origin", at=repo)
    with pytest.raises(UsageError, match=r"publish\.refspec names a ref of a remote, and there is none"):
        world.open(repo).publish(world.draft("main", base, refspec="refs/for/main"))
