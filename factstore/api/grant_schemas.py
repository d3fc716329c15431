"""What bodies and answers about grants hold; the domain checks the form of names."""

from __future__ import annotations

from marshmallow import fields, validate

from factstore.api.answers import Link
from factstore.api.field_types import Schema, described, seconds
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.grant import (
    GRANT_ID_PATTERN,
    GRANT_TTL_DEFAULT,
    GRANT_TTL_MAX,
    GRANT_TTL_MIN,
)
from factstore.core.model.path import SEGMENT_PATTERN
from factstore.core.model.permissions import GRANT_ROLES


def _name(text: str) -> fields.String:
    return fields.String(
        load_default=None,
        allow_none=True,
        metadata={"description": text, "pattern": f"^{SEGMENT_PATTERN}$"},
    )


class GrantBody(Schema):
    """What a grant is for."""

    role = fields.String(load_default="agent", validate=validate.OneOf(GRANT_ROLES))
    member = _name("As whom its holder takes part; an agent's has one, or is a group's.")
    group = _name(
        "The only group that the member may join; without a member, the one whose instances get grants "
        "of their own with it."
    )
    ttl = seconds(
        f"Seconds until it ends unless it is renewed; if not given {GRANT_TTL_DEFAULT}, or of one that "
        "is got with a group's as many as that one's, which are the most",
        GRANT_TTL_MIN,
        GRANT_TTL_MAX,
        None,
        nullable=False,
    )


class RenewalBody(Schema):
    """For how long."""

    ttl = seconds(
        "Seconds from now; as long as so far if it is not given",
        GRANT_TTL_MIN,
        GRANT_TTL_MAX,
        None,
    )


class Grant(Schema):
    """A grant."""

    id = fields.String(required=True, metadata={"pattern": f"^{GRANT_ID_PATTERN}$"})
    role = fields.String(required=True, validate=validate.OneOf(GRANT_ROLES))
    member = fields.String(required=True, allow_none=True)
    group = fields.String(required=True, allow_none=True)
    ttl = fields.Integer(required=True)
    revision = fields.Integer(required=True, metadata={"minimum": 1})
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    created_by = fields.String(required=True)
    expires_at = fields.String(required=True, metadata={"format": "date-time"})


class IssuedGrant(Grant):
    """A grant that was just issued, with what its holder must say."""

    secret = fields.String(required=True, **described("A password; the id is the user."))
    token = fields.String(required=True, **described("Id and secret, joined by a dot: a bearer's."))


class GrantPage(Schema):
    """A page of grants."""

    grants = fields.List(fields.Nested(Grant), required=True)
    cursor = fields.String(required=True, metadata={"pattern": f"^{CURSOR_PATTERN}$"})
    links = fields.List(fields.Nested(Link), required=True)
