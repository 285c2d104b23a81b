"""``publisher demo``: the real verbs on the embedded fleet, told step by step."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from publisher.cli import main, screen
from publisher.cli.pipy import free_ports, site
from publisher.core.canonical import dump_json, load_json
from publisher.demo.fleet import Fleet
from publisher.demo.server import FleetServer
from publisher.edge.files import write_file
from publisher.errors import PublisherError

SETTINGS = """\
# yaml-language-server: $schema=schemas/publisher.schema.json
publisher: edge
karmada:
  context: karmada-apiserver
services:
  default/flask:
    routes: ["/env/*"]
    weights: {member1: 70, member2: 30}
grants:
  - {namespaces: [default], paths: ["/hello/*"]}   # what annotations may claim
allowedNetworks: [127.1.0.0/16]   # the embedded fleet's nodes are loopback addresses of this machine
"""
FLASK, HELLO = 31193, 31200
NODES = {
    "member1": {"karmada1": "127.1.1.1", "karmada2": "127.1.1.2"},
    "member2": {"karmada4": "127.1.2.1", "karmada5": "127.1.2.2"},
}
JOINING = "karmada3", "127.1.1.3"
HELLO_ROUTE = {"pipy-publisher.io/routes": "/hello/*"}
_PERSON = ("-c", "user.name=You", "-c", "user.email=you@example.com", "-c", "commit.gpgsign=false")


class _Scene:
    """A fleet that is served, and a config repository with a remote."""

    def __init__(self, folder: Path, server: FleetServer) -> None:
        self.folder = folder
        self.fleet = server.fleet
        self.server = server
        self.repo = folder / "config-repo"
        self.kubeconfig = folder / "kubeconfig"
        self.port, self.admin = free_ports(2)

    def publisher(self, *arguments: str, expected: int = 0) -> None:
        """Run a verb of ours, shown as it would be typed."""
        screen.lines(["", f"$ publisher {shlex.join(arguments)}"])
        code = main([*arguments])
        if code != expected:
            raise PublisherError(f"the demo stops here: publisher {arguments[0]} ended with exit code {code}")
        if code:
            screen.lines([f"(exit code {code})"])

    def publish(self, *more: str, verb: str = "publish", expected: int = 0) -> None:
        """Run a verb that reads the fleet."""
        place = ("--repo", str(self.repo), "--kubeconfig", str(self.kubeconfig))
        self.publisher(verb, *more, *place, expected=expected)

    def git(self, *arguments: str, show: bool = True) -> str:
        """Run git in the checkout, shown as it would be typed."""
        if show:
            screen.lines(["", f"$ git {shlex.join(arguments)}"])
        done = subprocess.run(["git", *_PERSON, *arguments], cwd=self.repo, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PublisherError(f"the demo stops here: git {arguments[0]}: {done.stderr.strip()}")
        if show:
            screen.lines(done.stdout.rstrip().splitlines())
        return done.stdout.strip()

    def edit(self, path: str, before: str, after: str, message: str) -> None:
        """Change a file as a person would, and push it."""
        file = self.repo / path
        text = file.read_text()
        if before not in text:
            raise PublisherError(f"the demo stops here: {path} has no {before!r}")
        file.write_text(text.replace(before, after, 1))
        self.git("diff", "--unified=0", "--no-prefix", "--", path)
        self.git("commit", "--quiet", "--message", message, path)
        self.git("push", "--quiet")

    def set_up(self) -> None:
        """Make the fleet, the config repository and its remote."""
        self.fleet.add_member("member1", region="cn-north", nodes=NODES["member1"])
        self.fleet.add_member("member2", region="cn-south", nodes=NODES["member2"])
        for name in NODES:
            self.fleet.add_service(name, "default/flask", node_port=FLASK)
            self.fleet.add_service(name, "default/hello", node_port=HELLO, annotations=HELLO_ROUTE)
        write_file(self.kubeconfig, json.dumps(self.server.kubeconfig(), indent=2).encode(), 0o600)
        remote = self.folder / "config-repo.git"
        subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(remote)], check=True)
        subprocess.run(["git", "init", "--quiet", "-b", "main", str(self.repo)], check=True)
        self.git("remote", "add", "origin", str(remote), show=False)


@contextmanager
def _scene() -> Iterator[_Scene]:
    # the fleet is on this machine: a proxy that the environment names is not on the way to it
    os.environ["NO_PROXY"] = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"]))
    folder = Path(tempfile.mkdtemp(prefix="publisher-demo-"))
    with FleetServer(Fleet()) as server:
        scene = _Scene(folder, server)
        scene.set_up()
        yield scene


def _heading(text: str) -> None:
    screen.lines(["", f"== {text}"])


def _lay_down(scene: _Scene) -> None:
    scene.publisher("init", str(scene.repo))
    (scene.repo / "publisher.yaml").write_text(SETTINGS)
    proxy = scene.repo / "pipy/config/proxy.json"
    listening = {"listen": f"127.0.0.1:{scene.port}", "admin": f"127.0.0.1:{scene.admin}"}
    proxy.write_bytes(dump_json(load_json(proxy.read_bytes()) | listening))  # ports that disturb nobody
    scene.git("add", ".", show=False)
    scene.git("commit", "--quiet", "-m", "Set up the config repository")
    scene.git("push", "--quiet", "-u", "origin", "main")


def _to_pipy(scene: _Scene) -> None:
    """Show what becomes of commits: what workers run, and what happens where they refuse."""
    nodes = {"member1": {**NODES["member1"], JOINING[0]: JOINING[1]}, "member2": NODES["member2"]}
    targets = {f"{ip}:{FLASK}": f"{name} {node}" for name, found in nodes.items() for node, ip in found.items()}
    _heading("And now to Pipy: the commit becomes what every worker runs")
    with site(scene.folder, scene.port, targets) as pipy:
        screen.lines(pipy.told)
        sync = ("sync", "--checkout", str(scene.repo), "--pipy", pipy.url, "--converge-timeout", str(pipy.seconds))
        scene.publisher(*sync)
        screen.lines(pipy.ask("/env/x", 100))

        _heading("A weight change: one commit by a person, one line by publisher, and one file to Pipy")
        scene.edit(
            "publisher.yaml", "{member1: 70, member2: 30}", "{member1: 40, member2: 60}", "flask: 60 % to member2"
        )
        scene.publish()
        scene.publisher(*sync)
        screen.lines(pipy.ask("/env/x", 100))

        _heading("A program that throws: workers refuse it and keep theirs, so Pipy's Repo gets back what it had")
        scene.edit("pipy/main.js", "pipy.listen(", "throw new Error('oops')\n\npipy.listen(", "Improve the proxy")
        scene.publisher(*sync, expected=1)
        screen.lines(pipy.ask("/env/x", 100))
        _heading("It is not tried again, until there is something better")
        scene.publisher(*sync, expected=1)
        scene.git("revert", "--no-edit", "HEAD")
        scene.git("push", "--quiet")
        scene.publisher(*sync)


def tell() -> None:
    """Run the whole story."""
    with _scene() as scene:
        fleet = scene.fleet
        _heading("A Karmada API server with member1 and member2 runs on this machine; a config repository for it")
        _lay_down(scene)

        _heading("First publish: both clusters, both services")
        scene.publish()
        _heading("Again: nothing has changed, so nothing is committed")
        scene.publish()

        _heading("Node karmada3 joins member1: one added line, however many services run there")
        fleet.add_node("member1", *JOINING)
        scene.publish()
        joined = scene.git("rev-parse", "HEAD", show=False)
        scene.git("show", "--format=%h %s", "--unified=1", "HEAD")

        _heading("member2 stops answering: unknown is not empty, nothing is removed")
        scene.server.stop_member("member2")
        scene.publish()
        scene.server.start_member("member2")

        _heading("Service hello is deleted from both clusters: a guard wants to know that it is meant")
        for name in ("member1", "member2"):
            fleet.remove_service(name, "default/hello")
        scene.publish(expected=4)
        scene.publish("--allow", "deleted-service=default/hello")

        _heading("Somebody rolls back the commit of karmada3, which is not the newest: plain git revert")
        scene.git("revert", "--no-edit", joined)
        scene.git("push", "--quiet")
        _heading("A person's word wins: the file is held, and the rest goes on")
        scene.publish()
        scene.publisher("status", "--repo", str(scene.repo))
        _heading("Until it is resumed")
        scene.publish("member1", verb="resume")
        scene.publisher("history", "--repo", str(scene.repo))
        _heading("Every commit can be made again from the snapshot that was recorded with it")
        commits = scene.git("log", "-3", "--format=%h", "--grep=^Publisher-Id: edge$", show=False).split()
        scene.publisher("replay", *commits, "--repo", str(scene.repo))
        scene.publisher("validate", str(scene.repo))

        _to_pipy(scene)

        _heading("Where to look next")
        screen.lines(
            [
                f"{scene.repo}: the config repository, with its history",
                "publisher demo --serve: keep such a fleet up and try the verbs by hand",
                "publisher explain default/flask: every target, and why the others are none",
                "README.md: set it up for a fleet of your own",
            ]
        )


def serve() -> None:
    """Keep a fleet up until interrupted."""
    with _scene() as scene:
        _lay_down(scene)
        screen.lines(
            [
                "",
                f"a Karmada API server with member1 and member2: {scene.server.url}",
                f"export KUBECONFIG={scene.kubeconfig}",
                f"publisher plan --repo {scene.repo}",
                f"publisher publish --repo {scene.repo}",
                f"publisher explain default/flask --repo {scene.repo}",
                "kubectl get clusters.cluster.karmada.io",
                "Ctrl-C ends it",
            ]
        )
        threading.Event().wait()
