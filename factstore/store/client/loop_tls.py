"""TLS for the connections that are made in gevent's loop."""

from __future__ import annotations

import ssl
from typing import Any

import gevent.ssl

from factstore.store.types import Credentials


def tls_context(credentials: Credentials) -> Any:
    """Return a context that offers HTTP/2, and requires a certificate of the server."""
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if credentials.ca_file:
        context.load_verify_locations(credentials.ca_file)
    else:
        context.load_default_certs()
    if credentials.cert_file:
        context.load_cert_chain(credentials.cert_file, credentials.key_file)
    context.set_alpn_protocols(["h2"])
    return context
