"""Opens connections to servers, through proxies and with TLS."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from factstore.client.http.failures import NotSent, Untrusted
from factstore.client.http.heads import RawResponse
from factstore.client.http.origin import Origin
from factstore.client.http.proxies import Proxy
from factstore.client.http.trust import Trust

# Firewalls forget idle connections; and a server that has vanished is noticed.
_KEEP_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class Connection(http.client.HTTPConnection):
    """An open connection on which requests to one server are sent.

    :ivar proxy: the proxy that it passes, or None.
    :ivar is_reusable: False if it must not be used for another request.
    :ivar used_at: when its last response ended, in seconds of the monotonic clock.
    """

    response_class = RawResponse

    def __init__(self, opened: socket.socket, origin: Origin, proxy: Proxy | None) -> None:
        super().__init__(origin.host, origin.port)
        self.auto_open = 0
        self.sock = opened
        self.origin = origin
        self.proxy = proxy
        self.is_reusable = True
        self.used_at = 0.0
        self._unsent: list[bytes] | None = None

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, Any] | None = None,
        *,
        encode_chunked: bool = False,
    ) -> None:
        """Send a request whose body is bytes or None, as one piece.

        In two pieces, it would wake the server twice.
        """
        unsent: list[bytes] = []
        self._unsent = unsent
        try:
            super().request(method, url, body, headers or {}, encode_chunked=encode_chunked)
        finally:
            self._unsent = None
        self.send(b"".join(unsent))

    def send(self, data: Any) -> None:
        """Send data, or add it to the request that is being made."""
        if self._unsent is None:
            super().send(data)
        else:
            self._unsent.append(data)

    @property
    def forwards(self) -> bool:
        """True if the proxy reads the requests, which tunnels hide from it."""
        return self.proxy is not None and self.origin.scheme == "http"


def open_connection(
    origin: Origin, proxy: Proxy | None, trust: Trust, timeout: float
) -> Connection:
    """Return a new connection.

    :param timeout: seconds for each step of opening it.
    :raises Untrusted: the server or the CAs cannot be trusted.
    :raises NotSent: there is no connection.
    """
    tls = trust.context() if origin.scheme == "https" else None
    opened = _open_socket(origin, proxy, timeout)
    try:
        if tls is not None:
            if proxy is not None:
                _open_tunnel(opened, origin, proxy)
            opened = _start_tls(opened, tls, origin, proxy, trust)
        return Connection(opened, origin, proxy)
    except BaseException:
        opened.close()
        raise


def _open_socket(origin: Origin, proxy: Proxy | None, timeout: float) -> socket.socket:
    host, port = (origin.host, origin.port) if proxy is None else (proxy.host, proxy.port)
    place = str(origin if proxy is None else proxy)
    try:
        opened = socket.create_connection((host, port), timeout)
    except socket.timeout as error:
        raise NotSent(f"The connection to {place} timed out.") from error
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NotSent(f"Unable to establish connection to {place}: {reason}.") from error
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return opened


def _open_tunnel(opened: socket.socket, origin: Origin, proxy: Proxy) -> None:
    lines = [f"CONNECT {origin.authority} HTTP/1.1", f"Host: {origin.authority}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    try:
        opened.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1"))
        response = http.client.HTTPResponse(opened, method="CONNECT")
        try:
            response.begin()
        finally:
            response.close()
    except socket.timeout as error:
        raise NotSent(f"There was no answer in time from {proxy}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise NotSent(f"Lost the connection to {proxy}: {_reason(error)}.") from error
    if not 200 <= response.status < 300:
        raise NotSent(
            f"No connection to {origin}: {refusal(proxy, response.status, response.reason)}"
        )


def refusal(proxy: Proxy, status: int, reason: str) -> str:
    """Return the sentences about a request that a proxy has answered itself."""
    printable = re.sub(r"[^ -~]", "?", reason)[:60]
    if status == 407:
        remedy = f"Write the user and password of the proxy into its URL in {proxy.source}"
    elif proxy.source.lower().endswith("_proxy"):
        remedy = "If the service is reached without a proxy, add its host to no_proxy"
    else:
        remedy = f"If the service is reached without a proxy, write none into {proxy.source}"
    return f"{proxy} answered {status} {printable}".rstrip() + f". {remedy}."


def _start_tls(
    opened: socket.socket, tls: ssl.SSLContext, origin: Origin, proxy: Proxy | None, trust: Trust
) -> socket.socket:
    via = f" through {proxy}" if proxy is not None else ""
    try:
        return tls.wrap_socket(opened, server_hostname=origin.bare_host)
    except socket.timeout as error:
        raise NotSent(f"The TLS handshake with {origin}{via} timed out.") from error
    except ssl.SSLEOFError as error:
        raise NotSent(f"{origin}{via} closed the connection during the TLS handshake.") from error
    except (ssl.SSLError, ssl.CertificateError) as error:
        raise Untrusted(f"No TLS connection to {origin}{via}: {trust.problem(error)}") from error
    except (OSError, ValueError) as error:
        raise NotSent(f"Lost the connection to {origin}{via}: {_reason(error)}.") from error


def _reason(error: BaseException) -> object:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
