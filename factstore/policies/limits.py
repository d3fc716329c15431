"""Rules for what a project may use."""

from __future__ import annotations

from factstore.policies.base import ADMIN, READER, documented

GET = "contextualization:limits:get"
GET_ANY = "contextualization:limits:get_any_project"

RULES = [
    documented("limits:get", READER, "Show a project's limits and usage.", ("GET", "/limits")),
    documented(
        "limits:get_any_project",
        ADMIN,
        "Show the limits and usage of another project, named by project_id.",
        ("GET", "/limits"),
    ),
]
