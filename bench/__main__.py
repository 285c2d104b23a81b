"""Measure the main job on a canned fleet and print a table, one column a size."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile

from bench import history, pipy, sync, traffic

ROWS = (
    ("answers", "megabytes", "{:.0f} MB"),
    ("targets", "targets", "{:,.0f}"),
    ("files", "files", "{:,.0f}"),
    ("floor: fetch and parse", "floor", "{:.2f} s"),
    ("snapshot", "snapshot", "{:.2f} s"),
    ("plan", "plan (all of it)", "{:.2f} s"),
    ("  of it render", "  of it render", "{:.2f} s"),
    ("  of it validate", "  of it validate", "{:.2f} s"),
    ("snapshot to plan", "total", "{:.2f} s"),
    ("  over the floor", "ratio", "{:.2f} x"),
    ("first publish", "first publish", "{:.2f} s"),
    ("no-op run", "no-op run", "{:.2f} s"),
    ("peak memory to plan", "peak MB to plan", "{:.0f} MB"),
    ("peak memory", "peak MB", "{:.0f} MB"),
)


def measure(clusters: int, nodes: int, services: int, delay: float) -> dict[str, float]:
    """Run floor and job against one server."""
    with tempfile.TemporaryDirectory(prefix="publisher-bench-") as folder:
        flags = {"clusters": clusters, "nodes": nodes, "services": services, "delay": delay, "folder": folder}
        arguments = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
        server = subprocess.Popen(
            [sys.executable, "-m", "bench.server", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            if not server.stdout or not server.stdout.readline():
                raise SystemExit("the canned fleet did not start")
            found = _child("floor", folder, clusters) | _child("job", folder, services)
        finally:
            server.kill()
            server.wait()
    found["total"] = found["snapshot"] + found["plan (all of it)"]
    found["ratio"] = found["total"] / found["floor"]
    return found


def _child(what: str, folder: str, number: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.job", what, folder, str(number)], stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--clusters", type=int, nargs="+", default=[10, 100, 1000], help="one column each")
    parser.add_argument("--nodes", type=int, default=100, help="of a cluster")
    parser.add_argument("--services", type=int, default=50, help="of a cluster")
    parser.add_argument("--delay", type=float, default=5.0, help="milliseconds before an answer")
    given = parser.parse_args()
    columns = {size: measure(size, given.nodes, given.services, given.delay) for size in given.clusters}
    print(
        f"Python {platform.python_version()}, {given.nodes} nodes and {given.services} services a cluster, "
        f"{given.delay:g} ms a request, 32 connections\n"
    )
    print("| | " + " | ".join(f"{size:,} clusters" for size in columns) + " |")
    print("| --- |" + " ---: |" * len(columns))
    for label, name, form in ROWS:
        print(f"| {label} | " + " | ".join(form.format(column[name]) for column in columns.values()) + " |")
    print(
        f"\nHold check of {len(history.ASKED)} files, in {history.COMMITS:,} commits of {len(history.FILES):,} files: "
        f"{history.seconds():.2f} s"
    )
    times = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in sync.seconds().items())
    print(f"\nSync of {sync.FILES:,} files to {'a Pipy Repo' if pipy.PIPY else 'the stand-in of a Repo'}: {times}\n")
    if reason := traffic.obstacle():
        print(f"Throughput is not measured: {reason}")
    else:
        print("\n".join(traffic.report(traffic.measure())))


if __name__ == "__main__":
    main()
