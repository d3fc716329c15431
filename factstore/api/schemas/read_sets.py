"""Shapes of read sets."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields

from factstore.api.schemas.base import Schema
from factstore.api.schemas.field_types import (
    consistency_parameter,
    description,
    generation_field,
    timestamp_field,
)
from factstore.core.model.read_set import DIGEST_PATTERN, ENTRIES


class ReadSetQuery(Schema):
    """Showing a read set."""

    consistency = consistency_parameter()


def _names(text: str) -> fields.List[Any]:
    return fields.List(fields.String(), load_default=list, **description(text))


class ReadSetBody(Schema):
    """The facts and members that concern a member; at most 1,000 entries in all."""

    example: ClassVar[dict[str, Any]] = {"facts": ["nodes/"]}

    facts = _names(
        "Paths of facts or folders. A segment can be '*', which stands for any one. A path with '/' at "
        "the end lists a folder: of the facts below it, only those that are created or deleted "
        "concern the member."
    )
    members = _names(
        "Names of members whose state and attributes are read; '*' for all members, '*/' for all "
        "members without their states."
    )
    groups = _names(
        "Groups whose members are read, including members that join later; with '/' at the end, "
        "without their states."
    )
    generation = generation_field("Store it only if this is the member's current generation.")


class ReadSet(Schema):
    """A read set."""

    member = fields.String(required=True)
    digest = fields.String(
        required=True,
        **description(
            "Identifies the content. Send it as read_set when you wait for a context.",
            pattern=f"^{DIGEST_PATTERN}$",
        ),
    )
    facts = fields.List(fields.String(), required=True, metadata={"maxItems": ENTRIES})
    members = fields.List(fields.String(), required=True, metadata={"maxItems": ENTRIES})
    groups = fields.List(fields.String(), required=True, metadata={"maxItems": ENTRIES})
    updated_at = timestamp_field()
    updated_by = fields.String(required=True)
