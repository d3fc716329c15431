"""Fields and query parameters, strict where marshmallow is lenient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.member import DECLARED_PATTERN, GENERATION_PATTERN, REASON_PATTERN

WAIT_LIMIT = 50  # seconds; below the read timeout of every common proxy
NAMES_LIMIT = 32  # in one parameter
SETTLE_LIMIT = 5000  # milliseconds; with WAIT_LIMIT below the common read timeout of a minute
MAX_SETTLE_LIMIT = 60_000


class Pattern(validate.Regexp):
    """A pattern for the whole text, ``^...$``, which OpenAPI's readers understand as Python does.

    :param error: the sentence for another text, which states what is expected.
    """

    def __init__(self, regex: str, error: str) -> None:
        super().__init__(regex, error=error)

    def __call__(self, value: Any) -> Any:
        if value.endswith("\n"):  # Python's $ also matches before a final newline
            raise ma.ValidationError(self._format_error(value))
        return super().__call__(value)


class OneOf(validate.OneOf):
    """A choice, whose error quotes the choices.  An empty text stands for a missing one."""

    def __init__(self, choices: Iterable[Any]) -> None:
        super().__init__(list(choices))
        named = [repr(each) for each in self.choices if each not in ("", None)]
        self.choices_text = " or ".join(
            [*([", ".join(named[:-1])] if named[1:] else []), *named[-1:]]
        )
        self.error = f"Send {self.choices_text}."


def description(text: str, **metadata: Any) -> dict[str, Any]:
    """Return the keyword arguments that give a field a description and other metadata."""
    return {"metadata": {"description": text, **metadata}}


# Query parameters


class _DecimalInteger(fields.Integer):
    """Decimal digits only; Python also accepts ``1_0``, ``+1`` and the digits of other scripts."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not (isinstance(value, str) and value.isascii() and value.isdigit()):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


def integer_parameter(text: str, low: int, high: int, default: int | None) -> fields.Integer:
    """Return an integer parameter."""
    expected = f"Send a whole number from {low} to {high}, in decimal digits."
    return _DecimalInteger(
        load_default=default,
        validate=validate.Range(low, high, error=expected),
        error_messages={"invalid": expected},
        **description(text),
    )


def boolean_parameter(text: str) -> fields.Boolean:
    """Return a parameter that is 'true' or 'false'."""
    return fields.Boolean(load_default=False, truthy={"true"}, falsy={"false"}, **description(text))


def string_parameter(
    pattern: str, text: str, validate: Callable[[str], Any] | None = None
) -> fields.String:
    """Return a parameter whose form the domain checks; an empty one counts as missing."""
    return fields.String(
        load_default="", validate=validate, **description(text, pattern=f"^({pattern})?$")
    )


def names_parameter(pattern: str, text: str) -> fields.String:
    """Return a parameter with names, separated by commas, whose form the domain checks."""
    return string_parameter(f"{pattern}(?:,{pattern})*", text, _check_number)


def _check_number(text: str) -> None:
    if text.count(",") >= NAMES_LIMIT:
        raise ma.ValidationError(f"Give at most {NAMES_LIMIT} names, separated by commas.")


def project_parameter() -> fields.String:
    """Return the parameter that names another project."""
    return fields.String(
        load_default=str,
        validate=id_pattern(),
        **description("The id of another project than the caller's. Only for administrators."),
    )


def declared_parameter(text: str) -> fields.String:
    """Return a parameter that is the id of a declared member."""
    return fields.String(load_default=None, validate=declared_pattern(), **description(text))


def id_pattern() -> Pattern:
    """Return the pattern of an id of another service of OpenStack."""
    return Pattern(
        r"^[A-Za-z0-9_-]{1,64}$", "An id is 1 to 64 letters, digits, hyphens and underscores."
    )


def declared_pattern() -> Pattern:
    """Return the pattern of the id with which a member is declared."""
    return Pattern(rf"^{DECLARED_PATTERN}$", "The id is 1 to 255 printable characters of ASCII.")


def reason_pattern() -> Pattern:
    """Return the pattern of a reason in one word."""
    return Pattern(
        rf"^{REASON_PATTERN}$",
        "A reason is 1 to 64 lower-case letters, digits and underscores, and begins with a letter.",
    )


def wait_parameter() -> fields.Integer:
    """Return the parameter for the time to wait."""
    return integer_parameter(f"Seconds to wait, 0 to {WAIT_LIMIT}.", 0, WAIT_LIMIT, 0)


def consistency_parameter() -> fields.String:
    """Return the parameter that permits stale reads."""
    return fields.String(
        load_default="current",
        validate=OneOf(["current", "stale"]),
        **description("With 'stale', the worker answers from memory without asking etcd."),
    )


class SettleQuery(ma.Schema):
    """Parameters that delay a response until a stack is quiet."""

    class Meta:
        unknown = ma.RAISE

    settle = integer_parameter(
        "Milliseconds without changes after which the response is sent, "
        f"0 to {SETTLE_LIMIT}. With 0 it is sent at once.",
        0,
        SETTLE_LIMIT,
        0,
    )
    max_settle = integer_parameter(
        "Milliseconds after which the response is sent even if changes continue, "
        f"0 to {MAX_SETTLE_LIMIT}. The default is ten times settle.",
        0,
        MAX_SETTLE_LIMIT,
        None,
    )

    @ma.validates_schema
    def _not_below_settle(self, data: dict[str, Any], **_: Any) -> None:
        maximum = data["max_settle"]
        if maximum is not None and not 0 < data["settle"] <= maximum:
            raise ma.ValidationError("It needs settle, and must not be less.", "max_settle")


# Fields of request bodies


class _Boolean(fields.Boolean):
    """JSON's true and false only; marshmallow also accepts 1, 'yes' and more."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def boolean_field(text: str) -> fields.Boolean:
    """Return a field that is true or false."""
    return _Boolean(load_default=False, **description(text))


class _WholeNumber(fields.Integer):
    """JSON integers only; Python accepts True as 1, and marshmallow '10' and 10.0 as 10."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if type(value) is not int:
            raise ma.ValidationError("Send a whole number.")
        return value


def _none() -> None:
    """Default that the OpenAPI document leaves out; a plain None has to be a number there."""


def seconds_field(
    text: str, low: int, high: int, default: int | None, *, nullable: bool = True
) -> fields.Integer:
    """Return a field for seconds, whose limits the domain checks."""
    return _WholeNumber(
        strict=True,
        load_default=default if nullable or default is not None else _none,
        allow_none=nullable and default is None,
        **description(f"{text} {low} to {high}.", minimum=low, maximum=high),
    )


def integer_field(text: str, low: int, high: int, default: int) -> fields.Integer:
    """Return a field for a whole number, whose limits the domain checks."""
    return _WholeNumber(
        strict=True,
        load_default=default,
        **description(f"{text} {low} to {high}.", minimum=low, maximum=high),
    )


def optional_integer_field(text: str, low: int, high: int) -> fields.Integer:
    """Return a field for a whole number that can be left out; the domain checks the limits."""
    return _WholeNumber(
        strict=True,
        load_default=_none,
        **description(f"{text} {low} to {high}.", minimum=low, maximum=high),
    )


def generation_field(text: str) -> fields.String:
    """Return a field for a member's generation."""
    return fields.String(
        load_default=None,
        allow_none=True,
        validate=Pattern(
            rf"^{GENERATION_PATTERN}$",
            "Send the generation exactly as it was returned: 1 to 16 hexadecimal digits in lower case.",
        ),
        **description(text),
    )


# Fields of responses


def timestamp_field(*, nullable: bool = False) -> fields.String:
    """Return a field with a moment, as ISO 8601."""
    return fields.String(required=True, allow_none=nullable, metadata={"format": "date-time"})


def cursor_field(*, nullable: bool = False) -> fields.String:
    """Return a field with a cursor, or with an entity tag, which has the same form."""
    return fields.String(
        required=True, allow_none=nullable, metadata={"pattern": f"^{CURSOR_PATTERN}$"}
    )


def revision_field() -> fields.Integer:
    """Return a field with a revision or a version."""
    return fields.Integer(required=True, metadata={"minimum": 1})
