"""Schemas that all nouns share: empty and paged queries, links, and errors."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import marshmallow as ma
from marshmallow import fields

from factstore.api.schemas.field_types import integer_parameter, string_parameter
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.path import PATH_PATTERN, SEGMENT_PATTERN

PAGE_LIMIT = 1000


class Schema(ma.Schema):
    """A schema that refuses unknown fields."""

    example: ClassVar[Any] = None
    """For a body: one that the operation accepts as it is, which the documentation page sends."""

    class Meta:
        unknown = ma.RAISE

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return the schema itself, because none changes once it describes a view.

        Each decorator of flask-smorest copies the whole description of a view, with its schemas.
        """
        return self


class NoQuery(Schema):
    """A query without parameters."""


class PageQuery(Schema):
    """Paging of a list whose markers are names."""

    limit = integer_parameter(f"Items on a page, 1 to {PAGE_LIMIT}.", 1, PAGE_LIMIT, 100)
    marker = string_parameter(SEGMENT_PATTERN, "The item after which the page begins.")
    cursor = string_parameter(
        CURSOR_PATTERN, "The cursor of the state to list. The next link contains it."
    )


class PathPageQuery(PageQuery):
    """Paging of a list whose markers are paths."""

    marker = string_parameter(PATH_PATTERN, "The item after which the page begins.")


class Link(Schema):
    """A link."""

    rel = fields.String(required=True)
    href = fields.String(required=True)


class ErrorEntry(Schema):
    """One error; some codes add members, such as the current etag."""

    class Meta:
        unknown = ma.INCLUDE

    request_id = fields.String(required=True)
    code = fields.String(required=True)
    status = fields.Integer(required=True)
    title = fields.String(required=True)
    detail = fields.String(required=True)
    links = fields.List(fields.Nested(Link), required=True)


class Error(Schema):
    """An error: the API-SIG's list of errors, the members of RFC 9457, and openstacksdk's message."""

    errors = fields.List(fields.Nested(ErrorEntry), required=True)
    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    message = fields.String(required=True)
