"""Rules for the read sets of members."""

from __future__ import annotations

from factstore.policies.base import MEMBER_OR_AGENT, READER_OR_HOLDER, operation_rule

GET = "contextualization:read_sets:get"
PUT = "contextualization:read_sets:put"
DELETE = "contextualization:read_sets:delete"

_ITEM = "/stacks/{stack}/members/{member}/read_set"

RULES = [
    operation_rule(
        "read_sets:get", READER_OR_HOLDER, "Show the read set of a member.", ("GET", _ITEM)
    ),
    operation_rule(
        "read_sets:put",
        MEMBER_OR_AGENT,
        "Store the read set of a member, which limits the changes that concern the member.",
        ("PUT", _ITEM),
    ),
    operation_rule(
        "read_sets:delete", MEMBER_OR_AGENT, "Delete the read set of a member.", ("DELETE", _ITEM)
    ),
]
