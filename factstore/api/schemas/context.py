"""Shapes of a stack's context."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields

from factstore.api.schemas.base import Schema
from factstore.api.schemas.field_types import (
    OneOf,
    Pattern,
    SettleQuery,
    consistency_parameter,
    cursor_field,
    description,
    string_parameter,
    wait_parameter,
)
from factstore.core.model.checksum import CHECKSUM_PATTERN
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.path import PATH_PATTERN, SEGMENT_PATTERN
from factstore.core.model.read_set import DIGEST_PATTERN
from factstore.core.services.context_document import PEERS, SELF
from factstore.scrape_targets import FORMAT

VIEWS = {
    f"{SELF},{PEERS}": (SELF, PEERS),
    SELF: (SELF,),
    PEERS: (PEERS,),
    "none": (),
}
"""The parts that the document has for a member, by the value of the parameter."""

DEPLOYMENTS = ("deployments", "deployments_with_grant")
"""The values of the parameter include that add the configurations of the member."""

_WITH_DEPLOYMENTS = frozenset(("include", "member", "view", "consistency"))
_WITH_AT = frozenset(("at", "format", "include", "member", "view"))


class ContextQuery(SettleQuery):
    """Reading a context."""

    wait = wait_parameter()
    include = fields.String(
        load_default="",
        validate=OneOf(["", "results", *DEPLOYMENTS]),
        **description(
            "With 'results', the context includes the facts below results/. With 'deployments', it "
            "includes the configurations of the member in the form of heat-agents, with URLs to signal "
            "their results, and with 'deployments_with_grant', these URLs contain the caller's grant. "
            "Both need member, and can be combined with view and consistency only."
        ),
    )
    member = string_parameter(
        SEGMENT_PATTERN, "The member that reads the context. Adds 'self' and 'peers'."
    )
    view = fields.String(
        load_default=f"{SELF},{PEERS}",
        validate=OneOf(list(VIEWS)),
        **description("What to add for the member; the default is both. It needs member."),
    )
    since = string_parameter(
        CURSOR_PATTERN,
        "The cursor of the context that the caller has. The response is what changed since then, or "
        "the whole context if that is not known or larger. With wait, wait for a change.",
    )
    read_set = fields.String(
        load_default="",
        validate=Pattern(
            f"^({DIGEST_PATTERN})?$", "A digest is 32 hexadecimal digits in lower case."
        ),
        **description(
            "The digest of the member's read set. With wait, wait for a change that concerns it. It "
            "needs member and since, and is ignored if it is not the member's present read set."
        ),
    )
    applied = string_parameter(
        CURSOR_PATTERN,
        "The cursor up to which the member has applied the stack. The service records it soon, as it "
        "records that of a heartbeat, but does not restart the member's time to live. It needs member, "
        "and is ignored if it is not a cursor of this store.",
    )
    at = string_parameter(
        CURSOR_PATTERN,
        "Read the context that the stack had at this cursor. It cannot be combined with parameters "
        "that wait or compare.",
    )
    format = fields.String(
        load_default="json",
        validate=OneOf(["json", FORMAT]),
        **description(
            f"With '{FORMAT}', the response is the targets of the stack for the service discovery of "
            "Prometheus. It can be combined with consistency only."
        ),
    )
    consistency = consistency_parameter()

    @ma.validates_schema(pass_original=True)
    def _check_dependencies(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> None:
        if data["at"] and not _WITH_AT.issuperset(original):
            others = ", ".join(sorted(original.keys() - _WITH_AT))
            raise ma.ValidationError(f"It cannot be combined with {others}.", "at")
        others = ", ".join(sorted(original.keys() - {"format", "consistency"}))
        if data["format"] != "json" and others:
            raise ma.ValidationError(
                f"{data['format']} cannot be combined with {others}.", "format"
            )
        if data["include"] in DEPLOYMENTS:
            if not data["member"]:
                raise ma.ValidationError(f"{data['include']} needs member.", "include")
            if others := ", ".join(sorted(original.keys() - _WITH_DEPLOYMENTS)):
                raise ma.ValidationError(
                    f"{data['include']} cannot be combined with {others}.", "include"
                )
        if "view" in original and not data["member"]:
            raise ma.ValidationError("It needs member.", "view")
        if data["applied"] and not data["member"]:
            raise ma.ValidationError("It needs member.", "applied")
        if data["read_set"] and not (data["member"] and data["since"]):
            raise ma.ValidationError("It needs member and since.", "read_set")


class ContextMember(Schema):
    """A member."""

    group = fields.String(required=True)
    state = fields.String(required=True)
    attributes = fields.Dict(required=True)


class ContextPeer(Schema):
    """A member, with the facts below its folder in nodes/."""

    state = fields.String(required=True)
    attributes = fields.Dict(required=True)
    facts = fields.Dict(required=True)


class ContextSelf(ContextPeer):
    """The member that reads the context."""

    name = fields.String(required=True)
    group = fields.String(required=True)


class Context(Schema):
    """A stack as one document; for a member, with the member itself and its peers by group."""

    stack = fields.String(required=True)
    facts = fields.Dict(required=True, **description("The values, nested by path."))
    members = fields.Dict(keys=fields.String(), values=fields.Nested(ContextMember), required=True)
    sensitive = fields.Dict(
        keys=fields.String(),
        values=fields.String(metadata={"pattern": f"^{CURSOR_PATTERN}$"}),
        **description(
            "The entity tags of sensitive facts by path, if there are any. Their values are null."
        ),
    )
    myself = fields.Nested(ContextSelf, data_key="self")
    peers = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.Nested(ContextPeer)),
    )
    deployments = fields.List(
        fields.Dict(),
        **description("The configurations of the member that were or can be run, for heat-agents."),
    )


class ContextDelta(Schema):
    """The changes of a context since a cursor; no context has the field since."""

    since = cursor_field()
    cursor = cursor_field()
    checksum = fields.String(
        required=True,
        **description(
            "The checksum of the context at the cursor, without self and peers.",
            pattern=f"^{CHECKSUM_PATTERN}$",
        ),
    )
    facts = fields.Dict(
        keys=fields.String(),
        required=True,
        **description("The values of new and changed facts by path."),
    )
    deleted = fields.List(
        fields.String(metadata={"pattern": f"^{PATH_PATTERN}$"}),
        required=True,
        **description("The paths of facts that do not exist any more, to be applied first."),
    )
    members = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(ContextMember),
        required=True,
        **description("New and changed members."),
    )
    departed = fields.List(
        fields.String(metadata={"pattern": f"^{SEGMENT_PATTERN}$"}),
        required=True,
        **description("The names of members that do not live any more."),
    )
    sensitive = fields.Dict(
        keys=fields.String(),
        values=fields.String(metadata={"pattern": f"^{CURSOR_PATTERN}$"}),
        required=True,
        **description("The entity tags of those of the facts that are sensitive, by path."),
    )


class TargetGroup(Schema):
    """A target of Prometheus, and its labels."""

    targets = fields.List(fields.String(), required=True)
    labels = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


CONTEXT_OR_DELTA = {"oneOf": [Context, ContextDelta, TargetGroup(many=True)]}
