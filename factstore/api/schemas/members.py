"""Shapes of members."""

from __future__ import annotations

from typing import Any, ClassVar, get_args

from marshmallow import fields

from factstore.api.schemas.base import Link, PageQuery, Schema
from factstore.api.schemas.field_types import (
    OneOf,
    consistency_parameter,
    cursor_field,
    declared_parameter,
    declared_pattern,
    description,
    generation_field,
    reason_pattern,
    revision_field,
    seconds_field,
    string_parameter,
    timestamp_field,
)
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.member import (
    DECLARED_PATTERN,
    GENERATION_PATTERN,
    HEARTBEAT_TTL_MAX,
    HEARTBEAT_TTL_MIN,
    SETTABLE,
    MemberState,
)
from factstore.core.model.path import PATH_PATTERN, SEGMENT_PATTERN
from factstore.core.model.read_set import DIGEST_PATTERN

# Queries


class MembersQuery(PageQuery):
    """Listing members."""

    group = string_parameter(SEGMENT_PATTERN, "List only members of this group.")
    declared = declared_parameter("List only members that are declared with this id.")
    reads = string_parameter(
        PATH_PATTERN,
        "List only members that a change of the fact at this path concerns, according to their read "
        "sets. Members without a read set are included.",
    )


class MemberQuery(Schema):
    """Showing a member."""

    consistency = consistency_parameter()


class DepartQuery(Schema):
    """Removing a member."""

    reason = fields.String(
        load_default="left",
        validate=reason_pattern(),
        **description("The reason in one word, which watchers receive."),
    )
    declared = declared_parameter(
        "Remove the member only if it is declared with this id. Only for owners."
    )


# Bodies


class MemberBody(Schema):
    """A member that joins, changes or is declared."""

    example: ClassVar[dict[str, Any]] = {"group": "compute"}

    group = fields.String(required=True, metadata={"pattern": f"^{SEGMENT_PATTERN}$"})
    ttl = seconds_field(
        "Seconds without a heartbeat after which the member expires.",
        HEARTBEAT_TTL_MIN,
        HEARTBEAT_TTL_MAX,
        None,
        nullable=False,
    )
    attributes = fields.Dict(
        load_default=dict, **description("Data about the member for other members.")
    )
    generation = generation_field(
        "The member's current generation, to change the member. Without it, the member joins again."
    )
    declared = fields.String(
        load_default=None,
        allow_none=True,
        validate=declared_pattern(),
        **description(
            "The id of the thing that the member stands for, such as a server. An owner who sends it "
            "declares the member: it exists before it joins, and cannot expire until then. Not "
            "together with ttl and generation."
        ),
    )
    reason = fields.String(
        load_default=None,
        allow_none=True,
        validate=reason_pattern(),
        **description(
            "The reason for joining in one word, which watchers receive. Only for owners."
        ),
    )


class MemberPatch(Schema):
    """A member's new state."""

    example: ClassVar[dict[str, Any]] = {"state": "draining"}

    state = fields.String(required=True, validate=OneOf(SETTABLE))
    generation = generation_field("Change the member only if this is its current generation.")


class HeartbeatBody(Schema):
    """A heartbeat."""

    example: ClassVar[dict[str, Any]] = {}

    generation = generation_field("Accept the heartbeat only if this is the current generation.")
    applied = fields.String(
        load_default=None,
        allow_none=True,
        **description(
            "The cursor of the context or event that the member has applied.",
            pattern=f"^{CURSOR_PATTERN}$",
        ),
    )


# Responses


class Member(Schema):
    """A member. Departed members are only in events."""

    name = fields.String(required=True)
    group = fields.String(required=True)
    state = fields.String(required=True, validate=OneOf(get_args(MemberState)))
    generation = fields.String(required=True, metadata={"pattern": f"^{GENERATION_PATTERN}$"})
    attributes = fields.Dict(required=True)
    ttl = fields.Integer(
        required=True,
        allow_none=True,
        **description("Null if the member is declared and has not joined."),
    )
    declared = fields.String(
        required=True,
        allow_none=True,
        **description(
            "The id with which an owner declared the member.", pattern=f"^{DECLARED_PATTERN}$"
        ),
    )
    reason = fields.String(
        required=True,
        allow_none=True,
        **description("The reason for joining or departing, if one was given."),
    )
    revision = revision_field()
    version = revision_field()
    joined_at = timestamp_field()
    updated_at = timestamp_field()
    updated_by = fields.String(required=True)


class MemberWithReadSet(Member):
    """A member, with the digest of its read set."""

    read_set = fields.String(
        required=True,
        allow_none=True,
        **description(
            "The digest of the member's read set; null if every change concerns the member.",
            pattern=f"^{DIGEST_PATTERN}$",
        ),
    )


class Heartbeat(Schema):
    """The last heartbeat of a member."""

    member = fields.String(required=True)
    generation = fields.String(required=True, metadata={"pattern": f"^{GENERATION_PATTERN}$"})
    ttl = fields.Integer(
        required=True,
        allow_none=True,
        **description("Null if the member is declared and has not joined."),
    )
    age = fields.Integer(
        required=True,
        allow_none=True,
        **description(
            "Whole seconds since the last heartbeat, or since the join. Null if the member has not "
            "joined, or is about to expire."
        ),
    )


class MemberPage(Schema):
    """A page of members."""

    members = fields.List(fields.Nested(Member), required=True)
    cursor = cursor_field()
    links = fields.List(fields.Nested(Link), required=True)
