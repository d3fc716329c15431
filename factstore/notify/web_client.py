"""Requests to web servers that anybody may own.

A name is resolved once for a connection, every address of it must be allowed, and the connection is
made to such an address: what the name resolves to later does not matter.  Redirects are not followed,
the environment's proxies are not used, and of a response only a part is read.
"""

from __future__ import annotations

import http.client
import ipaddress
import ssl
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.target import Target
from factstore.notify.byte_stream import ByteStream, SocketStream, TlsStream, TooMuchReceived
from factstore.notify.deadline import Deadline, TimedOut
from factstore.notify.responses import BODY_BYTES, HEADER_BYTES, begin

CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 10.0
BODY_SECONDS = 1.0
"""The time for the rest of a response whose status is known; then the connection is closed."""
Resolve = Callable[[str, int, float], Sequence[str]]
"""Returns the addresses of a host, within a number of seconds. Raises OSError."""


class RequestFailed(Exception):
    """The request failed before the server answered.

    The text names neither addresses nor anything that the server has sent.
    """


class ConnectionLost(RequestFailed):
    """The connection ended before the response, as one that was idle for long may do."""


@quick_dataclass(frozen=True, slots=True)
class Answer:
    """The response of a server.

    :param body: the beginning of the body.
    """

    status: int
    body: bytes
    retry_after: float | None = None


@quick_dataclass(frozen=True, slots=True)
class WebClient:
    """Opens connections.

    :param resolve: finds the addresses of names.
    :param refusal: returns the reason why an address is not allowed, or None.
    :param context: verifies certificates.
    :param proxy: the host and port of a proxy that connects to the targets.
    """

    resolve: Resolve
    refusal: Callable[[str], str | None]
    context: ssl.SSLContext
    proxy: tuple[str, int] | None = None

    def connect(self, target: Target, deadline: Deadline, *, trusted: bool = False) -> Connection:
        """Return a connection to a target.

        :param trusted: the operator has named the target, so that its addresses are not checked.
        :raises RequestFailed: the connection cannot be made.
        :raises SendingEnded: see :class:`Deadline`.
        """
        connecting = deadline.within(CONNECT_SECONDS)
        try:
            addresses = self._addresses(target, connecting, trusted)
            stream = self._connect(target, addresses, connecting)
            try:
                if target.encrypted:
                    stream = TlsStream(stream, self.context, target.host, HEADER_BYTES + BODY_BYTES)
            except BaseException:
                stream.close()
                raise
        except TimedOut:
            raise RequestFailed("the connection took too long") from None
        except TooMuchReceived:
            raise RequestFailed("the server sent too much in the handshake") from None
        except ssl.SSLCertVerificationError as error:
            raise RequestFailed(f"the certificate is not valid: {error.verify_message}") from None
        except ssl.SSLError:
            raise RequestFailed("the TLS handshake failed") from None
        except OSError as error:
            raise RequestFailed(f"the connection failed: {error.strerror or 'no answer'}") from None
        return Connection(stream, target)

    def _addresses(self, target: Target, deadline: Deadline, trusted: bool) -> Sequence[str]:
        try:
            found: Sequence[str] = [str(ipaddress.ip_address(target.host))]
        except ValueError:
            try:
                found = self.resolve(target.host, target.port, deadline.left())
            except OSError:
                raise RequestFailed("the name of the host cannot be resolved") from None
        if not found:
            raise RequestFailed("the name of the host has no address")
        # All of them: a name with an allowed and another address is meant to reach the other one.
        if not trusted and any(self.refusal(address) for address in found):
            raise RequestFailed("the host has an address to which this service does not deliver")
        return found

    def _connect(self, target: Target, addresses: Sequence[str], deadline: Deadline) -> ByteStream:
        """Return a connection to the first address that accepts it."""
        failed: Exception = TimedOut()
        for at, address in enumerate(addresses):
            share = deadline.within(deadline.left() / (len(addresses) - at))
            try:
                if self.proxy is None:
                    return SocketStream.connect(
                        address, target.port, share, HEADER_BYTES + BODY_BYTES
                    )
                return self._through_proxy(self.proxy, address, target.port, share)
            except (OSError, TimedOut) as error:
                failed = error
        raise failed

    def _through_proxy(
        self, proxy: tuple[str, int], address: str, port: int, deadline: Deadline
    ) -> ByteStream:
        """Return a connection that a proxy has made to an address."""
        host = f"[{address}]" if ":" in address else address
        for proxy_address in self.resolve(*proxy, deadline.left()):
            stream = SocketStream.connect(proxy_address, proxy[1], deadline, HEADER_BYTES)
            try:
                stream.send_all(
                    f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
                )
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    byte = stream.receive(1)  # what follows belongs to the target
                    if not byte:
                        raise OSError(0, "the proxy ended the connection")
                    head += byte
                if head.split(b" ", 2)[1:2] != [b"200"]:
                    raise OSError(0, "the proxy refused the connection")
            except BaseException:
                stream.close()
                raise
            stream.receivable = HEADER_BYTES + BODY_BYTES
            return stream
        raise OSError(0, "the proxy has no address")


class Connection:
    """A connection to a target; requests follow one another."""

    def __init__(self, stream: ByteStream, target: Target) -> None:
        self._stream = stream
        self._start = (
            f"POST {target.resource} HTTP/1.1\r\nHost: {target.authority}\r\n"
            "Accept-Encoding: identity\r\n"
        )
        self.reusable = True

    def post(
        self,
        headers: Mapping[str, str],
        body: bytes,
        deadline: Deadline,
        *,
        reads_body: bool = False,
    ) -> Answer:
        """Send a request and return the response.

        :param reads_body: wait for the body until the deadline; without, for a moment.
        :raises RequestFailed: there is no response.
        :raises SendingEnded: see :class:`Deadline`.
        """
        self._stream.deadline, self.reusable = deadline, False
        self._stream.receivable = HEADER_BYTES + BODY_BYTES
        try:
            self._stream.send_all(self._head(headers, len(body)) + body)
            response = begin(self._stream)
        except TimedOut:
            raise RequestFailed("the server did not answer in time") from None
        except TooMuchReceived:
            raise RequestFailed("the header of the response is too long") from None
        except OSError:  # http.client.RemoteDisconnected is one
            raise ConnectionLost("the connection was lost before the response") from None
        except http.client.HTTPException:
            raise RequestFailed("the response is not HTTP") from None
        if not (reads_body or response.is_complete):
            self._stream.deadline = deadline.within(BODY_SECONDS)
        read, self.reusable = response.read()
        return Answer(response.status, read, response.retry_after)

    def is_idle(self) -> bool:
        """Return True if the server has sent nothing since the last response, not even the end.

        If it has, the next bytes would be taken for the response to the next request.
        """
        return self._stream.is_quiet()

    def _head(self, headers: Mapping[str, str], length: int) -> bytes:
        """Return the beginning of a request.

        The texts cannot contain the end of a line: the grammar of targets and of ids has none.
        """
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        return f"{self._start}Content-Length: {length}\r\n{''.join(lines)}\r\n".encode("ascii")

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()


def parse_proxy(url: str) -> tuple[str, int]:
    """Return the host and the port of a proxy's URL.

    :raises ValueError: it is not ``http://HOST:PORT``.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or "@" in parts.netloc:
        raise ValueError(f"{url!r} is not http://HOST:PORT")
    return parts.hostname, parts.port or 3128
