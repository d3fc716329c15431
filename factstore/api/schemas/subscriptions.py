"""Shapes of subscriptions."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields, missing

from factstore.api.schemas.base import Link, PageQuery, Schema
from factstore.api.schemas.field_types import (
    OneOf,
    boolean_field,
    consistency_parameter,
    cursor_field,
    description,
    integer_field,
    project_parameter,
    timestamp_field,
)
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.subscription import (
    MAX_DELAY,
    MAX_EVENTS,
    NAME_LENGTH,
    ROTATION_DEFAULT,
    ROTATION_MAX,
    SUBSCRIPTION_ID_PATTERN,
    SUBSCRIPTION_STATES,
)

# Queries


class SubscriptionsQuery(PageQuery):
    """Listing subscriptions."""

    project_id = project_parameter()


class SubscriptionQuery(Schema):
    """Showing a subscription."""

    consistency = consistency_parameter()


# Bodies

_NAME = "A name for people."
_STACKS = (
    "The stacks whose events are delivered: names, in which '*' stands for any characters and '?' for "
    "one. The default is all stacks."
)
_TYPES = "Only changes of these types. The default is all types."
_PREFIXES = "Only facts at or below one of these paths."
_GROUPS = "Only members of these groups."
_ALARMS = "Only alarms with these names."
_MAX_EVENTS = "The most revisions with events in one message."
_MAX_DELAY = "Seconds for which an event may wait for others, so that one message contains them."


def _names(text: str, **default: Any) -> fields.List[Any]:
    return fields.List(fields.String(), **default, **description(text))


class SubscriptionBody(Schema):
    """A new subscription."""

    example: ClassVar[dict[str, Any]] = {"target": "https://receiver.example.com/events"}

    target = fields.String(
        required=True,
        **description(
            "Where messages are sent: 'https://HOST/PATH', 'zaqar:?queue_name=NAME', or 'heat-signal:' "
            "with the signed URL of a resource. It cannot be changed later."
        ),
    )
    name = fields.String(load_default="", **description(_NAME, maxLength=NAME_LENGTH))
    stacks = _names(_STACKS, load_default=list)
    types = _names(_TYPES, load_default=list)
    prefixes = _names(_PREFIXES, load_default=list)
    groups = _names(_GROUPS, load_default=list)
    alarms = _names(_ALARMS, load_default=list)
    max_events = integer_field(_MAX_EVENTS, 1, MAX_EVENTS, 1)
    max_delay = integer_field(_MAX_DELAY, 0, MAX_DELAY, 0)


def _optional(field: fields.Field[Any]) -> fields.Field[Any]:
    """Return a field that is left out if it is missing."""
    field.load_default = missing
    return field


class SubscriptionPatch(Schema):
    """Changes of a subscription. What is missing stays as it is."""

    example: ClassVar[dict[str, Any]] = {"paused": True}

    name = fields.String(**description(_NAME, maxLength=NAME_LENGTH))
    stacks = _names(_STACKS)
    types = _names(_TYPES)
    prefixes = _names(_PREFIXES)
    groups = _names(_GROUPS)
    alarms = _names(_ALARMS)
    max_events = _optional(integer_field(_MAX_EVENTS, 1, MAX_EVENTS, 1))
    max_delay = _optional(integer_field(_MAX_DELAY, 0, MAX_DELAY, 0))
    paused = _optional(boolean_field("True to pause the delivery, false to resume it."))


class ConfirmBody(Schema):
    """The challenge of a subscription."""

    example: ClassVar[dict[str, Any]] = {"challenge": "challenge-x"}

    challenge = fields.String(
        required=True, **description("The challenge that the target received.")
    )


class TestBody(Schema):
    """A request for a test message."""

    example: ClassVar[dict[str, Any]] = {}


class ReplayBody(Schema):
    """The position from which events are delivered again."""

    example: ClassVar[dict[str, Any]] = {"since": "0123456789abcdef.1"}

    since = fields.String(
        required=True,
        **description(
            "The cursor after which delivery continues, from a message or a response.",
            pattern=f"^{CURSOR_PATTERN}$",
        ),
    )


class RotateBody(Schema):
    """The replacement of a secret."""

    example: ClassVar[dict[str, Any]] = {"overlap": 3600}

    overlap = integer_field(
        "Seconds for which messages are also signed with the former secret.",
        0,
        ROTATION_MAX,
        ROTATION_DEFAULT,
    )


# Responses


class DeliveryProgress(Schema):
    """The progress of a subscription."""

    cursor = cursor_field()
    delivered = fields.Integer(required=True, **description("Messages that were delivered."))
    failed = fields.Integer(required=True, **description("Attempts that failed."))
    attempts = fields.Integer(
        required=True, **description("Failed attempts to deliver the present message.")
    )
    failing_since = fields.String(required=True, allow_none=True)
    next_attempt_at = fields.String(required=True, allow_none=True)
    last_error = fields.String(required=True, allow_none=True)
    tests_pending = fields.Integer(
        required=True, **description("Requested test messages that were not sent yet.")
    )


class Subscription(Schema):
    """A subscription."""

    id = fields.String(required=True, metadata={"pattern": f"^{SUBSCRIPTION_ID_PATTERN}$"})
    name = fields.String(required=True)
    target = fields.String(required=True)
    stacks = fields.List(fields.String(), required=True)
    types = fields.List(fields.String(), required=True)
    prefixes = fields.List(fields.String(), required=True)
    groups = fields.List(fields.String(), required=True)
    alarms = fields.List(fields.String(), required=True)
    max_events = fields.Integer(required=True)
    max_delay = fields.Integer(required=True)
    state = fields.String(required=True, validate=OneOf(SUBSCRIPTION_STATES))
    reason = fields.String(
        required=True, allow_none=True, **description("Why it is suspended or disabled.")
    )
    created_at = timestamp_field()
    created_by = fields.String(required=True)
    updated_at = timestamp_field()
    updated_by = fields.String(
        required=True, **description("Empty if a notifier has changed the state.")
    )
    rotated_at = fields.String(
        required=True, allow_none=True, **description("When the secret was replaced.")
    )
    former_secret_until = fields.String(
        required=True,
        allow_none=True,
        **description("Until when messages are also signed with the former secret."),
    )
    delivery = fields.Nested(DeliveryProgress, required=True)


class SubscriptionWithSecret(Subscription):
    """A subscription with its new secret."""

    secret = fields.String(
        required=True,
        allow_none=True,
        **description(
            "The secret with which messages are signed. It is not shown again. Null if the request was "
            "repeated after the secret was replaced."
        ),
    )


class SubscriptionPage(Schema):
    """A page of subscriptions."""

    subscriptions = fields.List(fields.Nested(Subscription), required=True)
    cursor = cursor_field()
    links = fields.List(fields.Nested(Link), required=True)


class Delivery(Schema):
    """The last attempt to deliver a message."""

    id = fields.String(required=True, **description("The id of the message."))
    kind = fields.String(required=True, validate=OneOf(["events", "challenge", "test", "gap"]))
    at = timestamp_field()
    attempts = fields.Integer(required=True)
    events = fields.Integer(required=True)
    delivered = fields.Boolean(required=True)
    status = fields.Integer(
        required=True, allow_none=True, **description("The HTTP status of the answer, if any.")
    )
    latency_ms = fields.Integer(required=True)
    error = fields.String(required=True, allow_none=True)


class Deliveries(Schema):
    """The last deliveries, the newest first."""

    deliveries = fields.List(fields.Nested(Delivery), required=True)
