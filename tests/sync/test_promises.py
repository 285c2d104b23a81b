"""Whatever happens in whatever order: what is published is always the whole of what its version names."""

from __future__ import annotations

import hashlib
import http.client
import json
from types import ModuleType
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from publisher.commands.sync import Options, Pace, Syncer
from publisher.core.rollout import Rollout
from publisher.demo.repo import Repo
from publisher.demo.worker import Worker
from publisher.edge.pipy import PipyRepo, Timing

PACE = Pace(poll=0.01, quiet=0.6, roll_call=0.1, leftover=0.01, step_aside=0.01)
TIMING = Timing(read=2, tries=2, backoff=0.001)
PROGRAMS = st.integers(0, 2)
SOMEBODYS = {"main.js": b"// somebody's\n"}
WORKERS = st.sampled_from(["w1", "w2"])


class Commits:
    """A config repository in memory."""

    settings_file = "publisher.yaml"

    def __init__(self) -> None:
        self.content: dict[str, dict[str, bytes]] = {}
        self.tip = ""

    def add(self, files: dict[str, bytes]) -> None:
        """Commit a codebase."""
        self.tip = hashlib.sha1(str(len(self.content)).encode()).hexdigest()
        self.content[self.tip] = files

    def close(self) -> None:
        pass

    def latest(self, ref: str) -> str:
        return self.tip

    def has(self, commit: str) -> bool:
        return commit in self.content

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        files = {f"pipy/{path}": data for path, data in self.content[commit].items()}
        files["publisher.yaml"] = b"publisher: edge\n"
        return {path: data for path, data in files.items() if path in paths or path.startswith(f"{paths[0]}/")}


class Fleet(RuleBasedStateMachine):
    """A repository, a Repo with two workers, a network that fails, and other people."""

    def __init__(self, proxies: ModuleType) -> None:
        super().__init__()
        self.repo = Repo()
        self.repo.start()
        self.proxy = proxies.Proxy(self.repo.url.partition("://")[2])
        self.commits = Commits()
        self.refused: set[tuple[str, bytes]] = set()
        """Which worker does not load which program."""
        self.refused_once: set[tuple[str, bytes]] = set()
        self.workers = {name: self.worker(name) for name in ("w1", "w2")}
        self.silent: set[str] = set()

    def worker(self, name: str) -> Worker:
        """Make a worker."""

        def loads(files: Any) -> bool:
            return (name, files["/main.js"]) not in self.refused

        return Worker(self.repo, "edge", name, loads=loads, report_seconds=0.03)

    def do(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Ask the Repo as somebody else."""
        connection = http.client.HTTPConnection(self.repo.url.partition("://")[2], timeout=5)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def run(self, seconds: float, take_over: bool = False) -> Rollout:
        """Run a sync that waits so long for workers."""
        options = Options(take_over=take_over, converge_timeout=seconds)
        place = PipyRepo(f"{self.proxy.url}/repo/edge", timing=TIMING)
        return Syncer(lambda: self.commits, [place], options, pace=PACE).run()

    @initialize()
    def begin(self) -> None:
        self.commit(0, False, True)
        for worker in self.workers.values():
            worker.start()

    @rule(program=PROGRAMS, changed=st.booleans(), more=st.booleans())
    def commit(self, program: int, changed: bool, more: bool) -> None:
        files = {"main.js": b"// %d\n" % program, "a.js": b"// %d\n" % changed}
        self.commits.add(files | ({"b.js": b"// more\n"} if more else {}))

    @rule()
    def sync(self) -> None:
        foreign = self.version().startswith("v9")
        done = self.run(0.15)
        assert done.good or done.synced[0].message
        assert done.synced[0].result in ("foreign", "refused-before") if foreign else done.synced[0].result != "foreign"
        assert self.version().startswith("v9") == foreign

    @rule(number=st.integers(1, 16), fault=st.sampled_from(["before", "within", "after"]), lasting=st.booleans())
    def sync_that_is_cut(self, number: int, fault: str, lasting: bool) -> None:
        first = len(self.proxy.asked)
        self.proxy.fault = lambda asked: (
            fault if asked.number == first + number or (lasting and asked.number > first + number) else None
        )
        self.run(0.15)
        self.proxy.fault = lambda asked: None

    @rule(path=st.sampled_from(["main.js", "left.js"]), erase=st.booleans())
    def somebody_stages(self, path: str, erase: bool) -> None:
        self.do("DELETE" if erase else "POST", f"/api/v1/repo-files/edge/{path}", None if erase else b"throw 1\n")

    @rule()
    def somebody_publishes(self) -> None:
        self.do("DELETE", "/api/v1/repo/edge")
        self.do("POST", "/api/v1/repo/edge", b"{}")
        self.do("POST", "/api/v1/repo-files/edge/main.js", SOMEBODYS["main.js"])
        self.do("PATCH", "/api/v1/repo/edge", b'{"version": "v9"}')

    @rule()
    def take_over(self) -> None:
        assert self.run(0.15, take_over=True).synced[0].result != "foreign"

    @rule()
    def restart(self) -> None:
        self.repo.restart()

    @rule(name=WORKERS, program=PROGRAMS)
    def refuse(self, name: str, program: int) -> None:
        self.refused ^= {(name, b"// %d\n" % program)}
        self.refused_once |= self.refused

    @rule(name=WORKERS)
    def go_silent_or_come_back(self, name: str) -> None:
        if name in self.silent:
            self.workers[name].start()
        else:
            self.workers[name].stop()
        self.silent ^= {name}

    def published(self) -> dict[str, bytes]:
        """Download what workers would."""
        status, listed = self.do("GET", "/repo/edge/")
        names = listed.decode().splitlines() if status == 200 else []
        return {name[1:]: self.do("GET", f"/repo/edge{name}")[1] for name in names}

    def version(self) -> str:
        """Give the version that workers would load."""
        status, told = self.do("GET", "/api/v1/repo/edge")
        found = json.loads(told)["version"] if status == 200 else ""
        return "" if found == "0" else found

    @invariant()
    def what_is_published_is_what_its_version_names(self) -> None:
        own = self.version().partition("+")[0]
        assert self.published() == (SOMEBODYS if own == "v9" else self.commits.content[own] if own else {})

    def teardown(self) -> None:
        """An undisturbed sync ends well, or tells what is wrong; then everybody who is there runs the tip."""
        try:
            if self.commits.tip:
                self.last_sync()
        finally:
            for name in self.workers.keys() - self.silent if self.commits.tip else ():
                self.workers[name].stop()
            self.proxy.close()
            self.repo.stop()

    def last_sync(self) -> None:
        done = self.run(2, take_over=True)
        if not done.good:
            assert done.synced[0].result in ("put-back", "refused-before", "diverged")
            assert done.synced[0].message
            return
        tip = {f"/{path}": data for path, data in self.commits.content[self.commits.tip].items()}
        instances = json.loads(self.do("GET", "/api/v1/repo/edge")[1])["instances"].values()
        for worker in (self.workers[item["status"]["name"]] for item in instances):
            # one that has not loaded anything after what it began with names no version, whatever it refused
            nameless = (worker.name, tip["/main.js"]) in self.refused_once and worker.version == ""
            assert worker.running == tip or nameless or worker.name in self.silent


def test_any_order_of_events(proxies: ModuleType) -> None:
    """Commits, syncs whole and cut, other people's edits, restarts, workers that refuse or go silent."""
    budget = settings(max_examples=10, stateful_step_count=10, deadline=None)
    run_state_machine_as_test(lambda: Fleet(proxies), settings=budget)
