"""Shapes of grants."""

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
    seconds_field,
    timestamp_field,
)
from factstore.core.model.grant import (
    GRANT_ID_PATTERN,
    GRANT_TTL_DEFAULT,
    GRANT_TTL_MAX,
    GRANT_TTL_MIN,
)
from factstore.core.model.path import SEGMENT_PATTERN
from factstore.core.model.permissions import GRANT_ROLES

# Queries


class GrantsQuery(PageQuery):
    """Listing grants."""


class GrantQuery(Schema):
    """Showing a grant."""

    consistency = consistency_parameter()


# Bodies


def _name(text: str) -> fields.String:
    return fields.String(
        load_default=None, allow_none=True, **description(text, pattern=f"^{SEGMENT_PATTERN}$")
    )


class GrantBody(Schema):
    """A grant to issue."""

    example: ClassVar[dict[str, Any]] = {"role": "reader"}

    role = fields.String(load_default="agent", validate=OneOf(GRANT_ROLES))
    member = _name(
        "The member that the grant is for. An agent's grant has a member, unless it is a group's."
    )
    group = _name(
        "The only group that the member can join. Without a member, the grant is for the group: it can "
        "issue grants for the group's members."
    )
    ttl = seconds_field(
        "Seconds until the grant expires unless it is renewed. The default is "
        f"{GRANT_TTL_DEFAULT}; for a grant issued from a group's grant, the default and the maximum "
        "are the ttl of the group's grant.",
        GRANT_TTL_MIN,
        GRANT_TTL_MAX,
        None,
        nullable=False,
    )


class RenewalBody(Schema):
    """The new time to live of a grant."""

    example: ClassVar[dict[str, Any]] = {"ttl": 86400}

    ttl = seconds_field(
        "Seconds from now until the grant expires. The default is its current ttl.",
        GRANT_TTL_MIN,
        GRANT_TTL_MAX,
        None,
    )


# Responses


class Grant(Schema):
    """A grant."""

    id = fields.String(required=True, metadata={"pattern": f"^{GRANT_ID_PATTERN}$"})
    role = fields.String(required=True, validate=OneOf(GRANT_ROLES))
    member = fields.String(required=True, allow_none=True)
    group = fields.String(required=True, allow_none=True)
    ttl = fields.Integer(required=True)
    revision = revision_field()
    created_at = timestamp_field()
    created_by = fields.String(required=True)
    expires_at = timestamp_field()


class IssuedGrant(Grant):
    """A new grant, with its secret."""

    secret = fields.String(required=True, **description("The password. The user is the id."))
    token = fields.String(
        required=True, **description("Id and secret joined by a dot: the bearer token.")
    )


class GrantPage(Schema):
    """A page of grants."""

    grants = fields.List(fields.Nested(Grant), required=True)
    cursor = cursor_field()
    links = fields.List(fields.Nested(Link), required=True)
