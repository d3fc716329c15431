"""Shapes of events."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields

from factstore.api.schemas.alarms import AlarmSummary
from factstore.api.schemas.base import Schema
from factstore.api.schemas.facts import Fact
from factstore.api.schemas.field_types import (
    OneOf,
    Pattern,
    SettleQuery,
    boolean_parameter,
    cursor_field,
    description,
    names_parameter,
    project_parameter,
    string_parameter,
    wait_parameter,
)
from factstore.api.schemas.members import Member
from factstore.api.schemas.waiters import WaiterState
from factstore.api.schemas.why import WhyFlapping
from factstore.core.errors import Invalid
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.event import CHANGE_TYPES
from factstore.core.model.path import PATH_PATTERN, SEGMENT_PATTERN
from factstore.core.model.stack_patterns import PATTERNS, STACK_PATTERN, StackPatterns

_TYPES = ", ".join(CHANGE_TYPES)


class EventsQuery(SettleQuery):
    """Watching a stack."""

    since = string_parameter(
        CURSOR_PATTERN, "The cursor after which to begin. The default is the present."
    )
    wait = wait_parameter()
    prefix = names_parameter(
        PATH_PATTERN,
        "Return only facts at or below this path, or one of several, separated by commas.",
    )
    group = names_parameter(
        SEGMENT_PATTERN,
        "Return only members of this group, or of one of several, separated by commas.",
    )
    alarm = names_parameter(
        SEGMENT_PATTERN,
        "Return only alarms of this name, or of one of several, separated by commas.",
    )
    types = fields.String(
        load_default="",
        validate=Pattern(
            r"^(({0})(,({0}))*)?$".format("|".join(t.replace(".", r"\.") for t in CHANGE_TYPES)),
            error=f"Give some of {_TYPES}, separated by commas.",
        ),
        **description(f"Return only changes of these types, separated by commas. Types: {_TYPES}."),
    )
    initial = boolean_parameter("Begin a stream with a snapshot.")
    on_gap = fields.String(
        load_default="reset",
        validate=OneOf(["reset", "error"]),
        **description(
            "The response of a stream to an expired cursor: a reset and a snapshot, or 410."
        ),
    )


def _check_patterns(text: str) -> None:
    try:
        StackPatterns.of(text.split(",") if text else ())
    except Invalid as error:
        raise ma.ValidationError(error.detail) from error


class AllEventsQuery(EventsQuery):
    """Watching the stacks of a project."""

    stacks = string_parameter(
        f"{STACK_PATTERN}(?:,{STACK_PATTERN})*",
        f"The names of the stacks, at most {PATTERNS}, separated by commas; '*' stands for any "
        "characters, and '?' for one. The default is all stacks. Stacks that are created later are "
        "included.",
        _check_patterns,
    )
    project_id = project_parameter()
    all_projects = boolean_parameter("Watch the stacks of all projects. Only for administrators.")

    @ma.validates_schema
    def _one_project_or_all(self, data: dict[str, Any], **_: Any) -> None:
        if data["all_projects"] and data["project_id"]:
            raise ma.ValidationError("It cannot be given with all_projects.", "project_id")


class Previous(fields.Raw):
    """The fact or member before a change."""

    def __init__(self) -> None:
        references = [{"$ref": f"#/components/schemas/{name}"} for name in ("Fact", "Member")]
        metadata = {"anyOf": [*references, {"type": "null"}]}
        super().__init__(required=True, allow_none=True, metadata=metadata)


class Change(Schema):
    """One change; fields of members, waiters and alarms are only in changes of those."""

    type = fields.String(required=True, validate=OneOf(CHANGE_TYPES))
    path = fields.String(required=True, allow_none=True)
    fact = fields.Nested(Fact, required=True, allow_none=True)
    previous = Previous()
    member = fields.Nested(Member, allow_none=True)
    name = fields.String()
    group = fields.String()
    reason = fields.String(allow_none=True)
    since = fields.String(metadata={"format": "date-time"})
    flapping = fields.Nested(WhyFlapping)
    by = fields.String(required=True, allow_none=True)
    request_id = fields.String(required=True, allow_none=True)
    waiter = fields.Nested(WaiterState)
    alarm = fields.Nested(AlarmSummary)


class Event(Schema):
    """All changes of one revision."""

    cursor = cursor_field()
    changes = fields.List(fields.Nested(Change), required=True)


class EventPage(Schema):
    """The response to a long poll."""

    events = fields.List(fields.Nested(Event), required=True)
    next = cursor_field()
    more = fields.Boolean(required=True)


class StackChange(Change):
    """A change of one of many stacks."""

    project_id = fields.String(required=True)
    stack = fields.String(required=True)


class AllEvents(Schema):
    """All changes of one revision, of all stacks that are watched."""

    cursor = cursor_field()
    changes = fields.List(fields.Nested(StackChange), required=True)


class AllEventsPage(Schema):
    """The response to a long poll of many stacks."""

    events = fields.List(fields.Nested(AllEvents), required=True)
    next = cursor_field()
    more = fields.Boolean(required=True)
