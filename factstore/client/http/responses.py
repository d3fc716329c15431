"""Responses."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

from factstore.client.http.connections import Connection
from factstore.client.http.failures import ResponseLost
from factstore.client.http.heads import Headers

_PIECE = 65536


class Response:
    """A response.

    :ivar place: the server, and the proxy if there is one, for errors.
    :ivar forwarded_by: the proxy that may have sent it instead of the server, or None.
    """

    def __init__(
        self,
        raw: http.client.HTTPResponse,
        connection: Connection,
        opened: socket.socket,
        place: str,
    ) -> None:
        self._raw = raw
        self._connection = connection
        self._socket = opened
        self._content: bytes | None = None
        self._released = False
        self.place = place
        self.forwarded_by = connection.proxy if connection.forwards else None
        self.status_code = raw.status
        self.reason = raw.reason
        found: Any = raw.headers
        self.headers = found if isinstance(found, Headers) else Headers(raw.getheaders())

    @property
    def content(self) -> bytes:
        """The body.

        :raises ResponseLost: the connection was lost before its end.
        """
        if self._content is None:
            try:
                with lost_by(self.place):
                    self._content = self._raw.read()
            except BaseException:
                self.close()
                raise
        return self._content

    def json(self) -> Any:
        """Return the JSON document in the body.

        :raises ValueError: the body is not JSON.
        """
        return json.loads(self.content)

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives.

        :raises ResponseLost: the connection was lost before its end.
        """
        while True:
            with lost_by(self.place):
                piece = self._raw.read1(_PIECE)
                if not piece:
                    if self._raw.length:  # read1() does not notice that
                        raise http.client.IncompleteRead(b"", self._raw.length)
                    return
            yield piece

    def shutdown(self) -> None:
        """End a read that another thread waits for."""
        with contextlib.suppress(OSError, ValueError):  # closed already
            # SSLSocket.shutdown() would take the connection's state from the reading thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def release(self) -> None:
        """Leave the connection to the session, which uses it for other requests."""
        self._released = True

    def close(self) -> None:
        """Close the connection, unless it was released."""
        if not self._released:
            self._connection.close()
            self._raw.close()


@contextlib.contextmanager
def lost_by(place: str) -> Iterator[None]:
    """Raise errors of a connection as ResponseLost."""
    try:
        yield
    except socket.timeout as error:
        raise ResponseLost(f"The request to {place} timed out.") from error
    except http.client.BadStatusLine as error:
        if isinstance(error, http.client.RemoteDisconnected):
            raise ResponseLost(f"Lost the connection to {place}: {error}.") from error
        raise ResponseLost(
            f"The answer of {place} is not HTTP. If the service uses TLS, the URL must begin with"
            " https://."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ResponseLost(f"Lost the connection to {place}: {reason}.") from error
