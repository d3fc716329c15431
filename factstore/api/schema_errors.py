"""Errors for bodies and parameters that do not match their schema, from marshmallow's messages."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from factstore.core.errors import Invalid
from factstore.core.model.path import quoted

# marshmallow's words, which do not state what is expected
_UNKNOWN, _MISSING = "Unknown field.", "Missing data for required field."
_EXPECTED = {
    "Not a valid string.": "Send a string.",
    "Not a valid boolean.": "Send true or false.",
    "Not a valid integer.": "Send a whole number.",
    "Not a valid list.": "Send a list.",
    "Not a valid mapping type.": "Send an object.",
    "Not a valid number.": "Send a number.",
    "Invalid input type.": "Send an object.",
    "Field may not be null.": "It must not be null.",
}


def schema_error(messages: Any, location: str, schema: ma.Schema) -> Invalid:
    """Return an error for the first of marshmallow's messages."""
    path, message = _first(messages)
    field = ".".join(path)
    if message in (_UNKNOWN, _MISSING):
        problem = "Unknown" if message == _UNKNOWN else "It is missing"
        message = _with_known_names(problem, schema, path[:-1], location)
    message = _EXPECTED.get(message, message)
    if location == "query":
        return Invalid(
            f"Query parameter {quoted(field)}: {message}",
            code="query_invalid",
            extra={"field": field},
        )
    subject = f"Field {quoted(field)}" if field else "Body"
    return Invalid(f"{subject}: {message}", code="schema", extra={"field": field})


def _with_known_names(problem: str, schema: ma.Schema, path: list[str], location: str) -> str:
    """Return the message for an unknown or missing field, with the names of the fields beside it."""
    noun = "parameters" if location == "query" else "fields"
    for name in path:
        known = {field.data_key or each: field for each, field in schema.fields.items()}
        inner: Any = known.get(name)
        if isinstance(inner, ma.fields.List):
            inner = inner.inner
        if isinstance(inner, ma.fields.Nested):
            schema = inner.schema
    names = [field.data_key or name for name, field in schema.fields.items()]
    if not names:
        return f"{problem}; this request has no {noun}."
    return f"{problem}; the {noun} are {', '.join(names)}."


def _first(messages: Any) -> tuple[list[str], str]:
    path: list[str] = []
    while isinstance(messages, dict) and messages:
        name, messages = next(iter(messages.items()))
        if name != "_schema":
            path.append(str(name))
    while isinstance(messages, list) and messages:
        messages = messages[0]
    return path, str(messages)
