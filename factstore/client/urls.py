"""URLs from names.

Names go into URLs as they are: the service refuses what its grammar does not allow.  Only what
would name another resource once HTTP libraries had cleaned it up is refused here.
"""

from __future__ import annotations

from urllib.parse import quote

from factstore.client.errors import BadRequest


def stack_url(name: str) -> str:
    """Where a stack is.

    :raises BadRequest: the name is not one segment.
    """
    if "/" in name:
        raise BadRequest(f"the stack name {name!r} holds a '/'; it is one segment.")
    return f"/v1/stacks/{_quoted(name)}"


def fact_url(stack: str, path: str) -> str:
    """Where a fact is.

    :raises BadRequest: the path has an empty segment, or one of dots only.
    """
    return f"{stack}/facts/{'/'.join(_quoted(segment) for segment in path.split('/'))}"


def item_url(stack: str, kind: str, name: str) -> str:
    """Where a member or a waiter is.

    :param kind: ``members`` or ``waiters``.
    :raises BadRequest: the name is not one segment.
    """
    if "/" in name:
        raise BadRequest(f"the name {name!r} holds a '/'; it is one segment.")
    return f"{stack}/{kind}/{_quoted(name)}"


def _quoted(segment: str) -> str:
    if segment in ("", ".", ".."):
        raise BadRequest(f"a name cannot have {segment!r} as a segment.")
    return quote(segment, safe=":@", errors="replace")
