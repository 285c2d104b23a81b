"""Pipy's Repo, through its HTTP API."""

from publisher.edge.pipy.http import SYSTEM, Access, Timing
from publisher.edge.pipy.place import PipyRepo

__all__ = ["SYSTEM", "Access", "PipyRepo", "Timing"]
