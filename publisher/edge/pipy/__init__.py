"""Pipy's Repo, through its HTTP API."""

from publisher.edge.pipy.http import Access, Timing
from publisher.edge.pipy.place import PipyRepo

__all__ = ["Access", "PipyRepo", "Timing"]
