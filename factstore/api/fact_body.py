"""The body of a put of a fact: JSON or plain text, by its media type."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from factstore.api.blueprint import read_body, read_json
from factstore.api.media import JSON
from factstore.api.schema_errors import schema_error
from factstore.api.schemas import facts as schemas
from factstore.core.errors import Invalid
from factstore.core.model.fact import Put

RAW_TYPES = ("", "text/plain", "application/x-www-form-urlencoded")
_BODY = schemas.FactBody()
_VALUE = r'("[ !#-\[\]-~]*"|0|-?[1-9][0-9]{0,17}|true|false|null)'
"""A string of ASCII without escapes, an integer of 63 bits, or a constant.

The fast path, which asks for it, takes no body that is longer than a value may be.
"""
_PLAIN = re.compile(rf'[{{] ?"value" ?: ?{_VALUE} ?[}}]'.encode())
_PLAIN_PUT = re.compile(
    rf'[{{] ?"put" ?: ?[{{] ?"path" ?: ?"([ !#-\[\]-~]*)" ?, ?"value" ?: ?{_VALUE} ?[}}] ?[}}]'
)
_BEFORE_PUTS = re.compile(r'[{] ?"operations" ?: ?\[ ?')
_AFTER_PUTS = re.compile(r" ?\] ?[}]")
_HINT = (
    'The body was stored as text. To store the object, send {"value": ...} with '
    "Content-Type: application/json."
)


def parse_put(path: str) -> Put:
    """Return the fact in the request's body, which is JSON or plain text by its media type."""
    unparsable = bool(request.content_type) and not request.mimetype
    if unparsable or request.mimetype not in RAW_TYPES:
        if request.mimetype != JSON:
            raise UnsupportedMediaType(
                "Send JSON as application/json, or plain text as text/plain or without a type."
            )
        body = read_json(request)
        if not isinstance(body, dict):
            raise schema_error(['Not a JSON object. Send {"value": ...}.'], "json", _BODY)
        if messages := _BODY.validate(body):
            raise schema_error(messages, "json", _BODY)
        return fact_to_put(path, body)
    if not (request.content_type or _has_body()):
        # Probably a forgotten option of curl. An empty text has a Content-Length, which is 0.
        raise Invalid(
            'The request has no body. Send the value as text, or as {"value": ...} with Content-Type: '
            "application/json. For the empty text, send Content-Type: text/plain."
        )
    try:
        text = read_body(request).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(
            f"The text is not UTF-8 at byte {error.start}.", code="text_invalid"
        ) from None
    return Put.of(path, text)


def fact_to_put(path: str, body: Mapping[str, Any]) -> Put:
    """Return the request to store the fact that a valid body states.

    :raises Invalid: see :meth:`Put.of`.
    """
    if len(body) == 1:
        return Put.plain(path, body["value"])
    return Put.of(
        path,
        body["value"],
        body.get("kind", "observed"),
        body.get("ttl"),
        member=body.get("member"),
        generation=body.get("generation"),
        sensitive=body.get("sensitive", False),
        readers=body.get("readers", ()),
    )


def plain_text(body: bytes) -> str | None:
    """Return the canonical text of the value that a body states, if it states a plain one only.

    :return: None for a body that has to be parsed: it is not valid, or states something else.
    """
    # A value that is canonical as it is sent needs neither a parser nor an encoder.
    found = _PLAIN.fullmatch(body)
    return None if found is None else found[1].decode()


def plain_puts(body: bytes) -> list[Put] | None:
    """Return the facts of a batch that only stores facts, each of which states a plain value only.

    :return: None for a body that has to be parsed: it is not valid, or states something else.
    """
    if not body.isascii():
        return None
    # What is before, between and behind the puts, and between these the path and the text of each.
    before, *found = _PLAIN_PUT.split(body.decode())
    if not (
        found
        and _BEFORE_PUTS.fullmatch(before)
        and _AFTER_PUTS.fullmatch(found[-1])
        and {",", ", "}.issuperset(found[2:-1:3])
    ):
        return None
    return [Put(path, text) for path, text in zip(found[::3], found[1::3], strict=True)]


def is_plain_put(body: Any) -> bool:
    """Return True if a body is valid, and states a fact that is not sensitive."""
    if not isinstance(body, dict) or "value" not in body:
        return False
    if len(body) == 1:
        return True  # any JSON value
    return not body.keys() & {"sensitive", "readers"} and not _BODY.validate(body)


def _has_body() -> bool:
    """Return True if the request announces a body, which may be empty (RFC 9112, section 6)."""
    return "Content-Length" in request.headers or "Transfer-Encoding" in request.headers


def hint_for(put: Put) -> str | None:
    """Return a hint if the request probably meant its text as JSON; None if not."""
    return _HINT if request.mimetype != JSON and _is_json_object(put.text) else None


def _is_json_object(text: str) -> bool:
    """Return True if a canonical text is a string that contains a JSON object."""
    if not text.startswith('"') or "{" not in text[:80]:
        return False
    try:
        return isinstance(json.loads(json.loads(text)), dict)
    except (ValueError, RecursionError):
        return False
