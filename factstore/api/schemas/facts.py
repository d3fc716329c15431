"""Shapes of facts."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields

from factstore.api.schemas.base import Link, PathPageQuery, Schema
from factstore.api.schemas.field_types import (
    OneOf,
    boolean_field,
    boolean_parameter,
    consistency_parameter,
    cursor_field,
    description,
    generation_field,
    revision_field,
    seconds_field,
    string_parameter,
    timestamp_field,
    wait_parameter,
)
from factstore.core.model.fact import KINDS, TTL_MAX, TTL_MIN
from factstore.core.model.path import PATH_PATTERN, SEGMENT_PATTERN
from factstore.core.model.secret_readers import READER_PATTERN, READERS

# Queries


class FactsQuery(PathPageQuery):
    """Listing facts."""

    prefix = string_parameter(PATH_PATTERN, "List only the fact at this path and those below it.")


class FactQuery(Schema):
    """Reading a fact."""

    wait = wait_parameter()
    format = fields.String(
        load_default="json",
        validate=OneOf(["json", "raw"]),
        **description("With 'raw', a scalar value is returned bare, as text/plain."),
    )
    consistency = consistency_parameter()


class FactDeleteQuery(Schema):
    """Deleting a fact, or a folder."""

    recursive = boolean_parameter(
        "Delete all facts at and below the path, in one or more revisions."
    )


# Bodies


class FactBody(Schema):
    """A fact to store."""

    example: ClassVar[dict[str, Any]] = {"value": "10.0.0.5"}

    value = fields.Raw(required=True, allow_none=True, **description("Any JSON value."))
    kind = fields.String(load_default="observed", validate=OneOf(KINDS))
    ttl = seconds_field(
        "Seconds until the fact expires unless it is put again.", TTL_MIN, TTL_MAX, None
    )
    member = fields.String(
        load_default=None,
        allow_none=True,
        **description(
            "The member that the fact is bound to, instead of a ttl.",
            pattern=f"^{SEGMENT_PATTERN}$",
        ),
    )
    generation = generation_field(
        "Write only if this is the current generation of the member that the fact is bound to."
    )
    sensitive = boolean_field("Encrypt the value, and show it only to permitted readers.")
    readers = fields.List(
        fields.String(metadata={"pattern": f"^{READER_PATTERN}$"}),
        load_default=list,
        **description(
            "Groups and members that can read a sensitive value, in addition to users that policy "
            "allows to: group/NAME, member/NAME.",
            maxItems=READERS,
            uniqueItems=True,
        ),
    )


# Responses


class Fact(Schema):
    """A fact."""

    path = fields.String(required=True)
    value = fields.Raw(
        required=True,
        allow_none=True,
        **description(
            "Null if the fact is sensitive, except in the response to reading or putting it."
        ),
    )
    kind = fields.String(required=True, validate=OneOf(KINDS))
    revision = revision_field()
    version = revision_field()
    created_at = timestamp_field()
    updated_at = timestamp_field()
    updated_by = fields.String(required=True)
    ttl = fields.Integer(required=True, allow_none=True)
    member = fields.String(required=True, allow_none=True)
    sensitive = fields.Boolean(required=True)
    readers = fields.List(fields.String(), required=True)
    etag = cursor_field()


class FactPage(Schema):
    """A page of facts."""

    facts = fields.List(fields.Nested(Fact), required=True)
    cursor = cursor_field()
    links = fields.List(fields.Nested(Link), required=True)


class DeletedFolder(Schema):
    """The outcome of a deletion with recursive=true."""

    deleted = fields.Integer(required=True, **description("The number of deleted facts."))
    revisions = fields.Integer(
        required=True,
        **description("The number of revisions in which they were deleted, each with its event."),
    )
    cursor = cursor_field()
