"""The only reader and writer of JSON and YAML files: equal documents give equal bytes.

A generated JSON file has one entry a line. Maps that grow with the fleet end in :data:`END`, so that an entry that
comes or goes, first or last, is exactly one line of a diff: no comma moves on a neighbour's line.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

END = "$end"
"""Last key of a map that grows with the fleet; its value is always true."""


class ParseError(ValueError):
    """A file is not what its name says."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line
        """Counted from 1."""


def _inline(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def dump_json(document: Mapping[str, Any]) -> bytes:
    """Write a document with one entry a line: of its own, and of the maps and lists in it.

    What stands deeper is written on the line of its entry, but for lists right in a map, such as targets by service.
    """
    return (_block(document, "", lists_only=False) + "\n").encode()


def _block(value: Any, indent: str, *, lists_only: bool) -> str:
    """Write a map or list over several lines, anything else on one."""
    deeper = indent + "  "
    if isinstance(value, list | tuple) and value:
        return "[\n" + ",\n".join(deeper + _inline(item) for item in value) + f"\n{indent}]"
    if isinstance(value, Mapping) and value and not lists_only:
        lines = (
            f"{deeper}{_inline(name)}: {_block(item, deeper, lists_only=bool(indent))}" for name, item in value.items()
        )
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return _inline(value)


def grown(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Sort a map that grows with the fleet and close it with :data:`END`."""
    return {**dict(sorted(entries.items())), END: True}


def entries(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Give the entries of such a map without :data:`END`."""
    return {name: value for name, value in document.get(key, {}).items() if name != END}


def load_json(data: bytes) -> Any:
    """Read JSON; a key that stands twice is an error, as a merge gone wrong leaves it."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ParseError(f'key "{twice}" stands twice in one object', _line_of(data, twice))
        return found

    try:
        return json.loads(data, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise ParseError(f"not JSON: {error.msg}", error.lineno) from error
    except UnicodeDecodeError as error:
        raise ParseError("not UTF-8 text", data[: error.start].count(b"\n") + 1) from error
    except RecursionError as error:
        raise ParseError("nested too deep", 1) from error


def _line_of(data: bytes, key: str) -> int:
    position = data.rfind(json.dumps(key, ensure_ascii=False).encode())
    return data[: max(position, 0)].count(b"\n") + 1


def dump_yaml(document: Any) -> bytes:
    """Write a plain document as YAML, keys in the order given."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.width = 4096
    out = io.BytesIO()
    writer.dump(document, out)
    return out.getvalue()


def load_yaml(data: bytes) -> Any:
    """Read YAML into maps and lists that know their lines (see :func:`line_of`); comments are kept."""
    return _load(YAML(typ="rt"), data)


def load_plain_yaml(data: bytes) -> Any:
    """Read YAML into plain values, faster and without lines."""
    return _load(YAML(typ="safe"), data)


def _load(reader: YAML, data: bytes) -> Any:
    try:
        return reader.load(data.decode())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # ruamel explains a doubled key over several lines and with a link; the first says it all
        problem = (error.problem or error.context or "unreadable").splitlines()[0]
        raise ParseError(f"not YAML: {problem}", mark.line + 1 if mark else 1) from error
    except UnicodeDecodeError as error:
        raise ParseError("not UTF-8 text", data[: error.start].count(b"\n") + 1) from error


def line_of(document: Any, path: Sequence[str | int]) -> int:
    """Find the line of a place in a document of :func:`load_yaml`, or of the nearest place above it."""
    line = 1
    for step in path:
        marks = getattr(document, "lc", None)
        try:
            line = (marks.key(step) if isinstance(document, Mapping) else marks.item(step))[0] + 1  # type: ignore[union-attr]
            document = document[step]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line
