"""Annotations as a runner of GitHub Actions reads them."""

from __future__ import annotations

import pytest

from publisher.cli import actions, screen
from publisher.core.model import Finding
from publisher.errors import GitError, SettingsError

WRONG = Finding("publisher.yaml", "line 7", "unknown-key", "unknown key 'a,b'", "c%d")


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        (WRONG, "::error file=publisher.yaml,line=7::publisher.yaml: line 7: unknown key 'a,b' (c%25d) [unknown-key]"),
        (Finding("a,b:c%.json", "/x", "r", "m"), "::error file=a%2Cb%3Ac%25.json::a,b:c%25.json: /x: m [r]"),
        (Finding("cluster eu.1", "", "r", "m", "", "warning"), "::warning::cluster eu.1: m [r]"),
        (Finding("route a.example.com/*", "line 3", "r", "m"), "::error::route a.example.com/*: line 3: m [r]"),
        (Finding("cluster a", "", "r", "x\n::add-mask::y\x85z"), "::error::cluster a: x ::add-mask::y z [r]"),
        (Finding("cluster a", "", "r", "x ##[add-mask]y"), "::error::cluster a: x ## [add-mask]y [r]"),
    ],
)
def test_annotation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], finding: Finding, line: str
) -> None:
    """A finding is one line: with the file and its line where it has one, and with nothing that is read as more."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    actions.annotate([finding])
    assert capsys.readouterr().err == f"{line}\n"


@pytest.mark.parametrize(
    ("error", "start"),
    [
        (SettingsError("publisher.yaml: one thing to mend", [WRONG]), "::error file=publisher.yaml,line=7::"),
        (GitError("https://me:secret@example.com/x: 100% gone"), "::error::https://"),
    ],
)
def test_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: GitError | SettingsError, start: str
) -> None:
    """An error is said once: by what it found, or else by itself without what is secret."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    actions.fail(error)
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(start)
    assert "secret" not in said


def test_elsewhere(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody else gets annotations."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    actions.annotate([WRONG])
    actions.fail(GitError("gone"))
    assert capsys.readouterr() == ("", "")


def test_old_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like one in the middle of a line is none in Actions, and as it is elsewhere."""
    screen.lines(["a ##[stop-commands]b"])
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    screen.lines(["a ##[stop-commands]b"])
    screen.say("a ##[stop-commands]b")
    out, err = capsys.readouterr()
    assert (out, err) == ("a ##[stop-commands]b\na ## [stop-commands]b\n", "a ## [stop-commands]b\n")
