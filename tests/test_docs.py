"""What the documents say is so."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from publisher.core.canonical import load_plain_yaml

TOP = Path(__file__).parent.parent
READMES = ("README.md", "README.zh.md")
PAGES = [*READMES, "CHANGELOG.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in (TOP / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", READMES)
def test_the_help_in_the_readme_is_the_help(name: str) -> None:
    """The text between the markers is what --help prints."""
    command = [sys.executable, "-m", "publisher", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "80", "PATH": ""})
    text = (TOP / name).read_text()
    found = re.search(r"<!-- help begins -->\n```text\n(.*?)```\n<!-- help ends -->", text, re.DOTALL)
    assert found is not None
    assert found[1].strip() == shown.stdout.strip()


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    """Every relative link names a file that is there."""
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (TOP / name).read_text()):
        if "://" not in target:
            assert ((TOP / name).parent / target).exists(), target


@pytest.mark.parametrize("name", [*READMES, "docs/errors.md"])
def test_every_exit_code_is_listed(name: str) -> None:
    """The table has a row for each."""
    rows = re.findall(r"^\| (\d+) \|", (TOP / name).read_text(), re.MULTILINE)
    assert rows == ["0", "1", "2", "3", "4", "5", "130"]


def test_the_architecture_names_what_is_there() -> None:
    """Every `file` is in the package, and every `function` right behind one is in that file."""
    text = (TOP / "docs/architecture.md").read_text()
    named = re.findall(r"`([a-z_/]+\.py)`(?:\s+`([A-Za-z_.]+)`)?", text)
    assert len(named) > 15
    for file, function in named:
        found = [path for path in (TOP / "publisher").rglob(Path(file).name) if path.as_posix().endswith(file)]
        assert found, file
        name = function.rpartition(".")[2]
        assert not name or any(re.search(rf"(def|class) {name}\b", path.read_text()) for path in found), function


def _rules() -> set[str]:
    """Find the rule of every finding that is made: the third argument, written out."""
    calls = [
        node
        for path in (TOP / "publisher").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 2
    ]
    made = [call.args[2] for call in calls if call.func.id in ("Finding", "_service_finding")]
    return {rule.value for rule in made if isinstance(rule, ast.Constant)}


def test_every_rule_is_documented() -> None:
    """Each rule that a finding can carry stands in docs/errors.md."""
    text = (TOP / "docs/errors.md").read_text()
    rules = _rules()
    assert {"route-conflict", "weight-sum", "unreadable", "target-duplicate"} <= rules
    assert not {rule for rule in rules if f"`{rule}`" not in text}


def test_the_configuration_example_is_valid() -> None:
    """The publisher.yaml that the documentation shows can be used as it is."""
    from publisher import settings

    for name in ("README.md", "README.zh.md", "docs/configuration.md"):
        (example,) = re.findall(r"```yaml\n(.*?)```", (TOP / name).read_text(), re.DOTALL)
        assert settings.check(example.encode())[1] == ()


def test_the_action_is_documented() -> None:
    """Its inputs and outputs stand in docs/github-actions.md, and no others."""
    text = (TOP / "docs/github-actions.md").read_text()
    action = load_plain_yaml((TOP / ".github/actions/publish/action.yml").read_bytes())
    tables = re.findall(r"^\| (?:input|output) \|.*\n(?:\|.*\n)+", text, re.MULTILINE)
    named = [set(re.findall(r"^\| `([a-z-]+)`", table, re.MULTILINE)) for table in tables]
    assert named == [set(action["inputs"]), set(action["outputs"])]
