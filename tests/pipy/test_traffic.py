"""The proxy program under load, on a real Pipy: shares, targets that die, reloads, large fleets."""

from __future__ import annotations

import math
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from publisher.core.config import ClusterConfig, Part, RoutedPort, ServiceConfig
from publisher.core.model import Route, ServiceKey

PIPY = os.environ.get("PIPY_BIN") or shutil.which("pipy") or ""
pytestmark = pytest.mark.skipif(not PIPY, reason="no Pipy: set PIPY_BIN or put pipy on PATH")


def service(name: str, **parts: Part) -> ServiceConfig:
    """Give a service at the path of its name."""
    return ServiceConfig(ServiceKey(f"default/{name}"), (RoutedPort(Route("", f"/{name}/*"), "http"),), parts)


def cluster(number: int, nodes: int) -> ClusterConfig:
    """Give a cluster whose nodes have addresses of this machine."""
    return ClusterConfig(f"c{number}", {f"n{node}": f"127.1.{number}.{node}" for node in range(1, nodes + 1)})


class Rig:
    """What the tests run: the program, its targets, and load on it."""

    def __init__(self, load: ModuleType, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.codebase = load.Codebase(folder / "pipy", **settings)
        self._load = load

    def targets(self, *addresses: str) -> Any:
        """Run targets at addresses."""
        return self._load.targets(PIPY, addresses, self.folder)

    @contextmanager
    def proxy(self) -> Iterator[Any]:
        """Run the program from its folder; gives the process."""
        command = [PIPY, "--admin-port-off", str(self.codebase.root / "main.js")]
        with self._load.running(command, self.codebase.admin, self.folder / "proxy.log") as process:
            yield process

    @contextmanager
    def from_folder(self) -> Iterator[Callable[[], None]]:
        """Run the program from its folder; gives what takes up changes."""
        with self.proxy() as process:
            yield lambda: process.send_signal(signal.SIGHUP)

    @contextmanager
    def from_repo(self) -> Iterator[Callable[[], None]]:
        """Run the program from a Pipy Repo; gives what publishes changes."""
        address = f"127.0.0.1:{self._load.free_ports(1)[0]}"
        with self._load.running([PIPY, f"--admin-port={address}"], address, self.folder / "repo.log"):
            repo = self._load.Repo(address)
            repo.publish(self.codebase.files())
            command = [PIPY, "--admin-port-off", repo.url]
            with self._load.running(command, self.codebase.admin, self.folder / "worker.log"):
                yield lambda: repo.publish(self.codebase.files())

    def load(self, path: str, **given: Any) -> Any:
        """Load the program with requests."""
        return self._load.Load(self.codebase.port, path, **given)

    def config(self) -> Any:
        """Give what the program says that it has loaded."""
        return self._load.get(self.codebase.admin, "/__config")

    def wait_for(self, services: int) -> None:
        """Wait until it has so many services."""
        self._load.eventually(lambda: self.config()["services"] == services)


@pytest.fixture
def rig(load: ModuleType, tmp_path: Path) -> Rig:
    """Give a rig without clusters and services."""
    return Rig(load, tmp_path)


@pytest.fixture
def port(load: ModuleType) -> int:
    """Find a port that is free at all addresses: a Service has the same nodePort on every node."""
    found: int = load.free_ports(1, "0.0.0.0")[0]
    return found


def test_200_000_requests_are_shared_out_by_weight(rig: Rig, port: int) -> None:
    """Each cluster gets its weight's share within a point, and each of its nodes as much as the next."""
    number = 200_000
    shares = {"c1": 0.7, "c2": 0.2, "c3": 0.1}
    clusters = [cluster(1, 3), cluster(2, 1), cluster(3, 2)]
    parts = {name: Part(round(share * 100), {"http": port}) for name, share in shares.items()}
    rig.codebase.add(*clusters, service("web", **parts))
    addresses = {f"{ip}:{port}": item for item in clusters for ip in item.nodes.values()}
    with rig.targets(*addresses) as targets, rig.proxy():
        with rig.load("/web/x", depth=4, number=number) as client:
            client.wait()
        counts = targets.counts()
    assert (client.answered, client.failures) == (number, [])
    assert sum(counts.values()) == number
    for address, item in addresses.items():
        nodes = len(item.nodes)
        assert counts[address] / number == pytest.approx(shares[item.name] / nodes, abs=0.01 / nodes)


def test_a_target_that_is_killed_costs_no_request(rig: Rig, port: int) -> None:
    """What it was asked and had not answered is asked of another target, and so is what comes later."""
    rig.codebase.add(cluster(1, 2), cluster(2, 1))
    rig.codebase.add(service("web", c1=Part(70, {"http": port}), c2=Part(30, {"http": port})))
    with (
        rig.targets(f"127.1.1.1:{port}", f"127.1.2.1:{port}"),
        rig.targets(f"127.1.1.2:{port}") as dies,
        rig.proxy(),
        rig.load("/web/x") as client,
    ):
        client.wait_for(2000)
        assert all(dies.counts().values())
        dies.process.kill()
        time.sleep(2)
        client.wait_for(2000)
    assert client.failures == []


@pytest.mark.parametrize("run", [Rig.from_folder, Rig.from_repo])
def test_reloads_lose_no_request(rig: Rig, port: int, run: Callable[[Rig], Any]) -> None:
    """Requests that are under way at a SIGHUP, or when a Repo publishes, are answered, and so are all after them."""
    rig.codebase.add(cluster(1, 2), service("web", c1=Part(100, {"http": port})))
    with (
        rig.targets(f"127.1.1.1:{port}", f"127.1.1.2:{port}"),
        run(rig) as take_up,
        rig.load("/web/x", renew=50) as client,
    ):
        for number in range(10):
            client.wait_for(1000)
            rig.codebase.add(service(f"more{number}", c1=Part(100, {"http": port})))
            take_up()
            rig.wait_for(services=number + 2)
        client.wait_for(1000)
    assert client.failures == []


def large(services: int, ports: dict[int, int]) -> list[ClusterConfig | ServiceConfig]:
    """Make services of 20 targets each, all in the same 4 clusters; ``ports`` gives the ports of some, by number."""
    clusters = [cluster(number, 5) for number in range(1, 5)]
    found: list[ClusterConfig | ServiceConfig] = [*clusters]
    for number in range(services):
        part = Part(25, {"http": ports.get(number, 1 + number)})
        found.append(service(f"s{number:04}", **{item.name: part for item in clusters}))
    return found


def test_a_thousand_services_of_twenty_targets(load: ModuleType, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """All are loaded and answer; files that are wrong are named, and none is in the way of others."""
    asked = range(0, 1000, 100)
    ports = dict(zip(asked, load.free_ports(len(asked), "0.0.0.0"), strict=True))
    rig.codebase.add(*large(1000, ports))
    wrong = {"services/default.s0001": "[]", "services/default.s0002": "{", "clusters/odd": '{"service": "default/x"}'}
    for name, text in wrong.items():
        (rig.codebase.root / f"config/{name}.json").write_text(text)
    addresses = [f"127.1.{c}.{n}:{port}" for c in range(1, 5) for n in range(1, 6) for port in ports.values()]
    with rig.targets(*addresses) as targets:
        begun = time.perf_counter()
        with rig.proxy():
            with capsys.disabled():
                print(f" [loaded in {time.perf_counter() - begun:.2f} s]", end="")
            found = rig.config()
            assert (found["clusters"], found["services"], found["targets"]) == (4, 998, 998 * 20)
            assert set(found["skipped"]) == {f"config/{name}.json" for name in wrong}
            for number in asked:
                with rig.load(f"/s{number:04}/x", connections=1, number=40) as client:
                    client.wait()
                assert client.failures == []
        assert set(targets.counts().values()) == {2}, "40 requests for 20 targets"


def memory(process: Any) -> int:
    """Give the KiB that a process has in memory."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        pytest.skip("this system does not tell a process's memory under /proc")
    return int(status.read_text().partition("VmRSS:")[2].split()[0])


@pytest.mark.parametrize("sticky", ["off", "cookie", "source"])
def test_reloads_leave_nothing_behind(load: ModuleType, tmp_path: Path, sticky: str) -> None:
    """The configuration before is forgotten: memory does not grow with the number of reloads."""
    rig = Rig(load, tmp_path, service={"sticky": sticky})
    rig.codebase.add(*large(200, {}))
    extra = service("extra", c1=Part(100, {"http": 1}))
    with rig.proxy() as process:

        def memory_after(rounds: int) -> int:
            for _ in range(rounds):
                rig.codebase.add(extra)
                process.send_signal(signal.SIGHUP)
                rig.wait_for(services=201)
                rig.codebase.remove(extra.key)
                process.send_signal(signal.SIGHUP)
                rig.wait_for(services=200)
            return memory(process)

        some = memory_after(5)
        assert memory_after(10) < 1.2 * some


@pytest.mark.parametrize("renew", [1, math.inf])
def test_clients_leave_nothing_behind(rig: Rig, port: int, renew: float) -> None:
    """Memory does not grow with the number of connections, or of requests."""
    rig.codebase.add(cluster(1, 1), service("web", c1=Part(100, {"http": port})))
    with rig.targets(f"127.1.1.1:{port}"), rig.proxy() as process:

        def memory_after(number: int) -> int:
            with rig.load("/web/x", renew=renew, number=number) as client:
                client.wait()
            assert client.failures == []
            return memory(process)

        some = memory_after(3000)
        assert memory_after(6000) < 1.2 * some
