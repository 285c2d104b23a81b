"""Gives the tests of the core their fleets."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def fleets() -> ModuleType:
    """Load fleets.py: it lies beside the tests, and they are in no package."""
    name = "publisher_tests_core_fleets"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("fleets.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
