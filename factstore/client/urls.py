"""Builds URLs from names.

Names are inserted unchanged, because the service refuses names that its grammar does not allow.  This
module refuses only names that HTTP libraries would normalize to the URL of another resource.
"""

from __future__ import annotations

from urllib.parse import quote

from factstore.client.errors import BadRequest


def stack_url(name: str) -> str:
    """Return the URL of a stack.

    :raises BadRequest: the name is not one segment.
    """
    if "/" in name:
        raise BadRequest(f"The stack name {name!r} contains a '/'. Use a name of one segment.")
    return f"/v1/stacks/{_quoted(name)}"


def fact_url(stack: str, path: str) -> str:
    """Return the URL of a fact.

    :raises BadRequest: a segment of the path is empty or consists of dots.
    """
    return f"{stack}/facts/{_segments(path)}"


def history_url(stack: str, path: str) -> str:
    """Return the URL of a fact's history.

    :raises BadRequest: a segment of the path is empty or consists of dots.
    """
    return f"{stack}/history/{_segments(path)}"


def item_url(stack: str, kind: str, *names: str) -> str:
    """Return the URL of a member, a waiter, a grant, a queue, a turn or a configuration.

    :param kind: ``members``, ``waiters``, ``grants``, ``turns`` or ``configurations``.
    :raises BadRequest: a name is not one segment.
    """
    for name in names:
        if "/" in name:
            raise BadRequest(f"The name {name!r} contains a '/'. Use a name of one segment.")
    return "/".join([stack, kind, *map(_quoted, names)])


def _segments(path: str) -> str:
    return "/".join(_quoted(segment) for segment in path.split("/"))


def _quoted(segment: str) -> str:
    if segment in ("", ".", ".."):
        raise BadRequest(f"A name cannot have {segment!r} as a segment.")
    return quote(segment, safe=":@", errors="replace")
