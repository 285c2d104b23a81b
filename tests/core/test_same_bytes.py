"""Equal input gives equal bytes, and a tree that was published needs nothing more."""

from __future__ import annotations

import random
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.core import documents, report, snapshot

SEED = st.integers(0, 2**32)
STEPS = st.lists(st.integers(0, 2**16), max_size=12)


@pytest.mark.parametrize("layout", ["native", "tutorial"])
@settings(max_examples=80)
@given(seed=SEED, steps=STEPS, orders=st.integers(0, 2**32))
def test_no_order_of_the_input_matters(
    fleets: ModuleType, layout: str, seed: int, steps: list[int], orders: int
) -> None:
    """Lists, maps and publisher.yaml in another order give the same plan, message, snapshot and bytes."""
    fleet = fleets.make(seed, layout)
    tree = fleets.publish(fleet)
    for number in steps:
        fleets.step(fleet, number)
    one = fleets.build(fleet, tree)
    other = fleets.build(fleet, tree, random.Random(orders))
    assert other.plan == one.plan
    assert documents.as_json(other.plan) == documents.as_json(one.plan)
    assert report.commit_message(other.plan) == report.commit_message(one.plan)
    assert list(report.text(other.plan)) == list(report.text(one.plan))
    assert snapshot.dump(fleets.read(fleet, random.Random(orders))) == snapshot.dump(fleets.read(fleet))


@pytest.mark.parametrize("layout", ["native", "tutorial"])
@settings(max_examples=80)
@given(seed=SEED, steps=STEPS)
def test_a_published_tree_needs_nothing_more(fleets: ModuleType, layout: str, seed: int, steps: list[int]) -> None:
    """After every step the plan against the new tree is empty, and says so."""
    fleet = fleets.make(seed, layout)
    tree: dict[str, bytes] = {}
    for number in [0, *steps]:
        fleets.step(fleet, number)
        tree = fleets.publish(fleet, tree)
        again = fleets.build(fleet, tree).plan
        assert (again.files, again.clusters, again.services) == ((), (), ())
        assert report.summary(again) == "nothing to do"


@pytest.mark.parametrize("layout", ["native", "tutorial"])
@settings(max_examples=120)
@given(seed=SEED, steps=st.lists(st.integers(0, 2**16), min_size=8, max_size=24))
def test_a_published_tree_is_valid(fleets: ModuleType, layout: str, seed: int, steps: list[int]) -> None:
    """Whatever happens to the fleet: files fit their schemas and each other, but for what the plan reports as an error.

    Weights that sum to 0 are the one error that may stay in the tree: where the only cluster with a share has left.
    """
    fleet = fleets.make(seed, layout)
    tree: dict[str, bytes] = {}
    for number in [0, *steps]:
        fleets.step(fleet, number)
        outcome = fleets.build(fleet, tree)
        tree = fleets.applied(tree, outcome)
        reported = {item.message for item in outcome.plan.errors if item.rule == "weight-sum"}
        assert [
            item
            for item in fleets.check(fleet, tree)
            if item.severity == "error" and (item.rule != "weight-sum" or item.message not in reported)
        ] == []
