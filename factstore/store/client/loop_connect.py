"""Opens the sockets on which calls are made from gevent's loop."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

import gevent
import gevent.socket
import gevent.ssl

from factstore.store.client.tls import load_files
from factstore.store.types import Credentials

CONNECT_SECONDS = 1.0
DEFAULT_PORT = 443  # as of gRPC


def connect(url: str, credentials: Credentials) -> Any:
    """Return a socket for HTTP/2 to an endpoint; the current greenlet waits for it.

    :raises OSError: the endpoint cannot be reached, or does not offer HTTP/2.
    :raises ValueError: the URL is not valid.
    """
    parts, sock = urlsplit(url), None
    try:
        with gevent.Timeout(CONNECT_SECONDS, OSError("timed out")):
            sock = gevent.socket.create_connection((parts.hostname, parts.port or DEFAULT_PORT))
            sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
            if parts.scheme == "https":
                sock = _context(credentials).wrap_socket(sock, server_hostname=parts.hostname)
                if sock.selected_alpn_protocol() != "h2":
                    raise OSError("the server does not offer HTTP/2")
    except BaseException:
        if sock is not None:
            sock.close()
        raise
    sock.setblocking(False)
    return sock


def _context(own: Credentials) -> Any:
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    load_files(context, own)
    context.set_alpn_protocols(["h2"])
    return context
