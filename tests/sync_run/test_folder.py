"""A folder as a place of a sync: a version is there whole or not at all, whatever happens on the way."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from publisher.core.codebase import Difference, Edition, Holding
from publisher.edge import folder
from publisher.edge.folder import FolderPlace
from publisher.errors import Overtaken, PublisherError

ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40


def edition(version: str, **files: bytes) -> Edition:
    """Make an edition; two underscores stand for a slash, one for a dot."""
    named = {name.replace("__", "/").replace("_", "."): data for name, data in files.items()}
    return Edition(version, {"main.js": version.encode(), "config/services/a.json": b"{}\n", **named})


class Folder:
    """A folder, and what syncs to it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.said: list[str] = []

    def place(self, after: str = "") -> FolderPlace:
        """Open it."""
        return FolderPlace(self.top, after, self.said.append)

    def publish(
        self, made: Edition, after: str = "", told: Callable[[int, int], None] = lambda done, total: None
    ) -> None:
        """Publish to it on top of what there is."""
        place = self.place(after)
        place.publish(place.look(), made, Difference(), told)

    @property
    def current(self) -> str:
        """Where the link leads."""
        return str((self.top / "current").readlink())

    def tree(self, version: str = "current") -> dict[str, bytes]:
        """Read a version."""
        top = self.top / version
        return {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}

    def names(self) -> set[str]:
        """List what is in it."""
        return {path.name for path in self.top.iterdir()}


@pytest.fixture
def there(tmp_path: Path) -> Folder:
    """Give a folder that is not made yet."""
    return Folder(tmp_path / "sub/pipy")


def test_nothing_yet(there: Folder) -> None:
    """A folder that is not there, or has nothing current, is empty; looking makes none."""
    assert there.place().look() == Holding()
    assert not there.top.exists()


def test_first_and_next(there: Folder) -> None:
    """Each version has a folder of its own, and the link leads to the newest."""
    there.publish(edition(ONE))
    there.publish(edition(TWO, new_json=b"2"))
    assert there.names() == {ONE, TWO, "current"}
    assert there.current == TWO
    assert there.tree() == dict(edition(TWO, new_json=b"2").files)
    assert there.tree(ONE) == dict(edition(ONE).files)
    found = there.place().look()
    assert found == Holding(TWO, frozenset({"main.js", "config/services/a.json", "new.json"}))
    assert there.place().read(["new.json"]) == {"new.json": b"2"}


def test_modes(there: Folder) -> None:
    """Pipy may run as anybody: all can read what is written, whatever the umask of the sync."""
    before = os.umask(0o077)
    try:
        there.publish(edition(ONE))
    finally:
        os.umask(before)
    top = there.top / ONE
    assert {stat.S_IMODE(path.stat().st_mode) for path in top.rglob("*") if path.is_file()} == {0o644}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (top, *top.rglob("*")) if path.is_dir()} == {0o755}


def test_old_versions_go(there: Folder) -> None:
    """The newest five stay besides the current one, and so does what is not ours."""
    (there.top / "notes").mkdir(parents=True)
    (there.top / ("9" * 40)).write_text("no folder")
    versions = [f"{number:040x}" for number in range(1, 10)]
    for number, version in enumerate(versions):
        there.publish(edition(version))
        os.utime(there.top / version, (number, number))
    assert there.names() == {*versions[-6:], "current", "notes", "9" * 40}


def test_back_to_an_older_commit(there: Folder) -> None:
    """A version that is there from before is written anew, for somebody may have touched it."""
    there.publish(edition(ONE))
    there.publish(edition(TWO))
    (there.top / ONE / "main.js").write_bytes(b"touched")
    there.publish(edition(ONE))
    assert there.tree() == dict(edition(ONE).files)


def test_current_was_spoilt(there: Folder) -> None:
    """The version that is current is made good in its place, and there is no moment without one."""
    there.publish(edition(ONE))
    (there.top / ONE / "main.js").unlink()
    (there.top / ONE / "config/link").symlink_to("/etc")
    assert there.place().look().files == {"config/services/a.json", "config/link"}
    there.publish(edition(ONE))
    assert there.tree() == dict(edition(ONE).files)
    assert there.names() == {ONE, "current"}


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a//x", "./x", "", "a/", "a\0b", ".."])
def test_names_that_lead_elsewhere(there: Folder, name: str) -> None:
    """A name that leads out of the version's folder writes nothing."""
    with pytest.raises(PublisherError, match="no name for a file"):
        there.publish(Edition(ONE, {"main.js": b"", name: b"x"}))
    assert there.names() == set()
    assert not (there.top.parent / "x").exists()


# what is not ours


def _link(place: Path) -> None:
    place.symlink_to("/nowhere")


def _link_out(place: Path) -> None:
    (place.parent.parent / ONE).mkdir()
    place.symlink_to(f"../{ONE}")


def _other_version(place: Path) -> None:
    (place.parent / "v1").mkdir()
    place.symlink_to("v1")


def _dangling(place: Path) -> None:
    place.symlink_to(ONE)


def _link_to_link(place: Path) -> None:
    (place.parent / "real").mkdir()
    (place.parent / ONE).symlink_to("real")
    place.symlink_to(ONE)


@pytest.mark.parametrize("make", [_link, _link_out, _other_version, _dangling, _link_to_link, Path.mkdir, Path.touch])
def test_somebody_elses(there: Folder, make: Callable[[Path], None]) -> None:
    """A ``current`` that is no link to a version of ours has a version that no commit is called."""
    there.top.mkdir(parents=True)
    make(there.top / "current")
    found = there.place().look()
    assert found.version.startswith("(")
    assert not found.empty
    assert found.files == frozenset()


def test_take_over_a_link(there: Folder) -> None:
    """A link of somebody else's is replaced where that is wanted, and comes back where the command fails."""
    there.top.mkdir(parents=True)
    (there.top / "v1").mkdir()
    (there.top / "current").symlink_to("v1")
    with pytest.raises(PublisherError, match="ended with 1"):
        there.publish(edition(ONE), "false")
    assert there.current == "v1"
    there.publish(edition(ONE))
    assert there.current == ONE
    assert (there.top / "v1").is_dir()


def test_no_link_to_take_over(there: Folder) -> None:
    """A folder called ``current`` cannot be replaced in one step: it stays, and what to do is said."""
    (there.top / "current/x").mkdir(parents=True)
    with pytest.raises(PublisherError, match=r"current is no link, .*; move it away"):
        there.publish(edition(ONE))
    assert there.names() == {"current"}


# the command


def test_after(there: Folder) -> None:
    """The command runs once the version is current, and what it prints is told, without secrets."""
    there.publish(edition(ONE), f"cat {there.top}/current/main.js; echo; echo token=0123456789 >&2")
    assert there.said == [f"--after: {ONE}", "--after: token=***"]
    assert there.names() == {ONE, "current"}


def test_after_says_much(there: Folder) -> None:
    """Of a command that prints very much only the beginning is told."""
    there.publish(edition(ONE), "yes | head -n 1000000")
    assert len(there.said) == 21
    assert there.said[-1].endswith(" more lines)")


@pytest.mark.parametrize(("command", "why"), [("exit 7", "ended with 7"), ("kill -9 $$", "ended with -9")])
def test_after_fails(there: Folder, command: str, why: str) -> None:
    """Where the command fails, what was before is current again and is loaded again."""
    there.publish(edition(ONE))
    log = there.top.parent / "log"
    with pytest.raises(PublisherError, match=f"--after {why}, so it is as before"):
        there.publish(edition(TWO), f"cat {there.top}/current/main.js >> {log}; {command}")
    assert there.current == ONE
    assert log.read_text() == TWO + ONE
    assert there.place().look().version == ONE
    assert there.said == [f"{there.top}: and with what was there before --after {why}"]


def test_after_fails_the_first_time(there: Folder) -> None:
    """Where nothing was before, nothing is current afterwards, and the next sync begins anew."""
    with pytest.raises(PublisherError, match="ended with 1"):
        there.publish(edition(ONE), "false")
    assert there.place().look() == Holding()
    there.publish(edition(ONE), "true")
    assert there.current == ONE


def test_after_hangs(there: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that does not end is ended with all that it started, and has failed."""
    monkeypatch.setattr(folder, "AFTER_SECONDS", 0.5)
    pid = there.top.parent / "pid"
    with pytest.raises(PublisherError, match=r"was not done after 0\.5 s"):
        there.publish(edition(ONE), f"sleep 600 & echo $! > {pid}; wait")
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", pid.read_text().strip()], capture_output=True, text=True, check=False
    )
    assert state.stdout.strip()[:1] in ("", "Z")


def test_after_leaves_something_running(there: Folder) -> None:
    """A command that starts a server and ends is done when it ends."""
    there.publish(edition(ONE), "sleep 5 & echo started")
    assert there.said == ["--after: started"]


# others, and accidents


def test_somebody_was_faster(there: Folder) -> None:
    """What has become current since it was looked at is not overwritten."""
    there.publish(edition(ONE))
    before = there.place().look()
    there.publish(edition(TWO))
    with pytest.raises(Overtaken, match="somebody else has changed"):
        there.place().publish(before, edition(THREE), Difference(), lambda done, total: None)
    assert there.current == TWO


def test_another_sync_is_at_work(there: Folder) -> None:
    """Two syncs do not work on a folder at once."""
    there.publish(edition(ONE))
    held = os.open(there.top, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(Overtaken, match="another sync is at work"):
        there.publish(edition(TWO))
    os.close(held)
    there.publish(edition(TWO))


def test_broken_off(there: Folder) -> None:
    """A sync that is broken off while it writes leaves nothing behind."""
    there.publish(edition(ONE))

    def told(done: int, total: int) -> None:
        raise PublisherError("broken off")

    with pytest.raises(PublisherError, match="broken off"):
        there.publish(edition(TWO), told=told)
    assert there.names() == {ONE, "current"}


def test_disk_full(there: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk nothing changes, and the next run goes on as if nothing had been."""
    there.publish(edition(ONE))
    run = (
        "import resource, signal, sys; from pathlib import Path; from publisher.core.codebase import *;"
        "from publisher.edge.folder import FolderPlace;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "place = FolderPlace(Path(sys.argv[1]));"
        "made = Edition('2' * 40, {'main.js': b'x' * 5000});"
        "place.publish(place.look(), made, Difference(), lambda done, total: None)"
    )
    done = subprocess.run([sys.executable, "-c", run, there.top], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == f"publisher.errors.PublisherError: {there.top}: File too large"
    assert there.names() == {ONE, "current"}
    there.publish(edition(TWO))


@pytest.mark.parametrize("where", ["", "below"])
def test_no_folder_there(tmp_path: Path, where: str) -> None:
    """A file where the folder should be is told in one line."""
    (tmp_path / "pipy").write_text("")
    with pytest.raises(PublisherError, match=f"^{tmp_path}/pipy.*: (Not a directory|File exists)$"):
        Folder(tmp_path / "pipy" / where).publish(edition(ONE))


STEPS = [
    ("pathlib.Path.write_bytes", 2),
    *(("os.fsync", number) for number in (1, 4, 5, 6, 7, 8)),
    ("pathlib.Path.rename", 1),
    ("pathlib.Path.replace", 1),
    ("pathlib.Path.replace", 2),
    ("subprocess.Popen", 1),
    ("pathlib.Path.unlink", 1),
    ("pathlib.Path.unlink", 2),
    ("shutil.rmtree", 1),
]
KILLED = """
import os, signal, sys
from importlib import import_module
from pathlib import Path
from publisher.core.codebase import Difference, Edition
from publisher.edge.folder import FolderPlace
top, where, number, when, version, after = sys.argv[1:]
module, _, name = where.rpartition(".")
owner = Path if module == "pathlib.Path" else import_module(module)
real, calls = getattr(owner, name), [0]
def call(*args, **kwargs):
    calls[0] += 1
    if calls[0] == int(number) and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    done = real(*args, **kwargs)
    if calls[0] == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    return done
place = FolderPlace(Path(top), after)
before = place.look()
setattr(owner, name, call)
files = {"main.js": version.encode(), "config/services/a.json": b"{}\\n"}
place.publish(before, Edition(version, files), Difference(), lambda done, total: None)
"""


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step[0].rpartition('.')[2]}{step[1]}")
@pytest.mark.parametrize(("spoilt", "when"), [(False, "before"), (False, "after"), (True, "before")])
def test_killed_at_any_step(there: Folder, step: tuple[str, int], when: str, spoilt: bool) -> None:
    """A sync that is killed leaves a whole version current; the next one ends what it began, with the command."""
    there.publish(edition(ONE))
    version = ONE if spoilt else TWO
    log = there.top.parent / "log"
    after = f"cat {there.top}/current/main.js > {log}"
    command = [sys.executable, "-c", KILLED, str(there.top), step[0], str(step[1]), when, version, after]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (-9, 0), done.stderr
    assert there.tree() in (dict(edition(ONE).files), dict(edition(version).files))
    if spoilt or there.place().look().version != version:
        there.publish(edition(version), after)
    assert log.read_text() == version
    assert there.tree() == dict(edition(version).files)
    there.publish(edition(THREE))
    assert there.names() <= {ONE, TWO, THREE, "current"}


def test_readers_see_whole_versions(there: Folder) -> None:
    """Whoever reads while versions change over sees one or the other, and never none."""
    there.publish(edition(ONE))
    wrong: list[Any] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            version = (there.top / "current/main.js").read_bytes().decode()
            if version not in (ONE, TWO):
                wrong.append(version)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(15):
            there.publish(edition(TWO))
            there.publish(edition(ONE))
    finally:
        done.set()
        reader.join()
    assert wrong == []
