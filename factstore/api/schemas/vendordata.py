"""Shapes of vendor data."""

from __future__ import annotations

from typing import Any, ClassVar

import marshmallow as ma
from marshmallow import fields, validate

from factstore.api.schemas.base import Schema
from factstore.api.schemas.field_types import description, id_pattern


class VendorDataBody(Schema):
    """A server, as Nova's DynamicJSON describes it."""

    class Meta:
        unknown = ma.EXCLUDE  # for the document; the parser has an argument for it

    example: ClassVar[dict[str, Any]] = {
        "project-id": "6f1b2c3d4e5f60718293a4b5c6d7e8f9",
        "instance-id": "1b4d9a52-0c8e-4f57-9d3a-5f6e7a8b9c0d",
        "image-id": "70e6a3b1-2c4d-4e5f-8a9b-0c1d2e3f4a5b",
        "user-data": None,
        "hostname": "c1",
        "metadata": {"factstore_stack": "slurm", "factstore_group": "compute"},
        "boot-roles": "member,reader",
    }

    project_id = fields.String(
        data_key="project-id",
        required=True,
        validate=id_pattern(),
        **description("The project of the server, and of the stack."),
    )
    instance_id = fields.String(
        data_key="instance-id",
        required=True,
        validate=id_pattern(),
        **description("The id of the server. It has one grant, however often Nova asks."),
    )
    hostname = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=255),
        **description("The host name of the server, from which the member's name follows."),
    )
    metadata = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        load_default=None,
        allow_none=True,
        **description("The properties of the server: factstore_stack and factstore_group."),
    )
    image_id = fields.Raw(
        data_key="image-id", load_default=None, allow_none=True, **description("Ignored.")
    )
    user_data = fields.Raw(
        data_key="user-data", load_default=None, allow_none=True, **description("Ignored.")
    )
    boot_roles = fields.Raw(
        data_key="boot-roles", load_default=None, allow_none=True, **description("Ignored.")
    )
