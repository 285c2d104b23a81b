"""Promise 8: nothing secret is written, printed or committed."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from publisher.cli import main
from publisher.demo.fleet import Fleet
from publisher.demo.server import FleetServer, Reply, Request

PLANTED = "hunter2-planted-secret"
SETTINGS = """\
publisher: edge
karmada: {access: ACCESS}
services:
  default/flask: {routes: ["/env/*"]}
allowedNetworks: [127.1.0.0/16]
"""


def _fleet() -> Fleet:
    """Plant secrets wherever an object can carry one."""
    fleet = Fleet()
    annotations = {"example.com/password": PLANTED, "kubectl.kubernetes.io/last-applied-configuration": PLANTED}
    for number, name in ((1, "member1"), (2, "member2")):
        fleet.add_member(name)
        fleet.add_node(name, f"node{number}", f"127.1.{number}.1", annotations=annotations)
        fleet.add_service(name, "default/flask", node_port=31193, annotations=annotations)
    return fleet


def _faulty(request: Request) -> Reply | None:
    """Echo what a client sent, as a careless proxy does, and refuse one list."""
    if request.plane == "member2" and request.path.endswith("endpointslices"):
        message = f"denied: Authorization {request.headers.get('authorization')} to https://user:{PLANTED}@example.com"
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": 403}
        return Reply(status=403, body=json.dumps(status).encode())
    if request.plane == "member2" and request.path.endswith("nodes"):
        return Reply(status=200, body=f"<html>{PLANTED}</html>".encode())
    return None


@pytest.mark.parametrize("access", ["proxy", "direct"])
def test_no_secret_in_any_output(access: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Tokens, CA bundles, passwords and foreign annotations are in no output, commit, plan or snapshot."""
    fleet = _fleet()
    repo = tmp_path / "repo"
    kubeconfig = tmp_path / "kubeconfig"
    with FleetServer(fleet, intercept=_faulty) as server:
        kubeconfig.write_text(json.dumps(server.kubeconfig()))
        planes = [fleet.karmada, *fleet.members.values()]
        secrets = [PLANTED, *(plane.token for plane in planes)]
        secrets += [base64.b64encode(secret.encode()).decode().rstrip("=") for secret in secrets]
        secrets += [base64.b64encode(server.ca_pem).decode()[:60], server.ca_pem.decode().splitlines()[2]]
        main(["init", str(repo)])
        (repo / "publisher.yaml").write_text(SETTINGS.replace("ACCESS", access))
        for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "set up"]):
            subprocess.run(["git", *command], cwd=repo, check=True)
        common = ["--repo", str(repo), "--kubeconfig", str(kubeconfig)]
        for format in ("text", "json", "markdown"):
            assert main(["plan", *common, "--format", format]) == 0
        assert main(["explain", "default/flask", *common]) == 0
        assert main(["snapshot", "--output", str(tmp_path / "snapshot"), *common]) == 0
        assert main(["publish", *common]) == 0
        url = f"http://user:{PLANTED}@127.0.0.1:9/config.git"
        assert main(["plan", "--repo", url, "--kubeconfig", str(kubeconfig)]) == 1
        assert main(["doctor", "--repo", url, "--kubeconfig", str(kubeconfig)]) == 1
        assert main(["doctor", *common, "--pipy", url.replace("config.git", "repo/edge")]) == 1
        broken = json.loads(kubeconfig.read_text())
        broken["users"][0]["user"]["token"] = PLANTED
        kubeconfig.write_text(json.dumps(broken))
        assert main(["plan", *common]) == 1
        assert main(["doctor", *common, "--format", "json"]) == 1
    written = b"".join(path.read_bytes() for path in (tmp_path / "snapshot").rglob("*") if path.is_file())
    batch = ["git", "cat-file", "--batch-all-objects", "--batch"]
    committed = subprocess.run(batch, cwd=repo, capture_output=True, check=True).stdout
    shown = "".join(capfd.readouterr())
    assert "unknown" in shown
    assert b"default/flask" in written
    assert b"Publisher-Id: edge" in committed
    everything = shown + written.decode() + committed.decode(errors="replace")
    assert [secret for secret in secrets if secret in everything] == []
