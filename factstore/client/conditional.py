"""Entity tags, and the headers of conditional requests."""

from __future__ import annotations


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
