"""The manifests fit each other, and give nobody more than is needed."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from publisher.cli.verbs import app
from publisher.core.canonical import load_json


def test_every_file_is_used(deploy: Path) -> None:
    """Each file is named by one kustomization, and each that is named is there."""
    used = Counter({deploy / "README.md": 1})
    for file in deploy.rglob("kustomization.yaml"):
        used[file] += 1
        document = YAML(typ="safe").load(file)
        named = [*document.get("resources", ()), *(item["path"] for item in document.get("patches", ()))]
        named += [name for item in document.get("configMapGenerator", ()) for name in item.get("files", ())]
        for path in (file.parent / name for name in named):
            if path.is_dir():
                assert (path / "kustomization.yaml").is_file()
            else:
                used[path] += 1
    assert used == Counter(path for path in deploy.rglob("*") if path.is_file())


def test_names_are_unique(manifests: Any) -> None:
    """No object is there twice."""
    names = Counter((item["kind"], item["metadata"]["name"]) for item in manifests.objects)
    assert max(names.values()) == 1
    assert manifests.pods.keys() == {"pipy-repo", "pipy", "syncer", "publisher"}


def test_selectors(manifests: Any) -> None:
    """A workload, Service, budget or policy selects the Pods of the workload of its name, and no others."""
    for item in manifests.of("Deployment", "PodDisruptionBudget"):
        assert manifests.selected(item["spec"]["selector"]) == [item["metadata"]["name"]]
    for item in manifests.of("Service"):
        assert manifests.selected({"matchLabels": item["spec"]["selector"]}) == [item["metadata"]["name"]]
    for item in manifests.of("NetworkPolicy"):
        name = item["metadata"]["name"]
        everything = list(manifests.pods) if name in ("nothing-but", "dns") else [name]
        assert manifests.selected(item["spec"]["podSelector"]) == everything
    spread = manifests.pods["pipy"]["spec"]["topologySpreadConstraints"]
    assert [manifests.selected(item["labelSelector"]) for item in spread] == [["pipy"]]


def ports(container: Any) -> dict[str, int]:
    """Give the ports of a container by their names."""
    return {item["name"]: item["containerPort"] for item in container.get("ports", ())}


def test_ports(manifests: Any) -> None:
    """Services, probes and policies name ports that the containers have."""
    containers = manifests.containers
    for item in manifests.of("Service"):
        known = ports(containers[item["metadata"]["name"]])
        assert {port["targetPort"] for port in item["spec"]["ports"]} <= known.keys()
    for container in containers.values():
        for probe in (value for key, value in container.items() if key.endswith("Probe")):
            (action,) = probe.keys() & {"httpGet", "tcpSocket", "exec"}
            assert action == "exec" or probe[action]["port"] in ports(container)
    for item in manifests.of("NetworkPolicy"):
        own = manifests.selected(item["spec"]["podSelector"])
        named = [(own, rule) for rule in item["spec"].get("ingress", ())]
        for rule in item["spec"].get("egress", ()):
            named += [(manifests.selected(to["podSelector"]), rule) for to in rule.get("to", ()) if "podSelector" in to]
        for workloads, rule in named:
            assert workloads
            for port in rule["ports"]:
                assert all(port["port"] in ports(containers[name]) for name in workloads)


def test_traffic(manifests: Any) -> None:
    """Who may talk to whom, as far as Pods here are concerned: both ends of each connection allow it."""
    policies = {item["metadata"]["name"]: item["spec"] for item in manifests.of("NetworkPolicy")}
    assert policies["nothing-but"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    into = {
        (source, name, port["port"])
        for name, spec in policies.items()
        for rule in spec.get("ingress", ())
        for peer in rule.get("from", ())
        if "podSelector" in peer
        for source in manifests.selected(peer["podSelector"])
        for port in rule["ports"]
    }
    out = {
        (name, target, port["port"])
        for name, spec in policies.items()
        for rule in spec.get("egress", ())
        for peer in rule.get("to", ())
        if "podSelector" in peer
        for target in manifests.selected(peer["podSelector"])
        for port in rule["ports"]
    }
    assert into == out == {("pipy", "pipy-repo", "repo"), ("syncer", "pipy-repo", "repo")}
    outside = {
        (name, port["port"])
        for name, spec in policies.items()
        for rule in spec.get("ingress", ())
        if any("namespaceSelector" in peer for peer in rule.get("from", ())) or "from" not in rule
        for port in rule["ports"]
    }
    assert outside == {("pipy", "http"), ("pipy", "admin"), ("syncer", "webhook")}


def test_references(deploy: Path, manifests: Any) -> None:
    """Accounts, ConfigMaps and volumes that Pods name are there; README says which Secrets to make."""
    accounts = {item["metadata"]["name"]: item for item in manifests.of("ServiceAccount")}
    assert accounts.keys() == manifests.pods.keys()
    assert not any(item["automountServiceAccountToken"] for item in accounts.values())
    explained = (deploy / "README.md").read_text()
    for name, pod in manifests.pods.items():
        (container,) = pod["spec"]["containers"]
        assert pod["spec"]["serviceAccountName"] == name
        volumes = {item["name"]: item for item in pod["spec"]["volumes"]}
        mounts = [item["name"] for item in container["volumeMounts"]]
        assert sorted(volumes) == sorted(mounts)
        refs = [item["configMapRef"] for item in container.get("envFrom", ())]
        refs += [item["configMap"] for item in volumes.values() if "configMap" in item]
        assert {ref["name"] for ref in refs} <= manifests.config_maps
        secrets = {item["secret"]["secretName"] for item in volumes.values() if "secret" in item}
        assert all(item["secret"]["defaultMode"] == 0o440 for item in volumes.values() if "secret" in item)
        given = [item["valueFrom"] for item in container.get("env", ()) if "valueFrom" in item]
        secrets |= {item["secretKeyRef"]["name"] for item in given if "secretKeyRef" in item}
        assert [secret for secret in secrets if f"`{secret}`" not in explained] == []
        known = {item["name"] for item in container.get("env", ())} | {
            "CONFIG_REPO" for _ in container.get("envFrom", ())
        }
        assert set(re.findall(r"\$\((\w+)\)", " ".join(container["args"]))) <= known


def test_hardening(manifests: Any) -> None:
    """No Pod runs as root, writes to its image, gains rights, or has a token of this cluster."""
    for name, pod in manifests.pods.items():
        spec = pod["spec"]
        assert not spec["automountServiceAccountToken"]
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        context = spec["securityContext"]
        assert context["runAsNonRoot"]
        assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        container = manifests.containers[name]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        volumes = {item["name"]: item for item in spec["volumes"]}
        for mount in container["volumeMounts"]:
            volume = volumes[mount["name"]]
            assert volume.get("emptyDir", {}).get("sizeLimit") if "emptyDir" in volume else mount["readOnly"]
    (namespace,) = manifests.of("Namespace")
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}


def test_one_and_several(manifests: Any) -> None:
    """What may be there only once is stopped before it is started anew; workers are several, and one at least stays."""
    deployments = {item["metadata"]["name"]: item["spec"] for item in manifests.of("Deployment")}
    for name in ("pipy-repo", "syncer"):
        assert (deployments[name]["replicas"], deployments[name]["strategy"]) == (1, {"type": "Recreate"})
    assert deployments["pipy"]["replicas"] >= 2
    assert deployments["pipy"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    (budget,) = manifests.of("PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    (job,) = manifests.of("CronJob")
    assert job["spec"]["concurrencyPolicy"] == "Forbid"


def test_ports_are_those_of_the_program(deploy: Path, manifests: Any) -> None:
    """A worker's ports and its probe fit proxy.json; the codebase is the same for workers and syncer."""
    proxy = load_json((deploy.parent / "pipy/config/proxy.json").read_bytes())
    container = manifests.containers["pipy"]
    assert ports(container) == {
        "http": int(proxy["listen"].rpartition(":")[2]),
        "admin": int(proxy["admin"].rpartition(":")[2]),
    }
    assert container["readinessProbe"]["exec"]["command"][-1] == f"http://{proxy['admin']}/__health"
    (pipy,) = [item for item in manifests.containers["syncer"]["args"] if item.startswith("--pipy=")]
    assert f"{pipy}/" == f"--pipy={container['args'][-1]}", "a worker needs the slash"


@pytest.mark.parametrize("password", ["s3cret", ""])
def test_git_gets_its_credentials_from_the_secret(deploy: Path, tmp_path: Path, password: str) -> None:
    """For https git takes what is mounted; where nothing is, it has nothing, and asks nobody."""
    config = tmp_path / "gitconfig"
    config.write_text((deploy / "gitconfig").read_text().replace("/git/", f"{tmp_path}/"))
    if password:
        (tmp_path / "username").write_text("publisher")
        (tmp_path / "password").write_text(password)
    done = subprocess.run(
        ["git", "credential", "fill"],
        input="protocol=https\nhost=git.example.com\n\n",
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": str(config), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    if password:
        assert done.stdout == "protocol=https\nhost=git.example.com\nusername=publisher\npassword=s3cret\n"
    else:
        assert done.stderr.startswith("fatal: could not read Username for 'https://git.example.com'")


def test_arguments(manifests: Any) -> None:
    """The command line knows every verb and option that the containers of publisher are given."""
    verbs = get_command(app).commands
    for name, verb in (("syncer", "sync"), ("publisher", "publish")):
        container = manifests.containers[name]
        assert "command" not in container, "the image says it"
        said, *arguments = container["args"]
        assert said == verb
        verbs[verb].make_context(verb, list(arguments))
        assert all(argument.startswith("--") and "=" in argument for argument in arguments)


def test_arguments_of_a_tls_syncer_are_those_of_one_without(deploy: Path) -> None:
    """With certificates the syncer, the Repo and the workers do what they do without, and that is all that differs."""
    for name, part in (("syncer", "syncer"), ("pipy", "pipy"), ("pipy-repo", "pipy-repo")):
        plain = next(item for item in YAML(typ="safe").load_all(deploy / part / f"{part}.yaml"))
        tls = YAML(typ="safe").load(deploy / "tls" / f"{name}.yaml")
        before, after = (item["spec"]["template"]["spec"]["containers"][0]["args"] for item in (plain, tls))
        left = [item.replace("https://", "http://") for item in after if "/tls/" not in item]
        assert left == before
        assert len(after) == len(before) + 3
