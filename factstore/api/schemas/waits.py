"""Shapes of the waits in a stack."""

from __future__ import annotations

from marshmallow import fields

from factstore.api.schemas.base import Schema
from factstore.api.schemas.field_types import (
    OneOf,
    consistency_parameter,
    description,
    timestamp_field,
)
from factstore.core.model.wait import NEVER_REASONS, WAIT_KINDS


class WaitsQuery(Schema):
    """Showing who waits for whom."""

    consistency = consistency_parameter()


class WaitParty(Schema):
    """One that waits, or is waited for; exactly one of the fields is present."""

    member = fields.String()
    configuration = fields.String(**description("The key: the member, '/' and the name."))
    waiter = fields.String()
    action = fields.String()
    user = fields.String(**description("The id of a Keystone user."))
    readers = fields.String(
        **description(
            "Holders of grants that are not an agent's; or users, if the caller has a grant."
        )
    )


class WaitGoal(Schema):
    """The thing that is waited for; exactly one of the fields is present."""

    path = fields.String(**description("The path of a fact, or a pattern."))
    member = fields.String(**description("A member that has to apply or to run something."))
    group = fields.String(**description("A group that further members have to join; '*' for any."))
    turn = fields.String(**description("The name of a queue."))
    configuration = fields.String(**description("The key of a configuration."))
    signals = fields.String(**description("The waiter that waits for signals."))


def _who() -> fields.Nested:
    return fields.Nested(WaitParty, required=True)


def _goal() -> fields.Nested:
    return fields.Nested(WaitGoal, required=True, data_key="for")


def _wait_id() -> fields.String:
    return fields.String(
        required=True, **description("The id of the wait, which is the same as long as it exists.")
    )


def _owner() -> fields.String:
    return fields.String(
        required=True,
        allow_none=True,
        **description(
            "The first member that can end the wait; null if only the stack's owners can."
        ),
    )


class Wait(Schema):
    """One that waits for one thing."""

    id = _wait_id()
    kind = fields.String(required=True, validate=OneOf(WAIT_KINDS))
    who = _who()
    goal = _goal()
    owner = _owner()
    owners = fields.List(
        fields.String(),
        required=True,
        **description("The members that can end the wait; at most 100 of them."),
    )
    needs = fields.Integer(
        required=True, **description("The number of owners that have to act.", minimum=1)
    )
    count = fields.Integer(
        required=True, **description("The number of requests that wait.", minimum=1)
    )
    since = timestamp_field()


class CircleStep(Schema):
    """One wait of a circle, for the next one in it."""

    wait = _wait_id()
    who = _who()
    goal = _goal()
    owner = _who()


class Circle(Schema):
    """Members that wait for each other."""

    members = fields.List(
        fields.String(),
        required=True,
        **description("All members of the circle: those of the steps, in order, then others."),
    )
    steps = fields.List(
        fields.Nested(CircleStep),
        required=True,
        **description(
            "The shortest circle; the owner of the last step is the first one that waits."
        ),
    )
    detail = fields.String(required=True, **description("The circle in words."))
    since = timestamp_field()


class NeverEnding(Schema):
    """A wait that cannot end by itself."""

    wait = _wait_id()
    who = _who()
    goal = _goal()
    owner = _owner()
    reason = fields.String(required=True, validate=OneOf(NEVER_REASONS))
    detail = fields.String(required=True, **description("The reason in words."))
    remedy = fields.String(required=True, **description("What to do about it."))
    since = timestamp_field()


class Waits(Schema):
    """The waits in a stack."""

    waits = fields.List(fields.Nested(Wait), required=True)
    omitted = fields.Integer(
        required=True, **description("The number of waits that are not listed.", minimum=0)
    )
    circles = fields.List(fields.Nested(Circle), required=True)
    never = fields.List(fields.Nested(NeverEnding), required=True)
    stuck = fields.Boolean(
        required=True, **description("True if there is a circle, or a wait that cannot end.")
    )
    stuck_since = timestamp_field(nullable=True)
    reported_at = timestamp_field(nullable=True)
    note = fields.String(
        required=True,
        **description("States who can still end the waits; empty if nothing is stuck."),
    )
