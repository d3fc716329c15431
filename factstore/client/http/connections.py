"""Opens connections to servers, through proxies and with TLS."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Mapping

from factstore.client.http.failures import NotSent, Untrusted, Unusable
from factstore.client.http.heads import RawResponse, encode_request
from factstore.client.http.origin import Origin
from factstore.client.http.proxies import Proxy
from factstore.client.http.trust import Trust

# Firewalls forget idle connections; and a server that has vanished is noticed.
_KEEP_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class Connection:
    """An open connection on which requests to one server are sent, one after the other.

    :ivar sock: its socket.
    :ivar is_open: False once it is closed.
    :ivar proxy: the proxy that it passes, or None.
    :ivar is_reusable: False if it must not be used for another request.
    :ivar used_at: when its last response ended, in seconds of the monotonic clock.
    """

    def __init__(self, opened: socket.socket, origin: Origin, proxy: Proxy | None) -> None:
        self.sock = opened
        self.is_open = True
        self.origin = origin
        self.proxy = proxy
        self.is_reusable = True
        self.used_at = 0.0
        self._method = ""

    def request(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> None:
        """Send a request as one piece: in two pieces, it would wake the server twice.

        :param headers: all but that of the length.
        """
        data = encode_request(method, target, body, headers)
        self._method = method
        self.sock.sendall(data)

    def getresponse(self) -> RawResponse:
        """Return the response to the last request, whose body must be read before the next one."""
        response = RawResponse(self.sock, method=self._method)
        try:
            response.begin()
        except BaseException:
            response.close()
            raise
        if response.will_close:
            self.close()  # the response keeps the socket until it is read
        return response

    def close(self) -> None:
        """Close the connection."""
        self.is_open = False
        self.sock.close()

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
    except UnicodeError as error:
        raise Unusable(
            f"No connection to {place}: {host[:80]!r} is not a name in DNS, which has labels of 1 to 63"
            " characters between dots. Correct the URL."
        ) from error
    except OSError as error:
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
        raise refused_with(response.status)(
            f"No connection to {origin}: {refusal(proxy, response.status, response.reason)}"
        )


def refused_with(status: int) -> type[NotSent]:
    """Return the kind of failure for a request that a proxy has answered with a status."""
    passing = not 400 <= status < 500 or status in (408, 425, 429)
    return NotSent if passing else Unusable


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
