"""Gives the tests of the core plans that say what a fleet should not be able to say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from publisher.core.diff import ClusterChange, ServiceChange, TargetChange, WeightChange
from publisher.core.history import Word
from publisher.core.model import Finding, ServiceKey
from publisher.core.plan import FileChange, Held, Plan, Refusal, UnknownPart

NASTY = [
    "x | y",
    "`code`",
    "```\nblock",
    "**bold** _it_ ~~no~~",
    "<script>alert(1)</script>",
    "<!-- -->",
    "[link](https://evil.example.com)",
    "![image](https://evil.example.com/x.png)",
    "# heading",
    "a\n# heading\n\n- item",
    "a\r\n| b |",
    "\\",
    "\\|",
    "@org/team",
    "#1",
    "&lt;b&gt;",
    "$x$",
    "\x1b[31mred",
    "\u202etxt",
    "Publisher-Id: evil",
    "a\n\nPublisher-Id: evil\nSigned-off-by: evil",
    "\u2028",
]


@pytest.fixture(params=NASTY)
def nasty(request: pytest.FixtureRequest) -> str:
    """Give texts that mean something to Markdown, HTML, a terminal or git, one after the other."""
    return str(request.param)


@pytest.fixture(scope="session")
def plan_of() -> Callable[[str], Plan]:
    """Give what makes a plan that says a text wherever the fleet, or a person's commit, can say one."""
    return _plan_of


def _plan_of(text: str) -> Plan:
    targets = TargetChange("remove", "member1", (80,), {"n1": "10.0.0.1"}, (), 100, text)
    change = ServiceChange(
        ServiceKey("default/flask"),
        "change",
        (targets,),
        (WeightChange("member1", 100, 0, text),),
        (f"/{text}",),
        (f"/{text}",),
        2,
        1,
        text,
    )
    word = Word("0123456789abcdef" * 2, text, 1767225600, text, "0" * 40)
    return Plan(
        publisher="edge",
        snapshot="0" * 16,
        files=(FileChange("pipy/config/clusters/member1.json", "change", b"{}"),),
        clusters=(
            ClusterChange("member1", "change", {"n2": "10.0.0.2"}, {"n1": ("10.0.0.1", text)}, f"drained ({text})"),
        ),
        services=(change,),
        unknown=(UnknownPart("member2", "Nodes", text),),
        unpublished=((ServiceKey("default/web"), f"refused {text}"),),
        findings=(Finding("service default/flask", "", "port", f"no port {text}", text, "warning"),),
        held=(Held("pipy/config/services/default.api.json", "service default/api", "change", word, (text, text)),),
        refusals=(Refusal("moved-route", f"/{text}", text, f"moved-route=/{text}"),),
        allowed=(f"moved-route=/{text}x",),
        resumed=("default/flask",),
    )
