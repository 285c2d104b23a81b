"""Keeps tests away from the home folder, the user's git configuration and the network."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


@pytest.fixture(autouse=True, scope="session")
def _own_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the whole session a home of its own, that has to stay empty, and no GIT_, KUBE or proxy variable.

    Temporary files go there too, so that what a killed process leaves goes with the rest.
    """
    world = tmp_path_factory.mktemp("world")
    home = world / "home"
    home.mkdir()
    temporary = world / "tmp"
    temporary.mkdir()
    git_config = world / "gitconfig"
    git_config.write_text(
        "[user]\n\tname = Tester\n\temail = tester@example.com\n"
        "[init]\n\tdefaultBranch = main\n\ttemplateDir =\n[gc]\n\tauto = 0\n"
        "[core]\n\thooksPath = /dev/null\n\tfsync = none\n"
    )
    before = dict(os.environ)
    for name in before:
        if name.startswith(("GIT_", "GITHUB_", "KUBE", "PUBLISHER_", "XDG_")) or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ.update(
        HOME=str(home),
        TMPDIR=str(temporary),
        XDG_CACHE_HOME=str(world / "cache"),
        GIT_CONFIG_GLOBAL=str(git_config),
        GIT_CONFIG_NOSYSTEM="1",
        KUBECONFIG=str(world / "no-kubeconfig"),
    )
    before_tempdir, tempfile.tempdir = tempfile.tempdir, None
    yield home
    tempfile.tempdir = before_tempdir
    os.environ.clear()
    os.environ.update(before)
    left = sorted(path.name for path in home.iterdir())
    assert not left, f"tests wrote into the home folder: {left}"


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and not _local(str(address[0])):
            raise PermissionError(f"tests may not connect to {address[0]}")
        connect(self, address)  # type: ignore[arg-type]

    socket.socket.connect = guarded  # type: ignore[method-assign]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _load(name: str) -> ModuleType:
    """Load a module, or the folder of one, that lies beside the tests: they are in no package."""
    folder = Path(__file__).parent / name
    inside = folder / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        f"publisher_tests_{folder.name}",
        inside if inside.exists() else folder.with_suffix(".py"),
        submodule_search_locations=[str(folder)] if inside.exists() else None,
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def forge() -> ModuleType:
    """Load the folder forge, for its GitHub and the faults that this can have."""
    return _load("forge")


@pytest.fixture(scope="session")
def runner() -> ModuleType:
    """Load runner.py, which runs workflows."""
    return _load("runner")


@pytest.fixture(scope="session")
def fleets() -> ModuleType:
    """Load core/fleets.py, which makes fleets and publishes them."""
    return _load("core/fleets")


@pytest.fixture(scope="session")
def rigs() -> ModuleType:
    """Load sync/rigs.py, which runs Repos and workers."""
    return _load("sync/rigs")


@pytest.fixture(scope="session")
def proxies() -> ModuleType:
    """Load sync/proxy.py, which stands between sync and a Repo."""
    return _load("sync/proxy")


@pytest.fixture(scope="session")
def worlds() -> ModuleType:
    """Load sync/world.py, which has a config repository and a Repo."""
    return _load("sync/world")


@pytest.fixture(scope="session")
def load() -> ModuleType:
    """Load load.py, which loads a proxy with requests."""
    return _load("load")


@pytest.fixture(scope="session")
def github_description(forge: ModuleType) -> Any:
    """Read GitHub's description of its API."""
    return forge.Description(Path(__file__).with_name("data") / "github/openapi.json")


@pytest.fixture
def github(forge: ModuleType, github_description: Any, tmp_path: Path) -> Iterator[Any]:
    """Run a GitHub of one repository; each request and each answer has to fit GitHub's description."""
    fake = forge.FakeGitHub(tmp_path, github_description)
    yield fake
    fake.close()
    assert not fake.wrong
