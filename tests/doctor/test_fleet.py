"""What the doctor finds wrong with Karmada, with rights and with members."""

from __future__ import annotations

import base64
import json
import time
from email.utils import formatdate
from typing import Any

import pytest
import trustme

from publisher.demo.server import Asked, Reply

CLUSTER = "cluster.karmada.io"


def forbidden(message: str) -> Reply:
    """Refuse as an API server does."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": 403}
    return Reply(403, {}, json.dumps(status).encode())


def test_a_token_that_is_not_known(world: Any, doctor: Any) -> None:
    """Karmada answers, the credentials are refused, and what takes them is not checked."""
    world.write_kubeconfig(token="expired-long-ago")
    seen = doctor()
    seen.only(credentials="fail", clusters="not_checked", rights="not_checked", members="not_checked")
    assert "HTTP 401" in seen.text("credentials")
    assert "renew the token" in seen.text("credentials")


def test_a_context_that_is_not_there(world: Any, doctor: Any) -> None:
    """A kubeconfig that does not fit is told with the option that mends it."""
    seen = doctor("--context", "nosuch")
    assert seen.state("karmada") == "fail"
    assert "--context" in seen.text("karmada")


def test_another_ca(world: Any, doctor: Any) -> None:
    """A certificate that the CA did not sign is not trusted."""
    other = base64.b64encode(trustme.CA().cert_pem.bytes()).decode()
    world.write_kubeconfig(**{"certificate-authority-data": other})
    seen = doctor()
    assert seen.state("karmada") == "fail"
    assert "certificate verify failed" in seen.text("karmada")
    assert "certificate-authority-data" in seen.text("karmada")


def test_nobody_listens(world: Any, doctor: Any) -> None:
    """A server that is down fails once; the rest of the fleet is not checked."""
    world.server.stop()
    seen = doctor()
    assert seen.state("karmada") == "fail"
    assert "refused" in seen.text("karmada")
    assert "check the address" in seen.text("karmada")
    assert seen.state("members") == "not-checked"


def test_no_api_server_of_karmada(world: Any, doctor: Any) -> None:
    """Where there are no Clusters the address is asked about."""
    world.server.intercept = lambda request: Reply(404, {}, b"") if request.path.endswith("/clusters") else None
    seen = doctor()
    seen.only(clusters="fail", members="not_checked")
    assert "is it the API server of Karmada?" in seen.text("clusters")


@pytest.mark.parametrize("whole", [True, False])
def test_no_right_to_the_cluster_proxy(world: Any, doctor: Any, whole: bool) -> None:
    """A right that is missing is named, for all members or for one; that member's check fails too."""
    world.server.callers["karmada"].denied.add(Asked("get", CLUSTER, "clusters/proxy", "", "" if whole else "member2"))
    seen = doctor()
    bad = {"rights": "fail", "member_member2": "fail"} | ({"member_member1": "fail"} if whole else {})
    seen.only(**bad)
    assert "get clusters/proxy member2" in seen.text("rights")
    assert ("get clusters/proxy member1" in seen.text("rights")) == whole
    assert "cannot get resource" in seen.text("member member2")


def test_rights_by_name_are_enough(world: Any, doctor: Any) -> None:
    """An account that may use the proxy of the members that count needs it for no other."""
    world.fleet.add_member("member3", labels={"env": "test"})
    (world.repo / "publisher.yaml").write_text(
        (world.repo / "publisher.yaml")
        .read_text()
        .replace("access: proxy", "access: proxy, clusters: {exclude: [member3]}")
    )
    world.git("commit", "--quiet", "-am", "not member3")
    world.server.callers["karmada"].denied.add(Asked("get", CLUSTER, "clusters/proxy", "", "member3"))
    seen = doctor()
    seen.only()
    assert "2 of 3 clusters count" in seen.text("clusters")


def test_no_right_to_list_clusters(world: Any, doctor: Any) -> None:
    """Without the list nobody knows the members."""
    world.server.callers["karmada"].denied.add(Asked("list", CLUSTER, "clusters"))
    seen = doctor()
    seen.only(clusters="fail", rights="fail", members="not_checked")
    assert "may not list clusters.cluster.karmada.io" in seen.text("rights")


def test_no_right_to_a_secret(world: Any, doctor: Any) -> None:
    """With access direct it is the Secret of each member that is needed."""
    world.settings(access="direct")
    world.server.callers["karmada"].denied.add(Asked("get", "", "secrets", "karmada-cluster", "member1"))
    seen = doctor()
    seen.only(rights="fail", member_member1="fail")
    assert "get secrets member1 in karmada-cluster" in seen.text("rights")


@pytest.mark.parametrize("access", ["proxy", "direct"])
@pytest.mark.parametrize(
    ("group", "resource"), [("", "nodes"), ("", "services"), ("discovery.k8s.io", "endpointslices")]
)
def test_no_right_in_a_member(world: Any, doctor: Any, access: str, group: str, resource: str) -> None:
    """Each kind that is read has to be listable in the member."""
    world.settings(access=access)
    world.server.callers["member1"].denied.add(Asked("list", group, resource))
    seen = doctor()
    seen.only(member_member1="fail")
    assert f'cannot list resource "{resource}"' in seen.text("member member1")
    assert "give the account the right that is named" in seen.text("member member1")


def test_the_groups_of_a_service_account(world: Any, doctor: Any) -> None:
    """A ServiceAccount whose groups no binding names is told just that, not that it lacks a right in the member."""
    groups = ("system:serviceaccounts", "system:serviceaccounts:publisher", "system:authenticated")
    world.server.callers["karmada"].name = "system:serviceaccount:publisher:publisher"
    world.server.callers["karmada"].groups = groups
    said = (
        'groups "system:serviceaccounts" is forbidden: User "system:serviceaccount:karmada-system:impersonator" '
        'cannot impersonate resource "groups" in API group "" at the cluster scope'
    )
    world.server.intercept = lambda request: forbidden(said) if request.via_proxy else None
    seen = doctor()
    seen.only(member_member1="fail", member_member2="fail")
    assert "system:serviceaccount:publisher:publisher" in seen.text("credentials")
    assert "make system:serviceaccounts and the account's other groups subjects of a ClusterRoleBinding in Karmada" in (
        seen.text("member member1")
    )


@pytest.mark.parametrize("access", ["proxy", "direct"])
def test_a_member_is_down(world: Any, doctor: Any, access: str) -> None:
    """A member that does not answer fails alone."""
    world.settings(access=access)
    world.server.stop_member("member2")
    seen = doctor()
    seen.only(member_member2="fail")
    assert "refused" in seen.text("member member2")


def test_a_member_is_not_ready(world: Any, doctor: Any) -> None:
    """Karmada itself says so: a warning, and it is not asked."""
    world.fleet.set_ready("member2", False)
    world.server.stop_member("member2")
    seen = doctor()
    seen.only(member_member2="warn")
    assert "Cluster is not Ready" in seen.text("member member2")
    assert "1 Ready" in seen.text("clusters")


def test_a_member_that_cannot_be_read_directly(world: Any, doctor: Any) -> None:
    """What is missing in its Cluster is named."""
    world.settings(access="direct")
    world.change("member1", lambda cluster: cluster["spec"].pop("secretRef"))
    seen = doctor()
    seen.only(member_member1="fail")
    assert "spec.secretRef is missing" in seen.text("member member1")


def test_no_cluster_counts(world: Any, doctor: Any) -> None:
    """A selection that selects nothing is a warning."""
    text = (world.repo / "publisher.yaml").read_text()
    (world.repo / "publisher.yaml").write_text(
        text.replace("access: proxy", "access: proxy, clusters: {labels: env=no}")
    )
    seen = doctor()
    seen.only(clusters="warn", members="not_checked")


@pytest.mark.parametrize(
    ("seconds", "state"), [(-20, "ok"), (90, "warn"), (-200, "warn"), (3600, "fail"), (-86400, "fail")]
)
def test_clocks(world: Any, doctor: Any, seconds: int, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 30 s on a difference between two clocks is a warning, from 5 minutes on a failure."""
    told = "publisher.demo.listener._Handler.date_time_string"
    monkeypatch.setattr(told, lambda _: formatdate(time.time() + seconds, usegmt=True))
    seen = doctor()
    seen.only(**({} if state == "ok" else {"karmada_clock": state}))
    assert state == "ok" or ("ahead of" if seconds > 0 else "behind") in seen.text("karmada clock")


@pytest.mark.parametrize("status", [403, 404])
def test_no_reviews(world: Any, doctor: Any, status: int) -> None:
    """A server that answers no reviews leaves the checks of members to tell."""
    world.server.intercept = lambda request: Reply(status, {}, b"{}") if request.method == "POST" else None
    seen = doctor()
    seen.only(rights="warn")
    assert "does not say whose" in seen.text("credentials")
