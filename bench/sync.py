"""The sync of a codebase of 3,000 files: the first time, with one changed, and with none."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench import pipy
from publisher import settings
from publisher.commands.sync import Syncer
from publisher.commands.turn import Options, Pace
from publisher.core.config import ClusterConfig, Config, Part, RoutedPort, ServiceConfig
from publisher.core.model import Route, ServiceKey
from publisher.core.render import native
from publisher.core.resolve import Desired
from publisher.core.rollout import Result
from publisher.demo.repo import Repo
from publisher.edge.git import Checkout
from publisher.edge.pipy import PipyRepo
from publisher.resources import folder

FILES = 3000
SETTINGS = b"publisher: bench\n"


@contextmanager
def _repo() -> Iterator[str]:
    """Run a Repo; gives its address."""
    if not pipy.PIPY:
        with Repo() as repo:
            yield repo.url
        return
    port = pipy.free_ports(1)[0]
    with pipy.running(port, f"--admin-port=127.0.0.1:{port}"):
        yield f"http://127.0.0.1:{port}"


def _config(services: int) -> Config:
    """Give services of 20 targets each."""
    clusters = {
        f"member{c}": ClusterConfig(f"member{c}", {f"node{n}": f"10.0.{c}.{n}" for n in range(1, 6)}) for c in range(4)
    }
    found = {}
    for number in range(services):
        key = ServiceKey(f"default/service{number:04}")
        route = RoutedPort(Route("", f"/service{number:04}/*"), "http")
        found[key] = ServiceConfig(key, (route,), dict.fromkeys(clusters, Part(100, {"http": 30000 + number % 2768})))
    return Config(clusters, found)


def _commit(repo: Path, config: Config) -> None:
    files, _ = native.Native().write(Desired(config, frozenset(), (), {}), Config(), {}, settings.load(SETTINGS))
    for path, data in files.items():
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_bytes(data or b"")
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    subprocess.run(["git", "add", "."], cwd=repo, check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "-m", "bench"], cwd=repo, check=True)


def seconds() -> dict[str, float]:
    """Give the time that each sync takes, with nobody to wait for: no worker is connected."""
    with tempfile.TemporaryDirectory(prefix="publisher-bench-") as scratch, _repo() as server:
        repo = Path(scratch)
        subprocess.run(["git", "init", "--quiet", "-b", "main", scratch], check=True)
        (repo / "publisher.yaml").write_bytes(SETTINGS)
        program = folder("config-repo-template") / "pipy"
        for file in filter(Path.is_file, program.rglob("*")):
            copy = repo / "pipy" / file.relative_to(program)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
        present = sum(file.is_file() for file in (repo / "pipy").rglob("*"))
        config = _config(FILES - present - len(_config(0).clusters))
        syncer = Syncer(
            lambda: Checkout(repo, "publisher.yaml"),
            [PipyRepo(f"{server}/repo/edge")],
            Options(),
            pace=Pace(roll_call=0),
        )
        _commit(repo, config)
        times = {"first": _timed(syncer, FILES)}
        name, cluster = next(iter(config.clusters.items()))
        moved = replace(cluster, nodes={**cluster.nodes, "node9": "10.0.0.9"})
        _commit(repo, replace(config, clusters={**config.clusters, name: moved}))
        times["one file changed"] = _timed(syncer, 1)
        times["no change"] = _timed(syncer, 0)
    return times


def _timed(syncer: Syncer, uploads: int) -> float:
    begin = time.perf_counter()
    (done,) = syncer.run().synced
    taken = time.perf_counter() - begin
    if done.result is not (Result.PUBLISHED if uploads else Result.UNCHANGED) or len(done.uploaded) != uploads:
        raise SystemExit(f"not what was expected: {done.result}, {len(done.uploaded)} uploads: {done.message}")
    return taken
