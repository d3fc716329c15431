"""Shapes of requests for the agent's file."""

from __future__ import annotations

from marshmallow import fields

from factstore.api.agent_files import SHA256_PATTERN
from factstore.api.schemas.base import Schema
from factstore.api.schemas.field_types import Pattern, description


class AgentQuery(Schema):
    """Downloading the agent."""

    sha256 = fields.String(
        load_default=None,
        validate=Pattern(f"^{SHA256_PATTERN}$", "A digest is 64 hexadecimal digits in lower case."),
        **description(
            "The digest of the file, in lower case. By default, the file of the service's own release."
        ),
    )
