"""The rights in deploy/rbac are those that a run asks for, no more and no less."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from publisher.cli import main
from publisher.demo.fleet import Fleet
from publisher.demo.server import FleetServer

SETTINGS = """
allowedNetworks: [127.1.0.0/16]
services:
  default/flask: {routes: ["/*"]}
"""
RESOURCE = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/v[^/]+/(?:namespaces/[^/]+/)?(?P<resource>[^/]+)(?P<name>/[^/]+)?"
)
PROXY = "/apis/cluster.karmada.io/v1alpha1/clusters/"
Right = tuple[str, str, str, str]
"""API group, resource, name of an object where it is one, verb."""


def asked(requests: list[Any]) -> dict[str, set[Right]]:
    """Say which rights some requests need, on Karmada and in each member."""
    needed: dict[str, set[Right]] = {}
    for request in requests:
        if request.via_proxy:
            right = ("cluster.karmada.io", "clusters/proxy", request.plane, "get")
            needed.setdefault("karmada", set()).add(right)
        found = RESOURCE.fullmatch(request.path)
        assert found, f"no rule gives access to {request.path}"
        verb = "get" if found["name"] else "watch" if "watch" in request.query else "list"
        right = (found["group"] or "", found["resource"], (found["name"] or "").lstrip("/"), verb)
        needed.setdefault(request.plane, set()).add(right)
    return needed


def given(file: Path) -> set[Right]:
    """Read which rights a role gives; it is bound to a user, whom both places call the same."""
    role, binding = YAML(typ="safe").load_all(file)
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [(item["kind"], item["name"]) for item in binding["subjects"]] == [("User", "publisher")]
    return {
        (group, resource, name, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


def test_rights(deploy: Path, tmp_path: Path) -> None:
    """A publish of two members asks for all that the roles give, and for nothing else."""
    bare, clone, kubeconfig = tmp_path / "bare", tmp_path / "clone", tmp_path / "kubeconfig"

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], check=True, capture_output=True)

    assert main(["init", str(clone)]) == 0
    with (clone / "publisher.yaml").open("a") as file:
        file.write(SETTINGS)
    git("init", "--quiet", "--bare", str(bare))
    git("-C", str(clone), "init", "--quiet")
    git("-C", str(clone), "remote", "add", "origin", str(bare))
    git("-C", str(clone), "add", ".")
    git("-C", str(clone), "commit", "--quiet", "--message", "by a person")
    git("-C", str(clone), "push", "--quiet", "origin", "HEAD:main")
    fleet, requests = Fleet(), list[Any]()
    for number in (1, 2):
        fleet.add_member(f"member{number}", nodes={"node1": f"127.1.{number}.1"})
        fleet.add_service(f"member{number}", "default/flask", node_port=31193)
    with FleetServer(fleet, intercept=requests.append) as server:
        kubeconfig.write_text(json.dumps(server.kubeconfig()))
        assert main(["publish", "--repo", str(bare.as_uri()), "--kubeconfig", str(kubeconfig)]) == 0
    assert (bare / "refs/heads/snapshots").is_dir()
    member = given(deploy / "rbac/member/rbac.yaml")
    assert asked(requests) == {
        "karmada": given(deploy / "rbac/karmada/rbac.yaml"),
        "member1": member,
        "member2": member,
    }
