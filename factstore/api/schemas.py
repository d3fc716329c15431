"""What queries may hold; bodies are in ``bodies``, the form of answers is in ``answers``."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from factstore.api import field_types
from factstore.api.field_types import Pattern, Schema, described, named, whole
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.event import CHANGE_TYPES
from factstore.core.model.member import DECLARED_PATTERN, REASON_PATTERN
from factstore.core.model.path import PATH_PATTERN, SEGMENT_PATTERN

SETTLE_LIMIT = 5000  # milliseconds; with WAIT_LIMIT below the common read timeout of a minute
MAX_SETTLE_LIMIT = 60_000


def _project_id() -> fields.String:
    return fields.String(
        load_default=str,
        validate=Pattern(r"^[A-Za-z0-9_-]{1,64}$"),
        **described("Another project than the caller's; administrators only."),
    )


def _settle() -> fields.Integer:
    text = f"Tell when it has been quiet for so many milliseconds, 0 to {SETTLE_LIMIT}; 0 at once."
    return whole(text, 0, SETTLE_LIMIT, 0)


def _max_settle() -> fields.Integer:
    text = (
        f"Milliseconds after which to tell although it is not quiet, 0 to {MAX_SETTLE_LIMIT}; "
        "ten times settle if it is not given."
    )
    return whole(text, 0, MAX_SETTLE_LIMIT, None)


def _group() -> fields.String:
    return named(SEGMENT_PATTERN, "Only members of this group.")


def _declared(text: str) -> fields.String:
    return fields.String(
        load_default=None,
        validate=Pattern(rf"^{DECLARED_PATTERN}$"),
        **described(text),
    )


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

    limit = whole(
        f"Items on a page, 1 to {field_types.PAGE_LIMIT}.", 1, field_types.PAGE_LIMIT, 100
    )
    marker = named(PATH_PATTERN, "Continue after this item.")
    cursor = named(CURSOR_PATTERN, "Show the state at this cursor; the next link carries it.")


class StacksQuery(PageQuery):
    """Listing stacks."""

    marker = named(SEGMENT_PATTERN, "Continue after this item.")
    project_id = _project_id()


class LimitsQuery(Schema):
    """Showing a project's limits."""

    project_id = _project_id()


class StackQuery(Schema):
    """Showing a stack."""

    consistency = field_types.consistency()


class FactsQuery(PageQuery):
    """Listing facts."""

    prefix = named(PATH_PATTERN, "Only the fact at this path and those below it.")


class FactQuery(Schema):
    """Reading a fact."""

    wait = field_types.wait()
    format = fields.String(
        load_default="json",
        validate=validate.OneOf(["json", "raw"]),
        **described("'raw' prints a scalar bare, as text/plain."),
    )
    consistency = field_types.consistency()


class MembersQuery(PageQuery):
    """Listing members."""

    group = _group()
    declared = _declared("Only members that are declared as this.")
    marker = named(SEGMENT_PATTERN, "Continue after this item.")


class MemberQuery(Schema):
    """Showing a member."""

    consistency = field_types.consistency()


class DepartQuery(Schema):
    """Departing."""

    reason = fields.String(
        load_default="left",
        validate=Pattern(rf"^{REASON_PATTERN}$"),
        **described("Why, in a word; watchers are told."),
    )
    declared = _declared("Only if the member is declared as this; for owners to say.")


class ConvergenceQuery(Schema):
    """Reading who lags."""

    group = _group()
    wait = field_types.wait()
    consistency = field_types.consistency()


class ContextQuery(SettleQuery):
    """Reading a context."""

    wait = field_types.wait()
    include = fields.String(
        load_default="",
        validate=validate.OneOf(["", "results"]),
        **described("'results' includes the facts below results/."),
    )
    member = named(SEGMENT_PATTERN, "The living member that looks: adds 'self' and 'peers'.")
    consistency = field_types.consistency()


class WaitersQuery(PageQuery):
    """Listing waiters."""

    marker = named(SEGMENT_PATTERN, "Continue after this item.")


class WaiterQuery(Schema):
    """Reading a waiter."""

    wait = field_types.wait()
    consistency = field_types.consistency()


class GrantsQuery(PageQuery):
    """Listing grants."""

    marker = named(SEGMENT_PATTERN, "Continue after this item.")


class GrantQuery(Schema):
    """Showing a grant."""

    consistency = field_types.consistency()


class EventsQuery(SettleQuery):
    """Watching."""

    since = named(CURSOR_PATTERN, "A cursor to go on from; else the present.")
    wait = field_types.wait()
    prefix = named(PATH_PATTERN, "Only changes at or below this path.")
    types = fields.String(
        load_default="",
        validate=Pattern(
            r"^(({0})(,({0}))*)?$".format("|".join(t.replace(".", r"\.") for t in CHANGE_TYPES)),
            error=f"name some of {', '.join(CHANGE_TYPES)}, joined by commas.",
        ),
        **described(f"Only these change types, of {', '.join(CHANGE_TYPES)}, joined by commas."),
    )
    initial = field_types.switch("Begin a stream with a snapshot.")
    on_gap = fields.String(
        load_default="reset",
        validate=validate.OneOf(["reset", "error"]),
        **described("What a stream answers to an expired cursor: a reset and a snapshot, or 410."),
    )
