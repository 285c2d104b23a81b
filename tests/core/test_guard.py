"""Guards: what a plan may not do to traffic, each at its limit, and how just that is allowed."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from publisher import settings
from publisher.commands import pipeline
from publisher.core import guard
from publisher.errors import UsageError

FLASK = "default/flask"
WEB = "default/web"


def fleet_of(fleets: ModuleType, *sizes: int, weights: dict[str, int] | None = None) -> Any:
    """Make a fleet of clusters a, b, c ... with so many nodes, each of them with one service; default guards."""
    fleet = fleets.Fleet()
    for name, size in zip("abcdef", sizes, strict=False):
        nodes = {f"{name}{number:02}": fleets.NodeModel(fleet.address()) for number in range(size)}
        services = {FLASK: fleets.ServiceModel(31193)}
        fleet.clusters[name] = fleets.ClusterModel(nodes=nodes, services=services)
    fleet.settings["services"] = {FLASK: {"routes": ["/env/*"], **({"weights": weights} if weights else {})}}
    del fleet.settings["guards"]
    return fleet


def lose(fleet: Any, cluster: str, number: int) -> None:
    """Take nodes out of a cluster."""
    nodes = fleet.clusters[cluster].nodes
    for name in sorted(nodes)[:number]:
        del nodes[name]


def build(fleets: ModuleType, fleet: Any, tree: dict[str, bytes], *allow: str, past: Any = None) -> pipeline.Outcome:
    """Plan with allowances."""
    data = fleets.settings_of(fleet)
    history = pipeline.Past(allowances=lambda: past or ())
    return pipeline.build(settings.load(data), data, fleets.read(fleet), tree, history, pipeline.Say(allow=allow))


def refused(outcome: pipeline.Outcome) -> list[str]:
    """Give what would let each refusal of a plan pass."""
    return [refusal.allow for refusal in outcome.plan.refusals]


def limit(guards: dict[str, Any]) -> Callable[[Any], None]:
    """Give what sets limits for all services."""
    return lambda fleet: fleet.settings.update(guards=guards)


def own(guards: dict[str, Any]) -> Callable[[Any], None]:
    """Give what sets limits for the service."""
    return lambda fleet: fleet.settings["services"][FLASK].update(guards=guards)


def same(fleet: Any) -> None:
    """Leave the defaults."""


REMOVED = "removed-targets=default/flask"


@pytest.mark.parametrize(
    ("total", "lost", "change", "stands"),
    [
        (10, 2, same, False),
        (10, 3, same, False),
        (10, 4, same, True),
        (4, 1, same, False),
        (4, 2, same, True),
        (1, 1, limit({"empty-cluster": False}), True),
        (2, 1, same, False),
        (3, 1, same, False),
        (3, 2, same, True),
        (10, 1, limit({"removed-targets": 9}), True),
        (10, 1, limit({"removed-targets": 10}), False),
        (10, 1, limit({"removed-targets": 0}), True),
        (10, 9, limit({"removed-targets": 90}), False),
        (10, 9, limit({"removed-targets": 89}), True),
        (10, 9, limit({"removed-targets": False}), False),
        (10, 4, limit({"removed-targets": True}), True),
        (10, 5, own({"removed-targets": 50}), False),
        (10, 6, own({"removed-targets": 50}), True),
        (10, 9, own({"removed-targets": False}), False),
        (2, 1, limit({"removed-targets": 0}), False),
        (3, 2, limit({"removed-targets": 70}), False),
    ],
)
def test_removed_targets(
    fleets: ModuleType, total: int, lost: int, change: Callable[[Any], None], stands: bool
) -> None:
    """At most the limit may go, of three or fewer half; a service's own limit counts more than the one of all."""
    fleet = fleet_of(fleets, total)
    change(fleet)
    tree = fleets.publish(fleet)
    lose(fleet, "a", lost)
    outcome = build(fleets, fleet, tree)
    assert bool(outcome.plan.refusals) == stands
    assert (outcome.plan.files == ()) == stands


def test_a_limit_of_a_service_is_no_other_services(fleets: ModuleType) -> None:
    """And goes before the one of all in both directions."""
    fleet = fleet_of(fleets, 10)
    fleet.clusters["a"].services[WEB] = fleets.ServiceModel(31194)
    fleet.settings["services"][WEB] = {"routes": ["/web"], "guards": {"removed-targets": 10}}
    fleet.settings["guards"] = {"removed-targets": False}
    tree = fleets.publish(fleet)
    lose(fleet, "a", 2)
    assert refused(build(fleets, fleet, tree)) == ["removed-targets=default/web"]


@pytest.mark.parametrize(
    ("weights", "lost", "stands"),
    [
        ({"a": 90, "b": 10}, "b", False),
        ({"a": 10, "b": 90}, "b", True),
        ({"a": 100, "b": 0}, "b", False),
    ],
)
def test_weights_count(fleets: ModuleType, weights: dict[str, int], lost: str, stands: bool) -> None:
    """Four of eight targets: how much of the traffic they have decides, not how many they are."""
    fleet = fleet_of(fleets, 5, 5, weights=weights)
    tree = fleets.publish(fleet)
    lose(fleet, lost, 4)
    assert refused(build(fleets, fleet, tree)) == ([REMOVED] if stands else [])


def test_a_drained_cluster_does_not_count(fleets: ModuleType) -> None:
    """It takes no traffic: its nodes may go, all of them, and the cluster."""
    fleet = fleet_of(fleets, 4, 4)
    fleet.clusters["b"].annotations = {"drain": "true"}
    tree = fleets.publish(fleet)
    lose(fleet, "b", 3)
    assert refused(build(fleets, fleet, tree)) == []
    lose(fleet, "b", 1)
    assert refused(build(fleets, fleet, tree)) == []
    del fleet.clusters["b"]
    assert refused(outcome := build(fleets, fleet, tree)) == []
    assert fleets.cluster_file("b") not in fleets.applied(tree, outcome)


def other_port(fleet: Any) -> None:
    """Give the service another nodePort."""
    fleet.clusters["a"].services[FLASK].node_port = 32000


def other_addresses(fleet: Any) -> None:
    """Give all nodes other addresses."""
    for node in fleet.clusters["a"].nodes.values():
        node.ip = fleet.address()


@pytest.mark.parametrize("changes", [[other_port], [other_addresses], [other_port, other_addresses]])
def test_another_port_or_address_is_no_loss(fleets: ModuleType, changes: list[Callable[[Any], None]]) -> None:
    """The target is still there."""
    fleet = fleet_of(fleets, 10)
    tree = fleets.publish(fleet)
    for change in changes:
        change(fleet)
    outcome = build(fleets, fleet, tree)
    assert refused(outcome) == []
    assert outcome.plan.files
    lose(fleet, "a", 4)
    assert refused(build(fleets, fleet, tree)) == [REMOVED], "but those that are lost beside are counted"


# --- what each of the others refuses, and its message ----------------------------------------------------------------


def _drained(fleet: Any) -> None:
    for cluster in fleet.clusters.values():
        cluster.remedies = ("TrafficControl",)


def _no_nodes(fleet: Any) -> None:
    lose(fleet, "a", 5)


def _no_cluster(fleet: Any) -> None:
    del fleet.clusters["a"]


def _no_service(fleet: Any) -> None:
    for cluster in fleet.clusters.values():
        cluster.services.pop(FLASK)


def _few_nodes(fleet: Any) -> None:
    lose(fleet, "a", 4)


def _shifted(fleet: Any) -> None:
    fleet.settings["services"][FLASK]["weights"] = {"a": 900, "b": 0}


def _route(fleet: Any) -> None:
    fleet.clusters["a"].services[WEB] = next(iter(fleet.clusters["a"].services.values()))
    fleet.settings["services"][FLASK]["routes"] = ["/other"]
    fleet.settings["services"][WEB] = {"routes": ["/env/*"]}


CASES = [
    (
        _few_nodes,
        {"weights": {"a": 90, "b": 10}},
        {REMOVED: "4 of 10 targets would go, 72 % of its traffic; the limit is 30 %"},
    ),
    (_drained, {}, {"no-targets=default/flask": "10 of 10 targets that take traffic would go"}),
    (_no_service, {}, {"deleted-service=default/flask": "all of its 10 targets would go: the cluster has no such"}),
    (
        _no_nodes,
        {"guards": {"removed-targets": False}},
        {"empty-cluster=a": "5 of 5 nodes would go"},
    ),
    (
        _no_cluster,
        {"guards": {"removed-targets": False}},
        {"empty-cluster=a": "5 of 5 nodes would go"},
    ),
    (
        _shifted,
        {"weights": {"a": 10, "b": 90}},
        {
            "shifted-traffic=default/flask": (
                "90 % of its traffic would move between clusters, the limit is 50 %: a 10 % -> 100 %, b 90 % -> 0 %"
            )
        },
    ),
    (_route, {}, {"moved-route=/env/*": "it would lead to default/web instead of default/flask"}),
]


@pytest.mark.parametrize(("change", "service", "expected"), CASES)
def test_a_refusal_says_what_and_how_to_allow_it(
    fleets: ModuleType, change: Callable[[Any], None], service: dict[str, Any], expected: dict[str, str]
) -> None:
    """Guard, object, n of m, the limit, and the text that lets just this pass; it does, and nothing else does."""
    fleet = fleet_of(fleets, 5, 5)
    fleet.settings["services"][FLASK] |= service
    tree = fleets.publish(fleet)
    before = fleets.joined(tree)
    change(fleet)
    outcome = build(fleets, fleet, tree)
    assert refused(outcome) == list(expected)
    for refusal in outcome.plan.refusals:
        assert refusal.message.startswith(expected[refusal.allow])
        assert refusal.allow == f"{refusal.guard}={refusal.object}"
    after = fleets.joined(fleets.applied(tree, outcome))
    assert sorted(after[FLASK]) == sorted(before[FLASK])
    assert WEB not in after
    others = [f"{name}={item}" for name in guard.DEFAULTS for item in (FLASK, WEB, "a", "b", "/env/*", "/other", "0")]
    wrong = [text for text in others if text not in expected and not text.startswith(("removed-targets", "touched"))]
    wrong = [text for text in wrong if text.partition("=")[2] not in ("a", "b")]
    assert refused(build(fleets, fleet, tree, *wrong)) == list(expected)
    allowed = build(fleets, fleet, tree, *expected, *wrong)
    assert refused(allowed) == []
    assert allowed.plan.allowed == tuple(expected)
    fleet.settings["guards"] = fleets.NO_GUARDS
    assert allowed.plan.files == build(fleets, fleet, tree).plan.files


@pytest.mark.parametrize(("change", "service", "expected"), CASES)
def test_each_guard_can_be_switched_off(
    fleets: ModuleType, change: Callable[[Any], None], service: dict[str, Any], expected: dict[str, str]
) -> None:
    """For all services, and but for clusters for one."""
    fleet = fleet_of(fleets, 5, 5)
    fleet.settings["services"][FLASK] |= service
    tree = fleets.publish(fleet)
    change(fleet)
    guards = {item.partition("=")[0]: False for item in expected}
    fleet.settings["guards"] = guards
    assert refused(build(fleets, fleet, tree)) == []
    if "empty-cluster" not in guards:
        del fleet.settings["guards"]
        fleet.settings["services"][FLASK].setdefault("guards", {}).update(guards)
        assert refused(build(fleets, fleet, tree)) == []


@pytest.mark.parametrize(
    ("after", "limit_of", "stands"),
    [(60, 50, False), (61, 50, True), (60, 49, True), (100, False, False), (11, 0, True), (10, 0, False)],
)
def test_shifted_traffic(fleets: ModuleType, after: int, limit_of: int | bool, stands: bool) -> None:
    """Percent of a service's traffic that changes its cluster, from ten; at the limit it may."""
    fleet = fleet_of(fleets, 2, 2, weights={"a": 10, "b": 90})
    fleet.settings["guards"] = {"shifted-traffic": limit_of}
    tree = fleets.publish(fleet)
    fleet.settings["services"][FLASK]["weights"] = {"a": after, "b": 100 - after}
    assert bool(refused(build(fleets, fleet, tree))) == stands


def test_a_drain_shifts_traffic(fleets: ModuleType) -> None:
    """Whose cluster file would say so is kept: the service takes its traffic there as before."""
    fleet = fleet_of(fleets, 4, 4, weights={"a": 80, "b": 20})
    tree = fleets.publish(fleet)
    fleet.clusters["a"].remedies = ("TrafficControl",)
    outcome = build(fleets, fleet, tree)
    assert refused(outcome) == ["shifted-traffic=default/flask"]
    assert outcome.plan.files == ()
    assert build(fleets, fleet, tree, "shifted-traffic=a", "shifted-traffic=b").plan.files


# --- allowances ------------------------------------------------------------------------------------------------------


def two_services(fleets: ModuleType) -> Any:
    """Make two services on two clusters of ten nodes."""
    fleet = fleet_of(fleets, 10, 10)
    for cluster in fleet.clusters.values():
        cluster.services[WEB] = fleets.ServiceModel(31194)
    fleet.settings["services"][WEB] = {"routes": ["/web"]}
    return fleet


def test_an_allowance_for_one_service_is_not_for_another(fleets: ModuleType) -> None:
    """The cluster that both lose nodes of stays, so that neither loses any."""
    fleet = two_services(fleets)
    tree = fleets.publish(fleet)
    lose(fleet, "a", 8)
    both = [REMOVED, "removed-targets=default/web"]
    assert refused(build(fleets, fleet, tree)) == both
    outcome = build(fleets, fleet, tree, REMOVED)
    assert refused(outcome) == both[1:]
    assert outcome.plan.files == ()
    assert len(fleets.joined(fleets.applied(tree, build(fleets, fleet, tree, *both)))[WEB]) == 12


def test_an_allowance_may_name_the_cluster(fleets: ModuleType) -> None:
    """For all services that lose there; not for what they lose elsewhere."""
    fleet = two_services(fleets)
    tree = fleets.publish(fleet)
    lose(fleet, "a", 8)
    outcome = build(fleets, fleet, tree, "removed-targets=a")
    assert refused(outcome) == []
    assert outcome.plan.allowed == ("removed-targets=a",)
    lose(fleet, "b", 8)
    assert len(refused(build(fleets, fleet, tree, "removed-targets=a"))) == 2
    assert refused(build(fleets, fleet, tree, "removed-targets=a", "removed-targets=b")) == []


@pytest.mark.parametrize(("number", "stands"), [(2, True), (3, False), (4, False), (0, True)])
def test_touched_services(fleets: ModuleType, number: int, stands: bool) -> None:
    """As many may change as the limit or an allowance says; a new service is none of them."""
    fleet = fleet_of(fleets, 2)
    keys = [f"default/s{place}" for place in range(4)]
    for place, key in enumerate(keys):
        fleet.clusters["a"].services[key] = fleets.ServiceModel(30000 + place)
        fleet.settings["services"][key] = {"routes": [f"/{key}"]}
    fleet.settings["guards"] = {"touched-services": 2}
    tree = fleets.publish(fleet)
    for key in keys[:2]:
        fleet.settings["services"][key]["weights"] = {"a": 1}
    fleet.clusters["a"].services["default/new"] = fleets.ServiceModel(32000)
    fleet.settings["services"]["default/new"] = {"routes": ["/new"]}
    assert refused(build(fleets, fleet, tree)) == []
    fleet.settings["services"][keys[2]]["weights"] = {"a": 1}
    (refusal,) = build(fleets, fleet, tree).plan.refusals
    assert refusal.allow == "touched-services=3"
    assert refusal.message == "3 of 5 services would change, the limit is 2"
    outcome = build(fleets, fleet, tree, f"touched-services={number}")
    assert bool(refused(outcome)) == stands
    assert [file.path for file in outcome.plan.files if file.action == "change"] == (
        [] if stands else [fleets.service_file(key) for key in keys[:3]]
    )
    assert fleets.service_file("default/new") in {file.path for file in outcome.plan.files}


def test_allowances_come_from_history_too(fleets: ModuleType) -> None:
    """What is none is passed over there; history is asked only where something is refused."""
    fleet = fleet_of(fleets, 10)
    tree = fleets.publish(fleet)
    lose(fleet, "a", 8)
    nonsense = ("", "x", "removed-targets", "removed-targets=", "other=default/flask", "=", "removed-targets=*")
    assert refused(build(fleets, fleet, tree, past=nonsense)) == [REMOVED]
    outcome = build(fleets, fleet, tree, past=(*nonsense, REMOVED))
    assert (refused(outcome), outcome.plan.allowed) == ([], (REMOVED,))

    def never() -> tuple[str, ...]:
        raise AssertionError("history was asked")

    data = fleets.settings_of(fleet)
    args = settings.load(data), data, fleets.read(fleet), tree, pipeline.Past(allowances=never)
    assert pipeline.build(*args, pipeline.Say(allow=(REMOVED,))).plan.refusals == ()
    with pytest.raises(AssertionError, match="history was asked"):
        pipeline.build(*args)


@pytest.mark.parametrize("text", ["", "x", "removed-targets", "removed-targets=", "other=default/flask", "=", "all"])
def test_what_is_no_allowance_is_a_mistake(fleets: ModuleType, text: str) -> None:
    """Told with what there is."""
    with pytest.raises(UsageError, match="--allow"):
        build(fleets, fleet_of(fleets, 1), {}, text)


# --- what refusing does ----------------------------------------------------------------------------------------------


def test_one_refused_service_does_not_stop_the_rest(fleets: ModuleType) -> None:
    """It stays to the byte; others, and clusters that it does not lose in, go on."""
    fleet = two_services(fleets)
    fleet.clusters["c"] = fleets.ClusterModel()
    fleet.settings["services"][FLASK]["weights"] = {"a": 1, "b": 9}
    tree = fleets.publish(fleet)
    fleet.settings["services"][FLASK]["weights"] = {"a": 9, "b": 1}
    fleet.settings["services"][WEB]["weights"] = {"a": 70}
    fleet.clusters["c"].nodes["new"] = fleets.NodeModel("10.9.9.9")
    outcome = build(fleets, fleet, tree)
    assert refused(outcome) == ["shifted-traffic=default/flask"]
    assert [file.path for file in outcome.plan.files] == [fleets.cluster_file("c"), fleets.service_file(WEB)]


def test_on_refusal_stop(fleets: ModuleType) -> None:
    """Nothing at all is published."""
    fleet = two_services(fleets)
    fleet.settings["services"][FLASK]["weights"] = {"a": 1, "b": 9}
    tree = fleets.publish(fleet)
    fleet.settings["guards"] = {"onRefusal": "stop"}
    fleet.settings["services"][WEB]["weights"] = {"a": 70}
    assert build(fleets, fleet, tree).plan.files
    fleet.settings["services"][FLASK]["weights"] = {"a": 9, "b": 1}
    outcome = build(fleets, fleet, tree)
    assert refused(outcome) == ["shifted-traffic=default/flask"]
    assert (outcome.plan.files, outcome.plan.clusters, outcome.plan.services) == ((), (), ())
    assert build(fleets, fleet, tree, "shifted-traffic=default/flask").plan.files


@pytest.mark.parametrize("gone", [False, True])
def test_a_cluster_that_is_the_cause_is_kept(fleets: ModuleType, gone: bool) -> None:
    """Its file as well as the service's: nothing of the loss gets through, also where Karmada has it no more."""
    fleet = two_services(fleets)
    tree = fleets.publish(fleet)
    if gone:
        del fleet.clusters["a"]
    else:
        lose(fleet, "a", 8)
    fleet.clusters["b"].nodes["new"] = fleets.NodeModel("10.9.9.9")
    outcome = build(fleets, fleet, tree)
    assert {REMOVED, "removed-targets=default/web"} <= set(refused(outcome))
    after = fleets.applied(tree, outcome)
    assert [file.path for file in outcome.plan.files] == [fleets.cluster_file("b")]
    for key in (FLASK, WEB):
        assert set(fleets.joined(tree)[key]) <= set(fleets.joined(after)[key])
        assert len(fleets.joined(after)[key]) == 21
    again = build(fleets, fleet, after)
    assert again.plan.files == ()
    assert refused(again) == refused(outcome)


def slices(fleets: ModuleType, case: str) -> tuple[Any, dict[str, bytes]]:
    """Make a fleet whose changes a guard refuses, though not once the rest of them is published; and what is."""
    touched = case.startswith("touched")
    fleet = two_services(fleets) if touched else fleet_of(fleets, 2, 2, 2, 0 if case == "first node" else 2)
    if case == "few":
        fleet = fleet_of(fleets, 1, 1, 1, weights={"a": 10, "b": 10, "d": 100})
        fleet.clusters["d"] = fleet.clusters.pop("c")
    if case == "drain":
        fleet.clusters["d"].annotations = {"drain": "true"}
    if touched:
        fleet.settings["guards"] = {"touched-services": 1}
        fleet.clusters["d"] = fleets.ClusterModel(services={FLASK: fleets.ServiceModel(31193)})
    fleet.clusters["other"] = fleets.ClusterModel()
    tree = fleets.publish(fleet)
    fleet.clusters["other"].nodes["new"] = fleets.NodeModel("10.9.9.9")
    if "no file" in case:
        del tree[fleets.cluster_file("d")]
    if touched:
        del fleet.clusters["d"]
        fleet.settings["services"][WEB]["weights"] = {"a": 70}
        return fleet, tree
    for name in ("a", "b") if case == "few" else ("a",):
        del fleet.clusters[name].services[FLASK]
    fleet.clusters["d"].nodes["newer"] = fleets.NodeModel("10.9.9.8")
    fleet.clusters["d"].annotations = {}
    return fleet, tree


@pytest.mark.parametrize("case", ["few", "first node", "drain", "no file", "touched", "touched, no file"])
def test_nothing_is_let_through_in_slices(fleets: ModuleType, case: str) -> None:
    """What a run refuses the next one refuses too, though what is published in between would count for it."""
    fleet, tree = slices(fleets, case)
    outcome = build(fleets, fleet, tree)
    assert len(refused(outcome)) == 1
    assert [file.path for file in outcome.plan.files] == [fleets.cluster_file("other")]
    after = fleets.applied(tree, outcome)
    again = build(fleets, fleet, after)
    assert again.plan.files == ()
    assert refused(again) == refused(outcome)
    allowed = build(fleets, fleet, after, *refused(outcome))
    assert fleets.applied(after, allowed) == fleets.publish(fleet)


@pytest.mark.parametrize("word", ["publish", "exclude", "exclude the only one"])
def test_a_deliberate_word_is_not_guarded(fleets: ModuleType, word: str) -> None:
    """publish: false and clusters.exclude say just this."""
    fleet = fleet_of(fleets, 5, 1) if word != "exclude the only one" else fleet_of(fleets, 5)
    tree = fleets.publish(fleet)
    if word == "publish":
        fleet.settings["services"][FLASK] = {"publish": False}
    else:
        fleet.settings["karmada"] = {"clusters": {"exclude": ["a"]}}
    outcome = build(fleets, fleet, tree)
    assert refused(outcome) == []
    gone = fleets.service_file(FLASK) if word == "publish" else fleets.cluster_file("a")
    assert gone not in fleets.applied(tree, outcome)


def test_what_is_lost_beside_an_excluded_cluster_is_guarded(fleets: ModuleType) -> None:
    """The rest of the service is judged as if the excluded cluster had never been."""
    fleet = fleet_of(fleets, 90, 10)
    tree = fleets.publish(fleet)
    fleet.settings["karmada"] = {"clusters": {"exclude": ["a"]}}
    lose(fleet, "b", 4)
    (refusal,) = build(fleets, fleet, tree).plan.refusals
    assert refusal.message.startswith("4 of 10 targets would go, 40 % of its traffic")


# --- the promise -----------------------------------------------------------------------------------------------------


def taking(targets: list[tuple[str, str, str, int]], without: set[str]) -> dict[tuple[str, str], float]:
    """Give the share of a service's traffic that each of its targets takes, but for some clusters."""
    found = {(cluster, node): weight for cluster, node, _, weight in targets if weight and cluster not in without}
    count = {name: sum(1 for cluster, _ in found if cluster == name) for name, _ in found}
    weights = {cluster: weight for (cluster, _), weight in found.items()}
    total = sum(weights.values())
    return {(name, node): weight / total / count[name] for (name, node), weight in found.items()}


@limits(max_examples=100)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.lists(st.integers(0, 2**16), min_size=1, max_size=4), max_size=6))
def test_no_service_loses_more_than_its_limit(fleets: ModuleType, seed: int, steps: list[list[int]]) -> None:
    """Judged from the joined files alone, after every plan; and the next run has nothing more to do."""
    fleet = fleets.make(seed)
    del fleet.settings["guards"]
    tree: dict[str, bytes] = {}
    for numbers in [[0], *steps]:
        for number in numbers:
            fleets.step(fleet, number)
        outcome = build(fleets, fleet, tree)
        after = fleets.applied(tree, outcome)
        old, new = fleets.joined(tree), fleets.joined(after)
        excluded = set(fleet.settings["karmada"]["clusters"]["exclude"])
        for key, targets in old.items():
            was = taking(targets, excluded)
            if not was:
                continue
            assert key in new
            now = taking(new[key], set())
            assert now
            left = {(cluster, node) for cluster, node, _, _ in new[key]}
            gone = {target: share for target, share in was.items() if target not in left}
            if len(was) <= guard.FEW:
                assert len(gone) * 2 <= len(was)
            else:
                assert sum(gone.values()) <= 0.3 + 1e-9
            moved = {name for name, _ in [*was, *now]}
            share = [sum(v for (c, _), v in shares.items() if c == name) for name in moved for shares in (was, now)]
            assert sum(abs(one - two) for one, two in zip(share[::2], share[1::2], strict=True)) / 2 <= 0.5 + 1e-9
        assert build(fleets, fleet, after).plan.files == ()
        assert {item.rule for item in fleets.check(fleet, after) if item.severity == "error"} <= {"weight-sum"}
        tree = after
