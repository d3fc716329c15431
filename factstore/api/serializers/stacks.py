"""Stacks as JSON."""

from __future__ import annotations

from factstore.core.model.fact import Stack
from factstore.core.model.usage import Usage
from factstore.core.model.value import encode


def stack_text(stack: Stack, root: str, usage: Usage | None = None) -> str:
    """Return a stack as JSON; in lists it has no usage.

    :param root: the path at which the service is mounted; empty at a server's root.
    """
    document: dict[str, object] = {
        "name": stack.name,
        "id": stack.id,
        "project_id": stack.project_id,
        "settings": {"description": stack.description, "keep_values": stack.keep_values},
        "created_at": stack.created_at,
        "updated_at": stack.updated_at,
        "updated_by": stack.updated_by,
        "links": [{"rel": "self", "href": f"{root}/v1/stacks/{stack.name}"}],
    }
    if usage is not None:
        document["usage"] = {"facts": usage.facts, "bytes": usage.bytes}
    return encode(document)
