"""The largest body of a request.

The views check it; a server that knows earlier that a body is too large raises :class:`BodyTooLarge`.
"""

from __future__ import annotations

BODY_BYTES = 1024 * 1024


class BodyTooLarge(OSError):
    """A body is not read to its end, because it is too large.

    Its text, if any, is that of the refusal.
    """
