"""Rules for waits."""

from __future__ import annotations

from factstore.policies.base import READER_OR_HOLDER, operation_rule

GET = "contextualization:waits:get"

RULES = [
    operation_rule(
        "waits:get",
        READER_OR_HOLDER,
        "Show who waits for whom in a stack. Members with a grant see only their own waits, and the "
        "circles to which they belong.",
        ("GET", "/stacks/{stack}/waits"),
    ),
]
