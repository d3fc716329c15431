"""What a web page on another origin may send and read, unless the operator says otherwise.

The options are oslo.middleware's, in ``[cors]``; only ``allowed_origin`` is left to set.
"""

from __future__ import annotations

from oslo_middleware import cors

METHODS = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]
SENT = [
    "X-Auth-Token",
    "Authorization",
    "X-Openstack-Request-Id",
    "OpenStack-API-Version",
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
    "Last-Event-ID",
]
READ = [
    "ETag",
    "Location",
    "Retry-After",
    "Factstore-Cursor",
    "Factstore-Unchanged",
    "OpenStack-API-Version",
    "X-Openstack-Request-Id",
    "WWW-Authenticate",
]


def set_defaults() -> None:
    """Entry point of ``oslo.config.opts.defaults``; to be called before the options are registered."""
    cors.set_defaults(allow_methods=METHODS, allow_headers=SENT, expose_headers=READ)
