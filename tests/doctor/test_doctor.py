"""What the doctor says as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from publisher.cli import main


@pytest.mark.parametrize("access", ["proxy", "direct"])
def test_all_is_well(world: Any, doctor: Any, access: str) -> None:
    """Where nothing is wrong every check is ok, and the exit code 0."""
    world.settings(access=access)
    seen = doctor()
    seen.only()
    assert {"settings", "push", "forge", "rights", "member member1", "member member2", "karmada clock"} <= set(
        seen.checks
    )


def test_by_url(world: Any, doctor: Any) -> None:
    """A repository behind a URL is looked at as well."""
    world.where = world.remote.as_uri()
    doctor().only()


def test_as_text(world: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """A line for each check, on stdout: a mark, the name, what is so, and what to do; the count on stderr."""
    (world.repo / "schemas/plan.schema.json").unlink()
    world.server.stop_member("member2")
    capfd.readouterr()
    assert world.run("doctor") == 1
    shown = capfd.readouterr()
    lines = {line[5:].partition(":")[0]: line for line in shown.out.splitlines()}
    assert lines["settings"].startswith("ok   settings: publisher edge in publisher.yaml")
    assert lines["schemas"].startswith("warn schemas: 1 of ")
    assert " -> publisher init lays them down" in lines["schemas"]
    assert lines["member member2"].startswith("FAIL member member2: Karmada: HTTP 500: dial tcp")
    assert shown.err.rstrip().endswith(" ok, 1 warn, 1 FAIL")
    assert len(lines) == sum(int(part.split()[0]) for part in shown.err.strip().split(", "))


def test_on_a_terminal(world: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The marks have colours where somebody looks, and none where a program reads."""
    (world.repo / "schemas/plan.schema.json").unlink()
    world.write_kubeconfig(token="unknown")
    capfd.readouterr()
    assert world.run("doctor") == 1
    assert "\x1b" not in capfd.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert world.run("doctor") == 1
    shown = capfd.readouterr().out
    assert "\x1b[32mok   settings" in shown
    assert "\x1b[33mwarn schemas" in shown
    assert "\x1b[1;31mFAIL credentials" in shown
    assert "\x1b[36m?    rights" in shown


def test_without_settings_nothing_else_is_guessed(world: Any, doctor: Any) -> None:
    """What takes publisher.yaml is not checked, and says so."""
    (world.repo / "publisher.yaml").write_text("publisher: edge\nlayuot: native\nkarmada: {acess: proxy}\n")
    world.git("commit", "--quiet", "-am", "wrong")
    seen = doctor()
    assert seen.code == 1
    assert seen.state("settings") == "fail"
    assert "line 2: layuot: unknown key" in seen.text("settings")
    assert "1 other mistake" in seen.text("settings")
    assert {check["state"] for name, check in seen.checks.items() if name != "settings"} == {"not-checked"}
    assert "it takes settings" in seen.text("git")


def test_an_empty_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A folder that is no config repository ends with 1, not with an error of its own."""
    assert main(["doctor", "--repo", str(tmp_path), "--format", "json"]) == 1
    first = json.loads(capfd.readouterr().out)["checks"][0]
    assert first["state"] == "fail"
    assert "publisher init lays one down" in first["message"]


def test_other_publishers_are_named(world: Any, doctor: Any) -> None:
    """Who else has files in the repository is said, and nothing is wrong with it."""
    file = world.repo / "pipy/config/clusters/member1.json"
    shared = file.read_text().replace('"publisher": "edge"', '"publisher": "core"').replace("member1", "far")
    (file.parent / "far.json").write_text(shared.replace("10.0.1.1", "10.0.9.1"))
    world.git("add", ".")
    world.git("commit", "--quiet", "-m", "core")
    seen = doctor()
    seen.only()
    assert "shared with core" in seen.text("settings")


def test_other_settings(world: Any, doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """--settings names the file of another publisher in the same repository."""
    monkeypatch.setenv("PUBLISHER_SETTINGS", "core.yaml")
    assert "core.yaml" in doctor().text("settings")
    (world.repo / "core.yaml").write_text("publisher: core\noutput: core\n")
    world.git("add", ".")
    world.git("commit", "--quiet", "-m", "core")
    seen = doctor()
    assert "publisher core in core.yaml" in seen.text("settings")
    seen.only(program="fail", files="warn")


def test_everything_wrong_at_once(world: Any, doctor: Any) -> None:
    """All checks run whatever fails, and each says its own."""
    world.settings("publish: {mode: pull-request}\n")
    world.git("remote", "set-url", "origin", "file:///nowhere/at-all.git")
    (world.repo / "pipy/main.js").unlink()
    file = world.repo / "pipy/config/services/default.flask.json"
    file.write_text(file.read_text().replace("31193", "99999"))
    world.git("commit", "--quiet", "-am", "broken")
    world.server.stop()
    doctor().only(
        program="fail", files="fail", git="fail", push="not_checked", signing="not_checked", user="not_checked",
        forge="fail", karmada="fail", credentials="not_checked", clusters="not_checked", rights="not_checked",
        members="not_checked", karmada_clock="not_checked",
    )  # fmt: skip
