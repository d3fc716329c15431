"""The formats of facts: JSON, YAML, and lines ``path=value``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from factstore.agent.system.program_output import printable


class SourceError(Exception):
    """A source failed; the text is the predicate of a sentence about it."""


def validated(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield the facts of a mapping from paths to JSON values."""
    if not isinstance(document, dict):
        raise SourceError("does not contain a mapping from paths to values")
    for path, value in document.items():
        if not isinstance(path, str) or not path:
            raise SourceError(f"contains {path!r}, which is not a path")
        try:
            yield path, json.loads(json.dumps(value, allow_nan=False))
        except (ValueError, TypeError, RecursionError) as error:
            raise SourceError(
                f"contains a value at {printable(path)} that JSON cannot represent"
            ) from error


def parse_output(output: bytes) -> Any:
    """Parse the output of a program: a JSON object, or lines ``path=value``."""
    text = _decode(output)
    if text.lstrip().startswith(("{", "[")):
        return parse_json(output)
    facts = {}
    # str.splitlines() would take other characters, such as U+2028, for the ends of lines.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            path, sign, value = line.partition("=")
            if not sign:
                raise SourceError(f"printed neither JSON nor path=value on line {number}")
            facts[path.strip()] = value.strip()
    return facts


def parse_json(data: bytes) -> Any:
    try:
        return json.loads(_decode(data))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"is not valid JSON: {_position(error)}") from error


def parse_yaml(data: bytes) -> Any:
    try:
        import yaml  # an optional dependency
    except ImportError as error:
        raise SourceError(
            "is YAML, which needs PyYAML: install openstack-factstore[agent]"
        ) from error
    try:
        return yaml.safe_load(_decode(data)) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        position = f"line {mark.line + 1}" if mark is not None else "it cannot be parsed"
        raise SourceError(f"is not valid YAML: {position}") from error


def _position(error: Exception) -> str:
    """Return the position of a syntax error, without the text there: it may be a secret."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    return "it cannot be parsed"


def _decode(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise SourceError("is not UTF-8") from error
    if text.startswith("\ufeff"):
        raise SourceError("begins with a byte order mark: save it as UTF-8 without one")
    return text
