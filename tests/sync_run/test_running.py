"""A sync that runs on, as a process: what it follows, what it tells, and how it ends."""

from __future__ import annotations

import hmac
import json
import signal
from typing import Any

import pytest

SECRET = "a secret"


def push(running: Any, ref: str = "refs/heads/main") -> tuple[int, str]:
    """Tell it of a push, as GitHub does."""
    body = json.dumps({"ref": ref, "repository": {"default_branch": "main"}}).encode()
    signature = f"sha256={hmac.new(SECRET.encode(), body, 'sha256').hexdigest()}"
    found: tuple[int, str] = running.ask("/webhook", body, X_GitHub_Event="push", X_Hub_Signature_256=signature)
    return found


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_interval(site: Any, number: signal.Signals, code: int) -> None:
    """It follows the branch, and says of each commit once what became of it, until a signal ends it."""
    first = site.commit()
    running = site.start("--interval=1")
    running.says(f"{first[:7]} published")
    second = site.commit("two")
    running.says(f"{second[:7]} published")
    assert site.program == "two"
    third = site.commit("three")
    running.says(f"{third[:7]} published")
    assert running.end(number) == code
    text = "\n".join(running.said)
    assert text.count(" published") == 3
    assert "unchanged" not in text
    assert "Traceback" not in text


def test_json_lines(site: Any) -> None:
    """Running on, each document is a line."""
    commit = site.commit()
    running = site.start("--interval=1", "--format=json")
    assert json.loads(running.says('"commit"'))["commit"] == commit
    assert running.end() == 0


def test_it_goes_on(site: Any) -> None:
    """What goes wrong is told once, and what there is stays; once that is mended it goes on by itself."""
    site.commit()
    running = site.start("--interval=1")
    running.says(" published")
    away = site.remote.rename(site.top / "away.git")
    running.says("publisher: git ")
    away.rename(site.remote)
    running.says(" unchanged")
    assert site.program == "one"
    site.git("commit", "--allow-empty", "--quiet", "-m", "empty")
    (site.top / "work/publisher.yaml").write_text("publisher: edge\nnonsense: 1\n")
    site.git("commit", "--all", "--quiet", "-m", "a mistake")
    site.git("push", "--quiet")
    running.says("nonsense")
    commit = site.commit("two")
    running.says(f"{commit[:7]} published")
    assert running.end() == 0
    assert len([line for line in running.said if "publisher: git " in line]) == 1


def test_a_push(site: Any, eventually: Any) -> None:
    """Without an interval a push makes it look, and only one of its branch; what it tells shows what it did."""
    first = site.commit()
    running = site.start("--webhook=127.0.0.1:0", PUBLISHER_WEBHOOK_SECRET=SECRET)
    running.says("listening on ")
    running.says(f"{first[:7]} published")
    eventually(lambda: running.ask("/readyz") == (200, "ok\n"))
    second = site.commit("two")
    assert running.ask("/webhook", b"{}", X_GitHub_Event="push")[0] == 403
    assert push(running, "refs/heads/other") == (200, "ignored: another branch\n")
    assert push(running)[0] == 202
    running.says(f"{second[:7]} published")
    eventually(lambda: 'runs_total{result="success"} 2' in running.ask("/metrics")[1])
    _, metrics = running.ask("/metrics")
    assert f'publisher_sync_commit_info{{ref="HEAD",commit="{second}"}} 1' in metrics
    assert "publisher_sync_uploads_total 2\n" in metrics
    assert f'publisher_sync_workers{{place="{site.folder}",state="running"}} 0\n' in metrics
    assert running.ask("/healthz") == (200, "ok\n")
    assert running.end() == 0


def test_pushes_while_it_works(site: Any, eventually: Any) -> None:
    """Pushes during a run are answered at once, and cost one more run together."""
    site.commit()
    go = site.top / "go"
    after = f"touch {site.top}/at-work; while ! test -e {go}; do sleep 0.05; done"
    running = site.start("--webhook=127.0.0.1:0", f"--after={after}", PUBLISHER_WEBHOOK_SECRET=SECRET)
    running.says("listening on ")
    eventually((site.top / "at-work").exists)
    assert running.ask("/readyz")[0] == 503
    second = site.commit("two")
    for _ in range(5):
        assert push(running)[0] == 202
    assert running.ask("/healthz") == (200, "ok\n")
    go.touch()
    running.says(f"{second[:7]} published")
    eventually(lambda: 'runs_total{result="success"} 2' in running.ask("/metrics")[1])
    assert running.end() == 0


def test_not_ready(site: Any, eventually: Any) -> None:
    """A place that is not as it is to be is told by /readyz and the metrics, and by the log."""
    site.commit()
    running = site.start("--webhook=127.0.0.1:0", "--interval=1", "--after=false")
    running.says("--after ended with 1")
    eventually(lambda: 'runs_total{result="failure"} 3' in running.ask("/metrics")[1])
    assert running.ask("/readyz") == (503, f"{site.folder}: failed\n")
    assert running.end() == 0
    assert len([line for line in running.said if "so it is as before" in line]) == 1


def test_not_signed(site: Any) -> None:
    """A commit that is refused is told once, and what was there before stays."""
    site.commit()
    (site.top / "signers").write_text(f"{'A' * 40}\n")
    running = site.start("--interval=1", f"--signed-by={site.top}/signers")
    running.says("it is not signed")
    second = site.commit("two")
    assert second[:12] in running.says("it is not signed")
    assert running.end() == 0
    assert not site.folder.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_ended_at_work(site: Any, eventually: Any, number: signal.Signals, code: int) -> None:
    """A signal in the middle of a run lets the step that is under way come to its end, and leaves nothing half done."""
    site.commit()
    running = site.start("--interval=60", f"--after=touch {site.top}/at-work; sleep 1; touch {site.top}/done")
    eventually((site.top / "at-work").exists)
    assert running.end(number) == code
    assert (site.top / "done").exists()
    assert {path.name for path in site.folder.iterdir()} == {"current", site.git("rev-parse", "HEAD")}


def test_a_port_that_is_taken(site: Any) -> None:
    """Where it cannot listen it does not begin."""
    site.commit()
    running = site.start("--webhook=127.0.0.1:0")
    taken = running.says("listening on ").removeprefix("listening on http://")
    other = site.start(f"--webhook={taken}")
    assert other.ended() == 2
    assert other.said == [f"publisher: {taken}: cannot listen there: Address already in use"]
    assert running.end() == 0
