"""Each test runs with the embedded stand-in of a Pipy Repo, and with a real one where there is a Pipy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import publisher.commands.sync
import publisher.edge.pipy


@pytest.fixture(params=["stand-in", "pipy"])
def kind(request: pytest.FixtureRequest, rigs: ModuleType) -> str:
    """Choose the stand-in or the real one."""
    if request.param == "pipy" and not rigs.pipy():
        pytest.skip("no Pipy: set PIPY_BIN or have pipy on PATH")
    return request.param


@pytest.fixture
def new_rig(kind: str, rigs: ModuleType, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Run Repos, without workers yet."""
    made: list[Any] = []

    def make(tls: bool = False) -> Any:
        folder = tmp_path / f"pipy{len(made)}"
        folder.mkdir()
        made.append((rigs.StandIn if kind == "stand-in" else rigs.Pipy)(folder, tls))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def rig(new_rig: Callable[..., Any]) -> Any:
    """Run a Repo, without workers yet."""
    return new_rig()


@pytest.fixture
def new_proxy(proxies: ModuleType) -> Iterator[Callable[[Any], Any]]:
    """Stand before Repos."""
    made: list[Any] = []

    def make(rig: Any) -> Any:
        made.append(proxies.Proxy(rig.url.partition("://")[2]))
        return made[-1]

    yield make
    for proxy in made:
        if not proxy.closed.is_set():
            proxy.close()


@pytest.fixture(scope="session")
def committed(worlds: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Set up a config repository, once for all tests."""
    folder = tmp_path_factory.mktemp("config")
    worlds.set_up(folder)
    return folder


@pytest.fixture
def world(
    worlds: ModuleType,
    committed: Path,
    rig: Any,
    rigs: ModuleType,
    new_proxy: Callable[[Any], Any],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """Give each test a config repository of its own, a Repo, and a proxy before it; nothing is waited for in vain."""
    made = worlds.World(worlds.copy(committed, tmp_path / "config"), rig, new_proxy(rig), capfd.readouterr, rigs.wait)
    syncer, repo = publisher.commands.sync.Syncer, publisher.edge.pipy.PipyRepo
    monkeypatch.setattr(publisher.edge.pipy, "PipyRepo", lambda *given: repo(*given, timing=made.timing))
    monkeypatch.setattr(
        publisher.commands.sync, "Syncer", lambda *given, **more: syncer(*given, pace=made.pace, **more)
    )
    return made
