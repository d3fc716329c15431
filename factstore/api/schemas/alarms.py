"""Shapes of alarms."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields

from factstore.api.schemas.base import Link, PageQuery, Schema
from factstore.api.schemas.field_types import (
    OneOf,
    consistency_parameter,
    cursor_field,
    description,
    revision_field,
    timestamp_field,
    wait_parameter,
)
from factstore.core.model.alarm import ALARM_STATES, SECONDS_MAX
from factstore.core.model.alarm_definition import NO_DATA

# Queries


class AlarmsQuery(PageQuery):
    """Listing alarms."""


class AlarmQuery(Schema):
    """Reading an alarm."""

    wait = wait_parameter()
    consistency = consistency_parameter()


# Bodies


def _seconds(text: str) -> fields.Raw:
    """Return a field for a number of seconds, which the domain checks."""
    metadata = description(
        f"{text} At most {SECONDS_MAX}. The default is 0.",
        type="integer",
        minimum=0,
        maximum=SECONDS_MAX,
    )
    return fields.Raw(**metadata)


_EXAMPLE: dict[str, Any] = {
    "condition": {
        "aggregate": {
            "function": "avg",
            "fact": "load",
            "group": "web",
            "at_least": 0.8,
            "clear": 0.5,
        }
    },
    "for": 30,
    "quiet": 120,
}


class AlarmBody(Schema):
    """An alarm to create or to change."""

    example: ClassVar[dict[str, Any]] = _EXAMPLE

    condition = fields.Raw(
        required=True,
        **description(
            "The condition that raises the alarm: one of a waiter except signals, or an aggregate.",
            type="object",
            minProperties=1,
            example=_EXAMPLE["condition"],
        ),
    )
    quiet = _seconds("Seconds after a change of the state in which it does not change again.")
    repeat = _seconds("Seconds between repetitions while the alarm is raised; 0 for none.")
    no_data = fields.Raw(
        **description(
            "The state of the alarm if its condition has no data. The default is keep.",
            type="string",
            enum=list(NO_DATA),
        )
    )

    class Meta:
        """The field whose name is a keyword of Python."""

        include: ClassVar[dict[str, Any]] = {
            "for": _seconds(
                "Seconds for which the condition must have changed before the state does."
            )
        }


# Responses


def _number() -> fields.Float:
    return fields.Float(required=True, allow_none=True)


class AlarmSummary(Schema):
    """An alarm in a list or in an event."""

    name = fields.String(required=True)
    state = fields.String(required=True, validate=OneOf(ALARM_STATES))
    pending = fields.String(required=True, allow_none=True, validate=OneOf([*ALARM_STATES, None]))
    value = _number()
    reason = fields.String(required=True, allow_none=True)
    repeats = fields.Integer(required=True)
    revision = revision_field()
    decided_revision = fields.Integer(required=True, allow_none=True)
    condition = fields.Dict(required=True)
    quiet = fields.Integer(required=True)
    repeat = fields.Integer(required=True)
    no_data = fields.String(required=True, validate=OneOf(NO_DATA))
    created_at = timestamp_field()
    changed_at = timestamp_field()
    updated_at = timestamp_field()
    updated_by = fields.String(required=True)
    history_lost_at = fields.String(
        **description(
            "When it was noticed that revisions were lost that maybe no worker saw. Omitted if none "
            "were lost.",
            format="date-time",
        )
    )

    class Meta:
        """The field whose name is a keyword of Python."""

        include: ClassVar[dict[str, Any]] = {"for": fields.Integer(required=True)}


class AlarmReading(Schema):
    """The present evaluation of an alarm's condition."""

    met = fields.Boolean(required=True, allow_none=True)
    value = _number()
    ignored = fields.List(fields.String(), required=True)


class Alarm(AlarmSummary):
    """An alarm with the present evaluation of its condition."""

    current = fields.Nested(AlarmReading, required=True)


class AlarmPage(Schema):
    """A page of alarms."""

    alarms = fields.List(fields.Nested(AlarmSummary), required=True)
    cursor = cursor_field()
    links = fields.List(fields.Nested(Link), required=True)
