"""What publisher explains is what the program does: targets and shares, for any configuration."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import urllib.error
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.commands.explain import explain
from publisher.core.config import ClusterConfig, Config, Part, RoutedPort, ServiceConfig, join_host_port, target_shares
from publisher.core.model import Route, ServiceKey
from publisher.core.render.native import Native
from publisher.core.resolve import Desired
from publisher.settings import load as load_settings

PIPY = os.environ.get("PIPY_BIN") or shutil.which("pipy") or ""
pytestmark = pytest.mark.skipif(not PIPY, reason="no Pipy: set PIPY_BIN or put pipy on PATH")

POLICY = load_settings(b"publisher: edge")
SEED = st.integers(0, 2**32)
Shares = dict[str, dict[str, dict[str, Any]]]
"""Of the requests of each route, by cluster and address."""
Loaded = Callable[[Mapping[str, bytes]], Callable[[str], Shares]]


@pytest.fixture(scope="module")
def loaded(load: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """Give what makes the program load a tree, and then tells what it reports of a service."""
    codebase = load.Codebase(tmp_path_factory.mktemp("repo") / "pipy")
    numbers = itertools.count()

    def page(name: str) -> Any:
        try:
            return load.get(codebase.admin, f"/__config/{name}")
        except urllib.error.HTTPError:
            return None

    def reported(name: str) -> Shares:
        found: Shares = {}
        for route, clusters in page(name)["routes"].items():
            found[route] = {}
            for cluster, part in clusters.items():
                if targets := part["targets"]:
                    assert set(targets.values()) == {"ok"}
                    found[route][cluster] = dict.fromkeys(targets, part["share"] / len(targets))
        return found

    with load.running(
        [PIPY, "--admin-port-off", str(codebase.root / "main.js")], codebase.admin, codebase.root.parent / "pipy.log"
    ) as process:

        def take_up(tree: Mapping[str, bytes]) -> Callable[[str], Shares]:
            mark = f"mark/n{next(numbers)}"
            codebase.replace(tree)
            codebase.add(ServiceConfig(ServiceKey(mark), (RoutedPort(Route("", f"/{mark}"), "http"),), {}))
            process.send_signal(signal.SIGHUP)
            load.eventually(lambda: page(mark))
            return reported

        yield take_up


def expected(routes: Iterable[tuple[str, str]], targets: Iterable[tuple[str, str, Mapping[str, float]]]) -> Shares:
    """Put into the same form what is said of targets: cluster, address and shares by port."""
    found: Shares = {route: {} for route, _ in routes}
    for (route, port), (cluster, address, shares) in itertools.product(routes, targets):
        if port in shares:
            found[route].setdefault(cluster, {})[address] = pytest.approx(shares[port], abs=1e-9)
    return found


@given(seed=SEED, steps=st.lists(st.integers(0, 2**16), max_size=12))
@settings(max_examples=50)
def test_explain_tells_what_runs(fleets: ModuleType, loaded: Loaded, seed: int, steps: list[int]) -> None:
    """A fleet that has seen things is published, and the program has the targets and shares that explain lists."""
    fleet = fleets.make(seed, large=True)
    tree: dict[str, bytes] = {}
    for number in (None, *steps):
        if number is not None:
            fleets.step(fleet, number)
        outcome = fleets.build(fleet, tree)
        tree = fleets.applied(tree, outcome)
    reported = loaded(tree)
    for key, service in outcome.desired.config.services.items():
        listed = explain(outcome, key).document()["targets"]
        routes = [(str(entry.route), entry.port) for entry in service.routes]
        told = [(item["cluster"], item["address"], item["shares"]) for item in listed]
        assert reported(key) == expected(routes, told), key


@given(seed=SEED)
@settings(max_examples=100)
def test_shares_of_any_configuration(loaded: Loaded, seed: int) -> None:
    """So it is where people have written what publisher does not: several ports, some nodes, outright addresses."""
    config = any_config(random.Random(seed))
    tree, findings = Native().write(Desired(config, frozenset(), (), {}), Config(), {}, POLICY)
    assert not findings
    reported = loaded({path: data for path, data in tree.items() if data is not None})
    for key, service in config.services.items():
        routes = [(str(entry.route), entry.port) for entry in service.routes]
        shares = target_shares(service, config.clusters)
        told = [(target.cluster, target.address, by_port) for target, by_port in shares.items()]
        assert reported(key) == expected(routes, told), key


def any_config(rng: random.Random, services: int = 50) -> Config:
    """Make clusters and services of every kind that the schemas allow."""
    addresses = itertools.count(1)

    def address() -> str:
        number = next(addresses)
        return rng.choice((f"10.0.{number >> 8}.{number & 255}", f"fd00::{number:x}"))

    clusters = {}
    for number in range(rng.randint(1, 8)):
        nodes = {f"n{node}": address() for node in range(rng.choice((0, 1, 2, 5)))}
        clusters[f"c{number}"] = ClusterConfig(f"c{number}", nodes, rng.choice(("active", "active", "drained")))

    def part(cluster: ClusterConfig, ports: list[str]) -> Part:
        weight = rng.choice((0, 1, 50, 100, rng.randint(0, 1_000_000)))
        if rng.random() < 0.2:
            return Part(weight, addresses=tuple(join_host_port(address(), 80) for _ in range(rng.randint(1, 3))))
        numbers = rng.sample(range(1, 65536), len(ports))
        some = dict(list(zip(ports, numbers, strict=True))[: rng.randint(1, len(ports))])
        nodes = [*cluster.nodes, "gone"]
        return Part(weight, some, rng.choice((None, tuple(rng.sample(nodes, rng.randint(0, len(nodes)))))))

    found = {}
    for number in range(services):
        ports = ["http", "admin", "more"][: rng.choice((1, 1, 2, 3))]
        routes = [
            RoutedPort(Route(rng.choice(("", f"s{number}.test", f"*.s{number}.test")), f"/s{number}/{which}"), port)
            for which, port in enumerate(rng.choices(ports, k=rng.randint(1, 3)))
        ]
        parts = {
            name: part(clusters[name], ports) for name in rng.sample(list(clusters), rng.randint(0, len(clusters)))
        }
        key = ServiceKey(f"default/s{number}")
        found[key] = ServiceConfig(key, tuple(routes), parts)
    return Config(clusters, found)
