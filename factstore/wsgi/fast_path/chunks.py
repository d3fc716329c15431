"""Chunked coding of a body whose length is not known (RFC 9112, 7.1)."""

from __future__ import annotations

LAST_CHUNK = b"0\r\n\r\n"


def chunk(piece: bytes) -> bytes:
    """Return a piece of a body as a chunk."""
    return b"%X\r\n%s\r\n" % (len(piece), piece)
