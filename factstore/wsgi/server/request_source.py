"""The part of a connection that waits for its requests, as the connection sees it."""

from __future__ import annotations

from typing import Protocol


class RequestSource(Protocol):
    """Waits for the requests of a connection, instead of reading its socket."""

    def receive(self) -> bytes:
        """Return the first bytes of a request, or none if the client has sent its last."""

    def unread(self, data: bytes) -> None:
        """Take back what has been read beyond the end of a request."""

    def readable(self) -> None:
        """Read what has arrived; called in the hub."""

    def end(self) -> None:
        """Stop waiting for a request, unless one is arriving."""

    def expire(self, now: float, idle_seconds: float, read_seconds: float) -> None:
        """Stop waiting if no request, or no more of one, has arrived for too long."""

    def park(self) -> None:
        """Let the greenlet end that waits for a request, or for the response to one."""

    def closed(self) -> None:
        """Forget the socket."""
