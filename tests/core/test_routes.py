"""Routes: their text, hosts, grants, and who gets one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.core.model import Route, ServiceKey
from publisher.core.policy import Grant
from publisher.core.routes import Claim, RouteError, expand, granted, parse_route, winners
from publisher.resources import schema


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("/", "", "/"),
        ("/*", "", "/*"),
        ("/env", "", "/env"),
        ("/env/*", "", "/env/*"),
        ("/a/b/c", "", "/a/b/c"),
        ("/a.b/..c/...", "", "/a.b/..c/..."),
        ("/v1:check/x@y;z=1/~me/a,b/(c)", "", "/v1:check/x@y;z=1/~me/a,b/(c)"),
        ("/%E4%BD%A0", "", "/%E4%BD%A0"),
        ("example.com/", "example.com", "/"),
        ("Example.COM/Env/*", "example.com", "/Env/*"),
        ("*.example.com/*", "*.example.com", "/*"),
        ("a/b", "a", "/b"),
        ("10.0.0.1/x", "10.0.0.1", "/x"),
        ("xn--fsq.example/x", "xn--fsq.example", "/x"),
    ],
)
def test_reads(text: str, host: str, path: str) -> None:
    """Host and path; hosts have no case, paths have."""
    route = parse_route(text)
    assert route == Route(host, path)
    assert parse_route(str(route)) == route


@pytest.mark.parametrize(
    "text",
    [
        "env*/x",
        "/env*",
        "/*/x",
        "/a*b",
        "/**",
        "/a/**",
        "/..",
        "/../etc",
        "/a/../b",
        "/a/..",
        "/./a",
        "/a/./b",
        "/a/.",
        "/a/../*",
        "/a b",
        "/a\n",
        "/a\x00",
        "/ä",
        "/a?b=c",
        "/a#b",
        '/a"b',
        "/a\\b",
        "*/x",
        "*.*.example.com/x",
        "ex*mple.com/x",
        "-a.com/x",
        "a-.com/x",
        "a..com/x",
        ".com/x",
        "a.com./x",
        "a_b.com/x",
        "a.com:80/x",
        "user@a.com/x",
        "http://a.com/x",
        "[::1]/x",
        "ä.com/x",
        f"{'a' * 254}/x",
    ],
)
def test_refuses(text: str) -> None:
    """A star stands for a rest, at the end; no way up; hosts are names."""
    with pytest.raises(RouteError):
        parse_route(text)


@given(st.text(max_size=30) | st.from_regex(r"[a-z*.]{0,8}/[a-z./*%-]{0,12}"))
def test_what_is_read_can_be_written(text: str) -> None:
    """Every route that is read fits the schema of a service file, and reads back as itself."""
    try:
        route = parse_route(text)
    except RouteError:
        return
    host = {"host": route.host} if route.host else {}
    document = {
        "service": "a/b",
        "publisher": "p",
        "routes": [{**host, "path": route.path, "port": "http"}],
        "clusters": {"$end": True},
    }
    assert schema("service").accepts(document)
    assert parse_route(str(route)) == route
    assert not re.search(r"(^|/)\.\.?(/|$)", route.path)


@pytest.mark.parametrize(
    ("routes", "hosts", "expected"),
    [
        ([], [], []),
        (["/a"], [], ["/a"]),
        (["/b", "/a"], [], ["/a", "/b"]),
        ([], ["x.com"], ["x.com/*"]),
        (["/a", "/b"], ["x.com", "y.com"], ["x.com/a", "x.com/b", "y.com/a", "y.com/b"]),
        (["/a", "z.com/b"], ["x.com"], ["x.com/a", "z.com/b"]),
        (["x.com/a", "/a"], ["x.com"], ["x.com/a"]),
        (["/a"], ["*.x.com"], ["*.x.com/a"]),
        (["/a", "/a"], [], ["/a"]),
    ],
)
def test_expands(routes: list[str], hosts: list[str], expected: list[str]) -> None:
    """Each path with each host; a route with a host of its own keeps it; no route twice."""
    assert [str(route) for route in expand(routes, hosts)] == expected
    assert expand(reversed(routes), reversed(hosts)) == expand(routes, hosts)


ANY = Grant(("team-a",))
GRANTS = [
    ("/x", "team-a", [ANY], True),
    ("/x", "team-b", [ANY], False),
    ("/x", "team-a", [], False),
    ("any.com/x", "team-a", [ANY], True),
    ("/x", "team-a", [Grant(("team-*",))], True),
    ("/x", "other", [Grant(("team-*",))], False),
    ("/x", "team-a", [Grant(("team-[ab]",))], True),
    # hosts
    ("a.com/x", "team-a", [Grant(("*",), ("a.com",))], True),
    ("b.com/x", "team-a", [Grant(("*",), ("a.com",))], False),
    ("x.a.com/x", "team-a", [Grant(("*",), ("a.com",))], False),
    ("/x", "team-a", [Grant(("*",), ("a.com",))], False),
    ("*.a.com/x", "team-a", [Grant(("*",), ("a.com",))], False),
    ("x.a.com/x", "team-a", [Grant(("*",), ("*.a.com",))], True),
    ("x.y.a.com/x", "team-a", [Grant(("*",), ("*.a.com",))], True),
    ("*.a.com/x", "team-a", [Grant(("*",), ("*.a.com",))], True),
    ("*.y.a.com/x", "team-a", [Grant(("*",), ("*.a.com",))], True),
    ("a.com/x", "team-a", [Grant(("*",), ("*.a.com",))], False),
    ("xa.com/x", "team-a", [Grant(("*",), ("*.a.com",))], False),
    ("*.com/x", "team-a", [Grant(("*",), ("*.a.com",))], False),
    ("/x", "team-a", [Grant(("*",), ("*.a.com",))], False),
    # paths
    ("/env/x", "team-a", [Grant(("*",), (), ("/env/*",))], True),
    ("/env/*", "team-a", [Grant(("*",), (), ("/env/*",))], True),
    ("/env/x/*", "team-a", [Grant(("*",), (), ("/env/*",))], True),
    ("/env/", "team-a", [Grant(("*",), (), ("/env/*",))], True),
    ("/env", "team-a", [Grant(("*",), (), ("/env/*",))], False),
    ("/environment", "team-a", [Grant(("*",), (), ("/env/*",))], False),
    ("/*", "team-a", [Grant(("*",), (), ("/env/*",))], False),
    ("/env", "team-a", [Grant(("*",), (), ("/env",))], True),
    ("/env/x", "team-a", [Grant(("*",), (), ("/env",))], False),
    ("/env/*", "team-a", [Grant(("*",), (), ("/env",))], False),
    ("/anything", "team-a", [Grant(("*",), (), ())], False),
    # a grant counts as a whole
    ("a.com/y", "team-a", [Grant(("*",), ("a.com",), ("/x",)), Grant(("*",), ("b.com",), ("/y",))], False),
    ("b.com/y", "team-a", [Grant(("*",), ("a.com",), ("/x",)), Grant(("*",), ("b.com",), ("/y",))], True),
    ("a.com/x", "team-a", [Grant(("team-b",), ("a.com",)), Grant(("team-a",), ("b.com",))], False),
]


@pytest.mark.parametrize(("text", "namespace", "grants", "expected"), GRANTS)
def test_grants(text: str, namespace: str, grants: list[Grant], expected: bool) -> None:
    """Namespace, host and path have to be in one grant; a wildcard covers what is below it, not itself."""
    assert granted(parse_route(text), namespace, grants) is expected


def claim(
    service: str, *, movable: bool = True, tenant: bool = True, newcomer: bool = True, created: str = "2"
) -> Claim:
    """Make a claim as weak as they come."""
    return Claim(movable, tenant, newcomer, created, ServiceKey(service))


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (claim("z/z", created="1"), claim("a/a", created="2")),
        (claim("z/z", created="2", newcomer=False), claim("a/a", created="1")),
        (claim("z/z", tenant=False), claim("a/a", newcomer=False, created="1")),
        (claim("z/z", movable=False, newcomer=False), claim("a/a", tenant=False)),
        (claim("a/a"), claim("z/z")),
    ],
)
def test_one_claim_wins(winner: Claim, loser: Claim) -> None:
    """What has to stay, then publisher.yaml, then who has it, then the oldest, then the name."""
    route = parse_route("/x")
    assert winners({route: [loser, winner]}) == winners({route: [winner, loser]}) == {route: winner}
