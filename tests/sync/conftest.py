"""Each test runs with the embedded stand-in of a Pipy Repo, and with a real one where there is a Pipy."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def rigs() -> ModuleType:
    """Load rigs.py: tests are in no package."""
    spec = importlib.util.spec_from_file_location("publisher_tests_rigs", Path(__file__).with_name("rigs.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["stand-in", "pipy"])
def kind(request: pytest.FixtureRequest, rigs: ModuleType) -> str:
    """Choose the stand-in or the real one."""
    if request.param == "pipy" and not rigs.pipy():
        pytest.skip("no Pipy: set PIPY_BIN or have pipy on PATH")
    return request.param


@pytest.fixture
def rig(kind: str, rigs: ModuleType, tmp_path: Path) -> Iterator[Any]:
    """Run a Repo, without workers yet."""
    folder = tmp_path / "pipy"
    folder.mkdir()
    with rigs.opened(kind, folder) as made:
        yield made
