"""Keeps secrets, and what would break a line or a terminal, out of everything printed, logged or committed."""

from __future__ import annotations

import re

_SECRETS = (
    (re.compile(r"(?<=://)\S*@"), "***@"),  # a password can hold @ and /: rather too much than too little
    (re.compile(r"(?i)\b(bearer|basic|token)(\s+)[-\w.~+/]{8,}=*"), r"\1\2***"),
    (re.compile(r"\beyJ[-\w]{8,}(\.[-\w]+){0,2}"), "***"),
    (re.compile(r"\b(gh[pousr]|github_pat|glpat)[-_]\w{8,}"), "***"),
    (re.compile(r"-----BEGIN [^-]+-----.*?(-----END [^-]+-----|$)", re.DOTALL), "***"),
)


def redact(text: str, limit: int = 1000) -> str:
    """Blank what looks like a credential, and make the rest one line of a bounded length."""
    for pattern, shown in _SECRETS:
        text = pattern.sub(shown, text)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
