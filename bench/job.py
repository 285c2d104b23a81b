"""What is measured, in a process of its own so that its memory is its own. Prints one JSON object."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

CONNECTIONS = 32
LISTS = ("/api/v1/nodes", "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices")
times: dict[str, float] = {}


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Measure one phase in seconds."""
    begin = time.perf_counter()
    yield
    times[name] = time.perf_counter() - begin


def floor(folder: Path, clusters: int) -> None:
    """Fetch the same bytes over as many connections, parse them and do nothing with them."""
    import orjson
    import urllib3

    server = json.loads((folder / "kubeconfig").read_text())["clusters"][0]["cluster"]["server"]
    pool = urllib3.PoolManager(maxsize=CONNECTIONS, ca_certs=str(folder / "ca.pem"))
    parsing = threading.Lock()
    sizes: list[int] = []

    def fetch(number: int) -> None:
        for path in LISTS:
            url = f"{server}/apis/cluster.karmada.io/v1alpha1/clusters/c{number}/proxy{path}"
            body = pool.request("GET", url).data
            sizes.append(len(body))
            with parsing:
                orjson.loads(body)

    with timed("floor"):
        orjson.loads(pool.request("GET", f"{server}/apis/cluster.karmada.io/v1alpha1/clusters").data)
        with ThreadPoolExecutor(CONNECTIONS) as workers:
            list(workers.map(fetch, range(clusters)))
    times["megabytes"] = sum(sizes) / 1e6


def no_forge() -> NoReturn:
    """Stand for a host that is not to be asked."""
    raise SystemExit("nothing is to be asked of a host")


def job(folder: Path, services: int) -> None:
    """Run the main job, phase by phase, through the same functions as the verbs."""
    from publisher import settings
    from publisher.commands import pipeline
    from publisher.commands.publish import Order, Publisher
    from publisher.core.check import check_file
    from publisher.core.render import renderer
    from publisher.core.resolve import resolve
    from publisher.core.select import select
    from publisher.edge.git import Checkout
    from publisher.edge.karmada import KarmadaFleet, Timing, from_kubeconfig
    from publisher.resources import schema

    routes = "".join(f'  default/service{i:03}: {{routes: ["/service{i:03}/*"]}}\n' for i in range(services))
    data = f"publisher: bench\nservices:\n{routes}".encode()
    policy = settings.load(data)
    timing = Timing()
    with timed("snapshot"):
        karmada = from_kubeconfig(str(folder / "kubeconfig"), "", CONNECTIONS, timing)
        topology = KarmadaFleet(karmada, policy, timing).read(lambda done, total: None)
    with timed("plan (all of it)"):
        outcome = pipeline.build(policy, data, topology, {})
    times["peak MB to plan"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    layout = renderer(policy.layout)
    with timed("  of it render"):
        current, _ = layout.read({}, policy)
        desired = resolve(select(topology, policy, current), current, policy)
        written, _ = layout.write(desired, current, {}, policy)
    with timed("  of it validate"):
        for path, content in written.items():
            if check_file(path, content or b"", policy.output, schema):
                raise SystemExit(f"{path} does not fit its schema")
    del written, desired, current
    repo = folder / "repo"
    for arguments in (
        ["init", "--quiet", "--bare", "-b", "main", str(folder / "remote.git")],
        ["clone", "--quiet", str(folder / "remote.git"), str(repo)],
    ):
        subprocess.run(["git", *arguments], check=True, capture_output=True)
    (repo / "publisher.yaml").write_bytes(data)
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    for arguments in (
        ["add", "."],
        [*identity, "commit", "--quiet", "-m", "set up"],
        ["push", "--quiet", "origin", "HEAD:main"],
    ):
        subprocess.run(["git", *arguments], cwd=repo, check=True)
    times["targets"] = sum(change.targets_after for change in outcome.plan.services)
    times["files"] = len(outcome.plan.files)
    del outcome
    for name in ("first publish", "no-op run"):
        with timed(name):
            done = Publisher(Checkout(repo), lambda _: topology, no_forge, time.time).publish(Order())
        if bool(done.commit) != (name == "first publish"):
            raise SystemExit(f"{name}: not what was expected")
    times["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    what, where, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    floor(where, number) if what == "floor" else job(where, number)
    print(json.dumps(times))
