"""What answers hold, as the OpenAPI document describes it."""

from __future__ import annotations

from typing import get_args

import marshmallow as ma
from marshmallow import fields, validate

from factstore.api.field_types import Schema
from factstore.api.waiter_schemas import WaiterState, WaiterSummary
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.event import CHANGE_TYPES
from factstore.core.model.fact import KINDS
from factstore.core.model.member import DECLARED_PATTERN, GENERATION_PATTERN, MemberState


def _moment() -> fields.String:
    return fields.String(required=True, metadata={"format": "date-time"})


def _cursor() -> fields.String:
    """A cursor, or an entity tag, which has the same form."""
    return fields.String(required=True, metadata={"pattern": f"^{CURSOR_PATTERN}$"})


class Link(Schema):
    """A link."""

    rel = fields.String(required=True)
    href = fields.String(required=True)


class Fact(Schema):
    """A fact."""

    path = fields.String(required=True)
    value = fields.Raw(
        required=True,
        allow_none=True,
        metadata={
            "description": "Of a sensitive fact null, except where one fact is read, or was put."
        },
    )
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    revision = fields.Integer(required=True, metadata={"minimum": 1})
    version = fields.Integer(required=True, metadata={"minimum": 1})
    created_at = _moment()
    updated_at = _moment()
    updated_by = fields.String(required=True)
    ttl = fields.Integer(required=True, allow_none=True)
    member = fields.String(required=True, allow_none=True)
    sensitive = fields.Boolean(required=True)
    readers = fields.List(fields.String(), required=True)
    etag = _cursor()


class FactPage(Schema):
    """A page of facts."""

    facts = fields.List(fields.Nested(Fact), required=True)
    cursor = _cursor()
    links = fields.List(fields.Nested(Link), required=True)


class Member(Schema):
    """A member; departed ones are in events only."""

    name = fields.String(required=True)
    group = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(get_args(MemberState)))
    generation = fields.String(required=True, metadata={"pattern": f"^{GENERATION_PATTERN}$"})
    attributes = fields.Dict(required=True)
    ttl = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Null while it is declared, and nobody has joined as it."},
    )
    declared = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "What it stands for, in the words of the owner who declared it.",
            "pattern": f"^{DECLARED_PATTERN}$",
        },
    )
    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why it joined, or departed, if anybody said."},
    )
    revision = fields.Integer(required=True, metadata={"minimum": 1})
    version = fields.Integer(required=True, metadata={"minimum": 1})
    joined_at = _moment()
    updated_at = _moment()
    updated_by = fields.String(required=True)


class MemberPage(Schema):
    """A page of members."""

    members = fields.List(fields.Nested(Member), required=True)
    cursor = _cursor()
    links = fields.List(fields.Nested(Link), required=True)


class Follower(Schema):
    """A member, and what it has applied."""

    name = fields.String(required=True)
    group = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(get_args(MemberState)))
    applied = fields.String(
        required=True, allow_none=True, metadata={"pattern": f"^{CURSOR_PATTERN}$"}
    )
    lags = fields.Boolean(required=True)


class Convergence(Schema):
    """How members stand to what their stack is now."""

    target = _cursor()
    converged = fields.Boolean(required=True)
    members = fields.List(fields.Nested(Follower), required=True)
    lagging = fields.List(fields.String(), required=True)


class Settings(Schema):
    """A stack's settings."""

    description = fields.String(required=True)


class Usage(Schema):
    """How much a stack holds."""

    facts = fields.Integer(required=True)
    bytes = fields.Integer(required=True)


class StackSummary(Schema):
    """A stack in a list."""

    name = fields.String(required=True)
    id = fields.String(required=True)
    project_id = fields.String(required=True)
    settings = fields.Nested(Settings, required=True)
    created_at = _moment()
    updated_at = _moment()
    updated_by = fields.String(required=True)
    links = fields.List(fields.Nested(Link), required=True)


class Stack(StackSummary):
    """A stack."""

    usage = fields.Nested(Usage, required=True)


class StackPage(Schema):
    """A page of stacks."""

    stacks = fields.List(fields.Nested(StackSummary), required=True)
    cursor = _cursor()
    links = fields.List(fields.Nested(Link), required=True)


class BatchResult(Schema):
    """What became of one operation."""

    path = fields.String(required=True)
    outcome = fields.String(
        required=True,
        validate=validate.OneOf(["created", "updated", "unchanged", "deleted", "absent"]),
    )
    fact = fields.Nested(Fact, required=True, allow_none=True)


class BatchAnswer(Schema):
    """What became of a batch."""

    results = fields.List(fields.Nested(BatchResult), required=True)
    cursor = _cursor()


class WaiterPage(Schema):
    """A page of waiters."""

    waiters = fields.List(fields.Nested(WaiterSummary), required=True)
    cursor = _cursor()
    links = fields.List(fields.Nested(Link), required=True)


class Previous(fields.Raw):
    """What was there before a change: a fact, or in changes of members a member."""

    def __init__(self) -> None:
        shown = [{"$ref": f"#/components/schemas/{name}"} for name in ("Fact", "Member")]
        about = {"anyOf": [*shown, {"type": "null"}]}
        super().__init__(required=True, allow_none=True, metadata=about)


class Change(Schema):
    """One change; what is said of a member or a waiter stands in changes of such only."""

    type = fields.String(required=True, validate=validate.OneOf(CHANGE_TYPES))
    path = fields.String(required=True, allow_none=True)
    fact = fields.Nested(Fact, required=True, allow_none=True)
    previous = Previous()
    member = fields.Nested(Member, allow_none=True)
    name = fields.String()
    group = fields.String()
    reason = fields.String(allow_none=True)
    by = fields.String(required=True, allow_none=True)
    request_id = fields.String(required=True, allow_none=True)
    waiter = fields.Nested(WaiterState)


class Event(Schema):
    """All changes of one revision."""

    cursor = _cursor()
    changes = fields.List(fields.Nested(Change), required=True)


class EventPage(Schema):
    """The answer to a long poll."""

    events = fields.List(fields.Nested(Event), required=True)
    next = _cursor()
    more = fields.Boolean(required=True)


class Version(Schema):
    """A version of the API."""

    id = fields.String(required=True)
    status = fields.String(required=True)
    min_version = fields.String(required=True)
    max_version = fields.String(required=True)
    links = fields.List(fields.Nested(Link), required=True)


class Versions(Schema):
    """The versions of the API."""

    versions = fields.List(fields.Nested(Version), required=True)


class ErrorEntry(Schema):
    """One error; some codes add members, such as the present etag."""

    class Meta:
        unknown = ma.INCLUDE

    request_id = fields.String(required=True)
    code = fields.String(required=True)
    status = fields.Integer(required=True)
    title = fields.String(required=True)
    detail = fields.String(required=True)
    links = fields.List(fields.Nested(Link), required=True)


class Error(Schema):
    """An error: API-SIG's list, and RFC 9457's members beside it."""

    errors = fields.List(fields.Nested(ErrorEntry), required=True)
    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
