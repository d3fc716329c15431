"""Shapes of the API's versions."""

from __future__ import annotations

from marshmallow import fields

from factstore.api.schemas.base import Link, Schema


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
