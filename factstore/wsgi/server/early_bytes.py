"""The bytes that a client gets before the response to its request.

They are ``100 Continue``, and the beginning of the first line, which serves as a probe.  A client
receives ``100 Continue`` when the application reads the body.  So the client of a request that is
refused before does not send it (RFC 9110, section 10.1.1).
"""

from __future__ import annotations

from typing import Any


class EarlyBytes:
    """The part of a connection that sends bytes before the response."""

    __slots__ = ("_interim", "_sent_early", "_sock")

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._interim = b""  # what the client waits for before it sends the body
        self._sent_early = 0  # bytes of the response's first line

    def send(self, data: bytes) -> int:
        """Keep ``100 Continue``, for which alone gunicorn calls this, until the body is read."""
        self._interim = data
        return len(data)

    @property
    def awaits_continue(self) -> bool:
        """True if the client waits before it sends the body."""
        return self._interim != b""

    def take_early(self) -> int:
        """Return the number of bytes of a response that were sent while its request waited."""
        early, self._sent_early = self._sent_early, 0
        return early

    def _request_body(self) -> None:
        """Let a client that waits send the body."""
        interim, self._interim = self._interim, b""
        if interim and not self._sent_early:  # nothing may come between the parts of a line
            self._sock.sendall(interim)
