"""Texts as long as GitHub takes them."""

from __future__ import annotations

LIMIT = 65_536
"""Characters of a pull request's or a comment's text."""
_CUT = "\n\n(The rest is left out: GitHub takes no longer text.)"


def fit(text: str, *, keep_last: bool = False) -> str:
    """Cut a text that is too long at the end of a line, and say so; its last paragraph may have to stay."""
    if len(text) <= LIMIT:
        return text
    last = text.rstrip().rpartition("\n\n")[2] if keep_last else ""
    if len(last) > LIMIT // 2:
        last = ""
    end = _CUT + (f"\n\n{last}" if last else "")
    fence = "\n```"
    kept = text[: LIMIT - len(end) - len(fence)]
    kept = kept[: kept.rfind("\n")] if "\n" in kept else kept
    inside = sum(line.startswith("```") for line in kept.splitlines()) % 2
    return kept.rstrip() + (fence if inside else "") + end
