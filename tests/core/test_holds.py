"""A person's last word on a generated file stands: as long as it is to, for that file, and for no other."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from publisher import settings
from publisher.commands import pipeline
from publisher.core.history import Word
from publisher.core.holds import blob_id, released
from publisher.core.model import ServiceKey
from publisher.core.resolve import Back

FLASK = "default/flask"
WEB = "default/web"
WORD = Word("c0ffee" * 6 + "c0ff", "Ann <ann@example.com>", 1_000_000, "Take it back", "0" * 40)
GONE, OLD, NEW = "0" * 40, blob_id(b"old", 40), b"new"


@dataclass
class History:
    """What history says of some files, and what it was asked."""

    words: Mapping[str, Word]
    asked: list[str] = field(default_factory=list)

    def last_words(self, paths: Collection[str]) -> Mapping[str, Word]:
        """Give the words on some files."""
        self.asked.extend(sorted(paths))
        return {path: word for path, word in self.words.items() if path in paths}


def build(
    fleets: ModuleType,
    fleet: Any,
    tree: Mapping[str, bytes],
    history: History | Collection[str] = (),
    *resume: str,
    now: float = 0,
) -> pipeline.Outcome:
    """Plan where people have the last word on some files."""
    known = history if isinstance(history, History) else History(dict.fromkeys(history, WORD))
    data = fleets.settings_of(fleet)
    return pipeline.build(
        settings.load(data),
        data,
        fleets.read(fleet),
        dict(tree),
        pipeline.Past(known.last_words, now=now),
        pipeline.Say(resume=frozenset(resume)),
    )


@pytest.fixture
def fleet(fleets: ModuleType) -> Any:
    """Give two services on two clusters of two nodes."""
    fleet = fleets.Fleet()
    for name in ("a", "b"):
        fleet.clusters[name] = fleets.ClusterModel(
            nodes={f"{name}{number}": fleets.NodeModel(fleet.address()) for number in (1, 2)},
            services={FLASK: fleets.ServiceModel(31193), WEB: fleets.ServiceModel(31194)},
        )
    fleet.settings["services"] = {FLASK: {"routes": ["/env/*"]}, WEB: {"routes": ["/web/*"]}}
    return fleet


def changed(fleet: Any) -> Any:
    """Change both services, and let a node join a."""
    for key in (FLASK, WEB):
        fleet.settings["services"][key]["weights"] = {"a": 70}
    fleet.clusters["a"].nodes["a3"] = type(fleet.clusters["a"].nodes["a1"])("10.9.9.9")
    return fleet


# --- how long ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "rejected", "content", "now", "over"),
    [
        ("manual", OLD, NEW, 10**12, False),
        ("changed", OLD, b"old", 10**12, False),
        ("changed", OLD, NEW, 0, True),
        ("changed", OLD, None, 0, True),
        ("changed", GONE, None, 10**12, False),
        ("changed", GONE, NEW, 0, True),
        ("changed", "", NEW, 10**12, False),  # we never wrote it: there is nothing to compare with
        ("changed", blob_id(b"old", 64), b"old", 0, False),
        ("changed", blob_id(b"old", 64), NEW, 0, True),
        ("10s", OLD, NEW, 1_000_009.9, False),
        ("10s", OLD, NEW, 1_000_010, True),
        ("10s", OLD, b"old", 1_000_010, True),
        ("1h", OLD, NEW, 1_003_599, False),
        ("1h", OLD, NEW, 1_003_600, True),
        ("1h", OLD, NEW, 0, False),
    ],
)
def test_released(release: str, rejected: str, content: bytes | None, now: float, over: bool) -> None:
    """Never by itself, with another content, or by the age of the person's commit."""
    policy = settings.load(json.dumps({"publisher": "edge", "holds": {"release": release}}).encode()).holds
    word = Word("c0ffee", "Ann", 1_000_000, "subject", rejected)
    assert released(word, content, policy, now) == over
    nobody = Word("", "", 0, "history is not here", rejected)
    assert not released(nobody, content, policy, now), "what cannot be known is held"


@pytest.mark.parametrize("format_of_ids", ["sha1", "sha256"])
def test_blob_id_is_what_git_says(tmp_path: Path, format_of_ids: str) -> None:
    """In a repository of either kind."""
    subprocess.run(["git", "init", "--quiet", f"--object-format={format_of_ids}", "."], cwd=tmp_path, check=True)
    for content in (b"", b"old", "Zoë\r\n".encode(), b"\0" * 70_000):
        told = subprocess.run(
            ["git", "hash-object", "--stdin"], cwd=tmp_path, input=content, capture_output=True, check=True
        )
        expected = told.stdout.decode().strip()
        assert blob_id(content, len(expected)) == expected
        assert blob_id(None, len(expected)) == "0" * len(expected)


def test_released_in_a_plan(fleets: ModuleType, fleet: Any) -> None:
    """changed: what the person rejected stays away, what is new comes."""
    fleet.settings["holds"] = {"release": "changed"}
    path = fleets.service_file(FLASK)
    tree = fleets.publish(fleet)
    after = fleets.publish(changed(fleet), tree)
    rejected = Word("c0ffee", "Ann", 0, "Revert", blob_id(after[path], 40))
    held = build(fleets, fleet, tree, History({path: rejected}))
    assert [item.path for item in held.plan.held] == [path]
    fleet.settings["services"][FLASK]["weights"] = {"a": 71}
    outcome = build(fleets, fleet, tree, History({path: rejected}))
    assert outcome.plan.held == ()
    assert path in [file.path for file in outcome.plan.files]


# --- what is held, and what goes on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [FLASK, WEB])
def test_a_held_service(fleets: ModuleType, fleet: Any, key: str) -> None:
    """Its file stays, everything else is as it would be without; the plan says whose word it is and what it stops."""
    tree = fleets.publish(fleet)
    wanted = fleets.publish(changed(fleet), tree)
    path = fleets.service_file(key)
    outcome = build(fleets, fleet, tree, [path])
    assert fleets.applied(tree, outcome) == {**wanted, path: tree[path]}
    (held,) = outcome.plan.held
    assert (held.path, held.name, held.action, held.word) == (path, f"service {key}", "change", WORD)
    assert held.becomes == (
        f"+ a: 10.9.9.9:{31193 if key == FLASK else 31194} (new Node, or one that counts now)",
        "~ a: weight 100 -> 70 (weights in publisher.yaml, or annotation drain)",
    )
    assert build(fleets, fleet, fleets.applied(tree, outcome), [path]).plan.files == ()


def test_a_held_cluster(fleets: ModuleType, fleet: Any) -> None:
    """Its file stays; services go on."""
    tree = fleets.publish(fleet)
    wanted = fleets.publish(changed(fleet), tree)
    path = fleets.cluster_file("a")
    outcome = build(fleets, fleet, tree, [path])
    assert fleets.applied(tree, outcome) == {**wanted, path: tree[path]}
    (held,) = outcome.plan.held
    assert (held.path, held.name, held.action) == (path, "cluster a", "change")
    assert held.becomes == ("+ node a3 10.9.9.9",)


def test_a_held_service_does_not_go_stale(fleets: ModuleType, fleet: Any) -> None:
    """The files of its clusters follow the nodes, though the service cannot be changed."""
    tree = fleets.publish(fleet)
    path = fleets.service_file(FLASK)
    outcome = build(fleets, changed(fleet), tree, [path])
    after = fleets.applied(tree, outcome)
    assert after[path] == tree[path]
    assert ("a", "a3", "10.9.9.9:31193", 100) in fleets.joined(after)[FLASK]
    del fleet.clusters["a"].nodes["a1"]
    later = fleets.applied(after, build(fleets, fleet, after, [path]))
    assert {target[1] for target in fleets.joined(later)[FLASK]} == {"a2", "a3", "b1", "b2"}


@pytest.mark.parametrize("kind", ["service", "cluster"])
def test_a_file_deleted_by_hand_stays_deleted(fleets: ModuleType, fleet: Any, kind: str) -> None:
    """The rest is published; for a cluster, what it adds to services stays as it is there."""
    tree = fleets.publish(fleet)
    path = fleets.service_file(FLASK) if kind == "service" else fleets.cluster_file("a")
    left = {name: data for name, data in tree.items() if name != path}
    changed(fleet)
    outcome = build(fleets, fleet, left, [path])
    after = fleets.applied(left, outcome)
    assert path not in after
    (held,) = outcome.plan.held
    assert (held.path, held.action) == (path, "create")
    assert held.becomes
    assert fleets.document(after, fleets.service_file(WEB))["clusters"]["b"]["weight"] == 100
    assert build(fleets, fleet, after, [path]).plan.files == ()
    resumed = build(fleets, fleet, after, [path], FLASK if kind == "service" else "a")
    assert fleets.applied(after, resumed) == fleets.publish(fleet, tree)


@pytest.mark.parametrize("held_file", ["service", "cluster"])
def test_what_is_held_stays_though_it_is_gone(fleets: ModuleType, fleet: Any, held_file: str) -> None:
    """A service that no cluster has, a cluster that Karmada does not name: the file stays, to the byte."""
    tree = fleets.publish(fleet)
    if held_file == "service":
        path = fleets.service_file(FLASK)
        for cluster in fleet.clusters.values():
            del cluster.services[FLASK]
    else:
        path = fleets.cluster_file("a")
        del fleet.clusters["a"]
    outcome = build(fleets, fleet, tree, [path])
    after = fleets.applied(tree, outcome)
    assert after[path] == tree[path]
    (held,) = outcome.plan.held
    assert held.action == "delete"
    assert held.becomes
    assert build(fleets, fleet, after, [path]).plan.files == ()
    assert path not in fleets.applied(after, build(fleets, fleet, after))


def test_a_held_service_does_not_keep_a_cluster(fleets: ModuleType, fleet: Any) -> None:
    """One that is gone goes, also from other services; the held file still names it, which Pipy passes over."""
    tree = fleets.publish(fleet)
    del fleet.clusters["a"]
    path = fleets.service_file(FLASK)
    after = fleets.applied(tree, build(fleets, fleet, tree, [path]))
    assert fleets.cluster_file("a") not in after
    assert after[path] == tree[path]
    assert fleets.document(after, fleets.service_file(WEB))["clusters"].keys() == {"b"}
    assert [item.rule for item in fleets.check(fleet, after)] == ["cluster-missing"]


def test_keeping_what_is_kept_already_keeps_everything() -> None:
    """So that planning again and again ends."""
    back = Back(services=frozenset({ServiceKey(FLASK)}))
    more = Back(clusters=frozenset({"a"}))
    assert back.further(more) == back.joined(more)
    assert not back.further(more).everything
    assert back.further(back).everything


def test_all_of_a_fleet_that_is_gone(fleets: ModuleType, fleet: Any) -> None:
    """A held service outlives its clusters."""
    tree = fleets.publish(fleet)
    fleet.clusters.clear()
    path = fleets.service_file(FLASK)
    after = fleets.applied(tree, build(fleets, fleet, tree, [path]))
    assert after == {path: tree[path]}


def test_an_edit_by_hand_is_what_counts(fleets: ModuleType, fleet: Any) -> None:
    """The person's content stays, not what the publisher had there, and it wins the routes that it names."""
    tree = fleets.publish(fleet)
    path = fleets.service_file(FLASK)
    document = json.loads(tree[path])
    document["routes"] = [{"path": "/mine", "port": "http"}]
    document["clusters"]["a"]["weight"] = 1
    edited = {**tree, path: json.dumps(document).encode()}
    fleet.settings["services"][WEB]["routes"] = ["/mine", "/web/*"]
    outcome = build(fleets, fleet, edited, [path])
    assert fleets.applied(edited, outcome) == edited
    assert [finding.rule for finding in outcome.plan.errors] == ["route-conflict"]
    assert [item.path for item in outcome.plan.held] == [path]


# --- resume ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resume", "left"),
    [
        ((FLASK,), {"cluster a"}),
        (("a",), {f"service {FLASK}"}),
        ((FLASK, "a"), set()),
        ((pipeline.ALL,), set()),
        ((WEB,), {"cluster a", f"service {FLASK}"}),
    ],
)
def test_resume(fleets: ModuleType, fleet: Any, resume: tuple[str, ...], left: set[str]) -> None:
    """By name, or all there are; what is resumed is told, so that later runs can know."""
    tree = fleets.publish(fleet)
    wanted = fleets.publish(changed(fleet), tree)
    paths = {f"service {FLASK}": fleets.service_file(FLASK), "cluster a": fleets.cluster_file("a")}
    outcome = build(fleets, fleet, tree, list(paths.values()), *resume)
    assert {held.name for held in outcome.plan.held} == left
    assert set(outcome.plan.resumed) == {name.partition(" ")[2] for name in paths.keys() - left}
    assert fleets.applied(tree, outcome) == {**wanted, **{paths[name]: tree[paths[name]] for name in left}}


def test_nothing_is_resumed_that_would_not_change(fleets: ModuleType, fleet: Any) -> None:
    """There is no commit to make."""
    tree = fleets.publish(fleet)
    outcome = build(fleets, fleet, tree, list(tree), pipeline.ALL)
    assert (outcome.plan.files, outcome.plan.held, outcome.plan.resumed) == ((), (), ())


# --- what history is asked -------------------------------------------------------------------------------------------


def test_history_is_asked_about_what_would_change_and_once(fleets: ModuleType, fleet: Any) -> None:
    """A run that changes nothing asks nothing."""
    tree = fleets.publish(fleet)
    history = History(dict.fromkeys(tree, WORD))
    assert build(fleets, fleet, tree, history).plan.held == ()
    assert history.asked == []
    fleet.settings["services"][FLASK]["weights"] = {"a": 70}
    build(fleets, fleet, tree, history)
    assert history.asked == [fleets.service_file(FLASK)]
    history.asked.clear()
    changed(fleet)
    build(fleets, fleet, tree, history)
    files = [fleets.cluster_file("a"), fleets.service_file(FLASK), fleets.service_file(WEB)]
    assert history.asked == files


# --- the promise -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guards", [False, True])
@limits(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    steps=st.lists(st.lists(st.integers(0, 2**16), min_size=1, max_size=5), min_size=1, max_size=5),
    chosen=st.integers(0, 2**32),
)
def test_a_persons_word_stands(
    fleets: ModuleType, guards: bool, seed: int, steps: list[list[int]], chosen: int
) -> None:
    """Whatever is held, and whatever happens: those files keep their bytes, deleted ones stay away, and it ends."""
    fleet = fleets.make(seed)
    if guards:
        del fleet.settings["guards"]
    tree = fleets.publish(fleet)
    rng = random.Random(chosen)
    every = sorted({*tree, *map(fleets.service_file, fleets.SERVICES), *map(fleets.cluster_file, fleets.CLUSTERS)})
    held = rng.sample(every, rng.randint(0, len(every)))
    for path in [path for path in held if path in tree and rng.random() < 0.3]:
        del tree[path]
    words = {path: tree.get(path) for path in held}
    for numbers in steps:
        for number in numbers:
            fleets.step(fleet, number)
        history = History(dict.fromkeys(held, WORD))
        outcome = build(fleets, fleet, tree, history)
        assert len(history.asked) == len(set(history.asked))
        assert not {file.path for file in outcome.plan.files} & set(held)
        assert {item.path for item in outcome.plan.held} <= set(held)
        tree = fleets.applied(tree, outcome)
        assert {path: tree.get(path) for path in held} == words
        assert build(fleets, fleet, tree, held).plan.files == ()


@limits(max_examples=60)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.integers(0, 2**16), max_size=8), chosen=st.integers(0, 2**32))
def test_holds_reach_no_further(fleets: ModuleType, seed: int, steps: list[int], chosen: int) -> None:
    """Every other file becomes what it would without; but a held service keeps its routes from others.

    A cluster that is held though it is gone stays in its services too.
    """
    fleet = fleets.make(seed)
    tree = fleets.publish(fleet)
    for number in steps:
        fleets.step(fleet, number)
    held = [path for path in sorted(tree) if random.Random(chosen).random() < 0.4]
    wanted = fleets.applied(tree, fleets.build(fleet, tree))
    outcome = build(fleets, fleet, tree, held)
    got = fleets.applied(tree, outcome)
    stands = {item.path for item in outcome.plan.held}
    assert {path: got[path] for path in stands} == {path: tree[path] for path in stands}
    conflict = any(item.rule == "route-conflict" for item in outcome.plan.findings)
    gone = any(item.path.startswith("pipy/config/clusters/") and item.action == "delete" for item in outcome.plan.held)
    if not conflict and not gone:
        rest = (wanted.keys() | got.keys()) - stands
        assert {path: got.get(path) for path in rest} == {path: wanted.get(path) for path in rest}


# --- the tutorial's shared files -------------------------------------------------------------------------------------

ROUTER, BALANCER, OWN = "pipy/config/router.json", "pipy/config/balancer.json", "pipy/config/publishers/edge.json"


@pytest.fixture
def tutorial(fleet: Any) -> Any:
    """Give the same fleet in the tutorial's layout."""
    fleet.settings["layout"] = "tutorial"
    return fleet


def edit(tree: Mapping[str, bytes], path: str, part: str, **entries: Any) -> dict[str, bytes]:
    """Change entries of a shared file; None removes one."""
    document = json.loads(tree[path])
    entries = {name.replace("_", "/"): value for name, value in entries.items()}
    document[part] = {name: value for name, value in {**document[part], **entries}.items() if value is not None}
    return {**tree, path: json.dumps(document, indent=2).encode()}


EDITS = [
    (BALANCER, "services", {"flask": ["10.0.0.1:31193"]}),
    (BALANCER, "services", {"flask": None}),
    (BALANCER, "services", {"flask": []}),
    (ROUTER, "routes", {"_env_*": "other"}),
    (ROUTER, "routes", {"_env_*": None}),
]


@pytest.mark.parametrize(("path", "part", "entries"), EDITS)
@pytest.mark.parametrize("refuse", [False, True])
def test_an_edited_entry_holds_its_service(
    fleets: ModuleType, tutorial: Any, path: str, part: str, entries: dict[str, Any], refuse: bool
) -> None:
    """It stays as the person left it while the rest goes on; resume writes it again, and the next run is calm."""
    tree = edit(fleets.publish(tutorial), path, part, **entries)
    changed(tutorial)
    history = History({path: WORD})
    outcome = build(fleets, tutorial, tree, history)
    assert history.asked.count(path) == 1
    assert [(item.name, item.path, item.word) for item in outcome.plan.held] == [(f"service {FLASK}", path, WORD)]
    after = fleets.applied(tree, outcome)
    name, value = next(iter(entries.items()))
    assert json.loads(after[path])[part].get(name.replace("_", "/")) == value
    assert "10.9.9.9:31194" in json.loads(after[BALANCER])["services"]["web"]
    if refuse:
        tutorial.settings["guards"] = {"onRefusal": "stop"}
        tutorial.clusters["a"].services.pop(WEB)
        tutorial.clusters["b"].services.pop(WEB)
        stopped = build(fleets, tutorial, after, history)
        assert stopped.plan.refusals
        assert stopped.plan.files == ()
        return
    again = build(fleets, tutorial, after, history)
    assert again.plan.files == ()
    assert [item.name for item in again.plan.held] == [f"service {FLASK}"]
    resumed = build(fleets, tutorial, after, history, FLASK)
    assert resumed.plan.resumed == (FLASK,)
    written = fleets.applied(after, resumed)
    assert written == fleets.publish(tutorial)
    calm = build(fleets, tutorial, written, history)
    assert (calm.plan.files, calm.plan.held) == ((), ())


def test_edits_of_entries_of_others_hold_nothing(fleets: ModuleType, tutorial: Any) -> None:
    """Nor are they undone."""
    tree = edit(fleets.publish(tutorial), BALANCER, "services", theirs=["10.1.1.1:80"])
    tree = edit(tree, ROUTER, "routes", _theirs="theirs")
    history = History({BALANCER: WORD, ROUTER: WORD})
    tree = fleets.applied(tree, build(fleets, tutorial, tree, history))
    outcome = build(fleets, changed(tutorial), tree, history)
    assert outcome.plan.held == ()
    after = fleets.applied(tree, outcome)
    assert json.loads(after[BALANCER])["services"]["theirs"] == ["10.1.1.1:80"]
    assert json.loads(after[ROUTER])["routes"]["/theirs"] == "theirs"
    assert "10.9.9.9:31193" in json.loads(after[BALANCER])["services"]["flask"]


def test_a_refused_service_is_not_taken_for_an_edited_one(fleets: ModuleType, tutorial: Any) -> None:
    """Its entries and what our own file says of it still fit."""
    tree = fleets.publish(tutorial)
    tutorial.settings["guards"] = {}
    for cluster in tutorial.clusters.values():
        del cluster.services[FLASK]
    changed(tutorial)
    for _ in range(2):
        outcome = build(fleets, tutorial, tree)
        assert [item.allow for item in outcome.plan.refusals] == [f"deleted-service={FLASK}"]
        assert outcome.plan.held == ()
        tree = fleets.applied(tree, outcome)
        assert "flask" in json.loads(tree[BALANCER])["services"]
    assert outcome.plan.files == ()


def test_a_word_on_our_own_file_holds_all_of_the_layout(fleets: ModuleType, tutorial: Any) -> None:
    """A revert of our commit takes all three files back; they stay so, also where entries do not fit."""
    tree = fleets.publish(tutorial)
    changed(tutorial)
    assert build(fleets, tutorial, tree, [OWN]).plan.files == ()
    edited = edit(tree, BALANCER, "services", flask=[])
    outcome = build(fleets, tutorial, edited, [OWN, BALANCER])
    assert outcome.plan.files == ()
    assert {item.path for item in outcome.plan.held} == {OWN, BALANCER}
    resumed = build(fleets, tutorial, edited, [OWN, BALANCER], pipeline.ALL)
    assert fleets.applied(edited, resumed) == fleets.publish(tutorial)


@limits(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    steps=st.lists(st.lists(st.integers(0, 2**16), min_size=1, max_size=4), min_size=1, max_size=4),
    chosen=st.integers(0, 2**32),
    own=st.booleans(),
)
def test_a_persons_entries_stand(fleets: ModuleType, seed: int, steps: list[list[int]], chosen: int, own: bool) -> None:
    """Whatever happens, edited entries stay, the run ends, and the next has nothing to do.

    But for an entry that the fleet comes to agree with: nothing tells it from ours any more.
    """
    fleet = fleets.make(seed, "tutorial")
    rng = random.Random(chosen)
    if rng.random() < 0.5:
        fleet.settings["guards"] = {"onRefusal": rng.choice(["stop", "hold-back"])}
    tree = fleets.publish(fleet)
    published = sorted(json.loads(tree[BALANCER])["services"].items())
    edits = {
        name: rng.choice([None, ["10.250.0.1:1"], [*targets, "10.250.0.1:1"]]) for name, targets in published if targets
    }
    tree = edit(tree, BALANCER, "services", **edits)
    said = {path: WORD for path in (OWN, BALANCER) if path == BALANCER or own}
    for numbers in steps:
        for number in numbers:
            fleets.step(fleet, number)
        outcome = build(fleets, fleet, tree, History(said))
        tree = fleets.applied(tree, outcome)
        services = json.loads(tree[BALANCER])["services"]
        assert {name: services.get(name) for name in edits} == edits
        assert build(fleets, fleet, tree, History(said)).plan.files == ()


def test_what_is_only_written_another_way_waits_too(fleets: ModuleType) -> None:
    """A commit of some of a plan holds no file of the rest, though nothing but its looks would change."""
    fleet = fleets.Fleet()
    services = {"default/flask": fleets.ServiceModel(31193)}
    fleet.clusters["member1"] = fleets.ClusterModel(nodes={"n1": fleets.NodeModel("10.0.0.1")}, services=services)
    fleet.settings["services"] = {"default/flask": {"routes": ["/env/*"]}}
    path = "pipy/config/services/default.flask.json"
    tree = fleets.publish(fleet)
    tree[path] = json.dumps(json.loads(tree[path])).encode()
    fleet.clusters["member1"].nodes["n2"] = fleets.NodeModel("10.0.0.2")
    policy = settings.load(fleets.settings_of(fleet))
    topology = fleets.read(fleet)
    whole = pipeline.build(policy, b"", topology, tree)
    assert {file.path for file in whole.plan.files} == {path, fleets.cluster_file("member1")}
    part = pipeline.build(
        policy, b"", topology, tree, pipeline.Past(), pipeline.Say(back=pipeline.without(whole, {"member1"}, policy))
    )
    assert [file.path for file in part.plan.files] == [fleets.cluster_file("member1")]
