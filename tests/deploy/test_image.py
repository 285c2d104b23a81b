"""The Containerfile fits the sources and the manifests."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from publisher import __version__

TOP = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def instructions() -> list[list[str]]:
    """Read the Containerfile: the words of each instruction."""
    file = TOP / "Containerfile"
    if not file.is_file():
        pytest.skip("no checkout of the project")
    text = re.sub(r"^#.*\n", "", file.read_text(), flags=re.MULTILINE).replace("\\\n", "")
    return [shlex.split(line) for line in text.splitlines() if line.strip()]


def words(instructions: list[list[str]], name: str) -> list[list[str]]:
    """Give what stands behind an instruction, each time that it is there."""
    return [item[1:] for item in instructions if item[0] == name]


def test_sources(instructions: list[list[str]]) -> None:
    """What is copied is there, and is just what .dockerignore lets through."""
    copied = {name for item in words(instructions, "COPY") if not item[0].startswith("--") for name in item[:-1]}
    assert [name for name in copied if not (TOP / name).exists()] == []
    ignore = (TOP / ".dockerignore").read_text().splitlines()
    assert ignore[1] == "*"
    assert {line.removeprefix("!") for line in ignore if line.startswith("!")} == copied


def test_user(instructions: list[list[str]], manifests: Any) -> None:
    """The image is the user's that the manifests name, who is no root and has a name, and stops as Python can."""
    users = {
        f"{context['runAsUser']}:{context['runAsGroup']}"
        for name, pod in manifests.pods.items()
        if manifests.containers[name]["image"].startswith("publisher")
        for context in [pod["spec"]["securityContext"]]
    }
    assert [{user} for (user,) in words(instructions, "USER")] == [users]
    (number, _, _) = next(iter(users)).partition(":")
    assert any(f"--uid {number} " in " ".join(item) for item in words(instructions, "RUN"))
    assert words(instructions, "STOPSIGNAL") == [["SIGINT"]]
    assert words(instructions, "ENTRYPOINT") == [["[publisher]"]]


def test_version(deploy: Path) -> None:
    """The manifests name the image of this version."""
    assert re.findall(r"name: publisher .*\n.*\n *newTag: (.*)", (deploy / "kustomization.yaml").read_text()) == [
        __version__
    ]
