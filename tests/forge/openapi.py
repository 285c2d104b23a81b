"""GitHub's own description of its API: checks requests and answers against it, and makes answers that fit."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator

_VALUES = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "null": None}
_FORMATS = {"date-time": "2026-01-02T03:04:05Z", "uri": "https://github.invalid/x"}


class Description:
    """The paths and schemas of an OpenAPI 3.0 document."""

    def __init__(self, file: Path) -> None:
        document = _plain(json.loads(file.read_text()))
        self.components = document["components"]
        self._operations = {
            (verb.upper(), template): self._resolved(operation)
            for template, operations in document["paths"].items()
            for verb, operation in operations.items()
        }
        self._samples: dict[str, Any] = {}

    def find(self, verb: str, path: str) -> tuple[str, list[str]] | None:
        """Give the template that a path follows, and what stands in its places, decoded."""
        for known, template in self._operations:
            # the name of a ref is the only one that spans slashes
            pattern = re.sub(r"\\{(\w+)\\}", lambda m: "(.+)" if m[1] == "ref" else "([^/]+)", re.escape(template))
            if known == verb and (found := re.fullmatch(pattern, path)):
                return template, [unquote(part) for part in found.groups()]
        return None

    def request(self, verb: str, template: str, places: list[str], query: dict[str, str], body: Any) -> list[str]:
        """Say what is wrong with a request."""
        operation = self._operations[verb, template]
        parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
        given = dict(zip(re.findall(r"{(\w+)}", template), places, strict=True)) | query
        wrong = [f"unknown parameter {name}" for name in given.keys() - parameters.keys()]
        for name, value in given.items():
            kind = parameters.get(name, {"schema": {}})["schema"]
            read = int(value) if kind.get("type") == "integer" and value.isdecimal() else value
            wrong += self._errors(kind, read)
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if (content is None) != (body is None) and (body is not None or operation["requestBody"].get("required")):
            wrong.append(f"a body {'is missing' if content else 'that nobody reads'}")
        elif content is not None and body is not None:
            wrong += self._errors(content["schema"], body)
            known = self._fields(content["schema"])
            wrong += [f"unknown field {name}" for name in (body if isinstance(body, dict) else {}) if name not in known]
        return wrong

    def answer(self, verb: str, template: str, status: int, body: Any) -> list[str]:
        """Say what is wrong with an answer; an error that is not described has to be as all are."""
        described = self._operations[verb, template]["responses"].get(str(status))
        if described is None and status < 400:
            return [f"status {status} is not described"]
        content = (described or {}).get("content", {}).get("application/json")
        if content is None and status < 400:
            return [] if body is None else ["a body where there is none"]
        return self._errors(content["schema"] if content else {"$ref": "#/components/schemas/basic-error"}, body)

    def sample(self, name: str) -> Any:
        """Make the smallest answer that fits a schema of this name."""
        if name not in self._samples:
            self._samples[name] = self._sample({"$ref": f"#/components/schemas/{name}"})
        return deepcopy(self._samples[name])

    def _fields(self, schema: Any) -> set[str]:
        parts = [*schema.get("oneOf", []), *schema.get("anyOf", []), *schema.get("allOf", [])]
        return set(schema.get("properties", {})).union(*map(self._fields, parts))

    def _errors(self, schema: Any, value: Any) -> list[str]:
        validator = Draft202012Validator({"components": self.components, **schema})
        return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]

    def _resolved(self, operation: Any) -> Any:
        """Put parameters and answers in the place of references to them."""
        responses = {status: self._followed(answer) for status, answer in operation["responses"].items()}
        parameters = [self._followed(parameter) for parameter in operation.get("parameters", [])]
        return {**operation, "responses": responses, "parameters": parameters}

    def _followed(self, item: Any) -> Any:
        while "$ref" in item:
            _, _, kind, name = item["$ref"].split("/")
            item = self.components[kind][name]
        return item

    def _sample(self, schema: Any) -> Any:
        schema = self._followed(schema)
        for several in ("oneOf", "anyOf"):
            if several in schema:
                return self._sample(schema[several][0])
        if "allOf" in schema:
            parts = [self._sample(part) for part in schema["allOf"]]
            return {key: value for part in parts for key, value in part.items()} if len(parts) > 1 else parts[0]
        if "enum" in schema:
            return schema["enum"][0]
        kinds = schema.get("type", "object")
        if "null" in kinds and kinds != "null":
            return None
        if kinds == "object":
            properties = schema.get("properties", {})
            return {name: self._sample(properties[name]) for name in schema.get("required", ())}
        return deepcopy(_FORMATS.get(schema.get("format", ""), _VALUES[kinds]))


def _plain(value: Any) -> Any:
    """Turn OpenAPI's ``nullable`` into JSON Schema."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _plain(item) for key, item in value.items() if key != "nullable" or not isinstance(item, bool)}
    if value.get("nullable") is not True:
        return found
    if "enum" in found:
        found["enum"] = [*found["enum"], None]
    if "type" in found:
        return {**found, "type": [found["type"], "null"]}
    return {"anyOf": [{"type": "null"}, found]}
