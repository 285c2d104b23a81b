"""The manifests, as they are written and as kustomize builds them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from publisher.resources import folder

Object = dict[str, Any]


def documents(text: str) -> list[Object]:
    """Read the objects of a file; as Kubernetes does, by YAML 1.1."""
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)
    return [item for item in yaml.load_all(text) if item]


@dataclass(frozen=True)
class Manifests:
    """Some objects, and what their kustomization makes besides."""

    objects: tuple[Object, ...]
    config_maps: frozenset[str]

    def of(self, *kinds: str) -> list[Object]:
        """Give the objects of some kinds."""
        return [item for item in self.objects if item["kind"] in kinds]

    @property
    def pods(self) -> dict[str, Object]:
        """The Pods of all workloads: what stands in their templates, by the workload's name."""
        found = {item["metadata"]["name"]: item["spec"]["template"] for item in self.of("Deployment")}
        for item in self.of("CronJob"):
            found[item["metadata"]["name"]] = item["spec"]["jobTemplate"]["spec"]["template"]
        return found

    @property
    def containers(self) -> dict[str, Object]:
        """Their containers; each Pod has one."""
        found = {}
        for name, pod in self.pods.items():
            (found[name],) = pod["spec"]["containers"]
            assert "initContainers" not in pod["spec"]
        return found

    def selected(self, selector: Object) -> list[str]:
        """Name the workloads whose Pods have the labels that a selector asks for."""
        labels = selector.get("matchLabels", {})
        assert selector.keys() <= {"matchLabels"}
        return [name for name, pod in self.pods.items() if labels.items() <= pod["metadata"]["labels"].items()]


@pytest.fixture(scope="session")
def deploy() -> Path:
    """Find the folder of the manifests."""
    return folder("config-repo-template") / "deploy"


def _written(top: Path) -> Iterator[Object]:
    (kustomization,) = documents((top / "kustomization.yaml").read_text())
    for name in kustomization["resources"]:
        path = top / name
        yield from _written(path) if path.is_dir() else documents(path.read_text())


def _built(top: Path) -> list[Object]:
    command = ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]
    if not shutil.which(command[0]):
        pytest.skip("neither kustomize nor kubectl is installed")
    done = subprocess.run([*command, str(top)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return documents(done.stdout)


@pytest.fixture(scope="session", params=["written", "built", "tls"])
def manifests(request: pytest.FixtureRequest, deploy: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    """Give the manifests as they stand there, as they are built, and as they are built with what is commented out."""
    if request.param == "written":
        (top,) = documents((deploy / "kustomization.yaml").read_text())
        return Manifests(tuple(_written(deploy)), frozenset(item["name"] for item in top["configMapGenerator"]))
    copy = tmp_path_factory.mktemp("deploy") / "deploy"
    shutil.copytree(deploy, copy)
    if request.param == "tls":
        file = copy / "kustomization.yaml"
        text = file.read_text()
        assert text.count("#components:\n#  - tls") == 1
        file.write_text(text.replace("#components:\n#  - tls", "components:\n  - tls"))
    objects = tuple(_built(copy))
    assert {item["metadata"].get("namespace", "pipy") for item in objects} == {"pipy"}
    maps = frozenset(item["metadata"]["name"] for item in objects if item["kind"] == "ConfigMap")
    return Manifests(objects, maps)
