"""Rules for grants."""

from __future__ import annotations

from factstore.policies.base import MEMBER, MEMBER_OR_AGENT, MEMBER_OR_HOLDER, documented

LIST = "contextualization:grants:list"
CREATE = "contextualization:grants:create"
GET = "contextualization:grants:get"
RENEW = "contextualization:grants:renew"
DELETE = "contextualization:grants:delete"

_GRANTS = "/stacks/{stack}/grants"
_GRANT = f"{_GRANTS}/{{grant}}"

RULES = [
    documented("grants:list", MEMBER, "List a stack's grants.", ("GET", _GRANTS)),
    documented(
        "grants:create",
        MEMBER_OR_AGENT,
        "Issue a grant; the first one creates the stack. Who holds a group's, one for a member of it.",
        ("POST", _GRANTS),
    ),
    documented(
        "grants:get", MEMBER_OR_HOLDER, "Show a grant, to its holder its own.", ("GET", _GRANT)
    ),
    documented(
        "grants:renew",
        MEMBER_OR_HOLDER,
        "Let a grant hold longer, by its holder its own.",
        ("POST", f"{_GRANT}/renew"),
    ),
    documented(
        "grants:delete",
        MEMBER_OR_HOLDER,
        "Revoke a grant, by its holder its own, but not a group's.",
        ("DELETE", _GRANT),
    ),
]
