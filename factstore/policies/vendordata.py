"""Rules for vendor data."""

from __future__ import annotations

from factstore.policies.base import SERVICE, operation_rule

CREATE = "contextualization:vendordata:create"

RULES = [
    operation_rule(
        "vendordata:create",
        SERVICE,
        "Issue the grant of a server of any project, as the server's vendor data. For Nova.",
        ("POST", "/vendordata"),
    ),
]
