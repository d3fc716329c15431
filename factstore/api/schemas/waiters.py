"""Shapes of waiters and signals."""

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
from factstore.core.model.value import INTEGER_BOUND
from factstore.core.model.waiter import (
    SIGNAL_ID_LENGTH,
    TIMEOUT_DEFAULT,
    TIMEOUT_MAX,
    TIMEOUT_MIN,
    WAITER_STATES,
)
from factstore.core.operations.signals import REASON_LENGTH, STATUSES

# Queries


class WaitersQuery(PageQuery):
    """Listing waiters."""


class WaiterQuery(Schema):
    """Reading a waiter."""

    wait = wait_parameter()
    consistency = consistency_parameter()


# Bodies


def _condition(text: str, **more: Any) -> fields.Raw:
    """Return a field for a condition, which the domain parses and checks."""
    metadata = description(
        text,
        type="object",
        minProperties=1,
        example={"facts": "nodes/*/services/slurmd", "equals": "started", "count": 3},
    )
    return fields.Raw(**metadata, **more)


class WaiterBody(Schema):
    """A waiter to arm."""

    example: ClassVar[dict[str, Any]] = {"success": {"signals": 1}, "timeout": 600}

    success = _condition("The condition that makes the waiter met.", required=True)
    failure = _condition(
        "The condition that makes the waiter failed, even if the success condition is true. Null for "
        "none.",
        allow_none=True,
    )
    timeout = fields.Raw(
        **description(
            f"Seconds, {TIMEOUT_MIN} to {TIMEOUT_MAX}. The default is {TIMEOUT_DEFAULT}.",
            type="integer",
            minimum=TIMEOUT_MIN,
            maximum=TIMEOUT_MAX,
        )
    )
    extend_on_progress = fields.Raw(
        **description("Restart the timeout whenever there is progress.", type="boolean")
    )
    fail_when_stuck = fields.Raw(
        allow_none=True,
        **description(
            "Seconds after which the waiter fails if it cannot be met, because members wait for each "
            f"other or for what will not come, 1 to {TIMEOUT_MAX}. Null not to fail because of that.",
            type="integer",
            minimum=1,
            maximum=TIMEOUT_MAX,
        ),
    )


def _signal_status() -> fields.String:
    return fields.String(validate=OneOf(STATUSES), **description("The default is SUCCESS."))


def _signal_reason() -> fields.String:
    return fields.String(
        allow_none=True,
        **description(f"Free text. If it is longer than {REASON_LENGTH} characters, it is cut."),
    )


def _signal_data() -> fields.Raw:
    return fields.Raw(
        allow_none=True,
        **description("Any JSON value for readers of the waiter. A value above 64 KiB is cut."),
    )


def _signal_id() -> fields.Raw:
    return fields.Raw(
        allow_none=True,
        **description(
            "The signal's id. A signal replaces an earlier one with the same id. If it is longer than "
            f"{SIGNAL_ID_LENGTH} characters, its end is replaced by a hash.",
            type=["string", "integer"],
            minimum=-INTEGER_BOUND,
            maximum=INTEGER_BOUND - 1,
            minLength=1,
        ),
    )


class SignalBody(Schema):
    """A signal in the form of Heat's wait conditions."""

    example: ClassVar[dict[str, Any]] = {"status": "SUCCESS"}

    status = _signal_status()
    reason = _signal_reason()
    data = _signal_data()
    id = _signal_id()


class AwsSignalBody(Schema):
    """A signal in the form of CloudFormation's wait conditions."""

    Status = _signal_status()
    Reason = _signal_reason()
    Data = _signal_data()
    UniqueId = _signal_id()


# Responses


class Signal(Schema):
    """A signal to a waiter."""

    status = fields.String(required=True, validate=OneOf(STATUSES))
    reason = fields.String(required=True)
    data = fields.Raw(required=True, allow_none=True)
    received_at = timestamp_field()
    by = fields.String(required=True)


class WaiterSummary(Schema):
    """A waiter in a list."""

    name = fields.String(required=True)
    state = fields.String(required=True, validate=OneOf(WAITER_STATES))
    reason = fields.String(required=True, allow_none=True)
    revision = revision_field()
    decided_revision = fields.Integer(required=True, allow_none=True)
    success = fields.Dict(required=True)
    failure = fields.Dict(required=True, allow_none=True)
    timeout = fields.Integer(required=True)
    extend_on_progress = fields.Boolean(required=True)
    fail_when_stuck = fields.Integer(
        **description("Only if it was given. See the request.", minimum=1)
    )
    armed_at = timestamp_field()
    decided_at = fields.String(required=True, allow_none=True, metadata={"format": "date-time"})
    history_lost_at = fields.String(
        **description(
            "When it was noticed that revisions were lost that maybe no worker saw. Omitted if none "
            "were lost.",
            format="date-time",
        )
    )


class WaiterState(WaiterSummary):
    """A waiter in an event, with its progress when it was decided."""

    satisfied = fields.Integer(required=True)
    needed = fields.Integer(required=True)
    missing = fields.List(fields.String(), required=True)
    failing = fields.List(fields.String(), required=True)


class Waiter(WaiterState):
    """A waiter with its signals by id."""

    signals = fields.Dict(keys=fields.String(), values=fields.Nested(Signal), required=True)


class WaiterPage(Schema):
    """A page of waiters."""

    waiters = fields.List(fields.Nested(WaiterSummary), required=True)
    cursor = cursor_field()
    links = fields.List(fields.Nested(Link), required=True)
