"""The only reader and writer of JSON and YAML files: equal documents give equal bytes.

A generated JSON file has one entry a line. Maps that grow with the fleet end in :data:`END`, so that an entry that
comes or goes, first or last, is exactly one line of a diff: no comma moves on a neighbour's line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

END = "$end"
"""Last key of a map that grows with the fleet; its value is always true."""


class ParseError(ValueError):
    """A file is not what its name says."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line
        """Counted from 1."""


_inline = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode
"""Writes a value on one line; made once, since json.dumps makes an encoder for each call."""


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
    """Read JSON as any reader takes it, and so that it can be written again.

    A key that stands twice is an error, as a merge gone wrong leaves it.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ParseError(f"key {json.dumps(twice)} stands twice in one object", _line_of(data, _inline(twice)))
        return found

    def number(text: str) -> float:
        if not math.isfinite(value := float(text)):
            raise ParseError(f"not JSON: {text} is no number", _line_of(data, text))
        return value

    try:
        document = json.loads(data.decode(), object_pairs_hook=unique, parse_float=number, parse_constant=number)
        if _HALF.search(data):
            _inline(document).encode()
        return document
    except json.JSONDecodeError as error:
        raise ParseError(f"not JSON: {error.msg}", error.lineno) from error
    except UnicodeDecodeError as error:
        raise ParseError("not UTF-8 text", data[: error.start].count(b"\n") + 1) from error
    except UnicodeEncodeError as error:
        raise ParseError("not JSON: half of a character", 1) from error
    except RecursionError as error:
        raise ParseError("nested too deep", 1) from error
    except ValueError as error:
        if isinstance(error, ParseError):
            raise
        raise ParseError("not JSON: a number is too long", 1) from error


_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""May be one of the two halves that JSON writes a character beyond 16 bits in, without the other."""


def _line_of(data: bytes, text: str) -> int:
    position = data.rfind(text.encode(errors="surrogatepass"))
    return data[: max(position, 0)].count(b"\n") + 1


def dump_yaml(document: Mapping[str, Any]) -> bytes:
    """Write a plain document as YAML, keys in the order given, one entry a line.

    What stands deeper than three maps is written on the line of its entry, as JSON, which YAML reads too.
    """
    return ("\n".join(_yaml_lines(document, 0)) + "\n").encode()


def _yaml_lines(value: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, item in value.items():
        key = f"{indent}{name if _PLAIN_KEY.fullmatch(name) else _flow(name)}:"
        if isinstance(item, Mapping) and item and depth < 2:
            yield key
            yield from _yaml_lines(item, depth + 1)
        elif isinstance(item, list) and item and depth == 0:
            yield key
            yield from (f"- {_flow(entry)}" for entry in item)
        else:
            yield f"{key} {_flow(item)}"


_PLAIN_KEY = re.compile(r"(?!(?i:y|n|yes|no|on|off|true|false|null)$)[A-Za-z][-A-Za-z0-9_./]*")
"""A key that no reader of YAML takes for something else than text."""


def _flow(value: Any) -> str:
    """Write a value on one line; what a reader of YAML would fold or refuse is escaped."""
    written = _inline_in_order(value)
    if written.isprintable():
        return written
    return "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in written)


_inline_in_order = json.JSONEncoder(ensure_ascii=False).encode


def load_yaml(data: bytes) -> Any:
    """Read YAML into maps and lists that know their lines (see :func:`line_of`); comments are kept."""
    return _load(YAML(typ="rt"), data)


def load_plain_yaml(data: bytes) -> Any:
    """Read YAML into plain values, faster and without lines; but for dates and such, what JSON can hold."""
    reader = YAML(typ="safe")
    reader.Constructor = _Constructor
    document = _load(reader, data)
    for path, problem in _misfits(document, [], set(), set()):
        raise ParseError(problem, line_of(load_yaml(data), path))
    return document


class _Constructor(SafeConstructor):
    """Tells where a value is that is not what it looks like, such as 2024-99-99."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            problem = f"this is not what it looks like ({node.tag.rpartition(':')[2]})"
            raise ConstructorError(None, None, problem, node.start_mark) from error


def _misfits(
    value: Any, path: list[str | int], above: set[int], seen: set[int]
) -> Iterator[tuple[list[str | int], str]]:
    """Find what YAML can say and JSON cannot."""
    if isinstance(value, float) and not math.isfinite(value):
        yield path, f"{value} is not a number that can be used"
    elif isinstance(value, str) and not _is_text(value):
        yield path, "half of a character"
    elif isinstance(value, dict | list) and id(value) in above:
        yield path, "it stands within itself"
    elif isinstance(value, dict | list) and id(value) not in seen:
        seen.add(id(value))
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict) and not (isinstance(step, str) and _is_text(step)):
                yield [*path, step], f"the key {step!s:.40} is not text; put it in quotes"
            else:
                yield from _misfits(item, [*path, step], above | {id(value)}, seen)


def _is_text(value: str) -> bool:
    return value.isascii() or not re.search("[\ud800-\udfff]", value)


def _load(reader: YAML, data: bytes) -> Any:
    try:
        return reader.load(data.decode())
    except ReaderError as error:
        line = data.decode()[: error.position].count("\n") + 1
        raise ParseError(f"not YAML: a character that may not stand there (U+{error.character:04X})", line) from error
    except RecursionError as error:
        raise ParseError("not YAML: nested too deep", 1) from error
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
        if isinstance(document, Mapping) and step not in document:
            step = str(step)  # a pointer does not tell 1 from "1"
        marks = getattr(document, "lc", None)
        try:
            line = (marks.key(step) if isinstance(document, Mapping) else marks.item(step))[0] + 1  # type: ignore[union-attr]
            document = document[step]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line
