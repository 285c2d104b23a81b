"""The workflows of a config repository and the action, run step by step against the embedded fleet."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from ruamel.yaml import YAML

from publisher.cli import main
from publisher.demo.fleet import Fleet
from publisher.demo.repo import Repo
from publisher.demo.server import FleetServer
from publisher.demo.worker import Worker

TOP = Path(__file__).parent.parent
ACTION = TOP / ".github/actions/publish"
SERVICE = "pipy/config/services/default.flask.json"
SETTINGS = """
allowedNetworks: [127.1.0.0/16]
services:
  default/flask: {routes: ["/env/*"]%s}
%s"""
EXAMPLE = re.compile(r"^( *)#(?! \S)(.*)", re.MULTILINE)
"""What is commented out; before prose there is a space behind the #."""
SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"
COMMENT = f"{SAME_REPOSITORY} && github.event.number || 0"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel that requirements.txt names."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(TOP)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


class World:
    """A fleet, a GitHub with a config repository, a person's clone of it, and a runner."""

    def __init__(self, folder: Path, server: FleetServer, github: Any, wheel: Path, runner: Any) -> None:
        self.fleet = server.fleet
        self.github = github
        self.clone = folder / "clone"
        self.fleet.add_member("member1", nodes={f"node{number}": f"127.1.1.{number}" for number in range(1, 6)})
        self.fleet.add_member("member2", nodes={f"node{number}": f"127.1.2.{number}" for number in range(1, 6)})
        for name in ("member1", "member2"):
            self.fleet.add_service(name, "default/flask", node_port=31193)
        assert main(["init", str(self.clone)]) == 0
        self.template = (self.clone / "publisher.yaml").read_text()
        self.git("init", "--quiet")
        self.git("remote", "add", "origin", str(github.bare))
        self.push({"publisher.yaml": self.settings(), "requirements.txt": f"publisher @ {wheel.as_uri()}\n"})
        kubeconfig = json.dumps(server.kubeconfig())
        self.table = {
            "secrets.KUBECONFIG": kubeconfig,
            "github.token": github.token,
            "inputs.allow": "",
            "inputs.plan-digest": "",
            "inputs.dry-run": "",
        }
        self.runner = runner.Runner(folder / "runner", github.bare, self.table, (server.token, github.token))
        self.runner.environment = {name: github.environment[name] for name in ("GITHUB_API_URL", "GITHUB_REPOSITORY")}

    @property
    def workflows(self) -> Path:
        """Where the workflows are, as publisher init lays them down."""
        return self.clone / ".github/workflows"

    def settings(self, service: str = "", more: str = "") -> str:
        """Give the template's publisher.yaml with a service that has some settings, and with some lines at its end."""
        return self.template + SETTINGS % (service, more)

    def git(self, *arguments: str) -> str:
        """Run git as a person."""
        done = subprocess.run(["git", *arguments], cwd=self.clone, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def push(self, files: dict[str, str], branch: str = "main", message: str = "by a person") -> str:
        """Commit files on top of what is checked out and push it to a branch; gives the commit."""
        for path, text in files.items():
            (self.clone / path).write_text(text)
        self.git("add", ".")
        self.git("commit", "--quiet", "-m", message)
        self.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD")

    def pull(self, branch: str = "main") -> None:
        """Check out what a branch has by now."""
        self.git("fetch", "--quiet", "origin")
        self.git("checkout", "--quiet", "--force", "--detach", f"origin/{branch}")

    def edit(self, branch: str = "main") -> str:
        """Edit a generated file by hand and push it; gives the commit."""
        self.pull(branch)
        text = (self.clone / SERVICE).read_text()
        return self.push({SERVICE: text.replace('"weight": 100', '"weight": 50', 1)}, branch)

    def publish(self, **inputs: str) -> Any:
        """Run the workflow publish."""
        self.runner.table |= {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
        return self.runner.run(self.workflows / "publish.yml", "publish")

    def act(self, **given: str) -> Any:
        """Run the action."""
        return self.runner.action(ACTION, {"kubeconfig": self.table["secrets.KUBECONFIG"], **given})

    def request(self, branch: str, *, fork: bool = False) -> int:
        """Open a pull request, merged by GitHub into its base for checks; gives its number."""
        number = self.github.pull(branch, fork=fork)
        self.merge(number, branch)
        return number

    def merge(self, number: int, branch: str) -> None:
        """Merge a pull request for checks, as GitHub does after each push."""
        git, base, head = self.github.git, self.github.tip("main"), self.github.tip(branch)
        tree = git("merge-tree", "--write-tree", base, head)
        made = git("commit-tree", tree, "-p", base, "-p", head, "-m", "merge")
        git("update-ref", f"refs/pull/{number}/merge", made)

    def check(self, number: int, job: str) -> Any:
        """Run a job of the workflow check."""
        same = self.github.pulls[number]["repo"] == 1
        self.runner.table[COMMENT] = str(number) if same else "0"
        return self.runner.run(self.workflows / "check.yml", job, f"pull/{number}")

    def gone(self, *nodes: int) -> None:
        """Take nodes out of member1."""
        for number in nodes:
            self.fleet.remove_node("member1", f"node{number}")


@pytest.fixture
def world(tmp_path: Path, github: Any, wheel: Path, runner: Any) -> Iterator[World]:
    """Make all of it."""
    if not ACTION.is_dir():
        pytest.skip("no checkout of the project")
    with FleetServer(Fleet()) as server:
        yield World(tmp_path, server, github, wheel, runner)


@pytest.fixture(params=["publish", "act"])
def publish(request: pytest.FixtureRequest, world: World) -> Any:
    """Publish both ways: with the workflow's own steps, and with the action."""
    return getattr(world, request.param)


def outputs(job: Any) -> dict[str, str]:
    """Give the outputs of the step that publishes."""
    found: dict[str, str] = job.steps["publish"].outputs
    assert job.outputs in ({}, found)
    return found


# publish.yml and the action


def test_publish_and_again(world: World, publish: Any) -> None:
    """First there is a commit with its snapshot, then nothing to do; outputs and summary say so."""
    first = publish()
    assert first.failed == []
    tip = world.github.tip("main")
    told = outputs(first)
    digest = told.pop("digest")
    assert told == {"changed": "true", "commit": tip, "pull-request": "", "held": "0", "refused": "0"}
    assert f"Publisher-Plan: {digest}" in world.github.git("show", "-s", "--format=%B", tip)
    assert first.summary.startswith("### Publisher `edge`: ")
    assert f"Plan `{digest}`" in first.summary
    assert f"plan {digest} for publisher edge" in first.log
    assert world.github.tip("snapshots/edge")
    assert first.annotations == []

    again = publish()
    assert again.failed == []
    assert outputs(again)["changed"] == "false"
    assert outputs(again)["commit"] == ""
    assert world.github.tip("main") == tip
    assert world.github.writes == []


def test_dry_run(world: World) -> None:
    """A dry run shows the plan and publishes nothing."""
    before = world.github.tip("main")
    job = world.publish(dry_run="true") if publish == world.publish else world.publish(**{"dry-run": "true"})
    assert job.failed == []
    assert outputs(job)["changed"] == "true"
    assert world.github.tip("main") == before


def test_broken_settings(world: World, publish: Any) -> None:
    """The line of publisher.yaml that is wrong is marked, nothing is published, the kubeconfig is gone."""
    world.push({"publisher.yaml": world.settings(more="pubish: {}\n")})
    line = len(world.settings().splitlines()) + 1
    job = publish()
    assert job.failed == ["publish"]
    assert job.steps["publish"].code == 2
    (marked,) = job.annotations
    assert marked.startswith(f"::error file=publisher.yaml,line={line}::")
    assert "Remove the kubeconfig" in job.steps


def test_no_fleet(world: World) -> None:
    """What has no line is said all the same."""
    world.runner.environment["KUBECONFIG"] = "/nowhere"
    world.table["secrets.KUBECONFIG"] = world.runner.table["secrets.KUBECONFIG"] = "{}"
    job = world.publish()
    assert job.failed == ["publish"]
    (said,) = job.annotations
    assert said.startswith("::error::")


def test_no_secret(world: World, publish: Any) -> None:
    """Where the secret is missing, it is said which, and nothing is left behind."""
    world.table["secrets.KUBECONFIG"] = world.runner.table["secrets.KUBECONFIG"] = ""
    job = publish()
    assert job.failed == ["Write the kubeconfig"]
    assert "kubeconfig" in job.log.lower()
    assert list(job.steps)[-1] == "Remove the kubeconfig"
    assert not (world.runner.temp / "kubeconfig").exists()


def test_held(world: World) -> None:
    """A file that a person has edited is left alone: a warning, and the job is fine."""
    world.publish()
    commit = world.edit()
    job = world.publish()
    assert job.failed == []
    assert outputs(job)["held"] == "1"
    (said,) = job.annotations
    assert re.match(rf"::warning::service default/flask: held, since .* by Tester in {commit[:12]} ", said)
    assert "Held" in job.summary
    assert world.github.tip("main") == commit


def test_refused_and_allowed(world: World, publish: Any) -> None:
    """A guard fails the job while the rest is published; allowing just that lets it pass."""
    publish()
    world.gone(1, 2, 3, 4)
    world.fleet.add_node("member2", "node9", "127.1.2.9")
    job = publish()
    assert job.failed == ["publish"]
    assert job.steps["publish"].code == 4
    told = outputs(job)
    assert told["refused"] == "1"
    assert told["commit"] == world.github.tip("main")
    (said,) = job.annotations
    found = re.match(r"::error::removed-targets default/flask: 4 of 10 .*--allow (\S+) lets it pass", said)
    assert found
    assert world.github.git("diff", "--name-only", "main^", "main") == "pipy/config/clusters/member2.json"

    job = publish(allow=f"empty-cluster=member2 {found[1]}")
    assert job.failed == []
    assert job.annotations == []
    assert outputs(job)["commit"] == world.github.tip("main")


def test_digest(world: World) -> None:
    """Only the plan that was agreed on is published; an input that is none of ours stays what it is: text."""
    job = world.publish(plan_digest='$(touch "$RUNNER_TEMP/owned")', allow="")
    assert job.failed == ["publish"]
    assert job.steps["publish"].code == 4
    assert not (world.runner.temp / "owned").exists()
    plan = world.publish(plan_digest="", dry_run="true")
    assert world.publish(plan_digest=outputs(plan)["digest"], dry_run="").failed == []


def test_allow_is_text(world: World) -> None:
    """An allowance is neither run nor taken for a pattern of files nor for an option."""
    job = world.publish(allow="* $(touch owned) --dry-run")
    assert job.steps["publish"].code == 2
    assert "'*': there is no guard '*'" in job.log
    assert not (world.runner.workspace / "owned").exists()


def test_requirements_say_nothing(world: World) -> None:
    """Until requirements.txt says where publisher comes from, that file is marked."""
    world.push({"requirements.txt": "# nothing\n"})
    job = world.publish()
    assert job.failed == ["Install publisher"]
    assert job.annotations == ["::error file=requirements.txt::say here where publisher comes from"]


def test_the_step_in_the_comment(world: World) -> None:
    """The step that publish.yml names for use in place of its own is one, with all that a person can ask for."""
    text = (world.workflows / "publish.yml").read_text()
    lines = [indent + line for indent, line in EXAMPLE.findall(text) if not line.startswith("pull-requests")]
    (step,) = YAML(typ="safe").load("\n".join(lines))
    uses, _, _ = step["uses"].partition("@")
    assert uses == f"OWNER/publisher/{ACTION.relative_to(TOP)}"
    world.runner.table["inputs.dry-run"] = "true"
    given = {name: world.runner.text(value, None) for name, value in step["with"].items()}
    assert given.keys() == {"kubeconfig", "allow", "plan-digest", "dry-run"}
    assert given["dry-run"] == "true"
    assert outputs(world.act(**given))["changed"] == "true"
    assert not world.github.tip("snapshots/edge")


def test_pull_request(world: World) -> None:
    """Where publisher.yaml asks for a pull request, its address is an output."""
    world.push({"publisher.yaml": world.settings().replace("  #mode:", "  mode:")})
    job = world.publish()
    assert job.failed == []
    (number,) = world.github.pulls
    assert outputs(job)["commit"] == ""
    assert outputs(job)["pull-request"].endswith(f"/pull/{number}")
    assert world.github.tip("publisher/edge")


# check.yml


def test_check_of_a_person(world: World) -> None:
    """The plan of what would be merged is the summary and one comment, which is edited from then on."""
    world.publish()
    world.pull()
    world.push({"publisher.yaml": world.settings(", weights: {member1: 90}")}, "change")
    number = world.request("change")
    job = world.check(number, "check")
    assert (job.failed, job.annotations) == ([], [])
    job = world.check(number, "plan")
    assert job.failed == []
    (said,) = world.github.said(number)
    assert job.summary.strip() in said
    assert "`default/flask`" in said

    (comment,) = world.github.comments
    world.push({"publisher.yaml": world.settings(", weights: {member1: 80}")}, "change")
    world.merge(number, "change")
    job = world.check(number, "plan")
    assert list(world.github.comments) == [comment]
    assert world.github.said(number) != [said]
    assert job.summary.strip() in world.github.said(number)[0]


def test_check_of_a_fork(world: World) -> None:
    """A pull request from a fork is planned without a comment, and no token of it could write one."""
    world.publish()
    world.pull()
    world.push({"publisher.yaml": world.settings(", weights: {member1: 90}")}, "theirs")
    number = world.request("theirs", fork=True)
    job = world.check(number, "plan")
    assert job.failed == []
    assert "`default/flask`" in job.summary
    assert world.github.requests == []


def test_check_of_broken_settings(world: World) -> None:
    """The wrong line is marked, and the check fails."""
    world.publish()
    world.pull()
    text = world.settings(", rotes: []")
    line = 1 + [line.startswith("  default/flask:") for line in text.splitlines()].index(True)
    world.push({"publisher.yaml": text}, "broken")
    job = world.check(world.request("broken"), "check")
    assert job.failed == ["Validate"]
    assert job.annotations[0].startswith(f"::error file=publisher.yaml,line={line}::")


def test_check_of_what_a_guard_refuses(world: World) -> None:
    """It is shown as an error, and how to allow it; merging is not kept from anybody."""
    world.publish()
    world.pull()
    world.push(
        {"publisher.yaml": world.settings(", weights: {member1: 10}", "guards: {shifted-traffic: 20}\n")}, "away"
    )
    job = world.check(world.request("away"), "plan")
    assert job.failed == []
    (said,) = job.annotations
    assert said.startswith("::error::shifted-traffic default/flask: ")
    assert "Refused" in job.summary


def test_check_before_the_first_publish(world: World) -> None:
    """Without a snapshot there is nothing to plan with, and that is no failure."""
    world.push({"README.md": "# ours\n"}, "early")
    job = world.check(world.request("early"), "plan")
    assert job.failed == []
    assert job.annotations == ["::notice::publish has recorded no snapshot yet, so there is nothing to plan with"]


def propose(world: World) -> int:
    """Let publisher ask for a pull request of its own."""
    world.publish()
    world.fleet.add_node("member1", "node9", "127.1.1.9")
    world.pull()
    world.push({"publisher.yaml": world.settings().replace("  #mode:", "  mode:")})
    world.publish()
    (number,) = world.github.pulls
    world.merge(number, "publisher/edge")
    return int(number)


def test_check_of_the_publisher(world: World) -> None:
    """Its commits are replayed, and found to be what it makes of their snapshots."""
    number = propose(world)
    job = world.check(number, "check")
    assert (job.failed, job.annotations) == ([], [])
    assert world.github.tip("publisher/edge")[:12] in job.steps["Replay"].log


def test_check_of_the_publisher_edited_by_hand(world: World) -> None:
    """What a person has added by hand is said, and is no failure."""
    number = propose(world)
    commit = world.edit("publisher/edge")
    world.merge(number, "publisher/edge")
    job = world.check(number, "check")
    assert job.failed == []
    short = world.git("rev-parse", "--short", commit)
    assert job.annotations == [f"::notice::commit {short} edits generated files by hand; publisher will hold them"]


def test_check_of_a_forged_commit(world: World) -> None:
    """A commit that says it is the publisher's and is not what it would make fails."""
    number = propose(world)
    world.pull("publisher/edge")
    message = world.git("log", "-1", "--format=%B")
    world.git("reset", "--quiet", "--soft", "HEAD^")
    text = (world.clone / SERVICE).read_text()
    world.push({SERVICE: text.replace('"weight": 100', '"weight": 50', 1)}, "publisher/edge", message)
    world.merge(number, "publisher/edge")
    job = world.check(number, "check")
    assert job.failed == ["Replay"]


# status.yml


def test_status(world: World) -> None:
    """The dead man's switch is quiet after a publish, and goes off where there never was one."""
    before = world.runner.run(world.workflows / "status.yml", "status")
    assert before.failed == ["Status"]
    world.publish()
    after = world.runner.run(world.workflows / "status.yml", "status")
    assert after.failed == []
    assert "last published: " in after.log


def test_status_of_long_ago(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes off where the last publish is too long ago."""
    world.publish()
    monkeypatch.setenv("GIT_COMMITTER_DATE", f"@{int(time.time()) - 26 * 3600} +0000")
    for branch in ("snapshots/edge", "main"):
        world.pull(branch)
        world.git("commit", "--quiet", "--amend", "--no-edit")
        world.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
    job = world.runner.run(world.workflows / "status.yml", "status")
    assert job.failed == ["Status"]
    (said,) = job.annotations
    assert said.startswith("::error::")


# sync.yml

REPO_IS_SET = "vars.PIPY_REPO != ''"
SAY_IT_IS_NOT = "vars.PIPY_REPO == '' && github.event_name != 'workflow_run'"


@pytest.fixture
def pipy(world: World) -> Iterator[Repo]:
    """Run a Repo that wants client certificates, with a worker, and tell the runner of both and of a certificate."""
    ca = trustme.CA()
    client = ca.issue_cert("syncer")
    key = client.private_key_pem.bytes().decode()
    chain = "".join(pem.bytes().decode() for pem in client.cert_chain_pems)
    with Repo(ca) as repo, Worker(repo, "edge", "worker-0", report_seconds=0.2):
        world.runner.table |= {
            REPO_IS_SET: "true",
            SAY_IT_IS_NOT: "false",
            "vars.PIPY_REPO": f"{repo.url}/repo/edge",
            "vars.PIPY_TLS_CA": ca.cert_pem.bytes().decode(),
            "secrets.PIPY_TLS_CERT": chain,
            "secrets.PIPY_TLS_KEY": key,
            "inputs.ref": "",
            "inputs.take-over": "",
        }
        world.runner.secrets += (key.splitlines()[1],)
        yield repo


def sync(world: World, **inputs: str) -> Any:
    """Run the workflow sync, which gives workers little time here."""
    world.runner.table |= {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
    workflow = world.runner.folder.with_name("sync.yml")
    text = (world.workflows / "sync.yml").read_text()
    assert text.count("--converge-timeout 120") == 1
    workflow.write_text(text.replace("--converge-timeout 120", "--converge-timeout 3"))
    return world.runner.run(workflow, "sync")


def status(world: World, commit: str) -> tuple[str, str]:
    """Give the state and the text of the status that a commit got last."""
    last = world.github.statuses[commit][-1]
    assert last["context"] == "publisher/sync"
    return last["state"], last["description"]


def test_sync(world: World, pipy: Repo) -> None:
    """What is on main comes to the Repo and the worker, and the commit says so; once more there is nothing to do."""
    pipy.answer("POST", "/api/v1/repo/edge", b"{}", "127.0.0.1")
    pipy.answer("PATCH", "/api/v1/repo/edge", b'{"version": "theirs"}', "127.0.0.1")
    tip = world.github.tip("main")
    foreign = sync(world)
    assert foreign.failed == ["sync"]
    assert foreign.steps["sync"].code == 4, "somebody else's version stays, until it is said to take it over"
    job = sync(world, take_over="true")
    assert (job.failed, job.annotations) == ([], [])
    assert status(world, tip) == ("success", f"1/1 workers on {tip[:7]}")
    assert job.steps["sync"].outputs == {"commit": tip, "result": "published", "workers": "1/1"}
    assert "worker-0" in job.summary
    assert not (world.runner.temp / "pipy").exists()
    again = sync(world, take_over="")
    assert again.failed == []
    assert again.steps["sync"].outputs["result"] == "unchanged"


def test_sync_of_another_commit(world: World, pipy: Repo) -> None:
    """By hand another branch can be brought there; an input is text and nothing else."""
    other = world.push({"README.md": "# ours\n"}, "other")
    assert sync(world, ref="other").steps["sync"].outputs["commit"] == other
    job = sync(world, ref='$(touch "$RUNNER_TEMP/owned")')
    assert job.failed == ["sync"]
    assert not (world.runner.temp / "owned").exists()


def test_sync_of_a_program_that_throws(world: World, pipy: Repo) -> None:
    """A worker that refuses the commit fails the job and the commit's status; what was there is back."""
    assert sync(world).failed == []
    world.pull()
    bad = world.push({"pipy/main.js": "throw 1\n"})
    job = sync(world)
    assert job.failed == ["sync"]
    assert job.steps["sync"].code == 1
    assert job.annotations
    assert status(world, bad)[0] == "failure"
    assert list(job.steps)[-1] == "Remove the client certificate"


def test_sync_without_a_certificate(world: World, pipy: Repo) -> None:
    """Without the secrets the Repo lets nobody in, which is said."""
    world.runner.table |= {"secrets.PIPY_TLS_CERT": "", "secrets.PIPY_TLS_KEY": ""}
    job = sync(world)
    assert job.failed == ["sync"]
    assert job.steps["sync"].code == 1
    assert job.annotations[0].startswith("::error::")


def test_no_sync_without_a_repo(world: World) -> None:
    """Until the variable PIPY_REPO is set, a notice is all that comes of it."""
    workflow = world.workflows / "sync.yml"
    world.runner.table |= {REPO_IS_SET: "false", SAY_IT_IS_NOT: "true"}
    assert sync(world).steps == {}
    job = world.runner.run(workflow, "no-repo")
    assert job.failed == []
    assert job.annotations == ["::notice::the variable PIPY_REPO is not set, so nothing is synced from here"]
