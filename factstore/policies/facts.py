"""Rules for facts."""

from __future__ import annotations

from factstore.policies.base import MEMBER, MEMBER_OR_AGENT, READER_OR_HOLDER, documented

LIST = "contextualization:facts:list"
GET = "contextualization:facts:get"
GET_SENSITIVE = "contextualization:facts:get_sensitive"
PUT = "contextualization:facts:put"
PUT_PARAMETER = "contextualization:facts:put_parameter"
DELETE = "contextualization:facts:delete"
BATCH = "contextualization:facts:batch"

RULES = [
    documented(
        "facts:list", READER_OR_HOLDER, "List a stack's facts.", ("GET", "/stacks/{stack}/facts")
    ),
    documented(
        "facts:get",
        READER_OR_HOLDER,
        "Read a fact, or wait for it.",
        ("GET", "/stacks/{stack}/facts/{path}"),
        ("HEAD", "/stacks/{stack}/facts/{path}"),
    ),
    documented(
        "facts:get_sensitive",
        MEMBER,
        "See the values of sensitive facts, whomever they name as readers, and have one that is put "
        "again unchanged for such.",
        ("GET", "/stacks/{stack}/facts/{path}"),
        ("HEAD", "/stacks/{stack}/facts/{path}"),
        ("PUT", "/stacks/{stack}/facts/{path}"),
        ("POST", "/stacks/{stack}/batch"),
    ),
    documented(
        "facts:put",
        MEMBER_OR_AGENT,
        "Store a fact; the first one creates the stack.",
        ("PUT", "/stacks/{stack}/facts/{path}"),
    ),
    documented(
        "facts:put_parameter",
        MEMBER,
        "Store, change or delete a fact of kind parameter, or change a fact's kind.",
        ("PUT", "/stacks/{stack}/facts/{path}"),
        ("DELETE", "/stacks/{stack}/facts/{path}"),
        ("POST", "/stacks/{stack}/batch"),
    ),
    documented(
        "facts:delete",
        MEMBER_OR_AGENT,
        "Delete a fact.",
        ("DELETE", "/stacks/{stack}/facts/{path}"),
    ),
    documented(
        "facts:batch",
        MEMBER_OR_AGENT,
        "Change many facts of a stack in one revision.",
        ("POST", "/stacks/{stack}/batch"),
    ),
]
