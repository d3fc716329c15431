"""What requests may hold: query parameters and bodies; the form of answers is in ``answers``."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from factstore.core.cursor import CURSOR_PATTERN
from factstore.core.event import CHANGE_TYPES
from factstore.core.fact import DESCRIPTION_LENGTH, KINDS, TTL_MAX, TTL_MIN
from factstore.core.path import PATH_LENGTH, PATH_PATTERN, SEGMENT_PATTERN
from factstore.core.plan import BATCH_OPERATIONS

WAIT_LIMIT = 50  # seconds; below the read timeout of every common proxy
PAGE_LIMIT = 1000
SETTLE_LIMIT = 5000  # milliseconds; with WAIT_LIMIT below the common read timeout of a minute
MAX_SETTLE_LIMIT = 60_000


class Schema(ma.Schema):
    """A body; unknown fields are refused."""

    class Meta:
        unknown = ma.RAISE


def _described(text: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"description": text}, **more}


class _Whole(fields.Integer):
    """Decimal digits only; Python would also read ``1_0``, ``+1`` and other scripts' digits."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not (isinstance(value, str) and value.isascii() and value.isdigit()):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


def _whole(text: str, low: int, high: int, default: int | None) -> fields.Integer:
    return _Whole(load_default=default, validate=validate.Range(low, high), **_described(text))


class _Pattern(validate.Regexp):
    """A pattern for the whole text, ``^...$``, which OpenAPI's readers understand as Python does."""

    def __call__(self, value: Any) -> Any:
        if value.endswith("\n"):  # Python's $ would let it pass
            raise ma.ValidationError(self._format_error(value))
        return super().__call__(value)


def _switch(text: str) -> fields.Boolean:
    return fields.Boolean(load_default=False, truthy={"true"}, falsy={"false"}, **_described(text))


def _named(pattern: str, text: str, **more: Any) -> fields.String:
    """A parameter whose form the domain checks; it may be empty, which is as if it were not there."""
    metadata = {"description": text, "pattern": f"^({pattern})?$"}
    return fields.String(load_default="", metadata=metadata, **more)


def _path() -> fields.String:
    """A fact's path in a body; the domain checks its form."""
    metadata = {"pattern": f"^{PATH_PATTERN}$", "maxLength": PATH_LENGTH}
    return fields.String(required=True, metadata=metadata)


def _wait() -> fields.Integer:
    return _whole(f"Seconds to wait, 0 to {WAIT_LIMIT}.", 0, WAIT_LIMIT, 0)


def _consistency() -> fields.String:
    return fields.String(
        load_default="current",
        validate=validate.OneOf(["current", "stale"]),
        **_described("'stale' answers from this worker's memory without asking etcd."),
    )


def _settle() -> fields.Integer:
    text = f"Tell when it has been quiet for so many milliseconds, 0 to {SETTLE_LIMIT}; 0 at once."
    return _whole(text, 0, SETTLE_LIMIT, 0)


def _max_settle() -> fields.Integer:
    text = (
        f"Milliseconds after which to tell although it is not quiet, 0 to {MAX_SETTLE_LIMIT}; "
        "ten times settle if it is not given."
    )
    return _whole(text, 0, MAX_SETTLE_LIMIT, None)


# Query parameters


class SettleQuery(Schema):
    """Waiting for quiet."""

    settle = _settle()
    max_settle = _max_settle()

    @ma.validates_schema
    def _as_long_as_settle(self, data: dict[str, Any], **_: Any) -> None:
        longest = data["max_settle"]
        if longest is not None and not 0 < data["settle"] <= longest:
            raise ma.ValidationError("Goes with settle, and is no less than that.", "max_settle")


class NoQuery(Schema):
    """No parameter is known."""


class PageQuery(Schema):
    """Paging."""

    limit = _whole(f"Items on a page, 1 to {PAGE_LIMIT}.", 1, PAGE_LIMIT, 100)
    marker = _named(PATH_PATTERN, "Continue after this item.")
    cursor = _named(CURSOR_PATTERN, "Show the state at this cursor; the next link carries it.")


def _project_id() -> fields.String:
    return fields.String(
        load_default=str,
        validate=_Pattern(r"^[A-Za-z0-9_-]{1,64}$"),
        **_described("Another project than the caller's; administrators only."),
    )


class StacksQuery(PageQuery):
    """Listing stacks."""

    marker = _named(SEGMENT_PATTERN, "Continue after this item.")
    project_id = _project_id()


class LimitsQuery(Schema):
    """Showing a project's limits."""

    project_id = _project_id()


class StackQuery(Schema):
    """Showing a stack."""

    consistency = _consistency()


class FactsQuery(PageQuery):
    """Listing facts."""

    prefix = _named(PATH_PATTERN, "Only the fact at this path and those below it.")


class FactQuery(Schema):
    """Reading a fact."""

    wait = _wait()
    format = fields.String(
        load_default="json",
        validate=validate.OneOf(["json", "raw"]),
        **_described("'raw' prints a scalar bare, as text/plain."),
    )
    consistency = _consistency()


class ContextQuery(SettleQuery):
    """Reading a context."""

    wait = _wait()
    include = fields.String(
        load_default="",
        validate=validate.OneOf(["", "results"]),
        **_described("'results' includes the facts below results/."),
    )
    member = _named(SEGMENT_PATTERN, "The living member that looks: adds 'self' and 'peers'.")
    consistency = _consistency()


class WaitersQuery(PageQuery):
    """Listing waiters."""

    marker = _named(SEGMENT_PATTERN, "Continue after this item.")


class WaiterQuery(Schema):
    """Reading a waiter."""

    wait = _wait()
    consistency = _consistency()


class EventsQuery(SettleQuery):
    """Watching."""

    since = _named(CURSOR_PATTERN, "A cursor to go on from; else the present.")
    wait = _wait()
    prefix = _named(PATH_PATTERN, "Only changes at or below this path.")
    types = fields.String(
        load_default="",
        validate=_Pattern(
            r"^(({0})(,({0}))*)?$".format("|".join(t.replace(".", r"\.") for t in CHANGE_TYPES)),
            error=f"name some of {', '.join(CHANGE_TYPES)}, joined by commas.",
        ),
        **_described(f"Only these change types, of {', '.join(CHANGE_TYPES)}, joined by commas."),
    )
    initial = _switch("Begin a stream with a snapshot.")
    on_gap = fields.String(
        load_default="reset",
        validate=validate.OneOf(["reset", "error"]),
        **_described("What a stream answers to an expired cursor: a reset and a snapshot, or 410."),
    )


# Bodies


class FactBody(Schema):
    """A fact to store."""

    value = fields.Raw(required=True, allow_none=True, **_described("Any JSON value."))
    kind = fields.String(load_default="observed", validate=validate.OneOf(KINDS))
    ttl = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        metadata={
            "description": f"Seconds until it expires unless it is put again; {TTL_MIN} to {TTL_MAX}.",
            "minimum": TTL_MIN,
            "maximum": TTL_MAX,
        },
    )

    @ma.pre_load
    def _no_true_ttl(self, data: Any, **_: Any) -> Any:
        # Python takes True for 1, and marshmallow '10' and 10.0 for 10.
        ttl = data.get("ttl") if isinstance(data, dict) else None
        if ttl is not None and type(ttl) is not int:
            raise ma.ValidationError("Not a whole number.", "ttl")
        return data


class BatchPut(FactBody):
    """A fact to store at a path."""

    path = _path()


class BatchDelete(Schema):
    """A fact to remove."""

    path = _path()


class BatchOperation(Schema):
    """Either a put or a delete."""

    put = fields.Nested(BatchPut)
    delete = fields.Nested(BatchDelete)

    @ma.validates_schema
    def _exactly_one(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 1:
            raise ma.ValidationError("An operation is either a put or a delete.")


class BatchGuard(Schema):
    """What must hold of a path: an etag, or that it exists, or that it is absent."""

    path = _path()
    etag = fields.String()
    exists = fields.Boolean(truthy={True}, falsy=set(), metadata={"enum": [True]})
    absent = fields.Boolean(truthy={True}, falsy=set(), metadata={"enum": [True]})

    @ma.validates_schema
    def _exactly_one(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 2:
            raise ma.ValidationError(
                "A guard has a path and one of etag, exists: true, absent: true."
            )


class BatchBody(Schema):
    """Operations that happen all or not at all."""

    guards = fields.List(
        fields.Nested(BatchGuard, metadata={"minProperties": 2, "maxProperties": 2}),
        load_default=list,
        metadata={"maxItems": BATCH_OPERATIONS - 1},
    )
    operations = fields.List(
        fields.Nested(BatchOperation, metadata={"minProperties": 1, "maxProperties": 1}),
        required=True,
        metadata={
            "description": f"At most {BATCH_OPERATIONS}, guards included.",
            "minItems": 1,
            "maxItems": BATCH_OPERATIONS,
        },
    )


class StackBody(Schema):
    """A stack's settings."""

    description = fields.String(load_default="", validate=validate.Length(max=DESCRIPTION_LENGTH))
