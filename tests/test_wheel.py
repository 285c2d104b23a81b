"""The built wheel carries all it needs."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent


def _run(*command: str, cwd: Path) -> str:
    # pip asks what else is installed here, and some of that makes itself at home
    environment = {**os.environ, "HOME": str(cwd)}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it into a fresh environment; give its console script."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), cwd=TOP)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "venv"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    # the dependencies are those of this environment, at the versions that are tested: only the wheel is new
    site = _run(str(python), "-c", "import site; print(site.getsitepackages()[0])", cwd=folder).strip()
    ours = _run(sys.executable, "-c", "import site; print(site.getsitepackages()[0])", cwd=folder).strip()
    Path(site, "dependencies.pth").write_text(f"{ours}\n")
    install = ("install", "--quiet", "--no-deps", "--no-index", "--no-cache-dir", "--ignore-installed", str(wheel))
    _run(sys.executable, "-m", "pip", "--python", str(python), *install, cwd=folder)
    return environment / "bin" / "publisher"


def test_the_wheel_is_what_runs(publisher: Path, tmp_path: Path) -> None:
    """The package is imported from the fresh environment, not from the checkout."""
    python = publisher.parent / "python"
    where = _run(str(python), "-c", "import publisher; print(publisher.__file__)", cwd=tmp_path)
    assert str(publisher.parent.parent) in where


def test_init_and_validate_from_the_wheel(publisher: Path, tmp_path: Path) -> None:
    """Template and schemas are in it: what init lays down is valid."""
    laid = _run(str(publisher), "init", "config", cwd=tmp_path)
    for path in (
        "publisher.yaml",
        "pipy/main.js",
        "deploy/syncer/syncer.yaml",
        "schemas/service.schema.json",
        ".github/workflows/sync.yml",
    ):
        assert f"+ {path}\n" in laid
        assert (tmp_path / "config" / path).is_file()
    _run(str(publisher), "validate", "config", cwd=tmp_path)
