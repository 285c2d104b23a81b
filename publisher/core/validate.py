"""Documents against their JSON Schemas: jsonschema-rs decides, jsonschema explains."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import jsonschema_rs

from publisher.core.model import Finding

MAX_FINDINGS = 100
"""Of one document; a file that is wrong everywhere needs no longer list."""


class Schema:
    """One JSON Schema, compiled when it is first used."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    @cached_property
    def _compiled(self) -> Any:
        return jsonschema_rs.Draft202012Validator(self.document)

    def accepts(self, instance: Any) -> bool:
        """Tell whether a document fits."""
        try:
            accepted: bool = self._compiled.is_valid(instance)
        except ValueError:  # YAML can hold what JSON cannot, such as dates
            return False
        return accepted

    def findings(self, instance: Any, where: str) -> tuple[Finding, ...]:
        """Report everything that does not fit, by JSON pointer."""
        if self.accepts(instance):
            return ()
        found: list[Finding] = []
        for error in explainer(self.document).iter_errors(instance):
            found.extend(_explain(error, where))
            if len(found) >= MAX_FINDINGS:
                break
        return tuple(sorted(set(found))) or (Finding(where, "", "schema", "does not fit its schema"),)


def explainer(document: Mapping[str, Any]) -> Any:
    """Make a validator of jsonschema that judges as jsonschema-rs does."""
    # jsonschema takes 0.1 s to import, and most documents are right
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    made: Any = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
    return made(document)


SchemaOf = Callable[[str], Schema]
"""Gives a schema by its short name: ``cluster``."""


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    """Check ``pattern`` as ECMA-262 does, where ``$`` is the very end and not also before a last newline."""
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _explain(error: Any, where: str) -> Iterator[Finding]:
    """Put an error of jsonschema into words; of alternatives, only the one that was meant."""
    if error.validator in ("oneOf", "anyOf") and error.context:
        closest = max((len(item.absolute_path), -item.schema_path[0]) for item in error.context)[1]
        for item in error.context:
            if item.schema_path[0] == -closest:
                yield from _explain(item, where)
        return
    pointer = to_pointer(list(error.absolute_path))
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = list(error.schema.get("properties", {}))
        for key in sorted(str(name) for name in error.instance if name not in known):
            yield Finding(where, f"{pointer}/{escape(key)}", "unknown-key", f"unknown key {key!r}", nearest(key, known))
        return
    name = error.schema.get("description") if isinstance(error.schema, Mapping) else None
    hint = str(name).split("\n")[0] if name else ""
    yield Finding(where, pointer, f"schema-{error.validator}", _message(error), hint)


def _message(error: Any) -> str:
    value = json.dumps(error.instance, ensure_ascii=False, default=str)
    shown = value if len(value) <= 80 else f"{value[:77]}..."
    match error.validator:
        case "type":
            wanted = error.validator_value
            kinds = [wanted] if isinstance(wanted, str) else wanted
            return f"{shown} is not {' or '.join(_KINDS.get(kind, kind) for kind in kinds)}"
        case "enum":
            return f"{shown} is not one of {', '.join(map(str, error.validator_value))}"
        case "const":
            return f"{shown} is not {json.dumps(error.validator_value)}"
        case "required":
            missing = [key for key in error.validator_value if key not in error.instance]
            return f"{', '.join(missing)} is missing"
        case "pattern":
            return f"{shown} does not look as it has to: {error.validator_value}"
        case "minimum" | "maximum":
            bound = "at least" if error.validator == "minimum" else "at most"
            return f"{shown} has to be {bound} {error.validator_value}"
        case _:
            message = error.message
            return message if len(message) <= 200 else f"{message[:197]}..."


_KINDS = {
    "object": "a map",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "nothing",
}


def nearest(key: str, known: Sequence[str]) -> str:
    """Suggest the known key that is most like one that is not known."""
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}" if known else "none fits here"


def escape(step: str | int) -> str:
    """Escape one step of a JSON pointer."""
    return str(step).replace("~", "~0").replace("/", "~1")


def to_pointer(path: Sequence[str | int]) -> str:
    """Write a JSON pointer."""
    return "".join(f"/{escape(step)}" for step in path)


def from_pointer(pointer: str) -> list[str | int]:
    """Read a JSON pointer; steps that are numbers become numbers."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    return [int(step) if step.isascii() and step.isdigit() else step for step in steps]
