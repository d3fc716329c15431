"""Rules for grants."""

from __future__ import annotations

from factstore.policies.base import MEMBER, MEMBER_OR_AGENT, MEMBER_OR_HOLDER, operation_rule

LIST = "contextualization:grants:list"
CREATE = "contextualization:grants:create"
GET = "contextualization:grants:get"
RENEW = "contextualization:grants:renew"
DELETE = "contextualization:grants:delete"

_GRANTS = "/stacks/{stack}/grants"
_GRANT = f"{_GRANTS}/{{grant}}"

RULES = [
    operation_rule("grants:list", MEMBER, "List the grants of a stack.", ("GET", _GRANTS)),
    operation_rule(
        "grants:create",
        MEMBER_OR_AGENT,
        "Issue a grant. The first grant creates the stack. The holder of a group's grant can issue "
        "grants for members of the group.",
        ("POST", _GRANTS),
    ),
    operation_rule(
        "grants:get",
        MEMBER_OR_HOLDER,
        "Show a grant. Holders can only show their own.",
        ("GET", _GRANT),
    ),
    operation_rule(
        "grants:renew",
        MEMBER_OR_HOLDER,
        "Renew a grant. Holders can only renew their own.",
        ("POST", f"{_GRANT}/renew"),
    ),
    operation_rule(
        "grants:delete",
        MEMBER_OR_HOLDER,
        "Revoke a grant. Holders can only revoke their own, and not a group's.",
        ("DELETE", _GRANT),
    ),
]
