"""What taking a commit back would change: the same as git revert, or a refusal that names what is in the way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from publisher.edge.git import Checkout
from publisher.errors import GitError, Refused, UsageError

FILES = ("a.json", "d", "d/b.json", "d/c ü.json")
LINES = 9
Content = tuple[str, ...]
State = dict[str, Content]


def applied(state: State, path: str, what: tuple[str, int, str]) -> State:
    """Give a tree after an edit, a removal, a move or an addition of a file; files and folders make way."""
    kind, line, text = what
    state = dict(state)
    now = state.get(path)
    if kind == "remove":
        state.pop(path, None)
        return state
    if kind == "move":
        if now is None:
            return state
        del state[path]
        path = FILES[line % len(FILES)]
    elif now is None:
        now = tuple(f"{path} {number}" for number in range(LINES))
    elif kind == "edit":
        now = (*now[:line], text, *now[line + 1 :])
    state = {
        other: content
        for other, content in state.items()
        if not other.startswith(f"{path}/") and not path.startswith(f"{other}/")
    }
    return {**state, path: now}


EDITS = st.tuples(st.sampled_from(["edit"] * 6 + ["remove", "move"]), st.integers(0, LINES - 1), st.sampled_from("xyz"))
COMMITS = st.lists(st.lists(st.tuples(st.sampled_from(FILES), EDITS), min_size=1, max_size=3), min_size=1, max_size=6)


def run(repo: Path, *arguments: str, stdin: bytes = b"") -> tuple[int, str]:
    """Run git and give its status and what it printed."""
    done = subprocess.run(["git", "-C", repo, *arguments], input=stdin, capture_output=True, check=False)
    return done.returncode, done.stdout.decode()


def history(repo: Path, states: list[State]) -> None:
    """Make a repository with a line of commits, one for each tree."""
    run(repo.parent, "init", "--quiet", str(repo))
    told = []
    for number, state in enumerate(states):
        message = f"commit {number}"
        told.append(
            f"commit refs/heads/main\ncommitter A <a@example.com> {number} +0000\ndata {len(message)}\n{message}"
        )
        told.append("deleteall")
        for path, lines in state.items():
            text = "".join(f"{line}\n" for line in lines)
            told.append(f'M 100644 inline "{path}"\ndata {len(text.encode())}\n{text}')
    assert run(repo, "fast-import", "--quiet", stdin="\n".join([*told, ""]).encode())[0] == 0
    run(repo, "reset", "--quiet", "--hard", "main")


def agrees(repo: Path, commit: str, *options: str) -> str:
    """Take a commit back in both ways; fails where they do not agree, and gives what they agree on."""
    opened = Checkout(repo)
    base = opened.head()
    before = opened.tree(base, ())
    try:
        changes = opened.reverted(base, commit)
    except Refused:
        changes = None
    assert run(repo, "status", "--porcelain", "--ignored") == (0, "")
    status, _ = run(repo, "revert", "--no-edit", *options, commit)
    unmerged = run(repo, "ls-files", "--unmerged")[1]
    if unmerged:
        assert status
        assert changes is None
        return "conflict"
    after = opened.tree(opened.head(), ())
    assert changes == {path: after.get(path) for path in before | after if before.get(path) != after.get(path)}
    assert status == 0 or after == before
    return "changes" if changes else "nothing"


@given(commits=COMMITS, data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_as_git_does(commits: Any, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever has happened to files and folders: equal to git revert where that succeeds, refused where not."""
    states: list[State] = [
        {path: tuple(f"{path} {number}" for number in range(LINES)) for path in FILES if path != "d"}
    ]
    for edits in commits:
        state = states[-1]
        for path, what in edits:
            state = applied(state, path, what)
        states.append(state)
    repo = tmp_path_factory.mktemp("history") / "repo"
    history(repo, states)
    number = data.draw(st.integers(0, len(commits)), label="commits after")
    commit = run(repo, "rev-parse", f"main~{number}")[1].strip()
    agrees(repo, commit)


A: Content = tuple(f"line {number}" for number in range(LINES))
B: Content = ("other", *A[1:])
C: Content = (*A[:-1], "at the end")
D: Content = ("other", *A[1:-1], "at the end")
E: Content = ("another", *A[1:])
CASES: dict[str, tuple[list[State], str]] = {
    "an edit": ([{"x": A}, {"x": B}], "changes"),
    "an addition": ([{"y": A}, {"y": A, "x": E}], "changes"),
    "a removal": ([{"x": A, "y": E}, {"y": E}], "changes"),
    "the first commit": ([{"x": A}], "changes"),
    "a later edit elsewhere in the file": ([{"x": A}, {"x": B}, {"x": D}], "changes"),
    "a later edit of the same line": ([{"x": A}, {"x": B}, {"x": E}], "conflict"),
    "already undone": ([{"x": A}, {"x": B}, {"x": A}], "nothing"),
    "undone but for what came later": ([{"x": A}, {"x": B}, {"x": C}], "nothing"),
    "an addition, edited since": ([{"y": E}, {"y": E, "x": A}, {"y": E, "x": B}], "conflict"),
    "an edit, removed since": ([{"x": A, "y": E}, {"x": B, "y": E}, {"y": E}], "conflict"),
    "a removal, added again otherwise": ([{"x": A, "y": E}, {"y": E}, {"x": B, "y": E}], "conflict"),
    "a folder in the way": ([{"x": A, "y": E}, {"y": E}, {"x/z": ("z",), "y": E}], "conflict"),
    "moved since": ([{"x": A}, {"x": B}, {"y": B}], "changes"),
}


@pytest.mark.parametrize("name", CASES)
def test_cases(tmp_path: Path, name: str) -> None:
    """What is known to be hard, and that each of the three outcomes is met."""
    states, outcome = CASES[name]
    history(tmp_path / "repo", states)
    last = len(states) - 2
    assert agrees(tmp_path / "repo", run(tmp_path / "repo", "rev-parse", f"main~{max(last, 0)}")[1].strip()) == outcome


def test_a_merge(world: Any) -> None:
    """It goes back to its first parent."""
    repo = world.checkout()
    world.git("switch", "--quiet", "-c", "feature", at=repo)
    world.commit(repo, {"feature.txt": "feature\n", "README.md": "feature\n"})
    world.git("switch", "--quiet", "main", at=repo)
    world.commit(repo, {"mine.txt": "mine\n"})
    world.git("merge", "--quiet", "--no-ff", "--no-edit", "feature", at=repo)
    merge = world.head(repo)
    world.commit(repo, {"later.txt": "later\n"})
    assert Checkout(repo).reverted("HEAD", merge) == {"feature.txt": None, "README.md": b"# people's\n"}
    assert agrees(repo, merge, "--mainline=1") == "changes"


def test_published(world: Any, repo: Any) -> None:
    """What is taken back can be published as it is, and then there is nothing left to take back."""
    opened = world.open(repo)
    before = world.files()
    made = world.publish(opened).commit
    base = opened.newest("main")
    changes = opened.reverted(base, made)
    assert changes.keys() == {world.cluster, world.service}
    opened.publish(world.draft("main", base, changes))
    assert world.files() == before
    assert opened.reverted(opened.newest("main"), made) == {}


def test_what_is_in_the_way_is_named(world: Any) -> None:
    """Each file with the newest commit that has touched it since, and what to do."""
    repo = world.checkout()
    world.commit(repo, {"README.md": "one\n", "pipy/main.js": "one\n", "fine.txt": "fine\n"}, "the wrong one")
    wrong = world.head(repo)
    world.commit(repo, {"README.md": "two\n"}, "an older one")
    readme = world.commit(repo, {"README.md": "three\n"}, "of the readme")
    program = world.commit(repo, {"pipy/main.js": None}, "of the program")
    with pytest.raises(Refused) as raised:
        Checkout(repo).reverted("HEAD", wrong)
    assert str(raised.value) == (
        f"{wrong[:12]} cannot be taken back, later commits changed the same: "
        f"README.md ({readme[:7]} Tester: of the readme); pipy/main.js ({program[:7]} Tester: of the program); "
        "take those back first, or edit the files"
    )


def executable(world: Any, repo: Path) -> None:
    """Make a file executable."""
    (repo / "README.md").chmod(0o755)


def link(world: Any, repo: Path) -> None:
    """Make a link of a file."""
    (repo / "README.md").unlink()
    (repo / "README.md").symlink_to("pipy")


@pytest.mark.parametrize("change", [executable, link])
def test_no_plain_file(world: Any, change: Callable[[Any, Path], None]) -> None:
    """To plain is fine; what would come back as a link or a program is refused, since we write plain files only."""
    repo = world.checkout()
    change(world, repo)
    there = world.commit(repo, {})
    assert Checkout(repo).reverted("HEAD", there) == {"README.md": b"# people's\n"}
    world.git("revert", "--no-edit", "HEAD", at=repo)
    with pytest.raises(Refused, match=r"README\.md: no plain file in what .* takes back; git revert it in a checkout"):
        Checkout(repo).reverted("HEAD", "HEAD")


def test_names_that_are_no_text(world: Any) -> None:
    """A file whose name is in no known encoding comes back under that name."""
    repo = world.checkout()
    name = "caf\udce9.txt"
    world.commit(repo, {name: "x\n"})
    world.git("push", "--quiet", at=repo)
    world.commit(repo, {name: None})
    world.git("push", "--quiet", at=repo)
    opened = world.open(repo)
    base = opened.newest("main")
    opened.publish(world.draft("main", base, opened.reverted(base, base)))
    assert (repo / name).read_text() == "x\n"
    assert world.head(name="main^{tree}") == world.head(name="main~2^{tree}")


def test_where_a_shallow_clone_ends(world: Any) -> None:
    """The oldest commit that is here has something before it: it is not taken for the first one."""
    world.other({"theirs.txt": "theirs\n"})
    repo = world.checkout("repo", "--depth=1")
    with pytest.raises(GitError, match="not in this shallow clone; git fetch --unshallow"):
        Checkout(repo).reverted("HEAD", "HEAD")
    world.git("fetch", "--quiet", "--unshallow", at=repo)
    assert Checkout(repo).reverted("HEAD", "HEAD") == {"theirs.txt": None}


@pytest.mark.parametrize("name", ["nothing", "0" * 40, "main:README.md", "--help"])
def test_no_such_commit(world: Any, repo: Any, name: str) -> None:
    """What is no commit is said to be none."""
    with pytest.raises(UsageError, match="no such commit"):
        world.open(repo).reverted(world.head(), name)
