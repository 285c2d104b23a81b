"""Nothing of an object but what routing needs ever reaches a snapshot, a file, a plan or a commit message."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.commands import snapshot as verb
from publisher.commands.explain import explain
from publisher.core import documents, report, snapshot
from publisher.core.markdown import body, markdown


@pytest.mark.parametrize("layout", ["native", "tutorial"])
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.integers(0, 2**16), max_size=12))
def test_no_secret_is_written(fleets: ModuleType, layout: str, seed: int, steps: list[int]) -> None:
    """Every object is laced with a secret: other annotations, managedFields, caBundle, status, addresses of pods."""
    fleet = fleets.make(seed, layout)
    tree = fleets.publish(fleet)
    for number in steps:
        fleets.step(fleet, number)
    raw = [fleets.raw_cluster(name, model) for name, model in fleet.clusters.items()]
    assert fleets.SECRET in repr(raw)
    topology = fleets.read(fleet)
    assert fleets.SECRET not in repr(topology)
    outcome = fleets.build(fleet, tree)
    shown = [
        *snapshot.dump(topology).values(),
        *fleets.applied(tree, outcome).values(),
        documents.as_json(outcome.plan).encode(),
        markdown(outcome.plan, outcome.current, outcome.desired.config).encode(),
        body(outcome.plan, outcome.current, outcome.desired.config).encode(),
        report.commit_message(outcome.plan).encode(),
        *(line.encode() for line in report.text(outcome.plan)),
        *(repr(explain(outcome, key).document()).encode() for key in outcome.selection.services),
        repr(verb.overview(topology)).encode(),
    ]
    assert not [text for text in shown if fleets.SECRET.encode() in text]


def test_a_secret_in_an_annotation_of_ours_is_blanked_where_it_is_quoted(fleets: ModuleType) -> None:
    """A tenant who pastes a token into a port or a route finds it in no report."""
    token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl"
    fleet = fleets.Fleet()
    fleet.settings |= {"grants": [{"namespaces": ["*"], "paths": ["/ok"]}]}
    services = {
        "default/port": fleets.ServiceModel(1, annotations={"port": f"Bearer {token}", "routes": "/ok"}),
        "default/route": fleets.ServiceModel(2, annotations={"routes": f"/{token}"}),
        "default/wrong": fleets.ServiceModel(3, annotations={"routes": f"https://user:{token}@host/x"}),
        "default/long": fleets.ServiceModel(4, annotations={"port": "x\n" * 10_000, "routes": "/ok"}),
    }
    fleet.clusters["member1"] = fleets.ClusterModel(nodes={"n1": fleets.NodeModel("10.0.0.1")}, services=services)
    plan = fleets.build(fleet, {}).plan
    assert {item.where.rpartition("/")[2]: item.rule for item in plan.findings} == {
        "port": "port",
        "route": "route-not-granted",
        "wrong": "route",
        "long": "port",
    }
    assert "eyJ" not in documents.as_json(plan)
    assert all("\n" not in item.message and len(item.message) < 1000 for item in plan.findings)
