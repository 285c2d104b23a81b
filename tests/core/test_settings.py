"""publisher.yaml: the whole example, every default, and every mistake with its line, all at once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher import settings as publisher_yaml
from publisher.core.policy import (
    Access,
    ClusterSelect,
    GitPolicy,
    Grant,
    Karmada,
    Layout,
    NodeSelect,
    Policy,
    Select,
    ServicePolicy,
    ServiceSelect,
)
from publisher.errors import SettingsError

EXAMPLE = """\
# yaml-language-server: $schema=schemas/publisher.schema.json
publisher: edge                  # id of this publisher: owner of what it generates
karmada:
  context: karmada-apiserver     # kubeconfig context
  access: proxy                  # proxy: through the Karmada API server | direct: secretRef
  concurrency: 16
  insecureSkipTLSVerification: true
  clusters: {labels: "env=prod", exclude: [member9]}
select:
  namespaces: [default, "team-*"]
  services: {labels: "app=flask", annotated: true}   # annotated: true takes only Services marked publish: "true"
  nodes: {labels: "edge=true", addresses: [ExternalIP, InternalIP], families: [IPv6, IPv4]}
services:                        # what stands here wins over the Service's annotations
  default/flask:
    publish: true
    port: http                   # name or number; the only port where there is one
    routes: ["/env/*"]           # Pipy URLRouter patterns; with hosts: "host/path"
    hosts: [env.example.com]
    weights: {member1: 90, member2: 10}   # per cluster; 100 where nothing is said; 0 takes no new traffic
  default/numbered: {port: 8080, routes: [a.com/x, "*.a.com/"]}
  default/off: {publish: false}
  default/bare:
grants:
  - namespaces: ["team-*"]
    hosts: ["*.team.example.com"]
    paths: [/team/*]
  - namespaces: [default]
allowedNetworks: [10.0.0.0/8, "2001:db8::/32"]
annotationPrefix: example.com/
layout: tutorial                 # native | tutorial
output: proxies/edge             # the codebase's folder in the repository
git: {branch: release/1.x, author: "Config Publisher <publisher@example.com>"}
publish: {mode: direct}
"""


def test_the_whole_example() -> None:
    """Every key ends up in its place."""
    assert publisher_yaml.load(EXAMPLE.encode()) == Policy(
        publisher="edge",
        karmada=Karmada("karmada-apiserver", Access.PROXY, 16, ClusterSelect("env=prod", ("member9",)), insecure=True),
        select=Select(
            ("default", "team-*"),
            ServiceSelect("app=flask", annotated=True),
            NodeSelect("edge=true", ("ExternalIP", "InternalIP"), ("IPv6", "IPv4")),
        ),
        services={
            "default/flask": ServicePolicy(
                publish=True,
                port="http",
                routes=("/env/*",),
                hosts=("env.example.com",),
                weights={"member1": 90, "member2": 10},
            ),
            "default/numbered": ServicePolicy(port="8080", routes=("a.com/x", "*.a.com/")),
            "default/off": ServicePolicy(publish=False),
            "default/bare": ServicePolicy(),
        },
        grants=(Grant(("team-*",), ("*.team.example.com",), ("/team/*",)), Grant(("default",), (), ("/*",))),
        allowed_networks=("10.0.0.0/8", "2001:db8::/32"),
        annotation_prefix="example.com/",
        layout=Layout.TUTORIAL,
        output="proxies/edge",
        git=GitPolicy("release/1.x", "Config Publisher <publisher@example.com>"),
    )


def test_every_key_but_publisher_has_a_default() -> None:
    """And the schema tells the same defaults."""
    policy = publisher_yaml.load(b"publisher: edge")
    assert policy == Policy("edge")
    schema = json.loads((Path(__file__).parents[2] / "schemas/publisher.schema.json").read_bytes())["properties"]
    karmada, select = schema["karmada"]["properties"], schema["select"]["properties"]
    assert karmada["access"]["default"] == policy.karmada.access
    assert karmada["concurrency"]["default"] == policy.karmada.concurrency
    assert karmada["insecureSkipTLSVerification"]["default"] == policy.karmada.insecure
    assert tuple(select["namespaces"]["default"]) == policy.select.namespaces
    assert select["services"]["properties"]["annotated"]["default"] == policy.select.services.annotated
    assert tuple(select["nodes"]["properties"]["addresses"]["default"]) == policy.select.nodes.addresses
    assert tuple(select["nodes"]["properties"]["families"]["default"]) == policy.select.nodes.families
    assert tuple(schema["grants"]["items"]["properties"]["paths"]["default"]) == Grant(()).paths
    assert schema["annotationPrefix"]["default"] == policy.annotation_prefix
    assert schema["layout"]["default"] == policy.layout
    assert schema["output"]["default"] == policy.output
    assert schema["git"]["properties"]["branch"]["default"] == policy.git.branch
    assert schema["git"]["properties"]["author"]["default"] == policy.git.author


MISTAKES: list[tuple[str, int, str]] = [
    # text below "publisher: edge", line of the finding, what it has to say
    ("karmda: {}", 2, "karmda: unknown key 'karmda' (did you mean 'karmada'?)"),
    ("\nkarmada:\n  contxt: x", 4, "karmada.contxt: unknown key 'contxt' (did you mean 'context'?)"),
    ("karmada:\n  clusters:\n    label: x", 4, "did you mean 'labels'?"),
    ("select:\n  node: {}", 3, "did you mean 'nodes'?"),
    ("services:\n  default/flask:\n    route: [/x]", 4, "services.default/flask.route: unknown key 'route' (did you"),
    ("services:\n  default/flask:\n    routes: [/x]\n    zzz: 1", 5, "known here: publish, port, routes, hosts, w"),
    ("git: {brunch: x}", 2, "did you mean 'branch'?"),
    ("publish:\n  mode: auto\n  refspec: '{commit}:refs/for/main'", 4, "publish.refspec: it asks for review with"),
    ("publish:\n  refspec: '{commit}:refs/for/main'\n  mode: pull-request", 3, "is pull-request (leave out refspec"),
    ("publish:\n  direct: [routes]", 3, "publish.direct: it says what needs no review in mode auto, and"),
    ("publish:\n  direct: []\n  mode: pull-request", 3, "pull-request (set mode: auto, or leave out direct"),
    ("grants:\n  - namespaces: [a]\n  - {namespaces: [b], host: []}", 4, "did you mean 'hosts'?"),
    ('"²": 1', 2, "unknown key '²'"),
    ('"1": 1', 2, "unknown key '1'"),
    ('"a\\nb\\u2028": 1', 2, "unknown key 'a\\nb\\u2028'"),
    ("karmada: {}\n1: 1", 3, "1 is not text"),
    ("karmada: {}\n2024-01-01: 1", 3, "2024-01-01 is not text"),
    ("services:\n  default/flask:\n    weights:\n      123: 1", 5, "123 is not text"),
    ("karmada: {}\n? [a, b]\n: 1", 3, "is not text"),
    ("karmada: []", 2, "karmada: [] is not a map"),
    ("karmada:", 2, "karmada: null is not a map"),
    ("karmada: {access: search}", 2, "karmada.access: \"search\" is not one of proxy, direct"),
    ("karmada: {concurrency: 0}", 2, "0 has to be at least 1"),
    ("karmada: {concurrency: 257}", 2, "257 has to be at most 256"),
    ("karmada: {concurrency: 1.5}", 2, "1.5 is not a whole number"),
    ("karmada: {concurrency: .inf}", 2, "inf is not a number that can be used"),
    ("karmada: {concurrency: .nan}", 2, "nan is not a number that can be used"),
    ("karmada: {concurrency: true}", 2, "true is not a whole number"),
    ("karmada: {insecureSkipTLSVerification: yes}", 2, "is not true or false"),
    ("karmada: {context: 2024-01-01}", 2, "karmada.context: \"2024-01-01\" is not text"),
    ("karmada: {context: !!binary aGk=}", 2, "karmada.context"),
    ("karmada: {context: !!set {a}}", 2, "karmada.context"),
    ("karmada:\n  clusters:\n    labels: 'env in'", 4, "karmada.clusters.labels: not a label selector at 'env in'"),
    ("karmada:\n  clusters:\n    labels: 'env in (a b)'", 4, "not a label selector"),
    ("karmada: {clusters: {exclude: member9}}", 2, "\"member9\" is not a list"),
    ("karmada: {clusters: {exclude: [a, a]}}", 2, "karmada.clusters.exclude"),
    ("select:\n  services:\n    labels: 'a,'", 4, "nothing after the last comma"),
    ("select:\n  nodes:\n    labels: '=x'", 4, "select.nodes.labels"),
    ("select:\n  nodes:\n    addresses: []", 4, "select.nodes.addresses"),
    ("select:\n  nodes:\n    addresses:\n    - InternalIP\n    - Hostname", 6, "\"Hostname\" is not one of"),
    ("select: {namespaces: [1]}", 2, "1 is not text"),
    ("services:\n  flask: {}", 2, "\"flask\" does not look as it has to"),
    ("services:\n  Default/flask: {}", 2, "\"Default/flask\" does not look as it has to"),
    ("services:\n  default/flask: []", 3, "[] is not a map or nothing"),
    ("services:\n  default/flask:\n    port: [80]", 4, "[80] is not text or a whole number"),
    ("services:\n  default/flask:\n    port: 80.5", 4, "80.5 is not text or a whole number"),
    ("services:\n  default/flask:\n    routes:\n    - /ok\n    - /a*b", 6, "'/a*b' is not a path such as /env"),
    ("services:\n  default/flask:\n    routes:\n    - /ok\n    - bad_host/x", 6, "'bad_host' is not a host name"),
    ("services:\n  default/flask:\n    routes: [/../x]", 4, "is not a path"),
    ("services:\n  default/flask:\n    hosts:\n    - a.com\n    - A.com", 6, "\"A.com\" does not look as it has to"),
    (f"services:\n  default/flask:\n    hosts:\n    - a.com\n    - {'a' * 300}", 6, "is not a host name"),
    ("services:\n  default/flask:\n    weights: {member1: -1}", 4, "-1 has to be at least 0"),
    ("services:\n  default/flask:\n    weights:\n      member1: 1\n      member2: 10000000", 6, "has to be at most"),
    ("services:\n  default/flask:\n    weights: {Member1: 1}", 4, "\"Member1\" does not look as it has to"),
    ("services: {default/flask: {publish: 'no'}}", 2, "\"no\" is not true or false"),
    ("grants: {}", 2, "{} is not a list"),
    ("grants:\n- hosts: [a.com]", 3, "namespaces is missing"),
    ("grants:\n- namespaces: []", 3, "grants.0.namespaces"),
    ("grants:\n- namespaces: [a]\n  hosts: ['*']", 4, "\"*\" does not look as it has to"),
    ("grants:\n- namespaces: [a]\n  paths: [env]", 4, "\"env\" does not look as it has to"),
    ("grants:\n- namespaces: [a]\n  paths:\n  - /ok\n  - /env*", 6, "'/env*' is not a path such as /env or /env/*"),
    ("grants:\n- namespaces: [a]\n  paths:\n  - /ok\n  - /../*", 6, "is not a path"),
    ("allowedNetworks:\n- 10.0.0.0/8\n- 10.0.0.1/8", 4, "10.0.0.1/8 has host bits set"),
    ("allowedNetworks: [lan]", 2, "'lan' does not appear to be an IPv4 or IPv6 network"),
    ("allowedNetworks: [10]", 2, "10 is not text"),
    ("annotationPrefix: example.com", 2, "\"example.com\" does not look as it has to"),
    ("layout: gateway", 2, "\"gateway\" is not one of native, tutorial"),
    ("output: ../up", 2, "\"../up\" does not look as it has to"),
    ("output: /abs", 2, "\"/abs\" does not look as it has to"),
    ("output: a//b", 2, "\"a//b\" does not look as it has to"),
    ("output: \"a\\n\"", 2, "does not look as it has to"),
    ("git: {branch: --upload-pack=x}", 2, "does not look as it has to"),
    ("git: {author: nobody}", 2, "\"nobody\" does not look as it has to"),
    ("git: {author: \"a <b>\\nX: y\"}", 2, "does not look as it has to"),
    ("publish: {mode: sometimes}", 2, "\"sometimes\" is not one of direct, pull-request, auto"),
    # what is not YAML
    ("karmada: {", 2, "not YAML"),
    ("karmada: [1, 2", 2, "not YAML"),
    ("  indented: 1", 2, "not YAML"),
    ("layout: native\nlayout: native", 3, "not YAML: found duplicate key \"layout\""),
    ("layout: *nobody", 2, "not YAML: found undefined alias"),
    ("layout: !!python/object:os.system x", 2, "not YAML"),
    ("layout: \"\\ud800\"", 2, "half of a character"),
    ("x: \x07", 2, "not YAML"),
    ("karmada: {context: 2024-99-99}", 2, "not YAML"),
    ("karmada: {context: 2024-01-01T99:00:00Z}", 2, "not YAML"),
    ("karmada: {concurrency: !!int many}", 2, "not YAML"),
    ("karmada: {concurrency: !!float many}", 2, "not YAML"),
    ("karmada: {concurrency: !!bool many}", 2, "not YAML"),
    ("karmada: {context: !!timestamp many}", 2, "not YAML"),
    (f"karmada: {{concurrency: {'9' * 5000}}}", 2, "not YAML"),
    ("karmada: &a {clusters: *a}", 2, "it stands within itself"),
    ("karmada: " + "[" * 5000, 1, "not YAML: nested too deep"),
    ("---\npublisher: two", 2, "not YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "words"), MISTAKES, ids=[item[0][:40] for item in MISTAKES])
def test_a_mistake_is_told_with_its_line(text: str, line: int, words: str) -> None:
    """One finding for one mistake, and no other exception whatever stands there."""
    policy, found = publisher_yaml.check(f"publisher: edge\n{text}\n".encode())
    assert policy is None
    (finding,) = found
    assert words in str(finding), str(finding)
    assert (finding.where, finding.severity) == ("publisher.yaml", "error")
    if "not YAML" not in words:
        assert finding.pointer == f"line {line}"
    else:
        assert re.fullmatch(r"line [123]", finding.pointer)
    assert "\n" not in str(finding)
    assert len(str(finding)) < 500


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "null is not a map"),
        (b"# nothing\n", "null is not a map"),
        (b"[]", "[] is not a map"),
        (b"edge", '"edge" is not a map'),
        (b"{}", "publisher is missing"),
        (b"2024-01-01: 1", "2024-01-01 is not text"),
        (b"publisher: \xff", "not UTF-8 text"),
        (b"publisher: Edge", "does not look as it has to"),
        (b"publisher: edge-", "does not look as it has to"),
        (b"publisher: 5", "5 is not text"),
        (b'publisher: "edge\\n"', "does not look as it has to"),
        (b"publisher: " + b"a" * 64, "does not look as it has to"),
        (b"&a [*a]", "it stands within itself"),
    ],
)
def test_the_whole_file(data: bytes, words: str) -> None:
    """Empty, something else, or not ours."""
    policy, found = publisher_yaml.check(data)
    assert policy is None
    assert words in " ".join(map(str, found))


def test_all_mistakes_at_once_in_the_order_of_the_file() -> None:
    """A person mends them in one go."""
    text = "\n".join(
        (
            "publisher: Edge",
            "karmada: {concurrency: 0, contxt: x}",
            "select:",
            "  nodes: {families: [IPv5]}",
            "services:",
            "  flask:",
            "    route: [x]",
            "layout: flat",
        )
    )
    with pytest.raises(SettingsError, match=r"publisher\.yaml: 7 things to mend") as caught:
        publisher_yaml.load(text.encode())
    lines = [finding.pointer for finding in caught.value.findings]
    assert lines == [f"line {number}" for number in (1, 2, 2, 4, 5, 7, 8)]
    assert caught.value.exit_code == 2


def test_all_values_that_no_schema_can_check_at_once() -> None:
    """Selectors, networks, routes, hosts and paths."""
    text = "\n".join(
        (
            "publisher: edge",
            "karmada: {clusters: {labels: '='}}",
            "select:",
            "  services: {labels: '='}",
            "  nodes: {labels: '='}",
            "services:",
            "  default/a:",
            "    routes: [/a*b]",
            "  default/b:",
            "    routes: [/ok, /..]",
            "allowedNetworks: [x]",
            "grants:",
            "- {namespaces: [a], paths: [/x*]}",
        )
    )
    _, found = publisher_yaml.check(text.encode())
    assert [finding.pointer for finding in found] == [f"line {number}" for number in (2, 4, 5, 8, 10, 11, 13)]


def test_a_weight_of_0_is_no_mistake() -> None:
    """Which other clusters there are, with a weight of 100, only the fleet can tell."""
    policy = publisher_yaml.load(b"publisher: edge\nservices: {default/flask: {weights: {member1: 0}}}")
    assert policy.services["default/flask"].weights == {"member1": 0}


@pytest.mark.parametrize(
    ("text", "port"), [("80", "80"), ("80.0", "80"), ('"80"', "80"), ("http", "http"), ("0x50", "80")]
)
def test_a_port_is_a_name_or_a_number(text: str, port: str) -> None:
    """However the number is written."""
    data = f"publisher: edge\nservices: {{default/flask: {{port: {text}}}}}".encode()
    assert publisher_yaml.load(data).services["default/flask"].port == port


YAML_WORDS = st.sampled_from(
    ["publisher", "edge", "karmada", "clusters", "services", "default/flask", "routes", "weights", "/x/*", ":", ": ",
     "- ", "\n", "\n  ", "\n    ", "[", "]", "{", "}", ", ", "&a ", "*a", "!!", "!!str ", "!!set ", "!x ", "|", ">",
     "'", '"', "#", " #", "? ", "---\n", "...\n", "%YAML 1.1\n", "<<", "0", "1e9", ".nan", "2024-01-01", "~", "null",
     "true", "yes", "\t", "\\", "\u2028", "\x85", "ü", "💥"]
)  # fmt: skip


@settings(max_examples=400)
@given(words=st.lists(YAML_WORDS | st.text(max_size=3), max_size=14), whole=st.booleans())
def test_no_text_is_more_than_wrong(words: list[str], whole: bool) -> None:
    """Whatever stands in publisher.yaml: a Policy, or findings that are one line each."""
    text = "".join(words).encode(errors="ignore")
    policy, found = publisher_yaml.check(text if whole else b"publisher: edge\n" + text)
    assert (policy is None) == bool(found)
    for finding in found:
        assert "\n" not in str(finding)
        assert re.fullmatch(r"line \d+", finding.pointer)
