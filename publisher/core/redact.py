"""Keeps secrets, and what would break a line or a terminal, out of everything printed, logged or committed."""

from __future__ import annotations

import re

_SECRETS = (
    (re.compile(r"(?<=://)\S*@"), "***@"),  # a password can hold @ and /: rather too much than too little
    (re.compile(r"(?i)\b(bearer|basic|token)(\s+)[-\w.~+/]{8,}=*"), r"\1\2***"),
    (re.compile(r"(?i)((?:token|password|passwd|secret)[\"']?\s?[:=]\s?[\"']?)[^\s\"'&,;*]{8,}"), r"\1***"),
    (re.compile(r"\beyJ[-\w]{8,}(\.[-\w]+){0,2}"), "***"),
    (re.compile(r"\b(gh[pousr]|github_pat|glpat)[-_]\w{8,}"), "***"),
    (re.compile(r"-----BEGIN [^-]+-----.*?(-----END [^-]+-----|$)"), "***"),
    (re.compile(r"\bLS0tLS1CRUdJTi[\w+/]*=*"), "***"),  # the same in base64
)


def one_line(text: str) -> str:
    """Put a space for every character that would break a line or move a terminal's cursor."""
    return "".join(char if char.isprintable() else " " for char in text)


def redact(text: str, limit: int = 1000) -> str:
    """Blank what looks like a credential, and make the rest one line of a bounded length."""
    text = " ".join(one_line(text).split())
    for pattern, shown in _SECRETS:
        text = pattern.sub(shown, text)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
