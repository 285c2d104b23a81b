"""Runs a workflow as a runner of GitHub Actions does: every step in order, with bash, on a fresh clone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_OUTPUT = re.compile(r"steps\.([\w-]+)\.outputs\.([\w-]+)")
_SHELLS = {"": ["bash", "-e"], "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"]}
_STEP = {"name", "id", "if", "uses", "with", "env", "run", "shell"}


def load(file: Path) -> Any:
    """Read a workflow or an action."""
    return YAML(typ="safe").load(file.read_text())


@dataclass
class Step:
    """What came of a step."""

    code: int
    log: str = ""
    """stdout and stderr, as people see them."""
    summary: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Job:
    """What came of a job, or of an action."""

    steps: dict[str, Step] = field(default_factory=dict)
    """By id, or else by name; a step that was skipped is not here."""
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """The steps that failed."""
        return [name for name, step in self.steps.items() if step.code]

    @property
    def log(self) -> str:
        """All that was printed."""
        return "".join(step.log for step in self.steps.values())

    @property
    def annotations(self) -> list[str]:
        """The errors, warnings and notices, in order."""
        return re.findall(r"^::(?:error|warning|notice)\b.*", self.log, re.MULTILINE)

    @property
    def summary(self) -> str:
        """The summary of all steps."""
        return "".join(step.summary for step in self.steps.values())


class Runner:
    """A machine for one job after the other; what they say is looked through for secrets."""

    def __init__(self, folder: Path, remote: Path, table: Mapping[str, str], secrets: tuple[str, ...]) -> None:
        self.folder = folder
        self.remote = f"file://{remote}"
        self.table = dict(table)
        """What the expressions give; one that is not here fails the test."""
        self.secrets = secrets
        self.environment: dict[str, str] = {}
        """Variables of the test's own."""
        self.workspace = folder / "work"
        self.temp = folder / "temp"

    def run(self, workflow: Path, job: str, ref: str = "main") -> Job:
        """Run a job of a workflow: on a branch, or on ``pull/N``."""
        wanted = load(workflow)["jobs"][job]
        assert wanted.keys() <= {"if", "runs-on", "timeout-minutes", "environment", "permissions", "steps"}
        if self._expression(wanted.get("if", "success()"), Job()) != "true":
            return Job()
        self._fresh()
        return self._steps(wanted["steps"], ref)

    def action(self, folder: Path, given: Mapping[str, Any], ref: str = "main") -> Job:
        """Run a composite action on a checkout of a branch."""
        self._fresh()
        self._checkout({"fetch-depth": 0}, ref)
        action = load(folder / "action.yml")
        inputs = action["inputs"]
        assert given.keys() <= inputs.keys()
        assert {name for name, item in inputs.items() if item.get("required")} <= given.keys()
        for name, item in inputs.items():
            self.table[f"inputs.{name}"] = self.text(given.get(name, item.get("default", "")), Job())
        self.environment["GITHUB_ACTION_PATH"] = str(folder)
        job = self._steps(action["runs"]["steps"], ref)
        job.outputs = {name: self.text(item["value"], job) for name, item in action["outputs"].items()}
        return job

    def _fresh(self) -> None:
        for folder in (self.workspace, self.temp):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self.tools = self.temp / "tools"  # a Python without anything, which the dependencies of this one are lent to
        venv.create(self.tools, with_pip=False)

    def _steps(self, steps: list[Any], ref: str) -> Job:
        job = Job()
        for step in steps:
            assert step.keys() <= _STEP, step
            name = step.get("id") or step.get("name") or step["uses"]
            assert name not in job.steps
            condition = step.get("if", "success()")
            if self._expression(condition, job) != "true" or (job.failed and condition != "always()"):
                continue
            if "uses" in step:
                job.steps[name] = self._uses(step["uses"], step.get("with", {}), ref)
            else:
                job.steps[name] = self._bash(step, job)
        self._look_through(job)
        return job

    def _expression(self, text: str, job: Job) -> str:
        if text in ("always()", "success()"):
            return str(text == "always()" or not job.failed).lower()
        if found := _OUTPUT.fullmatch(text):
            return job.steps[found[1]].outputs.get(found[2], "") if found[1] in job.steps else ""
        assert text in self.table, f"unknown expression: {text}"
        return self.table[text]

    def text(self, value: Any, job: Job) -> str:
        """Put in what the expressions of a value give."""
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return _EXPRESSION.sub(lambda found: self._expression(found[1], job), text)

    def _uses(self, action: str, given: Mapping[str, Any], ref: str) -> Step:
        name, _, commit = action.partition("@")
        assert re.fullmatch("[0-9a-f]{40}", commit), action
        if name == "actions/checkout":
            self._checkout(given, ref)
            return Step(0)
        assert name == "actions/setup-python", action
        return Step(0, outputs={"python-path": str(self.tools / "bin/python")})

    def _checkout(self, given: Mapping[str, Any], ref: str) -> None:
        """Do what actions/checkout does."""
        assert given["fetch-depth"] == 0
        ref = given.get("ref", ref)
        there = f"refs/remotes/{ref}/merge" if ref.startswith("pull/") else f"refs/remotes/origin/{ref}"
        merge = [f"+refs/{ref}/merge:{there}"] if ref.startswith("pull/") else []
        self.git("init", "--quiet")
        self.git("remote", "add", "origin", self.remote)
        everything = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        self.git("fetch", "--quiet", "--no-tags", "origin", *everything, *merge)
        branch = [] if merge else ["-B", ref]
        self.git("checkout", "--quiet", "--force", *branch, there)
        if given.get("persist-credentials") is False:
            self.git("remote", "set-url", "origin", str(self.folder / "no-credentials"))

    def git(self, *arguments: str) -> str:
        """Run git in the workspace."""
        command = ["git", "-C", str(self.workspace), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def _bash(self, step: Any, job: Job) -> Step:
        assert not _EXPRESSION.search(step["run"]), "an expression in a script is an injection"
        files = {name: self.temp / f"{name}-{len(job.steps)}" for name in ("output", "step_summary", "env", "path")}
        for file in files.values():
            file.touch()
        script = self.temp / f"script-{len(job.steps)}.sh"
        script.write_text(step["run"])
        path = [str(self.tools / "bin"), *os.environ["PATH"].split(os.pathsep)]
        environment = {
            "PATH": os.pathsep.join(item for item in path if item != str(Path(sys.executable).parent)),
            "HOME": str(self.temp),
            "LANG": "C.UTF-8",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
            **{f"GITHUB_{name.upper()}": str(file) for name, file in files.items()},
            # no index: the dependencies are those that the tests run with
            "PIP_NO_INDEX": "1",
            "PIP_NO_CACHE_DIR": "1",
            "PYTHONPATH": sysconfig.get_path("purelib"),
            **self.environment,
            **{name: self.text(value, job) for name, value in step.get("env", {}).items()},
        }
        command = [*_SHELLS[step.get("shell", "")], str(script)]
        done = subprocess.run(
            command,
            cwd=self.workspace,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        lines = files["output"].read_text().splitlines()
        outputs = dict(line.split("=", 1) for line in lines)
        assert not files["env"].read_text()
        assert not files["path"].read_text()
        return Step(done.returncode, done.stdout, files["step_summary"].read_text(), outputs)

    def _look_through(self, job: Job) -> None:
        """Check that nothing that was said or left behind has a secret in it."""
        for secret in self.secrets:
            for name, step in job.steps.items():
                said = "\n".join([step.log, step.summary, *step.outputs.values()])
                assert secret not in said, f"{name} tells a secret"
            for file in (*self.temp.iterdir(), *self.workspace.rglob("*")):
                if file.is_file():
                    assert secret.encode() not in file.read_bytes(), f"{file} has a secret in it"
