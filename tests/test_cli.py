"""The verbs as they are typed: exit codes, streams, formats."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from publisher.cli import main
from publisher.demo.fleet import Fleet
from publisher.demo.server import FleetServer
from publisher.resources import schema

SETTINGS = """\
publisher: edge
services:
  default/flask:
    routes: ["/env/*"]
    weights: {member1: 70, member2: 30}
allowedNetworks: [127.1.0.0/16]
"""


@dataclass
class World:
    """A served fleet and a config repository."""

    server: FleetServer
    repo: Path
    kubeconfig: Path

    def run(self, *arguments: str) -> int:
        """Run a verb on them."""
        return main([*arguments, "--repo", str(self.repo), "--kubeconfig", str(self.kubeconfig)])

    def git(self, *arguments: str) -> str:
        """Ask git."""
        done = subprocess.run(["git", *arguments], cwd=self.repo, capture_output=True, text=True, check=True)
        return done.stdout.strip()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Serve two members with a service, beside a repository that is laid down and committed."""
    fleet = Fleet()
    for number, name in ((1, "member1"), (2, "member2")):
        fleet.add_member(name, nodes={f"node{number}a": f"127.1.{number}.1", f"node{number}b": f"127.1.{number}.2"})
        fleet.add_service(name, "default/flask", node_port=31193)
    with FleetServer(fleet) as server:
        found = World(server, tmp_path / "repo", tmp_path / "kubeconfig")
        found.kubeconfig.write_text(json.dumps(server.kubeconfig()))
        assert main(["init", str(found.repo)]) == 0
        (found.repo / "publisher.yaml").write_text(SETTINGS)
        found.git("init", "--quiet")
        found.git("add", ".")
        found.git("commit", "--quiet", "-m", "set up")
        yield found


def test_plan_shows_and_writes_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan is on stdout, the story on stderr, nothing is written; 5 only where it is asked for."""
    assert world.run("plan") == 0
    shown = capsys.readouterr()
    assert "+ service default/flask: 0 -> 4 targets" in shown.out
    assert "read 2 of 2 clusters" in shown.err
    assert not world.git("status", "--porcelain")
    assert world.run("plan", "--exit-code") == 5


def test_plan_json_fits_its_schema(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but the document is on stdout, and it fits schemas/plan.schema.json."""
    capsys.readouterr()
    assert world.run("plan", "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert not schema("plan").findings(document, "plan")
    assert document["services"][0]["targets"]["after"] == 4


def test_publish_then_nothing_to_do(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The first run commits, the second finds nothing to do and both exit with 0."""
    assert world.run("publish") == 0
    first = world.git("rev-parse", "HEAD")
    assert world.git("log", "-1", "--format=%(trailers:key=Publisher-Id,valueonly)") == "edge"
    capsys.readouterr()
    assert world.run("publish") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert world.git("rev-parse", "HEAD") == first
    assert main(["validate", str(world.repo)]) == 0


def test_publish_json_names_the_commit(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A script can tell what was committed."""
    capsys.readouterr()
    assert world.run("publish", "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert not schema("plan").findings(document, "plan")
    assert document["commit"] == world.git("rev-parse", "HEAD")


def test_dry_run_commits_nothing(world: World) -> None:
    """--dry-run stops after the plan."""
    before = world.git("rev-parse", "HEAD")
    assert world.run("publish", "--dry-run") == 0
    assert world.git("rev-parse", "HEAD") == before


def test_an_outage_removes_nothing_and_is_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A member that does not answer is unknown; the other one goes on."""
    assert world.run("publish") == 0
    world.server.stop_member("member2")
    world.server.fleet.add_node("member1", "node1c", "127.1.1.3")
    capsys.readouterr()
    assert world.run("publish") == 0
    shown = capsys.readouterr().out
    assert "? member2: Nodes, Services, EndpointSlices unknown, left as published" in shown
    assert world.git("diff", "--numstat", "HEAD~1").split() == ["1", "0", "pipy/config/clusters/member1.json"]


def test_karmada_gone_is_one_line_and_exit_1(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, no change."""
    world.server.stop()
    capsys.readouterr()
    assert world.run("publish") == 1
    shown = capsys.readouterr()
    assert re.fullmatch(r"publisher: Karmada: .*refused\n", shown.err)
    assert shown.out == ""


def test_a_snapshot_plans_the_same_offline(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Plan and explain give the same from a snapshot as from the fleet."""
    folder = tmp_path / "snapshot"
    assert world.run("snapshot", "--output", str(folder)) == 0
    capsys.readouterr()
    assert world.run("plan", "--format", "json") == 0
    live = capsys.readouterr().out
    world.server.stop()
    assert world.run("plan", "--format", "json", "--snapshot", str(folder)) == 0
    assert capsys.readouterr().out == live
    assert world.run("snapshot", "--output", str(world.repo)) == 1, "a foreign folder, and no fleet"


def test_explain_names_targets_and_reasons(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Every target with cluster, node, address, weight and share; every other node with the reason."""
    world.server.fleet.add_node("member1", "node1c", "127.1.1.3", ready=False)
    capsys.readouterr()
    assert world.run("explain", "default/flask") == 0
    shown = capsys.readouterr().out
    assert re.search(r"member1 +node1a +127\.1\.1\.1:31193 +70 +35 %", shown)
    assert "- member1/node1c: Node is not Ready" in shown
    assert world.run("explain", "default/nosuch") == 2
    assert "no cluster that was read has a service default/nosuch" in capsys.readouterr().err


def test_all_mistakes_in_publisher_yaml_at_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its line and a hint, exit 2."""
    (world.repo / "publisher.yaml").write_text(
        "publisher: edge\nkarmada: {acess: proxy}\nlayout: gatway\nallowedNetworks: [10/x]\n"
    )
    capsys.readouterr()
    assert world.run("plan") == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: publisher.yaml: line 2: karmada.acess: unknown key 'acess' (did you mean 'access'?) [unknown-key]",
        'error: publisher.yaml: line 3: layout: "gatway" is not one of native, tutorial '
        "(How the configuration is written.) [schema-enum]",
        "error: publisher.yaml: line 4: allowedNetworks.0: "
        "'10/x' does not appear to be an IPv4 or IPv6 network [network]",
        "publisher: publisher.yaml: 3 things to mend",
    ]


def test_validate_reports_and_exits_4(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is wrong is named with pointer and rule, as text and as JSON."""
    assert world.run("publish") == 0
    file = world.repo / "pipy/config/services/default.flask.json"
    file.write_text(file.read_text().replace("31193", "99999").replace('"member2"', '"member9"'))
    capsys.readouterr()
    assert main(["validate", str(world.repo), "--format", "json"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert document["valid"] is False
    assert {(item["rule"], item["pointer"]) for item in document["findings"]} >= {
        ("schema-maximum", "/clusters/member1/ports/http")
    }


def test_a_refused_service_leaves_the_rest_and_exits_4(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """One service that cannot be published does not stop the other."""
    world.server.fleet.add_service("member1", "default/other", node_port=31200)
    (world.repo / "publisher.yaml").write_text(
        SETTINGS.replace("allowedNetworks", '  default/other: {routes: ["/other/*"], port: grpc}\nallowedNetworks')
    )
    world.git("commit", "--quiet", "-am", "publish other too")
    capsys.readouterr()
    assert world.run("publish") == 4
    assert "no TCP port grpc" in capsys.readouterr().out
    assert (world.repo / "pipy/config/services/default.flask.json").exists()
    assert not (world.repo / "pipy/config/services/default.other.json").exists()


@pytest.mark.parametrize("arguments", [["nosuch"], ["plan", "--nosuch"], ["explain"], ["plan", "--repo", "ext::x"]])
def test_usage_errors_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong words are told on stderr."""
    assert main(arguments) == 2
    assert capsys.readouterr().err


def test_a_bug_exits_3_without_secrets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody foresaw says so, with a traceback that can be pasted."""

    def broken(_: object) -> None:
        raise RuntimeError("https://user:hunter2@example.com")

    monkeypatch.setattr("publisher.commands.validate.validate", broken)
    assert main(["validate", "."]) == 3
    shown = capsys.readouterr().err
    assert "this is a bug" in shown
    assert "hunter2" not in shown


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is in the way is named, and nothing is written."""
    (tmp_path / "publisher.yaml").write_text("mine")
    assert main(["init", str(tmp_path)]) == 2
    assert "would overwrite publisher.yaml" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["publisher.yaml"]


def test_a_terminal_gets_colour_and_a_pipe_does_not(world: World) -> None:
    """Plain lines where nobody looks."""
    command = [sys.executable, "-m", "publisher", "plan", "--repo", str(world.repo), "--kubeconfig"]
    piped = subprocess.run([*command, str(world.kubeconfig)], capture_output=True, check=True)
    assert b"\x1b[" not in piped.stdout + piped.stderr
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    child = subprocess.Popen([*command, str(world.kubeconfig)], stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux tells that the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(ours)
    assert child.wait() == 0
    assert b"\x1b[32m" in seen


def test_help_does_not_import_what_is_slow() -> None:
    """--help needs none of the packages that take long to load."""
    code = (
        "import sys; from publisher.cli import main; main(['--help']);"
        "slow = {'kubernetes', 'git', 'jsonschema', 'jsonschema_rs', 'ruamel', 'trustme', 'urllib3', 'orjson', 'rich'};"
        "sys.exit(', '.join(slow & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("real", [False, True], ids=["stand-in", "pipy"])
def test_the_demo_tells_the_whole_story(real: bool, tmp_path: Path) -> None:
    """`publisher demo` runs the real verbs to the end, with a real Pipy where there is one."""
    pipy = os.environ.get("PIPY_BIN") or shutil.which("pipy")
    if real and not pipy:
        pytest.skip("no Pipy: set PIPY_BIN or put pipy on PATH")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    if not real:
        folders = [name for name in os.environ["PATH"].split(os.pathsep) if not shutil.which("pipy", path=name)]
        environment |= {"PIPY_BIN": "", "PATH": os.pathsep.join(folders)}
    done = subprocess.run(
        [sys.executable, "-m", "publisher", "demo"], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    for line in (
        "+ service default/flask: 0 -> 4 targets",
        "nothing to do",
        '+    "karmada3": "127.1.1.3",',
        "? member2: Nodes, Services, EndpointSlices unknown, left as published",
        "- service default/hello: 5 -> 0 targets",
        'Revert "member1: add karmada3"',
        "published, 1 file uploaded, 0 deleted",
        "put-back, 1 file uploaded",
        "refused-before",
        "== Where to look next",
    ):
        assert line in done.stdout
    assert done.stdout.count("\n2/2 workers on ") == 3
    assert ("\n   70  member1: " in done.stdout) == real
    assert "Traceback" not in done.stderr
