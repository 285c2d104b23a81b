"""Which generated files are left to people: the last commit that touched a file decides."""

from __future__ import annotations

import hashlib

from publisher.core.history import Word
from publisher.core.policy import Holds


def released(word: Word, content: bytes | None, policy: Holds, now: float) -> bool:
    """Tell whether a person's word no longer holds, for a file that would become ``content`` (None: would go)."""
    if not word.commit:
        return False
    if policy.seconds and now - word.time >= policy.seconds:
        return True
    return policy.changed and bool(word.rejected) and blob_id(content, len(word.rejected)) != word.rejected


def blob_id(content: bytes | None, length: int) -> str:
    """Give the id that git has for a file of this content, in hex digits as many as a repository's ids have."""
    if content is None:
        return "0" * length
    make = hashlib.sha256 if length == 64 else hashlib.sha1
    return make(b"blob %d\0" % len(content) + content).hexdigest()
