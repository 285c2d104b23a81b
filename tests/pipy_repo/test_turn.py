"""What a sync does at its places, one way or the other; places and workers are in memory."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

import pytest

from publisher.commands.sync import Options, Pace, Syncer
from publisher.core.codebase import Difference, Edition, Holding, Instance
from publisher.core.rollout import Result, Rollout, Synced, WorkerState
from publisher.errors import Overtaken, PublisherError, RepoError, UsageError

A, B, C, BAD = (letter * 40 for letter in "abcd")
PACE = Pace(poll=0.01, quiet=0.5, roll_call=0.05, leftover=0.02, tries=4, step_aside=0.01)
QUICK = Options(converge_timeout=0.2)


class Origin:
    """Commits A, B, C and BAD, each with a main.js that says so."""

    settings_file = "publisher.yaml"

    def __init__(self) -> None:
        self.opened = 0
        self.commits = {commit: {"pipy/main.js": commit.encode(), "pipy/same.js": b"="} for commit in (A, B, C, BAD)}
        self.commits[C]["pipy/more.js"] = b"+"

    def latest(self, ref: str) -> str:
        return ref

    def has(self, commit: str) -> bool:
        return commit in self.commits

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        files = {"publisher.yaml": b"publisher: edge\n", **self.commits[commit]}
        return {name: data for name, data in files.items() if name.startswith(paths)}

    def __call__(self) -> Origin:
        self.opened += 1
        return self

    def close(self) -> None:
        self.opened -= 1


class Place:
    """A codebase with workers that load whatever is not of BAD, and report with every look."""

    def __init__(self, version: str = "", files: dict[str, bytes] | None = None, workers: int = 1) -> None:
        self.name = "place"
        self.version = version
        self.files = files or {}
        self.leftovers: frozenset[str] = frozenset()
        self.runs = [version] * workers
        self.did: list[object] = []
        self.before_publishing: Callable[[], None] = lambda: None
        self.clock: Iterator[int] = itertools.count(1)
        self.deadly = False
        """Whether BAD ends the workers, in place of not loading."""

    def look(self) -> Holding:
        listed = tuple(
            Instance(f"u{number}", f"w{number}", "10.0.0.1", version, next(self.clock))
            for number, version in enumerate(self.runs)
        )
        return Holding(self.version, frozenset(self.files), "main.js", self.leftovers, listed)

    def discard(self, leftovers: Collection[str]) -> None:
        self.did.append(("discard", *sorted(leftovers)))
        self.leftovers = frozenset()

    def read(self, paths: Collection[str]) -> dict[str, bytes]:
        self.did.append(("read", *sorted(paths)))
        return {path: self.files[path] for path in paths}

    def publish(self, before: Holding, edition: Edition, change: Difference, told: Any) -> None:
        told(len(change.uploads), len(change.uploads))
        self.before_publishing()
        if self.version != before.version:
            raise Overtaken("place: somebody else is at it")
        made = {path: data for path, data in self.files.items() if path not in change.deletions}
        self.files = made | {path: edition.files[path] for path in change.uploads}
        assert self.files == edition.files
        self.version = edition.version
        self.did.append(("publish", edition.version, *change.uploads, *(f"-{path}" for path in change.deletions)))
        if self.deadly:
            self.clock = itertools.repeat(next(self.clock))
        elif self.files["main.js"] != BAD.encode():
            self.runs = [edition.version] * len(self.runs)


@pytest.fixture
def origin() -> Origin:
    return Origin()


def at(origin: Origin, commit: str, **more: Any) -> Place:
    files = {path.removeprefix("pipy/"): data for path, data in origin.commits[commit].items()}
    return Place(commit, files, **more)


def sync(origin: Origin, place: Place, commit: str, options: Options = QUICK, said: Any = None) -> Synced:
    told: list[str] = said if said is not None else []
    rollout = Syncer(origin, [place], options, pace=PACE, say=told.append).run(commit)
    assert origin.opened == 0
    (done,) = rollout.synced
    return done


def test_one_file_changed(origin: Origin) -> None:
    """Only that is uploaded, and nothing has to be read."""
    place = at(origin, A)
    done = sync(origin, place, B)
    assert place.did == [("publish", B, "main.js")]
    assert (done.result, done.before, done.version, done.uploaded) == (Result.PUBLISHED, A, B, ("main.js",))
    assert [worker.state for worker in done.workers] == [WorkerState.RUNNING]


def test_a_file_that_is_gone(origin: Origin) -> None:
    """It is deleted."""
    place = at(origin, C)
    assert sync(origin, place, B).deleted == ("more.js",)


def test_other_files_than_the_commit_has(origin: Origin) -> None:
    """Then the version says nothing about the contents, and they are read."""
    place = at(origin, A)
    place.files["strange.js"] = b"?"
    sync(origin, place, B)
    assert place.did == [("read", "main.js", "same.js", "strange.js"), ("publish", B, "main.js", "-strange.js")]


def test_put_back(origin: Origin) -> None:
    """What was there before is there again, under a version that says so, and the commit is not tried again."""
    place = at(origin, A, workers=2)
    done = sync(origin, place, BAD)
    again = f"{A}+revert-of-{BAD}"
    assert place.did == [("publish", BAD, "main.js"), ("publish", again, "main.js")]
    assert (done.result, done.before, done.version) == (Result.PUT_BACK, A, again)
    assert "refused by w0 (10.0.0.1), w1 (10.0.0.1)" in done.message
    assert [worker.version for worker in done.workers] == [again, again]
    assert sync(origin, place, BAD).result is Result.REFUSED_BEFORE
    assert len(place.did) == 2
    assert sync(origin, place, B).result is Result.PUBLISHED
    assert sync(origin, place, BAD).version == f"{B}+revert-of-{BAD}"


def test_the_old_commit_after_it_was_put_back(origin: Origin) -> None:
    """Where the branch goes back to it, it gets its own version, and nothing is uploaded."""
    place = at(origin, A)
    sync(origin, place, BAD)
    done = sync(origin, place, A)
    assert (done.result, done.version, done.uploaded) == (Result.PUBLISHED, A, ())


def test_refused_as_one_file_only(origin: Origin) -> None:
    """What was refused as a bundle may be good without."""
    place = at(origin, A)
    place.version = place.runs[0] = f"{A}+revert-of-{B}+bundle"
    assert sync(origin, place, B, replace(QUICK, bundle=True)).result is Result.REFUSED_BEFORE
    assert sync(origin, place, B).result is Result.PUBLISHED


def test_nothing_to_put_back(origin: Origin) -> None:
    """The first commit that a place ever has stays, and the line says so."""
    place = Place()
    place.runs = ["lost"]
    done = sync(origin, place, BAD)
    assert (done.result, done.version) == (Result.DIVERGED, BAD)
    assert "nothing to put back" in done.message
    assert sync(origin, place, BAD).result is Result.DIVERGED


def test_a_run_that_was_broken_off_before_it_could_put_back(origin: Origin) -> None:
    """The next one finds with the workers what was there before."""
    place = at(origin, BAD)
    place.runs = [f"{A}+revert-of-{B}"]
    done = sync(origin, place, BAD)
    assert (done.result, done.version) == (Result.PUT_BACK, f"{A}+revert-of-{BAD}")
    assert place.files["main.js"] == A.encode()


def test_a_program_that_ends_all_workers(origin: Origin) -> None:
    """Where some reported right before and none does since, it is put back as well; old news are no such sign."""
    for began, result in ((int(time.time() * 1000), Result.PUT_BACK), (1, Result.PUBLISHED)):
        place = at(origin, A, workers=2)
        place.clock = itertools.count(began)
        place.deadly = True
        done = sync(origin, place, BAD, replace(QUICK, converge_timeout=5))
        assert done.result is result
        assert place.files["main.js"] == (A if result is Result.PUT_BACK else BAD).encode()
        assert ("nothing is heard of them: w0 (10.0.0.1), w1" in done.message) == (result is Result.PUT_BACK)
        assert {worker.state for worker in done.workers} == {WorkerState.SILENT}


def test_what_others_made_is_put_back_too(origin: Origin) -> None:
    """Taken over and refused: it is theirs again, and is not tried again."""
    place = Place("theirs", {"main.js": b"theirs"})
    over = replace(QUICK, take_over=True)
    done = sync(origin, place, BAD, over)
    assert (done.result, done.version) == (Result.PUT_BACK, f"theirs+revert-of-{BAD}")
    assert place.files == {"main.js": b"theirs"}
    assert sync(origin, place, BAD, over).result is Result.REFUSED_BEFORE
    assert sync(origin, place, B).result is Result.FOREIGN


def test_somebody_is_faster(origin: Origin) -> None:
    """It begins anew from what is there then, and reads it."""
    place = at(origin, A)
    first = iter([True])

    def overtake() -> None:
        if next(first, False):
            place.version, place.files = C, {"main.js": C.encode(), "same.js": b"=", "more.js": b"+"}

    place.before_publishing = overtake
    said: list[str] = []
    done = sync(origin, place, B, said=said)
    assert place.did == [("read", "main.js", "more.js", "same.js"), ("publish", B, "main.js", "-more.js")]
    assert (done.result, done.before) == (Result.PUBLISHED, C)
    assert said[0] == "place: somebody else is at it; starting over"


def test_somebody_is_faster_each_time(origin: Origin) -> None:
    """After a few times it is given up, with nothing published."""
    place = at(origin, A)
    others = itertools.cycle([C, A])

    def overtake() -> None:
        place.version = next(others)

    place.before_publishing = overtake
    done = sync(origin, place, B)
    assert (done.result, done.message) == (Result.FAILED, "place: somebody else is at it")
    assert (done.before in (A, C), done.version) == (True, "")
    assert not [step for step in place.did if step[0] == "publish"]  # type: ignore[index]


def test_leftovers_are_dropped(origin: Origin) -> None:
    """They are named, once they stand still."""
    place = at(origin, A)
    place.leftovers = frozenset({"b.js", "a.js"})
    said: list[str] = []
    sync(origin, place, A, said=said)
    assert place.did == [("discard", "a.js", "b.js")]
    assert said == ["place: dropping what was staged and not published: a.js, b.js"]


@pytest.mark.parametrize("version", [A, "theirs"])
def test_a_dry_run_changes_nothing(origin: Origin, version: str) -> None:
    """Not even leftovers, nor what it would take over."""
    place = at(origin, A)
    place.version, place.leftovers = version, frozenset({"x"})
    done = sync(origin, place, B, Options(dry_run=True, take_over=True))
    assert (done.result, done.version, done.uploaded) == (Result.PUBLISHED, version, ("main.js",))
    assert not [step for step in place.did if step[0] != "read"]  # type: ignore[index]


def test_what_was_published_is_lost_while_workers_are_waited_for(origin: Origin) -> None:
    """A Repo that was restarted gets it once more."""
    place = at(origin, A, workers=2)
    looks = itertools.count()
    look = place.look

    def losing() -> Holding:
        if place.version == B and next(looks) == 0:
            place.version, place.files = "", {}
        return look()

    place.look = losing  # type: ignore[method-assign]
    assert sync(origin, place, B).result is Result.PUBLISHED
    assert place.did == [("publish", B, "main.js"), ("publish", B, "main.js", "same.js")]


def test_what_was_put_back_is_lost_too(origin: Origin) -> None:
    """It is put back once more, all of it."""
    place = at(origin, A)
    again = f"{A}+revert-of-{BAD}"
    first = iter([True])
    look = place.look

    def losing() -> Holding:
        if place.version == again and next(first, False):
            place.version, place.files = "", {}
        return look()

    place.look = losing  # type: ignore[method-assign]
    assert sync(origin, place, BAD).result is Result.PUT_BACK
    assert place.did[-1] == ("publish", again, "main.js", "same.js")


@pytest.mark.parametrize("lasting", [False, True])
def test_the_repo_is_away_while_workers_are_waited_for(origin: Origin, lasting: bool) -> None:
    """That is waited for too, but not for ever."""
    place = at(origin, A)
    looks = itertools.count()
    look = place.look

    def failing() -> Holding:
        if place.version == B and (lasting or next(looks) < 3):
            raise RepoError("place: no answer")
        return look()

    place.look = failing  # type: ignore[method-assign]
    done = sync(origin, place, B)
    assert done.result is (Result.FAILED if lasting else Result.PUBLISHED)
    assert done.message == ("place: no answer" if lasting else "")


def rollout(origin: Origin, places: list[Place], wave: str) -> Rollout:
    for number, place in enumerate(places):
        place.name = f"p{number}"
    return Syncer(origin, places, QUICK, wave, PACE).run(BAD)


def test_waves_stop(origin: Origin) -> None:
    """Where a place of a wave is not well, no place of a later one is touched."""
    places = [at(origin, A) for _ in range(4)]
    done = rollout(origin, places, "1,50%")
    assert [item.result for item in done.synced] == [Result.PUT_BACK] + [Result.SKIPPED] * 3
    assert not done.good
    assert [place.did for place in places[1:]] == [[]] * 3


def test_the_places_of_a_wave_go_side_by_side(origin: Origin) -> None:
    """Each waits for the other here, and none waits in vain."""
    places = [at(origin, A) for _ in range(3)]
    together = threading.Barrier(3, timeout=20)
    for place in places:
        place.before_publishing = lambda: together.wait() and None
        place.runs = []
    assert {item.result for item in rollout(origin, places, "100%").synced} == {Result.PUBLISHED}


def test_a_failure_at_one_place_is_a_result(origin: Origin) -> None:
    """The others of its wave go on."""
    places = [at(origin, A, workers=0) for _ in range(2)]

    def fail() -> None:
        raise PublisherError("p0: no")

    places[0].before_publishing = fail
    done = rollout(origin, places, "100%")
    assert [(item.place, item.result, item.message) for item in done.synced] == [
        ("p0", Result.FAILED, "p0: no"),
        ("p1", Result.PUBLISHED, ""),
    ]


def test_a_wave_that_is_none(origin: Origin) -> None:
    """It is refused before anything begins."""
    with pytest.raises(UsageError, match="--wave: 0 is no wave"):
        Syncer(origin, [Place()], QUICK, "0")
