"""The files that come with the package: JSON Schemas and the template of a config repository."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from publisher.core.validate import Schema


def folder(name: str) -> Path:
    """Find ``schemas`` or ``config-repo-template``: in the package, or beside it in a checkout."""
    here = Path(__file__).parent
    packaged = here / name
    return packaged if packaged.is_dir() else here.parent / name


@cache
def schema(name: str) -> Schema:
    """Load ``schemas/<name>.schema.json``."""
    return Schema(json.loads((folder("schemas") / f"{name}.schema.json").read_bytes()))
