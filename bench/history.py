"""The hold check on a long history: 20,000 commits, 5,000 generated files, 50 of them asked for."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from publisher.edge.git import Checkout

COMMITS = 20_000
FILES = [f"pipy/config/services/default.service{number:04}.json" for number in range(4900)] + [
    f"pipy/config/clusters/member{number:03}.json" for number in range(100)
]
ASKED = FILES[::100]
REVERTS = {1000: ASKED[:10], 100: ASKED[10:11]}
"""What a person takes back, by the number of commits since."""


def commits() -> Iterator[str]:
    """Write the history for git fast-import; every twentieth commit is a person's."""
    rolled = random.Random(1)  # the same history every time
    before, now = dict.fromkeys(FILES, 0), dict.fromkeys(FILES, 0)
    held: set[str] = set()
    for number in range(COMMITS):
        message, files = "update\n\nPublisher-Id: bench\n", dict[str, str]()
        reverted = REVERTS.get(COMMITS - number)
        if reverted:
            message, files = "Revert\n", {path: _content(path, before[path]) for path in reverted}
            held.update(reverted)
        elif number % 20 == 1:
            message, files = "a person's\n", {"publisher.yaml": f"{number}\n"}
        else:
            for path in rolled.sample(FILES, 5) if number else FILES:
                if path not in held:
                    before[path], now[path] = now[path], number
                    files[path] = _content(path, number)
        yield f"commit refs/heads/main\ncommitter Bench <bench@example.com> {1_700_000_000 + number} +0000\n"
        yield f"data {len(message)}\n{message}"
        for path, text in files.items():
            yield f"M 100644 inline {path}\ndata {len(text)}\n{text}\n"


def _content(path: str, version: int) -> str:
    targets = "".join(f'    "10.0.{version % 250}.{host}": 30000,\n' for host in range(20))
    return f'{{\n  "file": "{path}",\n  "version": {version},\n  "targets": {{\n{targets}  }}\n}}\n'


def seconds() -> float:
    """Give the time that ``last_words`` takes on a clone that git has read before."""
    with tempfile.TemporaryDirectory(prefix="publisher-bench-") as folder:
        repo = Path(folder) / "repo"
        subprocess.run(["git", "init", "--quiet", "-b", "main", str(repo)], check=True)
        stream = "".join(commits()).encode()
        subprocess.run(["git", "fast-import", "--quiet"], cwd=repo, input=stream, check=True)
        checkout = Checkout(repo)
        for _ in range(2):
            begin = time.perf_counter()
            held = checkout.last_words(checkout.head(), "bench", ASKED)
            taken = time.perf_counter() - begin
        if len(held) != sum(map(len, REVERTS.values())):
            raise SystemExit(f"{len(held)} files are held: not what was expected")
    return taken
