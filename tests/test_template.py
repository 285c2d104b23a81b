"""What publisher init lays down is right as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from publisher import settings
from publisher.core.canonical import load_json
from publisher.core.policy import Mode
from publisher.resources import folder, schema

TEMPLATE = folder("config-repo-template")
SETTINGS = (TEMPLATE / "publisher.yaml").read_text()
PROXY = load_json((TEMPLATE / "pipy/config/proxy.json").read_bytes())
EXAMPLE = re.compile(r"^( *)#(?! \S)", re.MULTILINE)
"""The # before an example; before prose there is a space behind it."""


def test_settings_are_right():
    """publisher.yaml works as it is, and editors find its schema."""
    assert SETTINGS.startswith("# yaml-language-server: $schema=schemas/publisher.schema.json\n")
    policy, findings = settings.check(SETTINGS.encode())
    assert findings == ()
    assert policy.services == {}
    assert policy.publish.mode is Mode.DIRECT
    assert 0 < policy.publish.heartbeat < settings.seconds("25h"), "status.yml would take calm for silence"


def test_examples_in_the_settings_are_right():
    """publisher.yaml works with everything in it that is commented out."""
    policy, findings = settings.check(EXAMPLE.sub(r"\1", SETTINGS).encode())
    assert findings == ()
    assert policy.karmada.context
    assert policy.services["default/flask"].routes == ("/env/*",)
    assert policy.grants
    assert policy.publish.mode is Mode.AUTO
    assert policy.guards.limits
    assert policy.allowed_networks


def test_proxy_settings_fit_their_schema():
    """proxy.json fits its schema, and leads editors there."""
    assert schema("proxy").findings(PROXY, "proxy.json") == ()
    assert (TEMPLATE / "pipy/config" / PROXY["$schema"]).resolve() == (TEMPLATE / "schemas/proxy.schema.json").resolve()


def defaults(node, definitions):
    """Collect the defaults that a schema tells editors."""
    node = {**definitions.get(node.get("$ref", "").rpartition("/")[2], {}), **node}
    if "default" in node:
        return node["default"]
    known = {name: item for name, item in node["properties"].items() if name != "$schema"}
    return {name: defaults(item, definitions) for name, item in known.items()}


def test_the_program_has_the_defaults_of_the_schema():
    """pipy/defaults.json, which the program reads, says the same as the schema, and fits it."""
    document = schema("proxy").document
    found = load_json((TEMPLATE / "pipy/defaults.json").read_bytes())
    assert found == defaults(document, document["$defs"])
    assert schema("proxy").findings(found, "defaults.json") == ()


def test_proxy_settings_are_the_defaults():
    """proxy.json shows defaults: what it leaves out would change nothing."""
    found = load_json((TEMPLATE / "pipy/defaults.json").read_bytes())
    shown = {name: value for name, value in PROXY.items() if name not in ("$schema", "service")}
    assert shown == {name: found[name] for name in shown}
    assert PROXY["service"] == {}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"listen": "8080"}, "/listen"),
        ({"listen": "localhost:8080"}, "/listen"),
        ({"admin": "127.0.0.1:0"}, "/admin"),
        ({"service": {"timeouts": {"read": 0}}}, "/service/timeouts/read"),
        ({"service": {"timeouts": {"raed": 1}}}, "/service/timeouts/raed"),
        ({"service": {"sticky": "ip"}}, "/service/sticky"),
        ({"service": {"rewrite": {"prefix": "env"}}}, "/service/rewrite/prefix"),
        ({"services": {"default/flask": {"ejection": {"keep": 101}}}}, "/services/default~1flask/ejection/keep"),
        ({"services": {"flask": {}}}, "/services"),
        ({"tls": {"certificates": [{"names": ["a.test"], "cert": "a.crt"}]}}, "/tls/certificates/0"),
        ({"accessLog": "access.log"}, "/accessLog"),
        ({"plugins": ["../main"]}, "/plugins/0"),
        ({"plugins": []}, "/plugins"),
        ({"port": 1}, "/port"),
    ],
)
def test_wrong_proxy_settings_are_found(change, pointer):
    """What Pipy would not understand does not fit the schema."""
    assert [item.pointer for item in schema("proxy").findings(PROXY | change, "proxy.json")] == [pointer]


def test_plugins_are_there():
    """Every plugin that proxy.json names is a file."""
    assert [name for name in PROXY["plugins"] if not (TEMPLATE / "pipy/plugins" / f"{name}.js").is_file()] == []


@pytest.mark.parametrize("workflows", [TEMPLATE / ".github", TEMPLATE.parent / ".github"], ids=["template", "project"])
def test_workflows_are_safe(workflows):
    """zizmor has nothing to say of the workflows."""
    zizmor = Path(sys.executable).with_name("zizmor")
    if not zizmor.is_file():
        pytest.skip("zizmor is not installed beside this Python")
    if not workflows.is_dir():
        pytest.skip("no checkout of the project")
    done = subprocess.run(
        [zizmor, "--offline", "--strict-collection", "--no-progress", workflows],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["check", "publish", "status", "sync"])
def test_workflows_say_whose_publisher_they_install(name):
    """The bare package name is never installed: in public indexes it is somebody else's."""
    text = (TEMPLATE / f".github/workflows/{name}.yml").read_text()
    assert "pip install --quiet --requirement requirements.txt" in text
    lines = (TEMPLATE / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == []
