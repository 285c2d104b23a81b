"""The embedded fleet answers as the real API servers were recorded to."""

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import pytest
import urllib3

from publisher.demo.fleet import Fleet
from publisher.demo.server import Asked, FleetServer, Reply, Request

CLUSTERS = "/apis/cluster.karmada.io/v1alpha1/clusters"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
SERVICES = "/api/v1/namespaces/default/services"


@dataclass
class Api:
    """A client of one API server."""

    url: str
    ca: bytes
    token: str
    path: str = ""
    pool: urllib3.PoolManager = field(init=False)

    def __post_init__(self) -> None:
        self.pool = urllib3.PoolManager(ca_cert_data=self.ca.decode(), retries=False, timeout=5)

    def open(self, path: str, method: str = "GET", **options):
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.pool.request(method, self.url + self.path + path, headers=headers, **options)

    def status(self, path: str, method: str = "GET"):
        answer = self.open(path, method)
        return answer.status, answer.json()

    def get(self, path: str):
        code, body = self.status(path)
        assert code == 200, body
        return body

    def watch(self, path: str) -> Iterator[tuple[str, dict]]:
        answer = self.open(path, preload_content=False)
        assert (answer.status, answer.headers["Transfer-Encoding"]) == (200, "chunked")
        with answer:
            for line in answer:
                event = json.loads(line)
                yield event["type"], event["object"]

    def through(self, member: str) -> "Api":
        return Api(self.url, self.ca, self.token, f"{CLUSTERS}/{member}/proxy")


@pytest.fixture
def fleet():
    made = Fleet()
    made.add_member("member1", region="cn-north", labels={"env": "prod"}, nodes={"n1": "10.0.1.1", "n2": "10.0.1.2"})
    made.add_member("member2", nodes={"n3": "10.0.2.1"})
    made.add_service("member1", "default/flask", node_port=31193)
    made.add_service("member2", "default/flask", node_port=30817)
    return made


@pytest.fixture
def server(fleet):
    with FleetServer(fleet) as running:
        yield running


@pytest.fixture
def karmada(server):
    api = Api(server.url, server.ca_pem, server.token)
    yield api
    api.pool.clear()


@pytest.fixture
def member1(karmada):
    api = karmada.through("member1")
    yield api
    api.pool.clear()


@pytest.fixture
def direct(karmada):
    """member1 as `access: direct` reaches it: by what Karmada says of it alone."""
    cluster = karmada.get(f"{CLUSTERS}/member1")
    reference = cluster["spec"]["secretRef"]
    secret = karmada.get(f"/api/v1/namespaces/{reference['namespace']}/secrets/{reference['name']}")
    ca, token = (base64.b64decode(secret["data"][key]) for key in ("caBundle", "token"))
    api = Api(cluster["spec"]["apiEndpoint"], ca, token.decode())
    yield api
    api.pool.clear()


def names(body: dict) -> list[str]:
    return [item["metadata"]["name"] for item in body["items"]]


def rv(body: dict) -> str:
    return body["metadata"]["resourceVersion"]


def failure(code: int, message: str, reason: str = "", details: object = None, meta: dict | None = None) -> dict:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": meta or {}, "status": "Failure", "message": message}
    return status | ({"reason": reason} if reason else {}) | ({"details": details} if details else {}) | {"code": code}


def test_it_tells_about_itself(karmada, member1):
    assert karmada.get("/version")["gitVersion"] == "v1.36.2"
    assert all(karmada.open(path).data == b"ok" for path in ("/healthz", "/readyz"))
    assert karmada.get("/api")["versions"] == ["v1"]
    assert [group["name"] for group in member1.get("/apis")["groups"]] == ["discovery.k8s.io"]
    assert {"groupVersion": "cluster.karmada.io/v1alpha1", "version": "v1alpha1"} in [
        group["preferredVersion"] for group in karmada.get("/apis")["groups"]
    ]
    listed = karmada.get("/api/v1")
    assert listed["groupVersion"] == "v1"
    assert {item["name"]: item["namespaced"] for item in listed["resources"]} == {
        "nodes": False,
        "services": True,
        "secrets": True,
    }


@pytest.mark.parametrize(
    ("path", "kind", "version"),
    [("/api/v1/nodes", "NodeList", "v1"), (SLICES, "EndpointSliceList", "discovery.k8s.io/v1")],
)
def test_karmada_itself_has_no_nodes_and_no_endpoints(karmada, fleet, path, kind, version):
    empty = {"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": str(fleet.karmada.revision)}}
    assert karmada.get(path) == empty | {"items": []}


def test_clusters(karmada):
    body = karmada.get(CLUSTERS)
    assert (body["kind"], body["apiVersion"]) == ("ClusterList", "cluster.karmada.io/v1alpha1")
    first, second = body["items"]
    assert set(first) == {"metadata", "spec", "status"}
    assert {"name", "uid", "resourceVersion", "generation", "creationTimestamp", "finalizers", "labels"} == set(
        first["metadata"]
    )
    assert first["spec"]["syncMode"] == "Push"
    assert first["spec"]["impersonatorSecretRef"] == {"namespace": "karmada-cluster", "name": "member1-impersonator"}
    assert (first["spec"]["region"], "region" in second["spec"]) == ("cn-north", False)
    assert first["status"]["nodeSummary"] == {"totalNum": 2, "readyNum": 2}
    single = karmada.get(f"{CLUSTERS}/member1")
    assert single == {"kind": "Cluster", "apiVersion": "cluster.karmada.io/v1alpha1"} | first


def test_a_cluster_that_is_not_ready(karmada, fleet):
    since = rv(karmada.get(CLUSTERS))
    generation = karmada.get(f"{CLUSTERS}/member2")["metadata"]["generation"]
    fleet.set_ready("member2", False)
    fleet.set_ready("member2", True)
    events = karmada.watch(f"{CLUSTERS}?watch=true&resourceVersion={since}")
    seen = [
        (kind, obj["metadata"]["generation"] - generation, obj["status"]["conditions"][1], obj["spec"].get("taints"))
        for kind, obj in islice(events, 4)
    ]
    events.close()
    down = seen[0][2]
    assert (down["type"], down["status"], down["reason"]) == ("Ready", "False", "ClusterNotReachable")
    taint = {"key": "cluster.karmada.io/not-ready", "effect": "NoSchedule", "timeAdded": down["lastTransitionTime"]}
    assert [(kind, count, ready["status"], taints) for kind, count, ready, taints in seen] == [
        ("MODIFIED", 0, "False", None),
        ("MODIFIED", 1, "False", [taint]),
        ("MODIFIED", 1, "True", [taint]),
        ("MODIFIED", 2, "True", None),
    ]


def test_objects_of_a_member(member1):
    node = member1.get("/api/v1/nodes")["items"][0]
    assert node["status"]["addresses"][0] == {"type": "InternalIP", "address": "10.0.1.1"}
    assert names(member1.get("/api/v1/services")) == ["flask", "kubernetes"]
    flask = member1.get(f"{SERVICES}/flask")
    assert (flask["kind"], flask["spec"]["type"], flask["spec"]["externalTrafficPolicy"]) == (
        "Service",
        "NodePort",
        "Cluster",
    )
    ports = [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 5000, "nodePort": 31193}]
    assert flask["spec"]["ports"] == ports
    (endpoints,) = member1.get(SLICES)["items"]
    assert set(endpoints) == {"metadata", "addressType", "endpoints", "ports"}
    assert endpoints["metadata"]["labels"]["kubernetes.io/service-name"] == "flask"
    assert endpoints["metadata"]["ownerReferences"][0]["uid"] == flask["metadata"]["uid"]
    assert [item["nodeName"] for item in endpoints["endpoints"]] == ["n1", "n2"]
    assert endpoints["endpoints"][0]["conditions"] == {"ready": True, "serving": True, "terminating": False}


def test_the_fleet_changes(fleet, karmada, member1):
    fleet.add_node("member1", "n0", "10.0.1.9", labels={"edge": "true"}, ready=False)
    assert karmada.get(f"{CLUSTERS}/member1")["status"]["nodeSummary"] == {"totalNum": 3, "readyNum": 2}
    assert names(member1.get("/api/v1/nodes?labelSelector=edge%3Dtrue")) == ["n0"]
    fleet.remove_node("member1", "n1")
    assert karmada.get(f"{CLUSTERS}/member1")["status"]["nodeSummary"] == {"totalNum": 2, "readyNum": 1}
    assert [item["nodeName"] for item in member1.get(SLICES)["items"][0]["endpoints"]] == ["n2"]
    fleet.add_service("member1", "team/web", node_port=30001, type="ClusterIP", endpoint_nodes=[])
    assert "nodePort" not in member1.get("/api/v1/namespaces/team/services/web")["spec"]["ports"][0]
    fleet.remove_service("member1", "default/flask")
    assert [item["metadata"]["namespace"] for item in member1.get(SLICES)["items"]] == ["team"]
    fleet.remove_member("member2")
    assert names(karmada.get(CLUSTERS)) == ["member1"]
    assert karmada.through("member2").status("/api/v1/nodes")[0] == 404
    fleet.add_member("member3", nodes={"n1": "10.0.3.1"})
    assert names(karmada.through("member3").get("/api/v1/nodes")) == ["n1"]
    assert names(karmada.get("/api/v1/namespaces/karmada-cluster/secrets")) == [
        "member1",
        "member1-impersonator",
        "member3",
        "member3-impersonator",
    ]


def test_objects_are_nobody_elses(fleet):
    obj = fleet.members["member1"].get("services", "default", "flask")
    again = fleet.members["member1"].put("services", obj)
    assert (again["metadata"]["uid"], again["spec"]) == (obj["metadata"]["uid"], obj["spec"])
    again["spec"]["type"] = "LoadBalancer"
    assert fleet.members["member1"].get("services", "default", "flask")["spec"] == obj["spec"]


NO_CLUSTER = failure(
    404,
    'clusters.cluster.karmada.io "nosuch" not found',
    "NotFound",
    {"name": "nosuch", "group": "cluster.karmada.io", "kind": "clusters"},
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            f"{SERVICES}/nosuch",
            failure(404, 'services "nosuch" not found', "NotFound", {"name": "nosuch", "kind": "services"}),
        ),
        (f"{CLUSTERS}/nosuch", NO_CLUSTER),
        (f"{CLUSTERS}/nosuch/proxy/api/v1/nodes", NO_CLUSTER),
        (
            "/api/v1/nodes?limit=1&continue=nonsense",
            failure(
                400,
                "invalid continue token: continue key is not valid:"
                " invalid character '\\u009e' looking for beginning of value",
                "BadRequest",
            ),
        ),
        (
            "/api/v1/services?fieldSelector=status.phase%3DUp",
            failure(400, "field label not supported: status.phase", "BadRequest"),
        ),
        (
            f"{SERVICES}?watch=true&resourceVersion=eyJ",
            failure(500, 'resourceVersion: Invalid value: "eyJ": strconv.ParseUint: parsing "eyJ": invalid syntax'),
        ),
    ],
)
def test_refusals(karmada, path, expected):
    assert karmada.status(path) == (expected["code"], expected)


@pytest.mark.parametrize("path", ["/apis/nosuch.example/v1/things", "/api/v1/nosuch", "/api/v1/services/flask", "/"])
def test_paths_that_do_not_exist(karmada, path):
    answer = karmada.open(path)
    assert (answer.status, answer.data, answer.headers["Content-Type"]) == (
        404,
        b"404 page not found\n",
        "text/plain; charset=utf-8",
    )


def test_a_member_knows_no_clusters(member1):
    assert member1.open(CLUSTERS).status == 404


def test_it_only_reads(karmada, member1):
    for api in (karmada, member1):
        code, body = api.status(SERVICES, "POST")
        assert (code, body["reason"], body["code"]) == (405, "MethodNotAllowed", 405)


def test_a_list_newer_than_the_server(karmada, fleet):
    answer = karmada.open(f"{SERVICES}?resourceVersion=999999999")
    assert (answer.status, answer.headers["Retry-After"]) == (504, "1")
    assert answer.json()["message"] == (
        f"Timeout: Too large resource version: 999999999, current: {fleet.karmada.revision}"
    )
    assert answer.json()["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


@pytest.mark.parametrize("token", ["", "nosuch"])
@pytest.mark.parametrize("path", ["/api/v1/nodes", f"{CLUSTERS}/member1/proxy/api/v1/nodes"])
def test_a_bad_token(karmada, path, token):
    karmada.token = token
    assert karmada.status(path) == (401, failure(401, "Unauthorized", "Unauthorized"))
    assert karmada.open("/readyz").status == 200


def test_direct_access(direct, server, member1):
    assert direct.get("/api/v1/nodes") == member1.get("/api/v1/nodes")
    with pytest.raises(urllib3.exceptions.SSLError):
        Api(direct.url, server.ca_pem, direct.token).open("/api/v1/nodes")
    direct.token = server.token
    assert direct.open("/api/v1/nodes").status == 401


def test_pages_are_of_one_state(member1, fleet):
    first = member1.get("/api/v1/nodes?limit=1")
    assert list(first["metadata"]) == ["resourceVersion", "continue", "remainingItemCount"]
    token = first["metadata"]["continue"]
    assert json.loads(base64.urlsafe_b64decode(token + "==")) == {
        "v": "meta.k8s.io/v1",
        "rv": int(rv(first)),
        "start": "/n1\0",
    }
    fleet.remove_node("member1", "n2")
    fleet.add_node("member1", "n3", "10.0.1.3")
    second = member1.get(f"/api/v1/nodes?limit=1&continue={token}")
    assert (names(first), names(second)) == (["n1"], ["n2"])
    assert second["metadata"] == {"resourceVersion": rv(first)}
    assert names(member1.get("/api/v1/nodes")) == ["n1", "n3"]
    assert names(member1.get(f"/api/v1/nodes?resourceVersionMatch=Exact&resourceVersion={rv(first)}")) == ["n1", "n2"]
    assert names(member1.get("/api/v1/nodes?limit=1&resourceVersion=0")) == ["n1", "n3"]


def test_pages_in_the_order_of_etcd(member1, fleet):
    for key in ("team-a/web", "team/web", "team/api"):
        fleet.add_service("member1", key, node_port=30001)
    listed, token = [], ""
    while not listed or token:
        page = member1.get(f"/api/v1/services?limit=2&continue={token}")
        listed += [f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in page["items"]]
        token = page["metadata"].get("continue", "")
    assert listed == ["default/flask", "default/kubernetes", "team-a/web", "team/api", "team/web"]
    page = member1.get("/api/v1/namespaces/team/services?limit=1")
    assert base64.urlsafe_b64decode(page["metadata"]["continue"] + "==").endswith(b'"start":"/api\\u0000"}')
    rest = member1.get(f"/api/v1/namespaces/team/services?continue={page['metadata']['continue']}")
    assert names(page) + names(rest) == ["api", "web"]


def test_a_continue_token_expires(member1, fleet):
    first = member1.get("/api/v1/nodes?limit=1")
    fleet.members["member1"].compact()
    code, body = member1.status(f"/api/v1/nodes?limit=1&continue={first['metadata']['continue']}")
    assert (code, body["reason"], body["code"]) == (410, "Expired", 410)
    assert body["metadata"] == {
        "continue": base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":-1,"start":"n1\\u0000"}').decode().rstrip("=")
    }
    assert names(member1.get(f"/api/v1/nodes?limit=1&continue={body['metadata']['continue']}")) == ["n2"]
    exact = failure(410, "The resourceVersion for the provided list is too old.", "Expired")
    assert member1.status(f"/api/v1/nodes?limit=1&resourceVersionMatch=Exact&resourceVersion={rv(first)}") == (
        410,
        exact,
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("labelSelector=app", ["flask"]),
        ("labelSelector=!app", ["kubernetes"]),
        ("labelSelector=app+in+(x,flask),karmada.io/managed=true", ["flask"]),
        ("labelSelector=app+notin+(flask)", ["kubernetes"]),
        ("fieldSelector=metadata.name!%3Dflask", ["kubernetes"]),
        ("fieldSelector=spec.type%3DNodePort,metadata.namespace%3Ddefault", ["flask"]),
    ],
)
def test_selectors(member1, query, expected):
    assert names(member1.get(f"/api/v1/services?{query}")) == expected


def test_a_watch_tells_what_changes(fleet, direct):
    since = rv(direct.get(SERVICES))
    events = direct.watch(f"{SERVICES}?watch=true&timeoutSeconds=3&allowWatchBookmarks=true&resourceVersion={since}")
    fleet.add_service("member1", "default/churn", node_port=30001)
    kind, obj = next(events)
    assert (kind, obj["kind"], obj["apiVersion"], obj["metadata"]["name"]) == ("ADDED", "Service", "v1", "churn")
    fleet.add_service("member1", "default/churn", node_port=30001, labels={"turn": "2"})
    fleet.add_service("member1", "team/elsewhere", node_port=30002)
    kind, changed = next(events)
    assert (kind, changed["metadata"]["labels"]["turn"]) == ("MODIFIED", "2")
    assert changed["metadata"]["uid"] == obj["metadata"]["uid"]
    fleet.remove_service("member1", "default/churn")
    kind, gone = next(events)
    assert (kind, gone["spec"]) == ("DELETED", changed["spec"])
    assert int(rv(gone)) > int(rv(changed))
    assert next(events) == (
        "BOOKMARK",
        {
            "kind": "Service",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": str(fleet.members["member1"].revision)},
            "spec": {},
            "status": {"loadBalancer": {}},
        },
    )
    fleet.members["member1"].compact()
    fleet.add_service("member1", "default/later", node_port=30003)
    assert next(events)[0] == "ADDED"
    events.close()


def test_a_watch_from_zero_begins_with_what_there_is_and_ends_in_time(member1):
    events = member1.watch(f"{SERVICES}?watch=true&resourceVersion=0&timeoutSeconds=1")
    assert [(kind, obj["metadata"]["name"]) for kind, obj in events] == [("ADDED", "flask"), ("ADDED", "kubernetes")]


def test_a_watch_with_initial_events(member1, fleet):
    query = "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    events = member1.watch(f"{SERVICES}?{query}&timeoutSeconds=3")
    assert [next(events)[0] for _ in range(2)] == ["ADDED", "ADDED"]
    kind, obj = next(events)
    assert (kind, obj["metadata"]) == (
        "BOOKMARK",
        {
            "resourceVersion": str(fleet.members["member1"].revision),
            "annotations": {"k8s.io/initial-events-end": "true"},
        },
    )
    events.close()


def test_a_watch_from_a_version_that_is_gone(member1, fleet):
    plane = fleet.members["member1"]
    plane.compact()
    gone = failure(410, f"too old resource version: 1 ({plane.compacted})", "Expired")
    assert list(member1.watch(f"{SERVICES}?watch=true&resourceVersion=1")) == [("ERROR", gone)]


def test_bookmarks_come_as_often_as_told(fleet):
    with FleetServer(fleet, bookmark_seconds=0.01) as server:
        api = Api(server.url, server.ca_pem, server.token)
        events = api.watch("/api/v1/nodes?watch=true&allowWatchBookmarks=true")
        assert {next(events)[0] for _ in range(3)} == {"BOOKMARK"}
        events.close()
        api.pool.clear()


def test_a_watch_whose_object_stops_matching(member1, fleet):
    since = rv(member1.get("/api/v1/nodes"))
    fleet.add_node("member1", "n1", "10.0.1.1", labels={"edge": "true"})
    fleet.add_node("member1", "n1", "10.0.1.1")
    events = member1.watch(f"/api/v1/nodes?watch=true&labelSelector=edge&resourceVersion={since}")
    assert [kind for kind, _ in islice(events, 2)] == ["ADDED", "DELETED"]
    events.close()


def test_a_member_that_is_down(server, direct, member1, karmada):
    port = direct.url.rpartition(":")[2]
    events = member1.watch("/api/v1/nodes?watch=true&resourceVersion=0")
    assert next(events)[0] == "ADDED"
    assert direct.open("/readyz").status == 200
    server.stop_member("member1")
    with pytest.raises(urllib3.exceptions.ProtocolError):
        list(events)
    with pytest.raises(urllib3.exceptions.HTTPError):
        direct.open("/readyz")
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        direct.open("/readyz")
    refused = failure(500, f"dial tcp 127.0.0.1:{port}: connect: connection refused")
    assert member1.status("/api/v1/nodes") == (500, refused)
    assert karmada.through("member2").open("/api/v1/nodes").status == 200
    server.start_member("member1")
    assert direct.get("/api/v1/nodes") == member1.get("/api/v1/nodes")


def test_a_test_may_answer_instead(server, karmada, member1):
    seen: list[Request] = []

    def intercept(request: Request) -> Reply | None:
        seen.append(request)
        return Reply(429, {"Retry-After": "1"}, b"{}") if request.via_proxy else None

    server.intercept = intercept
    assert karmada.get("/api/v1/nodes?limit=5")["items"] == []
    answer = member1.open("/api/v1/nodes?limit=5")
    assert (answer.status, answer.headers["Retry-After"], answer.data) == (429, "1", b"{}")
    assert [(request.plane, request.path, request.via_proxy) for request in seen] == [
        ("karmada", "/api/v1/nodes", False),
        ("member1", "/api/v1/nodes", True),
    ]
    assert seen[1].full_path == f"{CLUSTERS}/member1/proxy/api/v1/nodes"
    assert (seen[1].method, seen[1].query) == ("GET", {"limit": "5"})
    assert seen[1].headers["authorization"] == f"Bearer {server.token}"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(body=b"x" * 1000, truncate_at=10), urllib3.exceptions.ProtocolError),
        (Reply(reset=True), urllib3.exceptions.ProtocolError),
        (Reply(hang=True), urllib3.exceptions.ReadTimeoutError),
        (Reply(delay_seconds=5), urllib3.exceptions.ReadTimeoutError),
    ],
)
def test_answers_that_fail(server, karmada, reply, error):
    server.intercept = lambda request: reply
    with pytest.raises(error):
        karmada.open("/api/v1/nodes", timeout=0.2 if reply.hang or reply.delay_seconds else 5)
    server.intercept = None
    assert karmada.open("/api/v1/nodes").status == 200


def test_a_reset_is_one_of_tcp(server):
    server.intercept = lambda request: Reply(reset=True)
    context = ssl.create_default_context(cadata=server.ca_pem.decode())
    plain = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with socket.socket(fileno=connection.detach()) as under, pytest.raises(ConnectionResetError):
            while under.recv(65536):
                pass


def test_a_late_answer(server, karmada):
    server.intercept = lambda request: Reply(body=b"late", delay_seconds=0.1)
    start = time.monotonic()
    assert karmada.open("/api/v1/nodes").data == b"late"
    assert time.monotonic() - start >= 0.1


def test_it_stops_at_once_and_leaves_nothing(fleet):
    before = threading.active_count()
    with FleetServer(fleet) as server:
        api = Api(server.url, server.ca_pem, server.token)
        watches = [one.open("/api/v1/nodes?watch=true", preload_content=False) for one in (api, api.through("member1"))]
        server.intercept = lambda request: Reply(hang=True)
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            api.open("/api/v1/nodes", timeout=0.1)
        start = time.monotonic()
    assert time.monotonic() - start < 2
    assert threading.active_count() == before
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        api.open("/api/v1/nodes")
    for watch in watches:
        watch.close()
    with FleetServer(fleet):  # the same fleet, elsewhere
        plane = fleet.members["member1"]
        url = fleet.karmada.get("clusters", "", "member1")["spec"]["apiEndpoint"]
        member = Api(url, plane.ca.cert_pem.bytes(), plane.token)
        assert names(member.get("/api/v1/nodes")) == ["n1", "n2"]
        member.pool.clear()


def test_kubeconfig(server):
    config = server.kubeconfig()
    assert config["current-context"] == "karmada-apiserver"
    (cluster,) = config["clusters"]
    assert cluster["cluster"]["server"] == server.url
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]) == server.ca_pem
    assert config["users"][0]["user"] == {"token": server.token}


def test_equal_calls_give_equal_objects():
    def services():
        made = Fleet()
        made.add_member("member1", nodes={"n1": "10.0.1.1"})
        made.add_service("member1", "default/flask", node_port=31193)
        return made.members["member1"].list("services") + made.karmada.list("clusters")

    assert services() == services()


def review(api: Api, api_group: str, kind: str, **attributes: str):
    spec = {"spec": {"resourceAttributes": attributes}} if attributes else {}
    body = json.dumps({"apiVersion": f"{api_group}/v1", "kind": kind, **spec})
    answer = api.open(f"/apis/{api_group}/v1/{kind.lower()}s", "POST", body=body)
    found = answer.json()
    assert (answer.status, found["kind"], found["apiVersion"]) == (201, kind, f"{api_group}/v1")
    assert found.get("spec", {}) == spec.get("spec", {})
    return found["status"]


def test_who_asks(server, karmada):
    """SelfSubjectReview says whom the API server takes a caller for."""
    server.callers["karmada"].groups = ("system:serviceaccounts", "system:authenticated")
    user = review(karmada, "authentication.k8s.io", "SelfSubjectReview")["userInfo"]
    assert user == {"username": "publisher", "groups": ["system:serviceaccounts", "system:authenticated"]}


@pytest.mark.parametrize(
    ("denied", "asked", "allowed"),
    [
        (None, {"verb": "list", "resource": "nodes"}, True),
        (("list", "", "nodes"), {"verb": "list", "resource": "nodes"}, False),
        (("list", "", "nodes"), {"verb": "get", "resource": "nodes", "name": "n1"}, True),
        (
            ("get", "", "secrets", "a", "x"),
            {"verb": "get", "resource": "secrets", "namespace": "a", "name": "x"},
            False,
        ),
        (("get", "", "secrets", "a", "x"), {"verb": "get", "resource": "secrets", "namespace": "a", "name": "y"}, True),
        (("get", "", "secrets", "a", "x"), {"verb": "get", "resource": "secrets", "namespace": "a"}, False),
        (("get", "g", "r/sub"), {"verb": "get", "group": "g", "resource": "r", "subresource": "sub"}, False),
        (("get", "g", "r/sub"), {"verb": "get", "group": "g", "resource": "r"}, True),
    ],
)
def test_what_a_caller_may(server, karmada, denied, asked, allowed):
    """SelfSubjectAccessReview: all that is not denied, and all of a kind only where none of it is denied."""
    server.callers["karmada"].denied |= {Asked(*denied)} if denied else set()
    assert review(karmada, "authorization.k8s.io", "SelfSubjectAccessReview", **asked)["allowed"] is allowed


def test_what_is_denied_is_refused(server, karmada, member1):
    """A denial counts for requests too, in words that Kubernetes has for it."""
    server.callers["member1"].denied.add(Asked("list", "", "nodes"))
    code, body = member1.status("/api/v1/nodes")
    assert (code, body["reason"]) == (403, "Forbidden")
    assert body["message"] == (
        'nodes is forbidden: User "publisher" cannot list resource "nodes" in API group "" at the cluster scope'
    )
    assert member1.status("/api/v1/services")[0] == 200
    server.callers["karmada"].denied.add(Asked("get", "cluster.karmada.io", "clusters/proxy", "", "member1"))
    code, body = member1.status("/api/v1/services")
    assert code == 403
    assert 'clusters.cluster.karmada.io "member1" is forbidden' in body["message"]
    assert karmada.through("member2").status("/api/v1/services")[0] == 200
