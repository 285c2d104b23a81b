"""A publisher that has all it needs: a fleet on real sockets, a checkout with a remote; tests take something away."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from publisher.cli import main
from publisher.demo.fleet import Fleet
from publisher.demo.server import FleetServer
from publisher.resources import schema

SETTINGS = """\
publisher: edge
karmada: {access: ACCESS}
services:
  default/flask: {routes: ["/env/*"]}
allowedNetworks: [10.0.0.0/8]
"""


@dataclass(frozen=True)
class Seen:
    """What a run said."""

    code: int
    checks: dict[str, dict[str, str]]

    def state(self, name: str) -> str:
        """Give how a check ended."""
        return self.checks[name]["state"]

    def text(self, name: str) -> str:
        """Give what a check says, and what to do."""
        return f"{self.checks[name]['message']} -> {self.checks[name]['advice']}"

    def only(self, **states: str) -> None:
        """Hold that just these checks are not ok; ``_`` stands for a space."""
        odd = {name: check["state"] for name, check in self.checks.items() if check["state"] != "ok"}
        assert odd == {name.replace("_", " "): state.replace("_", "-") for name, state in states.items()}
        assert self.code == (1 if "fail" in odd.values() else 0)


class World:
    """Everything that publishing takes."""

    def __init__(self, server: FleetServer, folder: Path) -> None:
        self.server = server
        self.fleet = server.fleet
        self.repo = folder / "repo"
        self.remote = folder / "remote.git"
        self.kubeconfig = folder / "kubeconfig"
        self.where = str(self.repo)
        """What --repo gets."""
        self.more: list[str] = []
        """Other arguments."""

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Run git in the checkout."""
        command = ["git", "-C", str(at or self.repo), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def settings(self, more: str = "", access: str = "proxy") -> None:
        """Write publisher.yaml, commit and push it."""
        (self.repo / "publisher.yaml").write_text(SETTINGS.replace("ACCESS", access) + more)
        self.git("add", ".")
        self.git("commit", "--quiet", "--allow-empty", "-m", "settings")
        self.git("push", "--quiet", "origin", "HEAD:main")

    def write_kubeconfig(self, **cluster: object) -> None:
        """Write the kubeconfig, maybe with something else about the server; a ``token`` of its own."""
        config: Any = self.server.kubeconfig()
        if token := cluster.pop("token", None):
            config["users"][0]["user"]["token"] = token
        config["clusters"][0]["cluster"] |= cluster
        self.kubeconfig.write_text(json.dumps(config))

    def change(self, name: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change a Cluster."""
        obj = self.fleet.karmada.get("clusters", "", name)
        assert obj
        change(obj)
        self.fleet.karmada.put("clusters", obj)

    def run(self, *arguments: str) -> int:
        """Run a verb."""
        return main([*arguments, "--repo", self.where, "--kubeconfig", str(self.kubeconfig), *self.more])


def _fleet() -> Fleet:
    fleet = Fleet()
    for number in (1, 2):
        fleet.add_member(f"member{number}", nodes={f"node{number}": f"10.0.{number}.1"})
        fleet.add_service(f"member{number}", "default/flask", node_port=31193)
    return fleet


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Publish a fleet of two members from a checkout with a remote, once."""
    with FleetServer(_fleet()) as server:
        made = World(server, tmp_path_factory.mktemp("prepared"))
        made.write_kubeconfig()
        subprocess.run(["git", "init", "--quiet", "--bare", str(made.remote)], check=True)
        assert main(["init", str(made.repo)]) == 0
        made.git("init", "--quiet")
        made.git("remote", "add", "origin", made.remote.as_uri())
        made.settings()
        made.git("fetch", "--quiet")
        assert made.run("publish") == 0
    return made.repo.parent


@pytest.fixture
def world(tmp_path: Path, prepared: Path) -> Iterator[World]:
    """Give every test a copy of that, and the fleet."""
    with FleetServer(_fleet()) as server:
        made = World(server, tmp_path)
        made.write_kubeconfig()
        for folder in (made.repo, made.remote):
            shutil.copytree(prepared / folder.name, folder)
        made.git("remote", "set-url", "origin", made.remote.as_uri())
        yield made


@pytest.fixture
def doctor(world: World, capfd: pytest.CaptureFixture[str]) -> Callable[..., Seen]:
    """Run the doctor; its JSON fits the schema, and nothing that it looks at is changed by it."""

    def refs() -> dict[Path, bytes]:
        places = (world.remote / "refs", world.repo / ".git/refs/heads", world.repo / "pipy", world.repo / "schemas")
        return {path: path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}

    def run(*arguments: str) -> Seen:
        before = refs()
        capfd.readouterr()
        code = world.run("doctor", "--format", "json", *arguments)
        shown = capfd.readouterr()
        assert shown.err == ""
        document = json.loads(shown.out)
        assert not schema("doctor").findings(document, "doctor")
        assert document["healthy"] == (code == 0)
        checks = {check["name"]: check for check in document["checks"]}
        assert len(checks) == len(document["checks"])
        assert world.server.token not in shown.out
        assert refs() == before
        return Seen(code, checks)

    return run
