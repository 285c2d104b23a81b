"""The Pipy program: what it tells of itself."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import threading
import time
import urllib.request
from collections import Counter

import pytest

from publisher.core.config import Part


@pytest.fixture(scope="module")
def services(upstreams, service):
    ports = {"http": upstreams.http}
    return [
        service(
            "app",
            [("", "/*", "http"), ("api.test", "/v1/*", "http")],
            member1=Part(70, ports),
            member2=Part(30, ports),
            member3=Part(0, ports),
            tired=Part(100, ports),
            empty=Part(100, ports),
        ),
        service("nobody", [("", "/nobody", "http")], member1=Part(0, ports)),
    ]


@pytest.fixture
def own(tmp_path, write_codebase, services):
    return write_codebase(tmp_path, services)


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_health(own, running):
    """Probes get a 200 from the admin listener, and only from there."""
    with running(own) as proxy:
        assert get(proxy.admin, "/__health") == (200, b'{"status":"ok"}\n')
        for path in ("/other", "/__config/", "/__config/shop/other", "/__config/shop/constructor"):
            assert get(proxy.admin, path)[0] == 404
        assert proxy.ask("/__health").document["path"] == "/__health"


def test_the_page_of_a_service(own, running, upstreams):
    """Each route says what each cluster's share is when all is well, and how its targets are."""
    with running(own) as proxy:
        page = proxy.config("/shop/app")
    port = upstreams.http
    clusters = {
        "member1": {"share": 0.7, "targets": {f"127.1.1.{number}:{port}": "ok" for number in (1, 2)}},
        "member2": {"share": 0.3, "targets": {f"127.1.2.1:{port}": "ok"}},
        "member3": {"share": 0, "targets": {f"127.1.3.1:{port}": "ok"}},
        "tired": {"share": 0, "targets": {f"127.1.4.1:{port}": "ok"}},
        "empty": {"share": 0, "targets": {}},
    }
    assert page == {"service": "shop/app", "routes": {"/*": clusters, "api.test/v1/*": clusters}}


def test_metrics_count_answers(own, running):
    """By service, cluster and code, with and without a target; and how long they took."""
    with running(own) as proxy:
        for path, host in (("/x", ""), ("/x", ""), ("/nobody", ""), ("/v1/x", "api.test")):
            proxy.ask(path, host=host)
        found = proxy.metrics()
        counted = {name: number for name, number in found.items() if name.startswith("proxy_requests_total")}
        app = 'proxy_requests_total{service="shop/app",cluster="%s",code="200"}'
        assert counted.pop(app % "member1") + counted.pop(app % "member2", 0) == 3
        assert counted == {'proxy_requests_total{service="shop/nobody",cluster="",code="503"}': 1}
        buckets = [
            (float(name.split('le="')[1].rstrip('"}')), number)
            for name, number in found.items()
            if name.startswith('proxy_request_seconds_bucket{service="shop/app"')
        ]
        numbers = [number for _, number in sorted(buckets)]
        assert numbers == sorted(numbers)
        assert numbers[-1] == found['proxy_request_seconds_count{service="shop/app"}'] == 3
        assert found['proxy_targets{service="shop/app",cluster="member1",state="ok"}'] == 2
        assert found['proxy_requests_active{service="shop/app",cluster="member1"}'] == 0


def test_metrics_are_as_prometheus_wants_them(own, running):
    """Every family says what it is before its numbers, and comes once."""
    with running(own) as proxy:
        proxy.ask("/x")
        lines = get(proxy.admin, "/metrics")[1].decode().splitlines()
    kinds = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE ")}
    assert kinds == {
        "proxy_requests_total": "counter",
        "proxy_retries_total": "counter",
        "proxy_ejections_total": "counter",
        "proxy_requests_active": "gauge",
        "proxy_request_seconds": "histogram",
        "proxy_targets": "gauge",
    }
    assert Counter(line.split()[2] for line in lines if line.startswith("# TYPE ")) == dict.fromkeys(kinds, 1)
    assert len(lines) == len(set(lines))


def test_metrics_of_all_threads(own, running):
    """Each thread counts on its own, and any of them knows the sum."""
    with running(own, "--threads=2", "--reuse-port") as proxy:
        for _ in range(20):
            proxy.ask("/x")
        for _ in range(4):
            found = proxy.metrics()
            assert sum(number for name, number in found.items() if name.startswith("proxy_requests_total")) == 20


def test_metrics_after_a_reload(own, running, wait_for):
    """They begin anew, and go on."""
    with running(own) as proxy:
        proxy.ask("/x")
        (own / "config/services/shop.nobody.json").unlink()
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda: proxy.config()["services"] == 1)
        proxy.ask("/x")
        found = proxy.metrics()
        assert sum(number for name, number in found.items() if name.startswith("proxy_requests_total")) == 1


def test_the_access_log(own, running, tmp_path, wait_for, upstreams):
    """One line of JSON for each request, without what could be a secret."""
    file = tmp_path / "access.log"
    with running(own, accessLog=str(file)) as proxy:
        proxy.ask("/x?token=secret", "POST", b"12345", authorization="secret", host="shop.test", cookie="a=secret")
        proxy.ask("/nobody")
        wait_for(lambda: file.exists() and file.read_text().count("\n") == 2)
    assert "secret" not in file.read_text()
    first, second = map(json.loads, file.read_text().splitlines())
    assert first.pop("time").endswith("Z")
    assert 0 <= first.pop("seconds") < 20
    assert first.pop("bytes") > 100
    assert first.pop("target").endswith(f":{upstreams.http}")
    assert first.pop("cluster") in ("member1", "member2")
    assert first == {
        "client": "127.0.0.1",
        "method": "POST",
        "host": "shop.test",
        "path": "/x",
        "status": 200,
        "service": "shop/app",
    }
    assert (second["path"], second["status"], second["service"]) == ("/nobody", 503, "shop/nobody")
    assert "target" not in second


def test_the_access_log_on_stdout(own, running, wait_for):
    """For containers it goes where the log of Pipy goes."""
    with running(own, accessLog="stdout") as proxy:
        proxy.ask("/x")
        wait_for(lambda: '"path":"/x"' in proxy.log())


def test_the_version_of_a_folder(own, running, tmp_path):
    """It is the name of the folder that the path leads to, where that is a link."""
    version = "0123456789012345678901234567890123456789"
    (tmp_path / version).mkdir()
    own.rename(tmp_path / version / "pipy")
    (tmp_path / "current").symlink_to(version)
    with running(tmp_path / "current/pipy") as proxy:
        assert proxy.config()["version"] == version


def test_the_version_of_a_repo(own, running, pipy_bin, wait_for, tmp_path):
    """It is what the Repo says, and follows it."""
    with running(own) as proxy:  # finds free ports
        port, admin, repo = proxy.port, proxy.admin, proxy.port
    url = f"http://127.0.0.1:{repo}/api/v1"

    def send(method, path, body):
        urllib.request.urlopen(urllib.request.Request(url + path, body, method=method), timeout=20).close()

    with (tmp_path / "repo.log").open("wb") as log, (tmp_path / "worker.log").open("wb") as other:
        repo = subprocess.Popen([pipy_bin, f"--admin-port=127.0.0.1:{port}"], stdout=log, stderr=log)
        worker = None
        try:
            wait_for(lambda: b"Listening" in (tmp_path / "repo.log").read_bytes())
            send("POST", "/repo/edge", b"{}")
            settings = json.loads((own / "config/proxy.json").read_bytes()) | {"listen": "127.0.0.1:1"}
            (own / "config/proxy.json").write_text(json.dumps(settings))
            for file in own.rglob("*.*"):
                if file.is_file():
                    send("POST", f"/repo-files/edge/{file.relative_to(own)}", file.read_bytes())
            send("PATCH", "/repo/edge", b'{"version": "one", "main": "/main.js"}')
            worker = subprocess.Popen([pipy_bin, f"http://127.0.0.1:{port}/repo/edge/"], stdout=other, stderr=other)

            def version():
                try:
                    return json.loads(get(admin, "/__config")[1])["version"]
                except OSError:
                    return None

            wait_for(lambda: version() == "one")
            send("POST", "/repo-files/edge/note.txt", b"x")
            send("PATCH", "/repo/edge", b'{"version": "two"}')
            wait_for(lambda: version() == "two")
        finally:
            for process in (repo, worker):
                if process:
                    process.kill()
                    process.wait()


def test_a_reload_under_load_loses_no_request(own, running):
    """Clients that ask all the time, on connections that they keep, get an answer each time."""
    found, stopping = [], threading.Event()

    def client(proxy):
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
        while not stopping.is_set():
            connection.request("GET", "/x")
            response = connection.getresponse()
            response.read()
            found.append(response.status)
        connection.close()

    with running(own) as proxy:
        clients = [threading.Thread(target=client, args=(proxy,)) for _ in range(4)]
        for thread in clients:
            thread.start()
        for _ in range(3):
            time.sleep(0.3)
            proxy.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        stopping.set()
        for thread in clients:
            thread.join()
    assert Counter(found).keys() == {200}
    assert len(found) > 10


def test_many_services(tmp_path, running, write_codebase, service, upstreams):
    """A thousand services of twenty targets load, and are all there."""
    addresses = tuple(f"127.1.7.{number}:{upstreams.http}" for number in range(1, 21))
    many = [
        service(f"s{number}", [("", f"/{number}/*", "http")], member1=Part(1, addresses=addresses))
        for number in range(1000)
    ]
    with running(write_codebase(tmp_path, many)) as proxy:
        found = proxy.config()
        assert (found["services"], found["targets"], found["skipped"]) == (1000, 20000, [])
        assert proxy.ask("/nothing").status == 404
        assert proxy.ask("/999/x").status == 502
        assert len(proxy.metrics()) > 1000
