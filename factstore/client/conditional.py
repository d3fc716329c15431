"""Entity tags and the headers that make a request conditional."""

from __future__ import annotations


def quoted(etag: str) -> str:
    """An etag as a header wants it; ``*`` stays as it is."""
    return etag if etag == "*" else f'"{unquoted(etag)}"'


def unquoted(etag: str) -> str:
    """An etag as the service means it; what compresses in between makes it weak."""
    return etag.removeprefix("W/").strip('"')


def write_headers(
    if_match: str | None, idempotency_key: str | None, generation: str | None = None
) -> dict[str, str]:
    """What a write demands, and what makes it safe to repeat.

    :param if_match: an etag, or ``*`` for any; None to demand nothing.
    :param generation: of a member, which must live.
    """
    headers = {}
    if if_match is not None:
        headers["If-Match"] = quoted(if_match)
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    if generation is not None:
        headers["Factstore-Generation"] = generation
    return headers
