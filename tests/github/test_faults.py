"""Every way in which a request can fail, at every step of every call: one clear line, and nothing doubled."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from publisher.core.redact import redact
from publisher.edge.github import transport
from publisher.edge.github.api import Timing
from publisher.errors import ApiError

SHORT = Timing(answer=0.5, attempts=2, backoff=0.01, patience=0.1)
LONG = Timing(answer=20, attempts=2, backoff=0.01, patience=0.1)
N = r"\d+"
STEPS = [
    ("find", "GET", "pulls", "reads"),
    ("find", "GET", f"pulls/{N}/reviews", "reads"),
    ("open", "POST", "pulls", "writes"),
    ("open", "GET", "labels/publisher%2Fedge", "reads"),
    ("open", "POST", "config/labels", "writes"),
    ("open", "POST", f"issues/{N}/labels", "writes"),
    ("update", "PATCH", f"pulls/{N}", "writes"),
    ("update", "DELETE", f"issues/{N}/labels/publisher%2Fold", "writes"),
    ("close", "GET", f"issues/{N}/comments", "reads"),
    ("close", "POST", f"issues/{N}/comments", "writes"),
    ("close", "PATCH", f"pulls/{N}", "writes"),
    ("edit", "POST", "graphql viewer", "reads"),
    ("edit", "PATCH", f"issues/comments/{N}", "writes"),
    ("commit", "POST", "graphql createCommitOnBranch", "writes"),
    ("replace", "GET", "git/ref/heads/publisher/edge", "reads"),
    ("replace", "GET", "git/commits/[0-9a-f]+", "reads"),
    ("replace", "GET", "repos/acme/config", "reads"),
    ("replace", "POST", "graphql updateRefs", "writes"),
    ("replace", "POST", "graphql createCommitOnBranch", "writes"),
    ("status", "GET", "commits/[0-9a-f]+/statuses", "reads"),
    ("status", "POST", "statuses/[0-9a-f]+", "writes"),
]
"""Each call, and a request that it makes."""
WRITES = [step[:3] for step in STEPS if step[3] == "writes"]
HANDLED = {
    ("GET", "labels/publisher%2Fedge", "404"),  # then it is made
    ("POST", "config/labels", "422"),  # then somebody was faster
    ("DELETE", f"issues/{N}/labels/publisher%2Fold", "404"),  # then it is off already
    ("GET", "git/ref/heads/publisher/edge", "404"),  # then there is no such branch: PushRejected
}
"""Refusals that are no failure, as a test of the flows shows."""
UNREAD = {"PATCH", "DELETE", "config/labels", "statuses/[0-9a-f]+"}
"""What answers to these is not needed."""


def said(message: str, **more: object) -> bytes:
    """Say something as GitHub does."""
    return json.dumps({"message": message, "documentation_url": "https://docs.github.invalid"} | more).encode()


HTML = b"<html><body>502 Bad Gateway, token=ghp_0123456789abcdefgh</body></html>"
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "301": ({"status": 301, "headers": {"Location": "https://elsewhere.invalid/"}}, "the repository has moved"),
    "401": ({"status": 401, "body": said("Bad credentials")}, "HTTP 401: Bad credentials (the token is not known"),
    "403": ({"status": 403, "body": said("Resource not accessible by integration")}, "the token needs "),
    "404": ({"status": 404, "body": said("Not Found")}, "HTTP 404: Not Found (there is no such thing"),
    "409": ({"status": 409, "body": said("Conflict")}, "HTTP 409: Conflict (somebody else was at work"),
    "410": ({"status": 410, "body": said("Issues are disabled")}, "HTTP 410: Issues are disabled (it is gone"),
    "422": (
        {
            "status": 422,
            "body": said("Validation Failed", errors=[{"resource": "Label", "field": "name", "code": "missing"}]),
        },
        "HTTP 422: Validation Failed; Label.name: missing",
    ),
    "429": ({"status": 429, "headers": {"Retry-After": "99"}}, "HTTP 429 (too many requests; go on in 99 s, at "),
    "500": ({"status": 500, "body": HTML}, "HTTP 500 (GitHub is in trouble"),
    "503": ({"status": 503, "body": said("Unicorn")}, "HTTP 503: Unicorn (GitHub is in trouble"),
    "reset": ({"kind": "reset"}, "no complete answer: Connection reset by peer"),
    "time-out": ({"kind": "hang"}, "no answer within 0.5 s"),
    "drip": ({"kind": "drip", "length": 9999}, "took longer than 0.5 s"),
    "truncated": ({"body": b'{"number": 1', "length": 999}, "no complete answer: "),
    "oversized": ({"body": b" " * 600_000}, "larger than 0 MiB"),
    "bomb": (
        {"body": gzip.compress(b" " * 600_000), "headers": {"Content-Encoding": "gzip"}},
        "larger than 0 MiB",
    ),
    "no-gzip": ({"body": b"plain", "headers": {"Content-Encoding": "gzip"}}, "no complete answer: "),
    "html": ({"body": HTML, "headers": {"Content-Type": "text/html"}}, "HTTP 200: the answer is not JSON"),
    "not-utf-8": ({"body": b'"\xff"'}, "HTTP 200: the answer is not JSON"),
    "deep": ({"body": b"[" * 200_000}, "HTTP 200: the answer is not JSON"),
}
SHAPES = {
    "nothing": b"",
    "null": b"null",
    "text": b'"text"',
    "list": b"[[]]",
    "other": b'[{"number": "one", "head": {"repo": 1}}]',
    "object": b'{"data": [], "number": 1, "object": []}',
    "errors": b'{"errors": ["odd"]}',
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call an answer large that is easily sent, and long what is soon over."""
    monkeypatch.setattr(transport, "MAX_BODY", 500_000)
    monkeypatch.setattr(transport, "WHOLE", 1)


def timing(name: str) -> Timing:
    """Wait no longer than for a fault that is seen by waiting."""
    return SHORT if name in ("time-out", "drip") else LONG


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step[0]}-{step[1]}-{step[2].partition('/')[2] or step[2]}")
def test_a_request_that_always_fails_is_one_line(
    world: Any, forge: ModuleType, fails: Callable[..., str], step: tuple[str, str, str, str], name: str
) -> None:
    """Each fault of each request ends the call with an ApiError that says what it was and what to do."""
    call, verb, path, _ = step
    if (verb, path, name) in HANDLED:
        pytest.skip("no failure there")
    fault, says = FAULTS[name]
    work = world.call(call)
    world.fake.fail(verb, path, forge.Fault(**fault), times=99)
    line = fails(lambda: work(world.hub(timing(name))), ApiError)
    assert line.startswith("GitHub: ")
    assert says in line
    assert line.endswith(")")
    assert redact(line) == line


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("step", [step for step in STEPS if not UNREAD & {*step}])
def test_an_answer_of_another_shape_is_one_line(
    world: Any, forge: ModuleType, fails: Callable[..., str], step: tuple[str, str, str, str], name: str
) -> None:
    """JSON that is not what GitHub describes never ends in a traceback."""
    call, verb, path, _ = step
    work = world.call(call)
    world.fake.fail(verb, path, forge.Fault(body=SHAPES[name]), times=99)
    try:
        work(world.hub(LONG))
    except ApiError as error:
        assert str(error).startswith("GitHub: the answer is not as its API is described")
    else:
        assert path.startswith(("issues", "labels")), "this answer is needed"


@pytest.mark.parametrize("after", [False, True], ids=["undone", "done"])
@pytest.mark.parametrize("name", ["500", "reset", "time-out", "truncated", "html"])
@pytest.mark.parametrize("step", WRITES, ids=lambda step: f"{step[0]}-{step[1]}-{step[2].partition('/')[2] or step[2]}")
def test_a_write_whose_answer_is_lost_is_done_once(
    world: Any, forge: ModuleType, step: tuple[str, str, str], name: str, after: bool
) -> None:
    """Whether GitHub did it or not, the call looks, and leaves what it would have left without the fault."""
    call, verb, path = step
    work = world.call(call)
    world.fake.fail(verb, path, forge.Fault(**FAULTS[name][0]), after=after)
    work(world.hub(timing(name)))
    # what GitHub compares and swaps may be sent again
    assert (verb == "POST" and path.startswith("graphql")) or world.did(verb, path) == (1 if after else 2)
    assert _left(world) == LEFT[call]


@pytest.mark.parametrize("after", [False, True], ids=["undone", "done"])
@pytest.mark.parametrize("step", WRITES, ids=lambda step: f"{step[0]}-{step[1]}-{step[2].partition('/')[2] or step[2]}")
def test_a_second_run_repairs(
    world: Any, forge: ModuleType, fails: Callable[..., str], step: tuple[str, str, str], after: bool
) -> None:
    """A run that GitHub fails from any write on leaves what the next run makes whole, and nothing is there twice."""
    call, verb, path = step
    work = world.call(call)
    fault = forge.Fault(**FAULTS["500"][0])
    world.fake.fail(verb, path, fault, after=after, down=True)
    fails(lambda: work(world.hub(LONG)), ApiError)
    world.fake.mend()
    work(world.hub(LONG))
    assert _left(world) == LEFT[call]


def _left(world: Any) -> dict[str, object]:
    """Take down what there is, in the words of LEFT."""
    fake = world.fake
    return {
        "pulls": [(pull["title"], pull["body"], pull["state"], pull["labels"]) for pull in fake.pulls.values()],
        "comments": [comment["body"] for comment in fake.comments.values()],
        "main": fake.git("log", "--format=%s", "main").split("\n"),
        "branch": fake.git("log", "--format=%s", world.branch).split("\n"),
        "branches": fake.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split(),
        "statuses": [status["description"] for status in fake.statuses.get(world.base, ())],
    }


UNTOUCHED = {
    "pulls": [("Old", "old", "open", ["publisher/old", "people"])],
    "comments": [],
    "main": ["set up"],
    "branch": ["update a", "set up"],
    "branches": ["main", "publisher/edge"],
    "statuses": [],
}
LEFT = {
    "open": UNTOUCHED | {"pulls": [("New", "new", "open", ["publisher/edge"])]},
    "update": UNTOUCHED | {"pulls": [("New", "new", "open", ["people", "publisher/edge"])]},
    "close": UNTOUCHED
    | {
        "pulls": [("Old", "was", "closed", ["publisher/old", "people"])],
        "comments": ["<!-- publisher:closed -->\ngone"],
    },
    "edit": UNTOUCHED | {"comments": ["<!-- publisher:plan -->\nnew"]},
    "commit": UNTOUCHED | {"pulls": [], "main": ["update b", "set up"]},
    "replace": UNTOUCHED | {"pulls": [], "branch": ["update b", "set up"]},
    "status": UNTOUCHED | {"pulls": [], "statuses": ["2/2 workers"]},
}
"""By call, what there is afterwards."""
