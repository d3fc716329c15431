"""What requests and answers about waiters hold."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from factstore.api.field_types import Schema
from factstore.core.model.waiter import (
    SIGNAL_ID_LENGTH,
    TIMEOUT_DEFAULT,
    TIMEOUT_MAX,
    TIMEOUT_MIN,
    WAITER_STATES,
)
from factstore.core.operations.signals import REASON_LENGTH, STATUSES

# Bodies


def _condition(text: str, **more: Any) -> fields.Raw:
    """A condition; the domain reads it, and says where it is wrong."""
    metadata = {
        "description": text,
        "type": "object",
        "minProperties": 1,
        "example": {"facts": "nodes/*/services/slurmd", "equals": "started", "count": 3},
    }
    return fields.Raw(metadata=metadata, **more)


class WaiterBody(Schema):
    """What to wait for."""

    success = _condition("What makes the waiter met.", required=True)
    failure = _condition(
        "What makes it failed, whatever success says; null for nothing.", allow_none=True
    )
    timeout = fields.Raw(
        metadata={
            "description": f"Seconds, {TIMEOUT_MIN} to {TIMEOUT_MAX}; {TIMEOUT_DEFAULT} if it is "
            "left out.",
            "type": "integer",
            "minimum": TIMEOUT_MIN,
            "maximum": TIMEOUT_MAX,
        }
    )
    extend_on_progress = fields.Raw(
        metadata={
            "description": "Whether the timeout starts anew with each progress.",
            "type": "boolean",
        }
    )


def _signal_status() -> fields.String:
    return fields.String(
        validate=validate.OneOf(STATUSES), metadata={"description": "SUCCESS if left out."}
    )


def _signal_reason() -> fields.String:
    return fields.String(
        allow_none=True, metadata={"description": "Free text.", "maxLength": REASON_LENGTH}
    )


def _signal_data() -> fields.Raw:
    return fields.Raw(
        allow_none=True, metadata={"description": "Any JSON value, for whoever reads it."}
    )


def _signal_id() -> fields.Raw:
    metadata = {
        "description": "Names the signal: another with this id replaces it.",
        "type": ["string", "integer"],
        "minLength": 1,
        "maxLength": SIGNAL_ID_LENGTH,
    }
    return fields.Raw(allow_none=True, metadata=metadata)


class SignalBody(Schema):
    """A signal as Heat's wait conditions take it."""

    status = _signal_status()
    reason = _signal_reason()
    data = _signal_data()
    id = _signal_id()


class AwsSignalBody(Schema):
    """A signal as CloudFormation's wait conditions take it."""

    Status = _signal_status()
    Reason = _signal_reason()
    Data = _signal_data()
    UniqueId = _signal_id()


# Answers


class Signal(Schema):
    """What was signalled to a waiter."""

    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    reason = fields.String(required=True)
    data = fields.Raw(required=True, allow_none=True)
    received_at = fields.String(required=True, metadata={"format": "date-time"})
    by = fields.String(required=True)


class WaiterSummary(Schema):
    """A waiter in a list."""

    name = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(WAITER_STATES))
    reason = fields.String(required=True, allow_none=True)
    revision = fields.Integer(required=True, metadata={"minimum": 1})
    decided_revision = fields.Integer(required=True, allow_none=True)
    success = fields.Dict(required=True)
    failure = fields.Dict(required=True, allow_none=True)
    timeout = fields.Integer(required=True)
    extend_on_progress = fields.Boolean(required=True)
    armed_at = fields.String(required=True, metadata={"format": "date-time"})
    decided_at = fields.String(required=True, allow_none=True, metadata={"format": "date-time"})


class WaiterState(WaiterSummary):
    """A waiter in an event: how far it had come when it was decided."""

    satisfied = fields.Integer(required=True)
    needed = fields.Integer(required=True)
    missing = fields.List(fields.String(), required=True)
    failing = fields.List(fields.String(), required=True)


class Waiter(WaiterState):
    """A waiter and what was signalled to it, by id."""

    signals = fields.Dict(keys=fields.String(), values=fields.Nested(Signal), required=True)
