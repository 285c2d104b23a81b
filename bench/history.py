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
HELD_AT = (100, 1000)
"""How many commits before the newest a person took back what was published, for one and for ten of the files."""


def commits() -> Iterator[str]:
    """Write the history for git fast-import; every twentieth commit is a person's."""
    rolled = random.Random(1)  # the same history every time
    now = dict.fromkeys(FILES, 0)
    before = dict(now)
    held: set[str] = set()
    for number in range(COMMITS):
        files: dict[str, str] = {}
        message = "update\n\nPublisher-Id: bench\n"
        age = COMMITS - number
        if age in HELD_AT:
            message = "Revert\n"
            taken_back = ASKED[:10] if age == max(HELD_AT) else ASKED[10:11]
            held.update(taken_back)
            files = {path: _content(path, before[path]) for path in taken_back}
        elif number % 20 == 1:
            message = "a person's\n"
            files = {"publisher.yaml": f"{number}\n"}
        else:
            for path in FILES if number == 0 else rolled.sample(FILES, 5) + ASKED[:50] * (number == 1 + age):
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
        if len(held) != 11:
            raise SystemExit(f"{len(held)} files are held: not what was expected")
    return taken
