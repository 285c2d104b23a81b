"""Nothing secret is kept, told or logged, whatever goes wrong (promise 8)."""

from __future__ import annotations

import base64
import json
import logging

import pytest

from publisher.core import documents, report, snapshot
from publisher.core.markdown import markdown
from publisher.core.policy import Access
from publisher.demo.server import Reply
from publisher.edge.karmada import KarmadaFleet, Timing
from publisher.errors import ApiError

PASSWORD = "hunter2.planted"
JWT = f"eyJhbGciOiJSUzI1NiJ9.{base64.urlsafe_b64encode(b'planted claims').decode().rstrip('=')}.plantedSignature"
QUICK = Timing(connect=5, read=5, total=20, attempts=2, backoff=0.01, longest=2)
STATUS = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403}


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.fixture
def planted(world) -> list[str]:
    """Put something secret into everything that may hold it, and list it all."""
    notes = {
        "vault.example.com/token": JWT,
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"password": PASSWORD}),
        "pipy-publisher.io/secret": PASSWORD,
    }
    for number in (1, 2, 3):
        world.change("clusters", f"member{number}", lambda obj: obj["metadata"].update(annotations=dict(notes)))
    for plane in world.fleet.members.values():
        for resource in ("nodes", "services", "endpointslices"):
            for obj in plane.list(resource):
                obj["metadata"].setdefault("annotations", {}).update(notes)
                plane.put(resource, obj)
    planes = [world.fleet.karmada, *world.fleet.members.values()]
    return [
        PASSWORD,
        JWT,
        "planted",
        encoded(PASSWORD),
        *(plane.token for plane in planes),
        *(encoded(plane.token) for plane in planes),
        *(plane.ca.cert_pem.bytes().decode().splitlines()[3] for plane in planes),
        *(encoded(plane.ca.cert_pem.bytes())[60:120] for plane in planes),
    ]


@pytest.fixture
def told(world, planted, caplog, capfd):
    """Read, and plan what can be read; give every text that comes of it, after a look for what was planted."""
    caplog.set_level(logging.DEBUG)

    def read() -> str:
        connection = world.connect()
        fleet = KarmadaFleet(connection, world.policy, QUICK)
        texts = [repr(fleet), repr(connection)]
        try:
            topology = fleet.read(lambda done, of: None)
        except ApiError as error:
            texts += [str(error), repr(error), repr(vars(error))]
        else:
            outcome = world.plan({}, topology)
            plan = outcome.plan
            texts += [repr(topology), snapshot.digest(topology), repr(plan), json.dumps(documents.document(plan))]
            texts += [
                markdown(plan, outcome.current, outcome.desired.config),
                report.commit_message(plan),
                *report.text(plan),
            ]
            for path, content in snapshot.dump(topology).items():
                texts += [path, content.decode()]
        texts += [caplog.text, *capfd.readouterr()]
        text = "\n".join(texts)
        assert not [secret for secret in planted if secret in text]
        return text

    return read


def set_spec(world, **spec: object) -> None:
    world.change("clusters", "member2", lambda cluster: cluster["spec"].update(spec))


def set_secret(world, **data: str) -> None:
    world.change("secrets", "member2", lambda secret: secret["data"].update(data), "karmada-cluster")


def test_a_healthy_fleet(world, access, told):
    """Annotations outside the allow-list are not kept, nor is anything of a Secret."""
    text = told()
    assert "pipy-publisher.io/routes" not in text  # the prefix is not kept either
    assert "/hello/*" in text


@pytest.mark.parametrize(
    "spec",
    [
        {"apiEndpoint": f"https://user:{PASSWORD}@127.0.0.1:1"},
        {"apiEndpoint": f"https://user:{PASSWORD}/x@127.0.0.1:1"},
        {"apiEndpoint": f"https://user:{PASSWORD}@x@127.0.0.1:1"},
        {"apiEndpoint": f"https://user:{PASSWORD}@127.0.0.1:99999"},
        {"apiEndpoint": f"https://user:{PASSWORD}@a..b"},
        {"apiEndpoint": f"https://user:{PASSWORD}@[::1"},
        {"apiEndpoint": f"http://user:{PASSWORD}@127.0.0.1:1"},
        {"apiEndpoint": f"https://127.0.0.1:1/?token={PASSWORD}"},
        {"proxyURL": f"http://user:{PASSWORD}@127.0.0.1:1"},
        {"proxyURL": f"http://user:{PASSWORD}/x@127.0.0.1:1"},
        {"proxyURL": f"http://user:{PASSWORD}@x@127.0.0.1:1"},
        {"proxyURL": f"ftp://user:{PASSWORD}@127.0.0.1:1"},
        {"proxyURL": f"user:{PASSWORD}@127.0.0.1:1"},
        {"proxyURL": "http://127.0.0.1:1", "proxyHeader": {"Proxy-Authorization": f"Bearer {PASSWORD}"}},
        {"proxyURL": "http://127.0.0.1:1", "proxyHeader": {"X-Key": f"{PASSWORD}\n"}},
        {"proxyURL": "http://127.0.0.1:1", "proxyHeader": {PASSWORD: 7}},
        {"proxyURL": "http://127.0.0.1:1", "proxyHeader": [PASSWORD]},
        {"caBundle": encoded(PASSWORD)},
        {"secretRef": {"namespace": "karmada-cluster", "name": f"{PASSWORD}/../x"}},
    ],
)
def test_a_cluster_that_cannot_be_reached(world, told, spec):
    world.set_policy(access=Access.DIRECT)
    set_spec(world, **spec)
    told()


@pytest.mark.parametrize(
    "data",
    [
        {"token": PASSWORD},
        {"token": encoded(f"{PASSWORD}\n{PASSWORD}")},
        {"token": encoded(f"{PASSWORD}\u20ac")},
        {"token": encoded(PASSWORD)},
        {"caBundle": encoded(PASSWORD)},
        {"caBundle": encoded(f"-----BEGIN CERTIFICATE-----\n{PASSWORD}\n-----END CERTIFICATE-----")},
        {"caBundle": PASSWORD},
    ],
)
def test_a_secret_that_is_of_no_use(world, told, unknown, data):
    world.set_policy(access=Access.DIRECT)
    set_secret(world, **data)
    assert "member2" in told()
    assert len(unknown(world.read())) == 3


@pytest.mark.parametrize("plane", ["karmada", "member2"])
@pytest.mark.parametrize(
    "reply",
    [
        Reply(403, {}, json.dumps(STATUS | {"message": f"token {JWT} may not"}).encode()),
        Reply(403, {}, json.dumps(STATUS | {"message": f"Authorization: Bearer {PASSWORD} is unknown"}).encode()),
        Reply(500, {}, json.dumps(STATUS | {"message": f"dial https://user:{PASSWORD}@10.0.0.1/: refused"}).encode()),
        Reply(500, {}, json.dumps({"kind": "Error", "message": PASSWORD}).encode()),
        Reply(503, {"X-Token": PASSWORD}, f"<html>{PASSWORD}</html>".encode()),
        Reply(200, {}, f"<html>{PASSWORD}</html>".encode()),
        Reply(200, {}, json.dumps({"kind": "List", "metadata": {"x": PASSWORD}, "items": PASSWORD}).encode()),
        Reply(200, {}, json.dumps([PASSWORD]).encode()),
        Reply(302, {"Location": f"https://user:{PASSWORD}@127.0.0.1:1/?token={JWT}"}),
        Reply(200, {"Content-Encoding": "gzip"}, PASSWORD.encode()),
        Reply(401, {"WWW-Authenticate": f"Bearer {PASSWORD}"}, json.dumps(STATUS | {"message": "x " * 9999}).encode()),
    ],
)
def test_an_answer_with_a_secret_in_it(world, access, told, plane, reply):
    """Only the message of a Status is told, without what looks like a credential; any other body is dropped."""
    world.answer(lambda request: reply if request.plane == plane else None)
    told()


@pytest.mark.parametrize("kind", ["Node", "Service", "EndpointSlice"])
@pytest.mark.parametrize("item", [PASSWORD, {"metadata": {"name": f"{PASSWORD}!"}}, {"metadata": {"name": [JWT]}}])
def test_an_item_with_a_secret_in_it(world, told, kind, item):
    path = {"Node": "nodes", "Service": "services", "EndpointSlice": "endpointslices"}[kind]
    body = json.dumps({"kind": f"{kind}List", "metadata": {}, "items": [item]}).encode()
    world.answer(lambda request: Reply(200, {}, body) if request.path.endswith(path) else None)
    assert f"{kind}List: a {kind} has no metadata.name that is a name" in told()


@pytest.mark.parametrize(
    "user", [{"token": f"{PASSWORD}\n{PASSWORD}"}, {"token": PASSWORD}, {"token": f"x\u20ac{JWT}"}]
)
def test_a_token_that_is_of_no_use(world, told, user):
    world.write_kubeconfig(**user)
    assert "Karmada: " in told()


def test_a_continue_token_is_not_told(world, told, caplog):
    """It is the server's, and may say anything; urllib3 alone logs it, where somebody asks for its DEBUG."""
    caplog.set_level(logging.INFO)
    body = json.dumps({"kind": "NodeList", "metadata": {"continue": JWT}, "items": []}).encode()
    world.answer(lambda request: Reply(200, {}, body) if request.path == "/api/v1/nodes" else None)
    assert "the list of Nodes does not come to an end" in told()
