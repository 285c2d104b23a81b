"""Versions, differences and bundles of codebases."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.core.codebase import (
    BUNDLE,
    Difference,
    Holding,
    Version,
    below,
    bundle,
    difference,
    parse,
    put_back,
    refused_in,
    short,
    unloadable,
)

A, B, C = "a" * 40, "b" * 40, "c" * 64

commits = st.integers(0, 16**40 - 1).map(lambda number: f"{number:040x}")
plain = st.builds(Version, commits, st.booleans())
versions = st.builds(Version, commits, st.booleans(), st.none() | plain)
codebases = st.dictionaries(st.sampled_from([f"f{number}" for number in range(8)]), st.binary(max_size=2))


@given(versions)
def test_what_is_written_is_read(version: Version) -> None:
    """A version says the same after a way through the Repo."""
    assert parse(str(version)) == version


@given(versions, plain)
def test_put_back_names_both(before: Version, refused: Version) -> None:
    """The version of what is put back has the commit that it is, and the one that was refused, and no older one."""
    found = parse(put_back(str(before), refused))
    assert found == Version(before.commit, before.bundled, refused)


@pytest.mark.parametrize(
    ("version", "text"),
    [
        (Version(A), A),
        (Version(C), C),
        (Version(A, bundled=True), f"{A}+bundle"),
        (Version(A, refused=Version(B, bundled=True)), f"{A}+revert-of-{B}+bundle"),
    ],
)
def test_versions_as_the_repo_has_them(version: Version, text: str) -> None:
    """The forms that are documented."""
    assert str(version) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "17",
        A[1:],
        A.upper(),
        f"{A}a",
        f"v{A}",
        f"{A}+bundle+bundle",
        f"{A}+revert-of-",
        f"{A}+revert-of-{B[1:]}",
        f"{A}+revert-of-{B}+revert-of-{A}",
        f"{A}+other",
        f"+revert-of-{A}",
        f"{A}\n",
    ],
)
def test_versions_of_others(text: str) -> None:
    """What we did not write is not taken for ours."""
    assert parse(text) is None


def test_what_was_refused_in_place_of_what_others_made() -> None:
    """It is remembered whoever made what was put back."""
    assert refused_in(put_back("theirs", Version(B))) == Version(B)
    assert refused_in("theirs") is None


def test_versions_for_people() -> None:
    """Seven digits of a commit; what is not ours as it is."""
    assert [short(text) for text in (A, f"{A}+bundle", f"{A}+revert-of-{B}", "theirs", "")] == [
        "aaaaaaa",
        "aaaaaaa+bundle",
        "aaaaaaa in place of bbbbbbb",
        "theirs",
        "",
    ]


@given(codebases, codebases)
def test_a_difference_makes_one_of_the_other(has: dict[str, bytes], wanted: dict[str, bytes]) -> None:
    """Applied to what is there it gives what is wanted, and nothing in it is for nothing."""
    found = difference(has, wanted)
    made = {path: data for path, data in has.items() if path not in found.deletions}
    made |= {path: wanted[path] for path in found.uploads}
    assert made == wanted
    assert all(has.get(path) != wanted[path] for path in found.uploads)
    assert set(found.deletions) <= has.keys() - wanted.keys()
    assert bool(found) is (has != wanted)


@given(codebases, st.sets(st.sampled_from([f"f{number}" for number in range(8)])))
def test_what_is_not_known_is_uploaded(wanted: dict[str, bytes], unknown: set[str]) -> None:
    """A file of which nobody knows what is in it counts as different."""
    found = difference({**wanted, **dict.fromkeys(unknown)}, wanted)
    assert found == Difference(tuple(sorted(unknown & wanted.keys())), tuple(sorted(unknown - wanted.keys())))


def test_a_bundle_joins_what_is_generated() -> None:
    """Clusters and services by the names of their files; the rest as it is, deeper folders too."""
    rest = {
        "main.js": b"x",
        "config/proxy.json": b"{}",
        "config/services/README.md": b"#",
        "config/services/a/b.json": b"1",
    }
    made = bundle(
        {
            **rest,
            "config/clusters/m1.json": b'{"cluster": "m1"}',
            "config/services/default.flask.json": b'{"service": "default/flask"}',
        }
    )
    assert json.loads(made.pop(BUNDLE)) == {
        "clusters": {"m1": {"cluster": "m1"}},
        "services": {"default.flask": {"service": "default/flask"}},
    }
    assert made == rest


def test_nothing_to_bundle() -> None:
    """Without generated files of the native layout there is no bundle, and the program reads what there is."""
    files = {"main.js": b"x", "config/router.json": b"{}"}
    assert bundle(files) == files


def test_the_codebase_of_a_commit() -> None:
    """What lies below its folder, and no neighbour of a similar name."""
    assert below({"pipy/main.js": b"1", "pipy/a/b": b"2", "pipy2/main.js": b"3", "pipy": b"4"}, "pipy") == {
        "main.js": b"1",
        "a/b": b"2",
    }


@pytest.mark.parametrize("name", ["a b.json", "a\tb", "a%20b", "a%b", "a\x01b", "a\ufffdb"])
def test_names_that_workers_cannot_fetch(name: str) -> None:
    """They ask for a path as it is: one such file, and no worker can start."""
    (found,) = unloadable({"main.js": b"", name: b""}, "pipy")
    assert (found.where, found.rule) == (f"pipy/{name}", "unfetchable")


def test_names_that_workers_fetch() -> None:
    """Anything else is as good as the next."""
    assert unloadable({"main.js": b"", "a?b": b"", "ü/#.json": b""}, "pipy") == ()


def test_a_program_is_needed() -> None:
    """Without main.js there is nothing to start."""
    assert [item.rule for item in unloadable({"config/proxy.json": b"{}"}, "pipy")] == ["main-missing"]


@pytest.mark.parametrize(
    ("holding", "empty"),
    [
        (Holding(), True),
        (Holding("0", frozenset({"main.js"})), True),
        (Holding("0", frozenset({"main.js", "b"})), False),
        (Holding("1", frozenset({"main.js"})), False),
    ],
)
def test_what_nobody_has_published(holding: Holding, empty: bool) -> None:
    """A codebase as Pipy creates it is nobody's."""
    assert holding.empty is empty
