"""The guards of conftest.py work."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest


def test_home_is_not_the_users() -> None:
    """The home folder is a temporary one, for us and for git."""
    assert "world" in os.environ["HOME"]
    assert Path.home() == Path(os.environ["HOME"])
    shown = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "Tester"


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.com"])
def test_the_network_is_refused(host: str) -> None:
    """A connection that would leave this machine fails at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as client, pytest.raises(PermissionError):
        client.connect((host, 443))


def test_git_sees_no_variable_of_a_hook() -> None:
    """GIT_DIR and its like are not handed down."""
    assert not [name for name in os.environ if name.startswith("GIT_") and not name.startswith("GIT_CONFIG")]
