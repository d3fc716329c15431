"""Rules for limits."""

from __future__ import annotations

from factstore.policies.base import ADMIN, READER, operation_rule

GET = "contextualization:limits:get"
GET_ANY = "contextualization:limits:get_any_project"

RULES = [
    operation_rule(
        "limits:get", READER, "Show the limits and the usage of a project.", ("GET", "/limits")
    ),
    operation_rule(
        "limits:get_any_project",
        ADMIN,
        "Show the limits and the usage of another project, given by project_id.",
        ("GET", "/limits"),
    ),
]
