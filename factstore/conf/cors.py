"""The defaults for requests of web pages from other origins.

The options in ``[cors]`` belong to oslo.middleware.  Operators usually set only ``allowed_origin``.
"""

from __future__ import annotations

from oslo_middleware import cors

# A test compares these lists with the headers that the API declares.
METHODS = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]
REQUEST_HEADERS = [
    "X-Auth-Token",
    "Authorization",
    "X-Openstack-Request-Id",
    "Content-Type",
    "OpenStack-API-Version",
    "If-Match",
    "If-None-Match",
    "If-Plan",
    "Idempotency-Key",
    "Factstore-Cause",
    "Factstore-Generation",
    "Last-Event-ID",
]
RESPONSE_HEADERS = [
    "ETag",
    "Location",
    "Retry-After",
    "Factstore-Agent-Sha256",
    "Factstore-Agent-Version",
    "Factstore-Checksum",
    "Factstore-Cursor",
    "Factstore-Hint",
    "Factstore-Unchanged",
    "OpenStack-API-Version",
    "X-Openstack-Request-Id",
    "WWW-Authenticate",
]


def set_defaults() -> None:
    """Set the defaults; call it before the options are registered.

    It is the entry point of ``oslo.config.opts.defaults``.
    """
    cors.set_defaults(
        allow_methods=METHODS, allow_headers=REQUEST_HEADERS, expose_headers=RESPONSE_HEADERS
    )
