"""Our program against Pipy's own load-balancing tutorial, on the same targets, in turns."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench import pipy
from publisher.core.canonical import dump_json
from publisher.core.config import ClusterConfig, Part, RoutedPort, ServiceConfig
from publisher.core.model import Route, ServiceKey
from publisher.core.render import native
from publisher.resources import folder

ROUNDS, SECONDS, CONNECTIONS = 9, 3, 32
TUTORIAL = "05-load-balancing/main.js"
_TARGETS = """
var ports = PORTS
ports.forEach(port => pipy.listen(`127.0.0.1:${port}`, $=>$.serveHTTP(() => new Message('hi'))))
"""


class Round(NamedTuple):
    """What one round gave."""

    rate: float
    """Requests a second."""
    p99: float
    """Milliseconds."""
    cost: float
    """Microseconds of the proxy's processor time for a request: the rate suffers more where others use the machine."""


def obstacle() -> str:
    """Say why this cannot be measured here; empty where it can."""
    if not pipy.PIPY:
        return "no Pipy: set PIPY_BIN or put pipy on PATH"
    if not shutil.which("wrk"):
        return "no wrk on PATH"
    place = os.environ.get("PIPY_TUTORIAL")
    if not place:
        return "no tutorial: set PIPY_TUTORIAL to the folder tutorial of a checkout of Pipy"
    return "" if (Path(place) / TUTORIAL).is_file() else f"{place}: no {TUTORIAL} in it"


def measure() -> dict[str, list[Round]]:
    """Give the rounds of each program."""
    ports = pipy.free_ports(2)
    with tempfile.TemporaryDirectory(prefix="publisher-bench-") as scratch, ExitStack() as stack:
        targets = Path(scratch) / "targets.js"
        targets.write_text(_TARGETS.replace("PORTS", json.dumps(ports)))
        stack.enter_context(pipy.running(ports[0], "--admin-port-off", str(targets)))
        programs = {
            "ours": stack.enter_context(_ours(Path(scratch), ports)),
            "the tutorial's": stack.enter_context(_tutorial(Path(scratch), ports)),
        }
        for program in programs.values():
            _round(*program, 1)
        rounds: dict[str, list[Round]] = {name: [] for name in programs}
        for _ in range(ROUNDS):
            for name, program in programs.items():
                rounds[name].append(_round(*program, SECONDS))
    return rounds


@contextmanager
def _ours(scratch: Path, ports: list[int]) -> Iterator[tuple[int, int]]:
    """Run our program as it comes: two clusters with a target each."""
    root = scratch / "pipy"
    shutil.copytree(folder("config-repo-template") / "pipy", root)
    port, admin = pipy.free_ports(2)
    settings = {"listen": f"127.0.0.1:{port}", "admin": f"127.0.0.1:{admin}"}
    file = root / "config/proxy.json"
    file.write_text(json.dumps(json.loads(file.read_bytes()) | settings))
    clusters = [ClusterConfig(f"member{number}", {"node": "127.0.0.1"}) for number in range(len(ports))]
    parts = {item.name: Part(50, {"http": number}) for item, number in zip(clusters, ports, strict=True)}
    service = ServiceConfig(ServiceKey("default/hi"), (RoutedPort(Route("", "/hi/*"), "http"),), parts)
    documents = {native.cluster_path("pipy", item.name): native.cluster_document(item) for item in clusters}
    documents[native.service_path("pipy", service.key)] = native.service_document(service)
    for path, document in documents.items():
        (scratch / path).parent.mkdir(exist_ok=True)
        (scratch / path).write_bytes(dump_json({"publisher": "bench", **document}))
    with pipy.running(port, "--admin-port-off", str(root / "main.js")) as process:
        yield port, process.pid


@contextmanager
def _tutorial(scratch: Path, ports: list[int]) -> Iterator[tuple[int, int]]:
    """Run the tutorial's program, with other ports in the places of its own."""
    (port,) = pipy.free_ports(1)
    text = (Path(os.environ["PIPY_TUTORIAL"]) / TUTORIAL).read_text()
    places = {"8000": str(port), "localhost:8080": f"127.0.0.1:{ports[0]}", "localhost:8082": f"127.0.0.1:{ports[1]}"}
    for was, now in places.items():
        if was not in text:
            raise SystemExit(f"{TUTORIAL} has no {was}: is it that of another Pipy?")
        text = text.replace(was, now)
    program = scratch / "tutorial.js"
    program.write_text(text)
    with pipy.running(port, "--admin-port-off", str(program)) as process:
        yield port, process.pid


def _round(port: int, pid: int, seconds: int) -> Round:
    before = _processor_time(pid)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}/hi/there"]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    taken = _processor_time(pid) - before
    if "Non-2xx" in told or "Socket errors" in told:
        raise SystemExit(f"not all requests were answered:\n{told}")
    number, rate, p99, unit = re.search(  # type: ignore[union-attr]
        r"99% +([\d.]+)(us|ms|s)\n.*?(\d+) requests in.*?Requests/sec: +([\d.]+)", told, re.DOTALL
    ).group(3, 4, 1, 2)
    return Round(float(rate), float(p99) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit], taken / int(number) * 1e6)


def _processor_time(pid: int) -> float:
    """Give the seconds that a process has had; 0 where there is no /proc."""
    file = Path(f"/proc/{pid}/stat")
    if not file.exists():
        return 0.0
    user, system = file.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def report(rounds: dict[str, list[Round]]) -> Iterator[str]:
    """Write a table of medians, and the ratio."""
    middle = {name: Round(*map(statistics.median, zip(*found, strict=True))) for name, found in rounds.items()}
    yield "| | requests/s | p99 | processor time a request |"
    yield "| --- | ---: | ---: | ---: |"
    for name, found in middle.items():
        yield f"| {name} | {found.rate:,.0f} | {found.p99:.1f} ms | {found.cost:.1f} µs |"
    ours, theirs = middle.values()
    ratios = sorted(a.rate / b.rate for a, b in zip(*rounds.values(), strict=True))
    yield (
        f"\nOurs has {ours.rate / theirs.rate:.0%} of the tutorial's throughput (by round {ratios[0]:.0%} to "
        f"{ratios[-1]:.0%}), for {ours.cost / (theirs.cost or 1):.2f} x the processor time."
    )
