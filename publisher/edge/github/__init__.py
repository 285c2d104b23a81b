"""GitHub, or a GitHub Enterprise Server: pull requests, and commits that it signs."""

from publisher.edge.github.api import Timing
from publisher.edge.github.credentials import from_environment
from publisher.edge.github.forge import GitHub

__all__ = ["GitHub", "Timing", "from_environment"]
