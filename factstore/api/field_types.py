"""Kinds of fields that requests have: strict where marshmallow is lenient."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

WAIT_LIMIT = 50  # seconds; below the read timeout of every common proxy
PAGE_LIMIT = 1000


class Schema(ma.Schema):
    """A body; unknown fields are refused."""

    class Meta:
        unknown = ma.RAISE


def described(text: str, **more: Any) -> dict[str, Any]:
    """Arguments for a field that says what it is for."""
    return {"metadata": {"description": text}, **more}


class _Whole(fields.Integer):
    """Decimal digits only; Python would also read ``1_0``, ``+1`` and other scripts' digits."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not (isinstance(value, str) and value.isascii() and value.isdigit()):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


def whole(text: str, low: int, high: int, default: int | None) -> fields.Integer:
    """A parameter that is a whole number."""
    return _Whole(load_default=default, validate=validate.Range(low, high), **described(text))


class Pattern(validate.Regexp):
    """A pattern for the whole text, ``^...$``, which OpenAPI's readers understand as Python does."""

    def __call__(self, value: Any) -> Any:
        if value.endswith("\n"):  # Python's $ would let it pass
            raise ma.ValidationError(self._format_error(value))
        return super().__call__(value)


def switch(text: str) -> fields.Boolean:
    """A parameter that is 'true' or 'false'."""
    return fields.Boolean(load_default=False, truthy={"true"}, falsy={"false"}, **described(text))


class _Flag(fields.Boolean):
    """JSON's true and false only: Python takes 1 for True, and marshmallow much else."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def flag(text: str) -> fields.Boolean:
    """A body's field that is true or false."""
    return _Flag(load_default=False, **described(text))


def named(pattern: str, text: str, **more: Any) -> fields.String:
    """A parameter whose form the domain checks; it may be empty, which is as if it were not there."""
    metadata = {"description": text, "pattern": f"^({pattern})?$"}
    return fields.String(load_default="", metadata=metadata, **more)


def wait() -> fields.Integer:
    """How long to wait."""
    return whole(f"Seconds to wait, 0 to {WAIT_LIMIT}.", 0, WAIT_LIMIT, 0)


def consistency() -> fields.String:
    """How old an answer may be."""
    return fields.String(
        load_default="current",
        validate=validate.OneOf(["current", "stale"]),
        **described("'stale' answers from this worker's memory without asking etcd."),
    )


class _Seconds(fields.Integer):
    """Whole numbers only: Python takes True for 1, and marshmallow '10' and 10.0 for 10."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if type(value) is not int:
            raise ma.ValidationError("Not a whole number.")
        return value


def _none() -> None:
    """A default that the document does not show: it would have to be a number there."""


def seconds(
    text: str, low: int, high: int, default: int | None, *, nullable: bool = True
) -> fields.Integer:
    """A body's field that is a number of seconds; the domain checks its limits."""
    return _Seconds(
        strict=True,
        load_default=default if nullable or default is not None else _none,
        allow_none=nullable and default is None,
        metadata={"description": f"{text}; {low} to {high}.", "minimum": low, "maximum": high},
    )
