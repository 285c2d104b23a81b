"""One sync to a folder, with signatures, statuses, and what GitHub Actions gets to see."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def test_to_a_folder(site: Any) -> None:
    """A commit is there once it is synced; again it changes nothing, and the next one takes its place."""
    first = site.commit()
    done = site.sync("--after", f"cat {site.folder}/current/main.js")
    assert (done.code, site.program) == (0, "one")
    assert "--after: one\n" in done.err
    assert f"{first[:7]} published, 1 file uploaded, 0 deleted\n" in done.out
    done = site.sync("--after", "false")
    assert done.code == 0
    assert f"{first[:7]} unchanged\n" in done.out
    site.commit("two")
    assert site.sync("--once").code == 0
    assert site.program == "two"


def test_the_command_fails(site: Any) -> None:
    """Where the command fails, what was before is there again, and the exit code is 1."""
    site.commit()
    site.sync()
    site.commit("two")
    done = site.sync("--after", "grep -q one")
    assert (done.code, site.program) == (1, "one")
    assert f"{site.folder}: --after ended with 1, so it is as before; see what the command says\n" in done.err


def test_somebody_elses_folder(site: Any) -> None:
    """A folder whose ``current`` is none of ours is left alone, but for --take-over."""
    site.commit()
    (site.folder / "v1").mkdir(parents=True)
    (site.folder / "current").symlink_to("v1")
    done = site.sync()
    assert done.code == 4
    assert "is no commit of this repository, and nothing was changed" in done.err
    assert site.sync("--take-over").code == 0
    assert site.program == "one"


def test_no_folder(site: Any) -> None:
    """A folder that cannot be written is one line, and exit 1."""
    site.commit()
    site.folder.write_text("")
    done = site.sync()
    assert done.code == 1
    assert f"{site.folder}" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "name the codebase of a Pipy Repo, or a folder: "),
        (("--pipy=http://127.0.0.1:1/repo/a", "--after=true"), "--after is for what --to-dir has changed"),
        (("--to-dir=x", "--once", "--interval=5"), "--once does not go with --interval"),
        (("--to-dir=x", "--dry-run", "--webhook=127.0.0.1:0"), "--dry-run does not go with --interval"),
        (("--to-dir=x", "--listen=0.0.0.0:0"), "set PUBLISHER_WEBHOOK_SECRET"),
        (("--to-dir=x", "--webhook=9090"), "not HOST:PORT"),
        (("--to-dir=x", "--signed-by=/nowhere"), "/nowhere: No such file"),
        (("--to-dir=x", "--commit-status"), "names no repository of GitHub"),
        (("--to-dir=x", "--interval=60", "--ref=nowhere"), "no such branch, tag or commit"),
    ],
)
def test_what_does_not_go(site: Any, arguments: tuple[str, ...], line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not go together, or cannot be, is told before anything is done."""
    monkeypatch.chdir(site.top)
    site.commit()
    done = site.sync(*arguments, places=False)
    assert done.code == 2
    assert re.match(r"publisher: [^\n]*" + re.escape(line) + r"[^\n]*\n\Z", done.err)
    assert not (site.top / "x").exists()


# signatures


@pytest.fixture
def key(site: Any) -> Any:
    """Make an SSH key."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not installed")
    made = site.top / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", made], check=True)
    (site.top / "signers").write_text(f"ada@example.com {made.with_suffix('.pub').read_text()}")
    return made


def signed(key: Path) -> tuple[str, ...]:
    """Give the options of git that sign a commit."""
    return ("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}", "-c", "commit.gpgSign=true")


@pytest.mark.parametrize("by", ["url", "checkout"])
def test_only_signed_commits(site: Any, key: Path, by: str) -> None:
    """A commit that no allowed key has signed is refused, and nothing is touched; what was there before stays."""
    site.url = site.url if by == "url" else str(site.top / "work")
    site.commit()
    done = site.sync("--signed-by", site.top / "signers")
    assert done.code == 4
    assert re.fullmatch(r"publisher: commit \w{12} is not synced: it is not signed; [^\n]*\n", done.err)
    assert not site.folder.exists()
    site.commit("two", *signed(key))
    assert site.sync("--signed-by", site.top / "signers").code == 0
    site.commit("three")
    assert site.sync("--signed-by", site.top / "signers").code == 4
    assert site.program == "two"


# statuses


@pytest.fixture
def hosted(site: Any, github: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the config repository be one of GitHub's."""
    for name, value in github.environment.items():
        monkeypatch.setenv(name, value)
    site.git("push", "--quiet", "--force", str(github.bare), f"{site.commit()}:main")
    site.git("remote", "set-url", "origin", github.bare.as_uri())
    site.url = github.bare.as_uri()
    return github


def statuses(site: Any, hosted: Any) -> list[tuple[str, str]]:
    """Give what was said of the newest commit, oldest first."""
    return [(said["state"], said["description"]) for said in hosted.statuses[site.git("rev-parse", "HEAD")]]


def test_status(site: Any, hosted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub shows that a commit is being synced, then how that ended, with a link to the run of the workflow."""
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.invalid")
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    short = site.git("rev-parse", "HEAD")[:7]
    for _ in range(2):
        assert site.sync("--commit-status").code == 0
    assert statuses(site, hosted) == [("pending", f"syncing {short}"), ("success", f"no workers on {short}")]
    (url,) = {said["target_url"] for said in next(iter(hosted.statuses.values()))}
    assert url == "https://github.invalid/acme/config/actions/runs/7"


def test_status_of_a_failure(site: Any, hosted: Any) -> None:
    """A commit that is not there in the end has failed, and one that works the next time has not."""
    assert site.sync("--commit-status", "--after", "false").code == 1
    short = site.git("rev-parse", "HEAD")[:7]
    assert statuses(site, hosted)[1:] == [("failure", f"no workers on {short}, failed")]
    assert site.sync("--commit-status").code == 0
    assert statuses(site, hosted)[-1][0] == "success"


def test_status_of_a_refusal(site: Any, hosted: Any, key: Path) -> None:
    """Whoever pushed a commit that may not be synced sees why."""
    assert site.sync("--commit-status", "--signed-by", site.top / "signers").code == 4
    state, text = statuses(site, hosted)[-1]
    assert state == "failure"
    assert re.match(r"commit \w{12} is not synced: it is not signed; ", text)


def test_status_of_a_mistake_elsewhere(site: Any, hosted: Any, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with the syncer itself is not told to everybody who sees the repository."""
    site.commit("two", *signed(key))
    file = site.top / "gitconfig"
    file.write_text(Path(os.environ["GIT_CONFIG_GLOBAL"]).read_text() + '[gpg "ssh"]\n\tprogram = /nowhere/program\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(file))
    done = site.sync("--commit-status", "--signed-by", site.top / "signers")
    assert done.code == 1
    assert "/nowhere/program" in done.err
    assert statuses(site, hosted)[-1] == ("failure", "not synced; see the log of the sync")


def test_no_status_of_a_dry_run(site: Any, hosted: Any) -> None:
    """A dry run says nothing."""
    assert site.sync("--commit-status", "--dry-run").code == 0
    assert hosted.requests == []


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 500])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_github_fails(site: Any, hosted: Any, forge: ModuleType, verb: str, status: int) -> None:
    """A status that cannot be set is a warning: the commit is synced all the same."""
    headers = {"Retry-After": "99"} if status == 429 else {}
    fault = forge.Fault(status=status, body=b'{"message": "No"}', headers=headers)
    hosted.fail(verb, ".*statuses.*", fault, times=99)
    done = site.sync("--commit-status")
    assert (done.code, site.program) == (0, "one")
    warnings = [line for line in done.err.splitlines() if line.startswith("warning: ")]
    assert warnings
    assert all(re.match(rf"warning: the status of \w{{7}} is not set: GitHub: HTTP {status}", one) for one in warnings)
    assert hosted.token not in done.err


# GitHub Actions


def test_in_a_workflow(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workflow gets the commit, the result and the workers as outputs, and a summary."""
    outputs, summary = site.top / "outputs", site.top / "summary"
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    commit = site.commit()
    site.sync()
    assert outputs.read_text() == f"commit={commit}\nresult=published\nworkers=0/0\n"
    assert summary.read_text().startswith(f"### publisher sync: no workers on {commit[:7]}\n\n| place | result |")
    outputs.unlink()
    site.commit("two")
    done = site.sync("--after", "false")
    assert "result=failed\n" in outputs.read_text()
    assert "::error::" in done.err
    assert "--after ended with 1" in done.err
