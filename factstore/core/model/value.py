"""JSON values: strict parsing, and one canonical form.

Two values are equal if their canonical texts are: keys sorted, no white space, UTF-8.  So ``1``,
``1.0`` and ``true`` are three values.  RFC 8259 leaves duplicate keys, NaN, lone surrogates and huge
numbers open, and parsers disagree about them.  They are refused, because a fact must mean the same to
every reader.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from factstore.core.errors import Invalid, TooLarge
from factstore.core.model.path import quoted

VALUE_BYTES = 64 * 1024
DEPTH = 32
WRAPPING = 4  # a batch wraps a value in {operations: [{put: {value: ...}}]}
INTEGER_BOUND = 2**63

# All but brackets. Possessive, and an unterminated string matches too: each character is examined once.
_NO_BRACKETS = re.compile(r'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"?)++', re.DOTALL)
_AS_ROUND = str.maketrans("[{]}", "(())")
_quoted = json.encoder.encode_basestring
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)


def parse_json(body: bytes, depth: int = DEPTH + WRAPPING) -> Any:
    """Parse one JSON document strictly.

    :param body: UTF-8 without a byte order mark.
    :param depth: the maximum number of levels.
    :raises Invalid: ``json_invalid``, ``json_too_deep``, ``json_value`` or ``json_duplicate_key``.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(
            f"The body is not UTF-8 at byte {error.start}; send JSON in UTF-8.", code="json_invalid"
        ) from None
    if text.startswith("\ufeff"):
        raise Invalid(
            "The body begins with a byte order mark; send UTF-8 without one.", code="json_invalid"
        )
    if not text.strip():
        raise Invalid("The body is empty; send JSON.", code="json_invalid")
    _check_depth(text, depth)
    try:  # without the search for white space, which most documents have neither before nor after
        value, end = _DECODER.raw_decode(text)
        if end == len(text):
            return value
    except json.JSONDecodeError:
        pass
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Invalid(
            f"The body is not JSON: {error.msg.removesuffix(' at')} at line {error.lineno}, column"
            f" {error.colno}.",
            code="json_invalid",
        ) from None


def encode(value: Any) -> str:
    """Return the canonical text of a trusted value; no limit is checked."""
    return _ENCODER.encode(value)


def canonical(value: Any) -> str:
    """Return the canonical text of a parsed value.

    :raises Invalid: ``json_value`` if it contains NUL or a lone surrogate.
    :raises TooLarge: ``value_too_large`` above 64 KiB.
    """
    if type(value) is str:  # most values are short texts in ASCII
        text = _quoted(value)
        if text.isascii() and len(text) <= VALUE_BYTES and "\\u0000" not in text:
            return text
    text = canonical_of_any_size(value)
    size = utf8_size(text)
    if size > VALUE_BYTES:
        raise TooLarge(
            f"The value is {size} bytes as canonical JSON; at most {VALUE_BYTES} are allowed.",
            code="value_too_large",
        )
    return text


def utf8_size(text: str) -> int:
    """Return the number of bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8"))


def canonical_of_any_size(value: Any) -> str:
    """Return the canonical text of a parsed value.

    :raises Invalid: ``json_value`` if it contains NUL or a lone surrogate.
    """
    text = _quoted(value) if type(value) is str else _ENCODER.encode(value)
    try:
        utf8_size(text)
    except UnicodeEncodeError:
        raise Invalid(
            "A string contains a lone surrogate (\\ud800 to \\udfff without its pair), which is not a "
            "Unicode character.",
            code="json_value",
        ) from None
    if "\\u0000" in text and _holds_nul(value):
        raise Invalid(
            "A string contains the NUL character, which is not allowed.", code="json_value"
        )
    return text


def _check_depth(text: str, deepest: int) -> None:
    """Refuse deep nesting before the parser recurses into it."""
    if text.count("[") + text.count("{") <= DEPTH:
        return
    brackets = _NO_BRACKETS.sub("", text).translate(_AS_ROUND)
    remaining = brackets
    for _ in range(deepest):  # each time, the innermost ones are removed
        remaining = remaining.replace("()", "")
        if not remaining:
            return
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket == "(" else -1
        if depth > deepest:
            raise Invalid(f"The JSON is nested deeper than {DEPTH} levels.", code="json_too_deep")


def check_value_depth(value: Any, depth: int = 0) -> None:
    """Raise Invalid if a value is nested deeper than 32 levels.

    :raises Invalid: ``json_too_deep``.
    """
    if isinstance(value, dict | list):
        if depth >= DEPTH:
            raise Invalid(f"The value is nested deeper than {DEPTH} levels.", code="json_too_deep")
        for child in value.values() if isinstance(value, dict) else value:
            check_value_depth(child, depth + 1)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(child) for key, child in value.items())
    return isinstance(value, list) and any(_holds_nul(child) for child in value)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(
            f"An object contains the key {quoted(twice)} twice.", code="json_duplicate_key"
        )
    return members


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -INTEGER_BOUND <= (number := int(digits)) < INTEGER_BOUND:
        raise Invalid(
            f"An integer of {len(digits)} characters is outside -2^63 to 2^63-1; send it as a "
            "string.",
            code="json_value",
        )
    return number


_NOT_ZERO = re.compile(r"-?[0.]*[1-9]")


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise Invalid(
            f"A number of {len(digits)} characters is too large for a double.", code="json_value"
        )
    if not number and _NOT_ZERO.match(digits):
        raise Invalid(
            f"A number of {len(digits)} characters is too close to 0 for a double; send 0.",
            code="json_value",
        )
    return number


def _constant(name: str) -> NoReturn:
    raise Invalid(f"{quoted(name)} is not JSON; send null or a string.", code="json_value")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
