"""Members that are read directly, with what Karmada knows of them: address, Secret, CA, proxy."""

from __future__ import annotations

import base64
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from publisher.core.policy import Access
from publisher.demo.server import Reply
from publisher.edge.karmada import KarmadaFleet, Timing
from publisher.errors import ApiError

PARTS = {("member2", kind) for kind in ("nodes", "services", "endpoints")}
SECRETS = "/api/v1/namespaces/karmada-cluster/secrets"
QUICK = Timing(connect=5, read=5, total=20, attempts=2, backoff=0.01, longest=2)


@pytest.fixture(autouse=True)
def _direct(world):
    world.set_policy(access=Access.DIRECT)


@pytest.fixture
def one_unknown(world, published, unknown):
    """Publish the fleet; later read it, when all of member2 alone is unknown and nothing changes, for the reason."""

    world.seen.clear()

    def read() -> str:
        topology = world.read()
        found = unknown(topology)
        assert set(found) == PARTS
        assert not world.plan(published, topology).plan.files
        (reason,) = set(found.values())
        return reason

    return read


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def set_secret(world, **data: object) -> None:
    """Change the Secret of member2; None takes a key away."""

    def change(secret):
        secret["data"] = {key: value for key, value in (secret["data"] | data).items() if value is not None}

    world.change("secrets", "member2", change, "karmada-cluster")


def set_spec(world, name: str = "member2", **spec: object) -> None:
    """Change the spec of a Cluster."""
    world.change("clusters", name, lambda cluster: cluster["spec"].update(spec))


def own_ca(world) -> str:
    return encoded(world.fleet.members["member2"].ca.cert_pem.bytes())


def test_every_member_is_asked_itself(world, unknown):
    """Karmada gives the Clusters and the Secrets, and each Secret once."""
    assert not unknown(world.read())
    assert not any(request.via_proxy for request in world.seen)
    paths = sorted(request.path for request in world.seen if request.plane == "karmada" and "secrets" in request.path)
    assert paths == [f"{SECRETS}/member{number}" for number in (1, 2, 3)]
    for request in world.seen:
        plane = world.fleet.karmada if request.plane == "karmada" else world.fleet.members[request.plane]
        assert request.headers["authorization"] == f"Bearer {plane.token}"


def test_it_reads_the_same_as_through_the_proxy(world):
    topology = world.read()
    world.set_policy(access=Access.PROXY)
    assert world.read() == topology


def test_the_secret_is_missing(world, one_unknown):
    world.fleet.karmada.delete("secrets", "karmada-cluster", "member2")
    assert one_unknown() == 'Karmada: HTTP 404: secrets "member2" not found'


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"token": None}, "the Secret of spec.secretRef has no token"),
        ({"token": ""}, "the Secret of spec.secretRef has no token"),
        ({"token": encoded(" \n")}, "the Secret of spec.secretRef has no token"),
        ({"token": "hunter2!"}, "is not base64 text"),
        ({"token": "hunter2\u20ac"}, "is not base64 text"),
        ({"token": 7}, "is not base64 text"),
        ({"token": encoded(b"\xff\xfe")}, "is not base64 text"),
        ({"token": encoded("hunter2\nhunter2")}, "its address or the credentials for it are not valid"),
        ({"token": encoded("hunter2hunter2")}, "HTTP 401: Unauthorized"),
        ({"caBundle": None}, "no caBundle to verify its certificate with"),
        ({"caBundle": "-----BEGIN CERTIFICATE-----"}, "is not base64 text"),
        ({"caBundle": encoded("hunter2")}, "TLS: "),
        ({"caBundle": encoded("hunter2\u20ac")}, "is not base64 text"),
        ({"caBundle": encoded("-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----")}, "TLS: "),
    ],
)
def test_what_is_wrong_with_the_secret(world, one_unknown, data, says):
    set_secret(world, **data)
    reason = one_unknown()
    assert reason.startswith("member2: ")
    assert says in reason
    assert "hunter2" not in reason


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": null}', b'{"data": "x"}', b'{"kind": "Secret"}'])
def test_what_is_no_secret(world, one_unknown, body):
    world.answer(lambda request: Reply(200, {}, body) if request.path == f"{SECRETS}/member2" else None)
    assert "not JSON" in (reason := one_unknown()) or "the Secret of spec.secretRef has no data" in reason


def test_another_ca(world, one_unknown):
    """A wrong caBundle is never passed over, and no token goes to whoever answers there."""
    set_secret(world, caBundle=encoded(world.fleet.members["member1"].ca.cert_pem.bytes()))
    assert one_unknown().startswith("member2: TLS: [SSL: CERTIFICATE_VERIFY_FAILED]")
    assert not [request for request in world.seen if request.plane == "member2"]


def test_the_ca_of_the_cluster(world, unknown):
    """spec.caBundle stands in where the Secret has none."""
    set_secret(world, caBundle=None)
    set_spec(world, caBundle=own_ca(world))
    assert not unknown(world.read())


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("given", ["nothing", "another"])
def test_skipping_verification(world, unknown, one_unknown, allowed, given):
    """insecureSkipTLSVerification counts only where publisher.yaml lets it."""
    set_spec(world, insecureSkipTLSVerification=True)
    set_secret(world, caBundle=None if given == "nothing" else encoded(world.server.ca_pem))
    if allowed:
        world.set_policy(insecure=True)
        assert not unknown(world.read())
    else:
        assert ("no caBundle" if given == "nothing" else "CERTIFICATE_VERIFY_FAILED") in one_unknown()


def test_insecure_in_publisher_yaml_is_not_enough(world, one_unknown):
    """The Cluster has to say it too."""
    world.set_policy(insecure=True)
    set_secret(world, caBundle=encoded(world.server.ca_pem))
    assert "CERTIFICATE_VERIFY_FAILED" in one_unknown()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"apiEndpoint": ""}, "spec.apiEndpoint or spec.secretRef is missing"),
        ({"apiEndpoint": None}, "spec.apiEndpoint or spec.secretRef is missing"),
        ({"secretRef": None}, "spec.apiEndpoint or spec.secretRef is missing"),
        ({"secretRef": {}}, "spec.apiEndpoint or spec.secretRef is missing"),
        ({"secretRef": {"namespace": "karmada-cluster"}}, "spec.secretRef names no Secret"),
        ({"secretRef": {"namespace": "../x", "name": "member2"}}, "spec.secretRef names no Secret"),
        ({"secretRef": {"namespace": "karmada-cluster", "name": "a/../member1"}}, "spec.secretRef names no Secret"),
        ({"secretRef": {"namespace": ["x"], "name": 7}}, "spec.secretRef names no Secret"),
        ({"apiEndpoint": "http://127.0.0.1:1"}, "spec.apiEndpoint is not an https address"),
        ({"apiEndpoint": "ftp://127.0.0.1:1"}, "spec.apiEndpoint is not an https address"),
        ({"apiEndpoint": "https://127.0.0.1:1"}, "member2: Connection refused"),
        ({"apiEndpoint": "https://user:hunter2@127.0.0.1:1"}, "member2: Connection refused"),
        ({"apiEndpoint": "https://user:hunter2/x@127.0.0.1"}, "its address or the credentials for it are not valid"),
        ({"apiEndpoint": "https://127.0.0.1:99999"}, "its address or the credentials for it are not valid"),
        ({"apiEndpoint": "https://[::1"}, "spec.apiEndpoint is not an https address"),
        ({"apiEndpoint": "https://a..b"}, "its address or the credentials for it are not valid"),
        ({"proxyURL": "http://127.0.0.1:1"}, "member2: proxy: Connection refused"),
        ({"proxyURL": "http://user:hunter2@127.0.0.1:1"}, "member2: proxy: Connection refused"),
        ({"proxyURL": "http://user:hunter2/x@127.0.0.1:1"}, "its address, or that of its proxy, cannot be used"),
        ({"proxyURL": "127.0.0.1:1"}, "its address, or that of its proxy, cannot be used"),
        ({"proxyURL": "ftp://127.0.0.1:1"}, "its address, or that of its proxy, cannot be used"),
        ({"proxyURL": "http://nosuch.invalid"}, "member2: proxy: the host name cannot be resolved"),
    ],
)
def test_a_cluster_that_cannot_be_reached(world, one_unknown, spec, says):
    set_spec(world, **spec)
    reason = one_unknown()
    assert reason.startswith("member2: ")
    assert says in reason
    assert "hunter2" not in reason


@pytest.mark.filterwarnings("ignore:SOCKS support")
def test_a_socks_proxy(world, one_unknown):
    """It needs a package that is not installed: an error of that cluster, not of the program."""
    set_spec(world, proxyURL="socks5://127.0.0.1:1")
    assert one_unknown() == "member2: a SOCKS proxy needs the package PySocks"


@pytest.mark.parametrize("form", ["{0}", "https://{0}", "https://{0}/", "HTTPS://{0}", "https://user:secret@{0}"])
def test_forms_of_the_address(world, unknown, form):
    """Karmada takes a host and port alone too; that is never plain HTTP."""
    cluster = world.fleet.karmada.get("clusters", "", "member2")
    set_spec(world, apiEndpoint=form.format(cluster["spec"]["apiEndpoint"].removeprefix("https://")))
    assert not unknown(world.read())


def test_a_plain_http_server_gets_no_token(world, one_unknown):
    """Whoever listens there sees the first bytes of TLS, and that is all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        got = []

        def serve() -> None:
            with suppress(OSError):
                while True:
                    with closing(server.accept()[0]) as connection:
                        got.append(connection.recv(4096))
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        thread = threading.Thread(target=serve)
        thread.start()
        for prefix in ("http://", "", "https://"):
            set_spec(world, apiEndpoint=f"{prefix}127.0.0.1:{server.getsockname()[1]}")
            assert one_unknown().startswith("member2: ")
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert got
    assert not any(b"GET" in data or b"Bearer" in data for data in got)


class Proxy:
    """An HTTP proxy that knows CONNECT, and may want a password."""

    def __init__(self, wanted: dict[str, str]) -> None:
        self.wanted = wanted
        self.tunnels: list[tuple[str, dict[str, str]]] = []
        """Where each led to, with the headers it was asked for with."""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                thread = threading.Thread(target=self._serve, args=(self.listener.accept()[0],))
                self.threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with ExitStack() as stack:
            stack.enter_context(suppress(OSError))
            stack.enter_context(closing(client))
            head = b""
            while b"\r\n\r\n" not in head and (data := client.recv(4096)):
                head += data
            if not head:
                return
            first, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
            where = first.split()[1]
            self.tunnels.append((where, headers))
            if not self.wanted.items() <= headers.items():
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            host, _, port = where.rpartition(":")
            target = stack.enter_context(socket.create_connection((host, int(port))))
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            while True:
                for ready in select.select([client, target], [], [])[0]:
                    if not (data := ready.recv(65536)):
                        return
                    (target if ready is client else client).sendall(data)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy; what it wants may be set."""
    made = Proxy({})
    yield made
    made.close()


def address(world, name: str) -> str:
    """Give host:port of a member."""
    return world.fleet.karmada.get("clusters", "", name)["spec"]["apiEndpoint"].removeprefix("https://")


def test_a_proxy(world, proxy, unknown):
    """spec.proxyURL leads to one member, with spec.proxyHeader, which goes to the proxy alone; TLS is end to end."""
    proxy.wanted = {"proxy-authorization": "Basic aHVudGVyMg==", "x-tenant": "edge"}
    set_spec(
        world,
        proxyURL=proxy.url,
        proxyHeader={"Proxy-Authorization": "Basic aHVudGVyMg==", "X-Tenant": "edge"},
    )
    assert not unknown(world.read())
    assert {where for where, _ in proxy.tunnels} == {address(world, "member2")}
    assert all("authorization" not in headers for _, headers in proxy.tunnels)
    asked = [request for request in world.seen if request.plane == "member2"]
    assert asked
    assert not any({"x-tenant", "proxy-authorization"} & request.headers.keys() for request in asked)


@pytest.mark.parametrize("secret", ["hunter2", "h%40nter%3A2"])
def test_a_proxy_with_a_password_in_its_url(world, proxy, unknown, secret):
    """As Karmada itself sends it."""
    plain = secret.replace("%40", "@").replace("%3A", ":")
    proxy.wanted = {"proxy-authorization": f"Basic {encoded(f'edge:{plain}')}"}
    set_spec(world, proxyURL=proxy.url.replace("//", f"//edge:{secret}@"))
    assert not unknown(world.read())
    assert len(proxy.tunnels) == 1


def test_a_proxy_header_wins_over_the_url(world, proxy, unknown):
    proxy.wanted = {"proxy-authorization": "Bearer hunter2"}
    url = proxy.url.replace("//", "//edge:other@")
    set_spec(world, proxyURL=url, proxyHeader={"proxy-authorization": "Bearer hunter2"})
    assert not unknown(world.read())


def test_a_proxy_that_refuses(world, proxy, one_unknown):
    proxy.wanted = {"proxy-authorization": "Basic aHVudGVyMg=="}
    set_spec(world, proxyURL=proxy.url.replace("//", "//edge:wrong@"))
    assert one_unknown() == "member2: proxy: Tunnel connection failed: 407 Proxy Authentication Required"
    assert not [request for request in world.seen if request.plane == "member2"]


def test_a_proxy_does_not_weaken_tls(world, proxy, one_unknown):
    set_spec(world, proxyURL=proxy.url)
    set_secret(world, caBundle=encoded(world.server.ca_pem))
    assert "CERTIFICATE_VERIFY_FAILED" in one_unknown()
    assert not [request for request in world.seen if request.plane == "member2"]


def test_no_proxy_is_not_about_the_clusters_own(world, proxy, unknown, monkeypatch):
    """NO_PROXY says what our own proxy is not for; a Cluster names its proxy because there is no other way."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    set_spec(world, proxyURL=proxy.url)
    assert not unknown(world.read())
    assert {where for where, _ in proxy.tunnels} == {address(world, "member2")}


def test_our_own_proxy(world, proxy, unknown, monkeypatch):
    """HTTPS_PROXY, with its password, holds for Karmada and for members that name none."""
    proxy.wanted = {"proxy-authorization": f"Basic {encoded('me:hunter2')}"}
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//me:hunter2@"))
    assert not unknown(world.read())
    everyone = {address(world, f"member{number}") for number in (1, 2, 3)} | {world.server.url.removeprefix("https://")}
    assert {where for where, _ in proxy.tunnels} == everyone


def test_nothing_is_asked_after_close(world):
    """A member's connection ends with Karmada's, and not the other way round."""
    connection = world.connect()

    def answer(request):
        if request.plane != "karmada":
            connection.close()

    world.answer(answer)
    world.set_policy(concurrency=1)
    with pytest.raises(ApiError, match="reading was broken off"):
        KarmadaFleet(connection, world.policy, QUICK).read(lambda done, of: None)
    assert [request.plane for request in world.seen if request.plane != "karmada"] == ["member1"]


def test_a_member_that_does_not_shake_hands(world, unknown, published):
    """The port is open and nobody speaks TLS there: given up after the time to connect."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        set_spec(world, apiEndpoint=f"https://127.0.0.1:{server.getsockname()[1]}")
        topology = world.read(Timing(connect=0.3, read=60, total=60, attempts=2, backoff=0.01))
    assert set(unknown(topology)) == PARTS
    assert set(unknown(topology).values()) == {"member2: no connection within 0.3 s"}
    assert not world.plan(published, topology).plan.files
