"""Runs Pipy: set PIPY_BIN or put pipy on PATH."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

PIPY = os.environ.get("PIPY_BIN") or shutil.which("pipy") or ""


def free_ports(number: int) -> list[int]:
    """Find ports that nobody listens on."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    found = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return found


@contextmanager
def running(port: int, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Pipy for as long as the context lasts, from when it listens on a port."""
    with tempfile.TemporaryFile() as log, subprocess.Popen([PIPY, *arguments], stdout=log, stderr=log) as process:
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            else:
                log.seek(0)
                raise SystemExit(f"Pipy does not listen on {port}: {log.read().decode(errors='replace')}")
            yield process
        finally:
            process.kill()
