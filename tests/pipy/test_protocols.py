"""The Pipy program: TLS, HTTP/2 and WebSocket."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import ssl
import subprocess
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import pytest
import trustme

from publisher.core.config import ClusterConfig, Part

H2_TARGET = """
pipy.listen('127.1.2.1:%d', $=>$.serveHTTP(({ head, body }) => new Message(
  { headers: { 'content-type': 'application/json' } },
  JSON.stringify({ scheme: head.scheme, host: head.headers.host, body: body?.size || 0 })
)))
"""


class WebSocket(BaseHTTPRequestHandler):
    """Upgrades, and sends back what it gets."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(101)
        self.send_header("connection", "upgrade")
        self.send_header("upgrade", "websocket")
        self.end_headers()
        while data := self.connection.recv(1000):
            self.connection.sendall(data)

    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="module")
def curl():
    """Find a curl that speaks HTTP/2."""
    found = shutil.which("curl")
    if not found or b"HTTP2" not in subprocess.check_output([found, "--version"]):
        pytest.skip("no curl with HTTP/2 on PATH")

    def run(*arguments):
        done = subprocess.run(
            [
                found,
                "--silent",
                "--show-error",
                "--max-time",
                "20",
                "--write-out",
                "\n%{http_version} %{http_code}",
                *arguments,
            ],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        body, _, told = done.stdout.decode().rpartition("\n")
        version, status = told.split()
        return SimpleNamespace(version=version, status=int(status), document=json.loads(body) if body else None)

    return run


@pytest.fixture(scope="module")
def secure(tmp_path_factory, upstreams, service, write_codebase, running):
    """Run the program with certificates for three names, one file of them in the codebase."""
    folder = tmp_path_factory.mktemp("config-repo")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    item = service("app", [("", "/*", "http")], member2=Part(100, {"http": upstreams.http}))
    codebase = write_codebase(folder, [item])
    (codebase / "secret").mkdir()
    certificates = []
    for names in (["shop.test", "www.shop.test"], ["*.wild.test"]):
        made = authority.issue_cert(*names)
        stem = names[-1].replace("*", "any")
        chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        (codebase / f"secret/{stem}.crt").write_bytes(chain)
        made.private_key_pem.write_to_path(folder / f"{stem}.key")
        certificates.append({"names": names, "cert": f"secret/{stem}.crt", "key": str(folder / f"{stem}.key")})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tls = {"listen": f"127.0.0.1:{port}", "certificates": certificates}
    with running(codebase, tls=tls) as proxy:
        yield SimpleNamespace(proxy=proxy, port=port, ca=folder / "ca.pem", codebase=codebase, tls=tls)


def handshake(secure, name, verify=True):
    context = ssl.create_default_context(cafile=secure.ca)
    context.check_hostname = verify
    raw = socket.create_connection(("127.0.0.1", secure.port), 20)
    return context.wrap_socket(raw, server_hostname=name)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("shop.test", {"shop.test", "www.shop.test"}),
        ("WWW.shop.test", {"shop.test", "www.shop.test"}),
        ("a.wild.test", {"*.wild.test"}),
        ("a.b.wild.test", {"shop.test", "www.shop.test"}),
        ("other.test", {"shop.test", "www.shop.test"}),
        (None, {"shop.test", "www.shop.test"}),
    ],
)
def test_certificates_are_chosen_by_name(secure, name, names):
    """The name that a client asks for decides, and the first certificate where none fits."""
    with handshake(secure, name, verify=False) as connection:
        assert {value for _, value in connection.getpeercert()["subjectAltName"]} == names


def test_targets_learn_of_tls(secure):
    """X-Forwarded-Proto and Port are those of the TLS listener, and cookies would be Secure."""
    context = ssl.create_default_context(cafile=secure.ca)
    connection = http.client.HTTPSConnection("127.0.0.1", secure.port, timeout=20, context=context)
    connection.sock = handshake(secure, "shop.test")
    connection.request("GET", "/", headers={"host": "shop.test"})
    headers = {name.lower(): value for name, value in json.load(connection.getresponse())["headers"].items()}
    connection.close()
    assert (headers["x-forwarded-proto"], headers["x-forwarded-port"]) == ("https", str(secure.port))


def test_http2_by_alpn(secure, curl):
    """A client that can gets HTTP/2, in front of targets of HTTP/1."""
    where = ["--cacert", secure.ca, "--resolve", f"shop.test:{secure.port}:127.0.0.1"]
    answer = curl(*where, "--http2", f"https://shop.test:{secure.port}/a?b")
    assert (answer.version, answer.status, answer.document["path"]) == ("2", 200, "/a?b")
    assert answer.document["headers"]["host"] == f"shop.test:{secure.port}"
    answer = curl(*where, "--http2", "--data", "x" * 100000, f"https://shop.test:{secure.port}/")
    assert (answer.version, answer.document["body"]) == ("2", 100000)
    assert curl(*where, "--http1.1", f"https://shop.test:{secure.port}/").version == "1.1"


def test_http2_without_tls(secure, curl):
    """A client that knows may speak HTTP/2 right away."""
    answer = curl("--http2-prior-knowledge", f"http://127.0.0.1:{secure.proxy.port}/")
    assert (answer.version, answer.status) == ("2", 200)
    assert curl("--http2-prior-knowledge", f"http://127.0.0.1:{secure.proxy.port}/hang-up").status == 502


def test_http_is_sent_to_https(secure, running, curl):
    """With redirect on nothing is served without TLS, and paths and queries are kept."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tls = {**secure.tls, "listen": f"127.0.0.1:{port}", "redirect": True}
    with running(secure.codebase, tls=tls) as proxy:
        answer = proxy.ask("/a?b=c", "POST", host="shop.test:80")
        assert (answer.status, answer.header("location")) == (308, f"https://shop.test:{port}/a?b=c")
        assert proxy.ask("/", host="evil.test/x").status == 400
        where = ["--cacert", secure.ca, "--resolve", f"shop.test:{port}:127.0.0.1"]
        assert curl(*where, f"https://shop.test:{port}/").status == 200


def test_a_key_that_cannot_be_read_changes_nothing(secure, running, wait_for, tmp_path):
    """A program without its key does not load, and the one before goes on."""
    codebase = shutil.copytree(secure.codebase, tmp_path / "pipy")
    with running(codebase, tls={}) as proxy:
        settings = json.loads((codebase / "config/proxy.json").read_bytes())
        broken = [{"names": ["shop.test"], "cert": "secret/www.shop.test.crt", "key": str(tmp_path / "gone.key")}]
        settings["tls"] = {"listen": f"127.0.0.1:{secure.port}", "certificates": broken}
        (codebase / "config/proxy.json").write_text(json.dumps(settings))
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "Failed reloading" in proxy.log())
        assert "gone.key" in proxy.log()
        assert proxy.ask("/").status == 200


def test_targets_of_http2(tmp_path, pipy_bin, service, write_codebase, running, wait_for, curl):
    """Where a service says so its targets are spoken to in HTTP/2; they may fail as others do."""
    with socket.socket() as probe:
        probe.bind(("127.1.2.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "target.js").write_text(H2_TARGET % port)
    item = service("app", [("", "/*", "http")], member2=Part(100, {"http": port}))
    codebase = write_codebase(tmp_path, [item], service={"protocol": "http2"})
    target = subprocess.Popen([pipy_bin, tmp_path / "target.js"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with running(codebase) as proxy:
            wait_for(lambda: proxy.ask("/").status == 200)
            answer = proxy.ask("/", "POST", b"x" * 100000, host="shop.test")
            assert answer.document == {"scheme": "http", "host": "shop.test", "body": 100000}
            assert curl("--http2-prior-knowledge", f"http://127.0.0.1:{proxy.port}/").document["scheme"] == "http"
            target.kill()
            target.wait()
            assert proxy.ask("/")[:3] == (502, "application/json", b'{"error":"target failed"}\n')
    finally:
        target.kill()
        target.wait()


def test_websocket_passes_through(tmp_path, serve, service, write_codebase, running):
    """After the upgrade both sides talk as they like."""
    with serve(("127.1.2.1", 0), WebSocket) as port:
        item = service("chat", [("", "/*", "http")], chat=Part(100, {"http": port}))
        codebase = write_codebase(tmp_path, [item], [ClusterConfig("chat", {"a": "127.1.2.1"})])
        with running(codebase) as proxy, socket.create_connection(("127.0.0.1", proxy.port), 20) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1000)
            assert head.startswith(b"HTTP/1.1 101 ")
            for text in (b"one", b"two" * 100):
                client.sendall(text)
                answer = b""
                while len(answer) < len(text):
                    answer += client.recv(1000)
                assert answer == text
            assert proxy.metrics()['proxy_requests_total{service="shop/chat",cluster="chat",code="101"}'] == 1
