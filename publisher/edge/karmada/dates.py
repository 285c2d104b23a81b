"""Headers that tell a time."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime


def seconds(header: str | None) -> float | None:
    """Read Retry-After: seconds, or an HTTP date."""
    if header is not None and header.isdecimal():
        return float(header)
    until = _date(header)
    return None if until is None else max(0.0, until - time.time())


def ahead(header: str | None, now: float) -> float | None:
    """Read Date, which tells whole seconds, as seconds from now."""
    date = _date(header)
    return None if date is None else date + 0.5 - now


def _date(header: str | None) -> float | None:
    """Read an HTTP date as seconds since the epoch; None where it is none."""
    try:
        return parsedate_to_datetime(header).timestamp() if header else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
