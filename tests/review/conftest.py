"""A publisher that asks for review: the fake GitHub's own bare repository is the remote, so that both see one state."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from publisher import settings
from publisher.cli import main
from publisher.commands.publish import Order, Published, Publisher
from publisher.core import snapshot
from publisher.core.model import Address, Cluster, Endpoints, Node, Port, Service, ServiceKey, Topology
from publisher.edge.files import replace_folder
from publisher.edge.git import Checkout, Clone
from publisher.edge.github import credentials, from_environment
from publisher.edge.github.api import Timing

QUICK = Timing(answer=0.5, attempts=2, backoff=0.01, patience=0.1)
GUARDS = "guards: {removed-targets: false, no-targets: false, empty-cluster: false, deleted-service: false}\n"
SERVICES = """\
services:
  default/flask: {routes: ["/env/*"]}
  default/shop: {routes: ["/shop/*"]}
"""
PULL_REQUEST = "publish: {mode: pull-request}\n"


def fleet(*nodes: str, services: tuple[str, ...] = ("flask",), unready: tuple[str, ...] = ()) -> Topology:
    """Make a fleet of a member with nodes ``node<number>`` and services of namespace default."""
    found = {
        name: Node(name, name not in unready, (Address("InternalIP", f"10.1.0.{name.removeprefix('node')}"),))
        for name in (*nodes, *unready)
    }
    keys = {ServiceKey(f"default/{name}"): name for name in services}
    listed = {
        key: Service("default", name, "NodePort", (Port("http", 80, 31000 + len(name), "TCP"),))
        for key, name in keys.items()
    }
    return Topology({"member1": Cluster("member1", found, listed, dict.fromkeys(keys, Endpoints(True)))})


class Outcome(NamedTuple):
    """What a command line did."""

    code: int
    out: str
    err: str


@dataclass
class Flow:
    """A GitHub, a fleet, and whoever publishes it."""

    fake: Any
    folder: Path
    capfd: pytest.CaptureFixture[str]
    topology: Topology = field(default_factory=lambda: fleet("node1"))
    now: float = field(default_factory=time.time)
    id: str = "edge"
    cluster = "pipy/config/clusters/member1.json"
    service = "pipy/config/services/default.flask.json"

    @property
    def url(self) -> str:
        """The remote."""
        return str(self.fake.bare.as_uri())

    @property
    def branch(self) -> str:
        """The branch that is asked to be merged."""
        return f"publisher/{self.id}"

    @property
    def snapshots(self) -> str:
        """The branch of snapshots."""
        return f"snapshots/{self.id}"

    def set_up(self, text: str = PULL_REQUEST + GUARDS, services: str = SERVICES) -> str:
        """Let a person write publisher.yaml; gives the commit."""
        data = f"publisher: {self.id}\n{services}{text}".encode()
        return str(self.fake.commit("main", {"publisher.yaml": data}, "set up"))

    def published(self, *nodes: str, text: str = PULL_REQUEST + GUARDS, **more: Any) -> None:
        """Begin with a fleet that is published already."""
        self.set_up("publish: {mode: direct}\n" + GUARDS)
        self.sees(*nodes, **more)
        assert self.publish().commit
        self.set_up(text)
        self.fake.requests.clear()

    def sees(self, *nodes: str, **more: Any) -> None:
        """Let the fleet have these nodes."""
        self.topology = fleet(*nodes, **more)

    def publish(self, repository: Any = None, **order: Any) -> Published:
        """Publish in this process."""
        forge = lambda: from_environment(self.url, self.fake.environment, QUICK)  # noqa: E731
        here = repository or Clone(self.url)
        return Publisher(here, lambda _: self.topology, forge, lambda: self.now).publish(Order(**order))

    def did(self, *nodes: str, **order: Any) -> str:
        """Publish, of these nodes if any; gives what became of the pull request."""
        if nodes:
            self.sees(*nodes)
        review = self.publish(**order).review
        return review.did if review else ""

    def arguments(self, *options: str, verb: str = "publish") -> list[str]:
        """Give a command line that works offline on the fleet as it is."""
        files = self.folder / "fleet"
        replace_folder(files, snapshot.dump(self.topology), snapshot.INDEX)
        return [verb, "--repo", self.url, "--snapshot", str(files), *options]

    def typed(self, *options: str, verb: str = "publish") -> Outcome:
        """Run the command line."""
        arguments = self.arguments(*options, verb=verb)
        gc.collect()  # a failure's traceback may keep the clone, and its lock, of an earlier run in this process
        self.capfd.readouterr()
        return Outcome(main(arguments), *self.capfd.readouterr())

    # what there is

    def one(self) -> dict[str, Any]:
        """Give the one pull request that is open."""
        (found,) = self.open()
        return found

    def open(self) -> list[dict[str, Any]]:
        """Give the pull requests that are open, each with its number."""
        pulls = self.fake.pulls.items()
        return [{"number": number, **pull} for number, pull in pulls if pull["state"] == "open"]

    def tip(self, branch: str = "") -> str:
        """Give the commit of a branch, of the publisher's where none is named."""
        return str(self.fake.tip(branch or self.branch))

    def ahead(self, branch: str = "") -> list[str]:
        """Give the subjects of the commits that the branch has and main has not."""
        lines = self.fake.git("log", "--format=%s", f"main..{branch or self.branch}")
        return list(filter(None, lines.split("\n")))

    def behind(self) -> int:
        """Count the commits that main has and the branch has not."""
        return int(self.fake.git("rev-list", "--count", f"{self.branch}..main"))

    def message(self, commit: str = "") -> str:
        """Give the message of a commit."""
        return str(self.fake.git("show", "-s", "--format=%B", commit or self.branch))

    def changed(self, commit: str) -> set[str]:
        """Give the paths that a commit changes."""
        out = self.fake.git("diff-tree", "--root", "--no-commit-id", "--name-only", "-r", commit)
        return set(filter(None, out.split("\n")))

    def file(self, path: str, commit: str = "main") -> str:
        """Give a file of a commit."""
        return str(self.fake.git("show", f"{commit}:{path}"))

    def nodes(self, commit: str = "main") -> list[str]:
        """Give the nodes that a commit publishes."""
        return [f"node{number}" for number in range(1, 10) if f'"node{number}"' in self.file(self.cluster, commit)]

    def pushes(self) -> list[list[str]]:
        """Give the pushes so far, each as the refs that it moved."""
        log = self.folder / "pushes"
        text = log.read_text() if log.exists() else ""
        return [sorted(line.split()[2] for line in push.splitlines()) for push in text.split("--\n")[:-1]]

    def refs(self) -> dict[str, str]:
        """Give all refs with their commits."""
        return dict(
            line.split() for line in self.fake.git("for-each-ref", "--format=%(refname) %(objectname)").split("\n")
        )

    def calm(self, did: str, **order: Any) -> None:
        """Publish, which has to come to this without a push and without a write."""
        before, writes, pushes = self.refs(), len(self.fake.writes), len(self.pushes())
        assert self.did(**order) == did
        assert (self.refs(), self.fake.writes[writes:], self.pushes()[pushes:]) == (before, [], [])

    def person(self, branch: str, changes: dict[str, bytes | None], message: str = "a person's") -> str:
        """Let a person commit to a branch; gives the commit."""
        return str(self.fake.commit(branch, changes, message))

    def revert(self, commit: str = "main", *options: str) -> str:
        """Let a person take back a commit on main."""
        repo = self.folder / "person"
        if not repo.exists():
            self.fake._git("clone", "--quiet", self.url, str(repo), at=self.folder)
        self.fake._git("pull", "--quiet", at=repo)
        self.fake._git("revert", "--no-edit", *options, commit, at=repo)
        self.fake._git("push", "--quiet", at=repo)
        return self.tip("main")

    def state(self) -> dict[str, Any]:
        """Take down what there is, without ids and times."""
        names = self.fake.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
        return {
            "pulls": [
                {name: pull.get(name) for name in ("title", "body", "state", "head")}
                | {"labels": sorted(pull["labels"])}
                for pull in self.fake.pulls.values()
            ],
            "comments": [comment["body"] for comment in self.fake.comments.values()],
            "branches": {name: self.fake.git("log", "--format=%T %B", name) for name in names},
        }


@pytest.fixture
def flow(github: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Flow:
    """Give every test a GitHub whose repository is set up for pull requests, and note every push."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(credentials, "Timing", lambda: QUICK)
    for name, value in github.environment.items():
        monkeypatch.setenv(name, value)
    hook = github.bare / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ncat >>'{tmp_path}/pushes'\necho -- >>'{tmp_path}/pushes'\n")
    hook.chmod(0o755)
    github.git("config", "core.hooksPath", str(hook.parent))
    made = Flow(github, tmp_path, capfd)
    made.set_up()
    return made


@pytest.fixture
def another(flow: Flow) -> Callable[[str], Flow]:
    """Make another publisher of the same repository."""
    return lambda name: replace(flow, id=name)


@pytest.fixture
def checkout(flow: Flow) -> Checkout:
    """Clone the remote, as a user does."""
    flow.fake._git("clone", "--quiet", flow.url, "repo", at=flow.folder)
    return Checkout(flow.folder / "repo")


@pytest.fixture
def policy(flow: Flow) -> Any:
    """Read publisher.yaml."""
    return settings.load(flow.file("publisher.yaml").encode())


GUARDED = "publish: {mode: pull-request}\n"
AUTO = "publish: {mode: auto, direct: [added-targets]}\n" + GUARDS


def _updated(flow: Flow) -> None:
    """Another plan, with a refusal that was not there and so a label more."""
    flow.published("node1", "node2", "node3", "node4", text=GUARDED)
    flow.sees("node1", "node2", "node3", "node4", "node5")
    flow.publish()
    flow.sees("node1", services=("flask", "shop"))


def _closed(flow: Flow) -> None:
    flow.published("node1")
    flow.did("node1", "node2")
    flow.sees("node1")


def _stopped(flow: Flow) -> None:
    flow.did("node1")
    flow.person(flow.branch, {"README.md": b"edited\n"})


def _auto(flow: Flow) -> None:
    flow.published("node1", text=AUTO)
    flow.sees("node1", services=("flask", "shop"))
    flow.publish()
    flow.set_up(AUTO, services="services: {default/flask: {routes: [/a]}, default/shop: {routes: [/b]}}\n")
    flow.sees("node1", "node2", services=("flask", "shop"))


def _api(flow: Flow) -> None:
    flow.set_up("publish: {mode: pull-request, commits: api}\n" + GUARDS)
    flow.did("node1")
    flow.sees("node1", "node2")


def _direct_api(flow: Flow) -> None:
    flow.set_up("publish: {commits: api}\n" + GUARDS)


STEPS: dict[str, Callable[[Flow], None]] = {
    "opened": lambda flow: None,
    "updated": _updated,
    "closed": _closed,
    "stopped": _stopped,
    "auto": _auto,
    "api": _api,
    "direct-api": _direct_api,
}


class Step:
    """What there is before a run, as often as asked, and what the run makes of it where nothing goes wrong."""

    def __init__(self, flow: Flow, name: str) -> None:
        STEPS[name](flow)
        self.flow = flow
        self._kept = flow.folder / "kept.git"
        shutil.copytree(flow.fake.bare, self._kept)
        self._saved = flow.fake.saved()
        flow.fake.requests.clear()
        self.code = flow.typed().code
        self.state = flow.state()
        self.requests = list(flow.fake.requests)

    def again(self) -> None:
        """Be before the run again."""
        self.flow.fake.mend()
        self.flow.fake.restore(self._saved)
        shutil.rmtree(self.flow.fake.bare)
        shutil.copytree(self._kept, self.flow.fake.bare)
        self.flow.fake.requests.clear()

    def repaired(self) -> None:
        """Run without anything in the way: it has to come to the same, and another run to nothing more."""
        self.flow.fake.mend()
        out = self.flow.typed()
        assert out.code == self.code, out.err
        assert self.flow.state() == self.state


@pytest.fixture
def step(flow: Flow) -> Callable[[str], Step]:
    """Set up for one of the steps of the flow."""
    return lambda name: Step(flow, name)
