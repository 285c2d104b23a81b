"""A config repository and what ``publisher sync`` brings of it into a Repo."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from publisher.cli import main
from publisher.commands.sync import Options, Pace, Syncer
from publisher.edge.pipy import PipyRepo, Timing

SETTINGS = "publisher: edge\nservices:\n  default/flask: {routes: [/env/*]}\nallowedNetworks: [10.0.0.0/8]\n"
PROGRAM = """\
var served = pipy.load('config/clusters/member1.json') || pipy.load('config/bundle.json')
pipy.listen(os.env.PORT, $=>$.serveHTTP(() => new Message(served)))
"""
"""Serves what it found, so that everybody can see what runs."""
REFUSED = "throw new Error('not with me')\n"
"""A program that loads nowhere."""
CLUSTER = "config/clusters/member1.json"
SERVICE = "config/services/default.flask.json"


def cluster(address: str, name: str = "member1") -> str:
    """Write a cluster file."""
    nodes = {"node1": address, "$end": True}
    return json.dumps({"cluster": name, "publisher": "edge", "state": "active", "nodes": nodes}, indent=2) + "\n"


def service(weight: int) -> str:
    """Write a service file."""
    clusters = {"member1": {"weight": weight, "ports": {"http": 31193}}, "$end": True}
    routes = [{"path": "/env/*", "port": "http"}]
    document = {"service": "default/flask", "publisher": "edge", "routes": routes, "clusters": clusters}
    return json.dumps(document, indent=2) + "\n"


FIRST = {
    "publisher.yaml": SETTINGS,
    "README.md": "# not for Pipy\n",
    "pipy/main.js": PROGRAM,
    "pipy/plugins/empty.js": "",
    "pipy/plugins/other.js": "// überall\n",
    f"pipy/{CLUSTER}": cluster("10.1.0.1"),
    f"pipy/{SERVICE}": service(100),
}


def set_up(folder: Path) -> None:
    """Lay down and commit a config repository."""
    for path, text in FIRST.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "set up"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def copy(folder: Path, to: Path) -> Path:
    """Copy one."""
    shutil.copytree(folder, to)
    return to


@dataclass(frozen=True)
class Outcome:
    """What a run did."""

    code: int
    out: str
    err: str
    told: dict[str, Any] = field(default_factory=dict)
    """The JSON on stdout."""

    @property
    def place(self) -> dict[str, Any]:
        """What it tells of the first place."""
        return self.told["places"][0]


class World:
    """A checkout, the Repo that it goes to, and a proxy in front of that."""

    def __init__(
        self,
        repo: Path,
        rig: Any,
        proxy: Any,
        read: Callable[[], tuple[str, str]],
        wait: Callable[[Callable[[], Any], str], Any],
    ) -> None:
        self.repo = repo
        self.rig = rig
        self.proxy = proxy
        self.options = ["--converge-timeout", "0.2"]
        """Of each run."""
        self.pace = Pace(poll=0.02, quiet=0.0, roll_call=0.0, leftover=0.01, step_aside=0.01)
        """Of each run; nobody is waited for as long as there is no worker."""
        self.timing = Timing(read=5, tries=3, backoff=0.001)
        self.wait = wait
        self._content: dict[str, dict[str, bytes]] = {}
        self._read = read

    write_cluster = staticmethod(cluster)
    cluster, service, program, refused = CLUSTER, SERVICE, PROGRAM, REFUSED

    @property
    def head(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "HEAD")

    def start(self, name: str) -> Any:
        """Start a worker and wait until its Repo lists it."""
        made = self.rig.worker(name)
        every = self.rig.report_seconds
        self.pace = Pace(
            poll=every / 10, quiet=max(1.0, every * 2.2), roll_call=every * 1.2, leftover=0.01, step_aside=0.01
        )
        self.options = ["--converge-timeout", str(every * 1.6 if every > 1 else 1)]
        self.wait(lambda: name in self.rig.reports(), f"worker {name}")
        return made

    def has(self, commit: str = "HEAD") -> None:
        """Fail unless the Repo has a commit, all of it, and nothing is staged."""
        info = self.rig.info()
        assert info["version"] == (commit if len(commit) == 40 else self.git("rev-parse", commit))
        assert self.rig.published() == self.content(commit)
        assert (info["editFiles"], info["erasedFiles"]) == ([], [])

    @staticmethod
    def quoted(paths: Iterable[str]) -> list[str]:
        """Give paths as they are in an address."""
        return [quote(path) for path in paths]

    def git(self, *arguments: str) -> str:
        """Ask git."""
        done = subprocess.run(["git", *arguments], cwd=self.repo, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def commit(self, files: dict[str, str | None]) -> str:
        """Commit files, or without them; gives the commit."""
        for path, text in files.items():
            file = self.repo / path
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def content(self, commit: str = "HEAD") -> dict[str, bytes]:
        """Give the codebase of a commit."""
        commit = commit if len(commit) == 40 else self.git("rev-parse", commit)
        if commit not in self._content:
            names = self.git("ls-tree", "-r", "-z", "--name-only", commit, "pipy/").strip("\0").split("\0")
            self._content[commit] = {
                name.removeprefix("pipy/"): subprocess.run(
                    ["git", "show", f"{commit}:{name}"], cwd=self.repo, capture_output=True, check=True
                ).stdout
                for name in names
            }
        return self._content[commit]

    def sync(self, *options: str, url: str = "") -> Outcome:
        """Run ``publisher sync`` through the proxy, or straight to one Repo or several."""
        self._read()
        code = self.run(*options, url=url)
        out, err = self._read()
        assert "Traceback" not in err
        return Outcome(code, out, err, json.loads(out) if out.startswith("{") else {})

    def run(self, *options: str, url: str = "") -> int:
        """Do the same without a look at what it says; gives the exit code."""
        places = [f"--pipy={place or self.proxy.url}/repo/edge" for place in url.split(" ")]
        return main(["sync", "--checkout", str(self.repo), *places, "--format", "json", *self.options, *options])

    def quick(self, commit: str, url: str = "") -> bool:
        """Bring a commit there without git and the command line; tells whether it is there."""
        options = Options(converge_timeout=0.2)
        place = PipyRepo(f"{url or self.proxy.url}/repo/edge", timing=self.timing)
        return Syncer(lambda: Kept(self, commit), [place], options, pace=self.pace).run().good


@dataclass(frozen=True)
class Kept:
    """The repository as it was read once."""

    world: World
    tip: str
    settings_file = "publisher.yaml"

    def close(self) -> None:
        """Do nothing."""

    def latest(self, ref: str) -> str:
        """Give the commit that is wanted."""
        return self.tip

    def has(self, commit: str) -> bool:
        """Tell whether it is one of the repository, as all are that are asked for."""
        return len(commit) == 40

    def tree(self, commit: str, paths: tuple[str, ...]) -> dict[str, bytes]:
        """Give settings and codebase."""
        files = {f"pipy/{path}": data for path, data in self.world.content(commit).items()}
        return {"publisher.yaml": SETTINGS.encode()} if paths == ("publisher.yaml",) else files
