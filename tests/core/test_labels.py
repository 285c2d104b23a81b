"""Label selectors mean what they mean to Kubernetes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.core.labels import SelectorError, parse, selects

LABELS = {"env": "prod", "tier": "web", "empty": "", "example.com/zone": "eu-1"}

MATCHING = [
    "",
    "  ",
    "env",
    "env=prod",
    "env==prod",
    "env = prod",
    " env=prod , tier=web ",
    "env!=dev",
    "absent!=anything",
    "absent notin (a,b)",
    "!absent",
    "! absent",
    "env in (prod)",
    "env in (dev, prod)",
    "env in ( dev ,prod )",
    "env in(prod)",
    "tier notin (api)",
    "empty=",
    "empty",
    "empty in (,)",
    "empty in (a,)",
    "example.com/zone=eu-1",
    "example.com/zone in (eu-1),!absent,tier",
    "env=prod\n",
]
NOT_MATCHING = [
    "absent",
    "env=dev",
    "env=",
    "env!=prod",
    "!env",
    "env notin (prod, dev)",
    "env in (dev)",
    "env in (PROD)",
    "absent=",
    "absent in (a)",
    "zone=eu-1",
    "env=prod,tier=api",
]
WRONG = [
    ",",
    "env,",
    ",env",
    "env,,tier",
    "env=prod,",
    "=prod",
    "env=a b",
    "env=(prod)",
    "env in prod",
    "env in ()",
    "env notin ()",
    "env in (prod",
    "env in (a b)",
    "env in (-a)",
    "env in (prod))",
    "env in (a;b)",
    "!env=prod",
    "-env",
    "env-",
    "env/=x",
    "/env",
    "a/b/c",
    "env=-prod",
    "env=prod-",
    "env=ü",
    "Example.com/zone",
    "exa_mple.com/zone",
    "example..com/zone",
    "env~prod",
    "k" * 64,
    f"env={'v' * 64}",
    f"env in ({'v' * 64})",
]


@pytest.mark.parametrize("text", MATCHING)
def test_matches(text: str) -> None:
    """All terms hold; an absent key holds for a negated one."""
    assert selects(parse(text), LABELS)


@pytest.mark.parametrize("text", NOT_MATCHING)
def test_does_not_match(text: str) -> None:
    """One term that does not hold is enough."""
    assert not selects(parse(text), LABELS)


@pytest.mark.parametrize("text", WRONG)
def test_is_refused(text: str) -> None:
    """What `kubectl -l` refuses is refused, rather than read as something else."""
    with pytest.raises(SelectorError):
        parse(text)


@pytest.mark.parametrize("key", ["in", "notin", "a", "A.b_c-d", "0", "k" * 63, "a.b/" + "k" * 63, "x--y"])
def test_keys(key: str) -> None:
    """Words of the language are keys as well, and keys may be 63 characters long."""
    assert selects(parse(f"{key} in (v)"), {key: "v"})
    assert selects(parse(f"{key}=v,{key},{key}!=w"), {key: "v"})


@given(st.text(alphabet="abin not(),=!/.- \n", max_size=24))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else is raised."""
    try:
        selects(parse(text), LABELS)
    except SelectorError as error:
        assert text.strip()
        assert str(error)


TERM = st.tuples(
    st.sampled_from(["env", "tier", "absent"]),
    st.sampled_from(["=", "==", "!=", "in", "notin", "has", "hasnot"]),
    st.lists(st.sampled_from(["prod", "web", "x", ""]), min_size=1, max_size=3),
)


@given(st.lists(TERM, max_size=4), st.dictionaries(st.sampled_from(["env", "tier"]), st.sampled_from(["prod", "web"])))
def test_means_what_kubernetes_means(terms: list[tuple[str, str, list[str]]], labels: dict[str, str]) -> None:
    """Against the rules of labels.Requirement.Matches, written out."""
    texts = []
    expected = True
    for key, sign, values in terms:
        if sign in ("in", "notin"):
            # a lone empty value cannot be told from no value at all
            shown = values if any(values) else ["x"]
            texts.append(f"{key} {sign} ({','.join(shown)})")
            found = key in labels and labels[key] in shown
            expected &= found if sign == "in" else not found
        elif sign in ("has", "hasnot"):
            texts.append(key if sign == "has" else f"!{key}")
            expected &= (key in labels) == (sign == "has")
        else:
            texts.append(f"{key}{sign}{values[0]}")
            expected &= (key in labels and labels[key] == values[0]) != (sign == "!=")
    assert selects(parse(",".join(texts)), labels) == expected
