"""The stand-in of Pipy's Repo, and the real one, answer as in the recordings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data" / "pipy" / "repo.json"
RECORDED_PORT = "8160"


def program_loads(files: Mapping[str, bytes]) -> bool:
    """Tell whether the recorded program loads: it decodes this file."""
    try:
        json.loads(files["/config/balancer.json"])
    except (KeyError, ValueError):
        return False
    return True


def comparable(answer: Any) -> Any:
    """Leave out what is another one each time."""
    if isinstance(answer, dict):
        return {
            name: "..." if name in ("timestamp", "since", "uuid") else comparable(value)
            for name, value in answer.items()
        }
    return answer


def test_each_exchange_goes_as_recorded(rig: Any, rigs: Any) -> None:
    """Status, headers and body of each answer, in order, with a worker that comes, loads, refuses and goes."""
    worker = None
    for exchange in json.loads(DATA.read_text())["exchanges"]:
        note, expected = exchange["note"], exchange["response"]
        if note.startswith("one worker, just started"):
            worker = rig.worker("w1", program_loads)
        if note.startswith("worker stopped"):
            worker.stop()
        if "request" not in exchange:
            content = expected["body"].encode()
            rigs.wait(lambda content=content, ran=worker: rig.served(ran, "config/balancer.json") == content, note)
            continue
        request = exchange["request"]
        body = request["body"].replace(RECORDED_PORT, "os.env.PORT") if request["body"] else request["body"]

        def found(request: Any = request, body: Any = body, expected: Any = expected) -> Any:
            status, headers, content = rig.ask(request["method"], request["path"], body)
            text = content.decode()
            parsed = json.loads(text) if text.startswith("{") else text
            answer = {"status": status, "headers": headers, "body": parsed}
            return comparable({"body": "", **answer}), comparable({"body": "", **expected})

        if isinstance(expected.get("body"), dict) and expected["body"].get("instances"):  # a report takes a while
            rigs.wait(lambda found=found: len({json.dumps(side, sort_keys=True) for side in found()}) == 1, note)
        answered, recorded = found()
        assert answered == recorded, note
