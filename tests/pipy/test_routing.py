"""The Pipy program: which service and which targets a request comes to."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from publisher.core.config import ClusterConfig, Part


@pytest.fixture(scope="module")
def services(upstreams, service, addresses):
    """Give one service for each thing that a configuration can say."""
    ports = {"http": upstreams.http}

    def everywhere(name, *routes):
        return service(name, [(host, path, "http") for host, path in routes], member1=Part(100, ports))

    return (
        service(
            "canary",
            [("", "/canary/*", "http")],
            member1=Part(70, ports),
            member2=Part(30, ports),
            member3=Part(0, ports),
        ),
        service("drained", [("", "/drained", "http")], member2=Part(1, ports), tired=Part(99, ports)),
        service("narrowed", [("", "/narrowed", "http")], member1=Part(100, ports, nodes=("b", "gone"))),
        service(
            "outright",
            [("", "/outright", "http")],
            member1=Part(100, addresses=(f"{addresses.outright}:{upstreams.http}",)),
        ),
        service(
            "ports",
            [("", "/ports/http", "http"), ("", "/ports/other", "other")],
            member2=Part(100, {"http": upstreams.http, "other": upstreams.other}),
        ),
        everywhere("paths", ("", "/canary/deep/*"), ("", "/exact")),
        everywhere("hosts", ("api.test", "/*"), ("*.wild.test", "/wild/*")),
        service("empty", [("", "/empty", "http")], empty=Part(100, ports)),
        service("partly", [("", "/partly", "http")], member2=Part(1, ports), empty=Part(99, ports)),
        service("unwanted", [("", "/unwanted", "http")], member1=Part(0, ports), tired=Part(100, ports)),
        service("stray", [("", "/stray", "http")], member2=Part(100, ports), nowhere=Part(100, ports)),
        # a second claim on a route of canary, behind it by name
        everywhere("claim", ("", "/canary/*"), ("", "/claim")),
        service("many", [("", "/many", "http")], member1=Part(700001, ports), member2=Part(299999, ports)),
    )


@pytest.fixture(scope="module")
def proxy(tmp_path_factory, running, write_codebase, services, service) -> Iterator:
    """Run the program on all services, and on files that are broken."""
    routeless = service("routeless", [("", "/fine", "http"), ("host:80", "/", "http")])
    codebase = write_codebase(tmp_path_factory.mktemp("config-repo"), [*services, routeless])
    (codebase / "config/services/shop.broken.json").write_text('{"service": "shop/broken", ')
    (codebase / "config/services/shop.odd.json").write_text('{"service": "shop/odd", "clusters": {"$end": true}}')
    (codebase / "config/clusters/broken.json").write_text("[]")
    with running(codebase) as started:
        yield started


@pytest.fixture
def own(tmp_path, write_codebase, services):
    """Give a codebase that a test may change."""
    return write_codebase(tmp_path, services)


def test_weights_share_out_the_requests(proxy):
    """Clusters get their weights' shares whatever their sizes; nodes of one cluster take turns."""
    assert proxy.hosts("/canary/x", 100) == {"127.1.1.1": 35, "127.1.1.2": 35, "127.1.2.1": 30}


def test_weights_without_a_short_round(proxy):
    """Weights may be as uneven as they like."""
    assert proxy.hosts("/many", 100) == {"127.1.1.1": 35, "127.1.1.2": 35, "127.1.2.1": 30}


def test_a_drained_cluster_takes_nothing(proxy):
    """The state of the cluster counts more than its weight."""
    assert proxy.hosts("/drained", 10) == {"127.1.2.1": 10}


def test_a_cluster_without_targets_is_passed_over(proxy):
    """Its share goes to the others."""
    assert proxy.hosts("/partly", 10) == {"127.1.2.1": 10}


def test_nodes_narrow_a_cluster(proxy):
    """Only the nodes that are named answer, and of those only such as the cluster has."""
    assert proxy.hosts("/narrowed", 4) == {"127.1.1.2": 4}


def test_addresses_are_targets_outright(proxy, addresses):
    """Addresses are used as they are."""
    assert proxy.hosts("/outright", 2) == {addresses.outright: 2}


def test_a_route_leads_to_its_port(proxy, upstreams):
    """Each route has the port that it names."""
    assert proxy.ask("/ports/http").document["port"] == upstreams.http
    assert proxy.ask("/ports/other").document["port"] == upstreams.other


def test_ipv6_targets(tmp_path, running, write_codebase, serve, service):
    """IPv6 addresses are written in brackets."""
    try:
        server = serve(("::1", 0))
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error.strerror}")
    with server as port:
        item = service("six", [("", "/six", "http")], six=Part(100, {"http": port}))
        codebase = write_codebase(tmp_path, [item], [ClusterConfig("six", {"f": "::1"})])
        with running(codebase) as proxy:
            assert proxy.hosts("/six", 2) == {"::1": 2}


@pytest.mark.parametrize("path", ["/canary/deep", "/canary/deep/x?y=1", "/exact?y=1"])
def test_the_longest_path_wins(proxy, path):
    """A path goes to the service with the longest route that fits, and is left as it is."""
    answer = proxy.ask(path).document
    assert (answer["host"].startswith("127.1.1."), answer["path"]) == (True, path)
    assert set(proxy.hosts(path, 10)) == {"127.1.1.1", "127.1.1.2"}


@pytest.mark.parametrize("host", ["api.test", "API.Test", "api.test:8080", "API.TEST:8080"])
def test_hosts_are_found_however_written(proxy, host):
    """Case and port of the host do not matter."""
    assert proxy.ask("/anything", host=host).status == 200


@pytest.mark.parametrize(
    ("host", "status"), [("a.wild.test", 200), ("A.WILD.TEST:1", 200), ("wild.test", 404), ("a.b.wild.test", 404)]
)
def test_a_wildcard_host_is_one_label(proxy, host, status):
    """*.host takes exactly one label more."""
    assert proxy.ask("/wild/x", host=host).status == status


@pytest.mark.parametrize("host", ["other.test", "api.test.", "127.0.0.1:80", "[::1]:80", "::1", ":", ""])
def test_routes_without_a_host_serve_every_host(proxy, host):
    """Where no route names the host, those without one count."""
    assert proxy.ask("/exact", host=host).status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_404_without_a_route(proxy, method):
    """A request that fits no route is told so in JSON."""
    answer = proxy.ask("/nowhere", method)
    assert answer[:3] == (404, "application/json", b'{"error":"no route"}\n')


@pytest.mark.parametrize("path", ["/empty", "/unwanted"])
def test_503_without_a_target(proxy, path):
    """A service without nodes, or without a cluster that takes traffic, is told in JSON."""
    assert proxy.ask(path)[:3] == (503, "application/json", b'{"error":"no target"}\n')


def test_broken_files_cost_nothing_but_themselves(proxy):
    """Files that cannot be used are named; the others are served, without what is no entry."""
    assert proxy.config() == {
        "version": None,
        "clusters": 5,
        "services": 13,
        "targets": 24,
        "skipped": [
            "config/clusters/broken.json",
            "config/services/shop.broken.json",
            "config/services/shop.odd.json",
            "config/services/shop.routeless.json",
        ],
    }
    assert proxy.ask("/fine").status == 404


def test_a_cluster_without_a_file_is_left_out(proxy):
    """A service is served from the clusters that are known."""
    assert proxy.hosts("/stray", 3) == {"127.1.2.1": 3}


def test_a_route_belongs_to_one_service(proxy):
    """The first service by name has a route that two claim; the other keeps the rest."""
    assert proxy.ask("/claim").status == 200
    assert "127.1.2.1" in proxy.hosts("/canary/x", 10)


def test_defaults_fill_in_for_proxy_json(own, running):
    """Only what differs from the defaults has to stand in proxy.json."""
    (own / "config/proxy.json").write_text("{}")
    with running(own, service={"timeouts": {"connect": 1}}) as proxy:
        assert proxy.ask("/exact").status == 200


def test_no_configuration_yet(tmp_path, running, write_codebase):
    """A fresh config repository runs, and has no route."""
    with running(write_codebase(tmp_path, (), ())) as proxy:
        assert proxy.config() == {"version": None, "clusters": 0, "services": 0, "targets": 0, "skipped": []}
        assert proxy.ask("/").status == 404


def test_a_bundle_is_the_whole_configuration(own, running):
    """Where config/bundle.json lies, it is read instead of the folders, with the same outcome."""
    bundle = {
        kind: {file.stem: json.loads(file.read_bytes()) for file in (own / f"config/{kind}").glob("*.json")}
        for kind in ("clusters", "services")
    }
    bundle["services"]["shop.odd"] = {"service": "shop/odd"}
    with running(own) as proxy:
        expected = proxy.config() | {"skipped": ["config/services/shop.odd.json"]}
        pages = [proxy.config(f"/shop/{name}") for name in ("canary", "ports")]
    (own / "config/bundle.json").write_text(json.dumps(bundle))
    for kind in bundle:
        for file in (own / f"config/{kind}").glob("*.json"):
            file.unlink()
    with running(own) as proxy:
        assert proxy.config() == expected
        assert [proxy.config(f"/shop/{name}") for name in ("canary", "ports")] == pages
        assert proxy.hosts("/canary/x", 10)["127.1.2.1"] == 3


def test_a_reload_takes_up_changes(own, running, wait_for):
    """SIGHUP loads what has changed on disk."""
    with running(own) as proxy:
        before = proxy.config()
        (own / "config/services/shop.canary.json").unlink()
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda: proxy.config()["services"] == before["services"] - 1)


def test_a_reload_with_broken_settings_changes_nothing(own, running, wait_for):
    """Where proxy.json cannot be read, the program that runs goes on."""
    with running(own) as proxy:
        before = proxy.config()
        (own / "config/services/shop.canary.json").unlink()
        (own / "config/proxy.json").write_text("{")
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "Failed reloading" in proxy.log())
        assert proxy.config() == before
        assert proxy.ask("/canary/x").status == 200
