"""Entity tags, and the headers of conditional requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from factstore.client.transport import Transport, parsed

T = TypeVar("T")


def quoted(etag: str) -> str:
    """Return an etag in the form of a header; ``*`` is returned unchanged."""
    return etag if etag == "*" else f'"{unquoted(etag)}"'


def unquoted(etag: str) -> str:
    """Return the bare etag of a header."""
    # Proxies that compress responses mark the etag as weak.
    return etag.removeprefix("W/").strip('"')


def write_headers(
    if_match: str | None, idempotency_key: str | None, generation: str | None = None
) -> dict[str, str]:
    """Return the headers of a write: its precondition, idempotency key and generation.

    :param if_match: an etag, or ``*`` for any; None for no precondition.
    :param generation: the generation of a member that must be live.
    """
    headers = {}
    if if_match is not None:
        headers["If-Match"] = quoted(if_match)
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    if generation is not None:
        headers["Factstore-Generation"] = generation
    return headers


def read_unless_known(
    transport: Transport,
    url: str,
    known: str | None,
    parse: Callable[[dict[str, Any], str], T],
    *,
    wait: float = 0,
) -> T | None:
    """Read a resource; return None if it still has the etag that the caller knows.

    :param known: the etag; None if the caller knows none.
    :param parse: converts the document and its etag.
    :param wait: seconds for which the service waits until the resource differs.
    """
    headers = {"If-None-Match": quoted(known)} if known is not None else {}
    response = transport.send("GET", url, headers=headers, wait=wait)
    if response.status_code == 304:
        return None
    return parsed(response, lambda found: parse(found, unquoted(response.headers["ETag"])))
