"""The imports of the application, between which the answers of etcd arrive.

No greenlet runs during an import, and reading the store takes a dozen calls of etcd, one after another.
So a worker that starts would only wait for etcd before its imports or after them.
"""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Iterator

import factstore.api

_PARTS = (
    "yaml",
    "oslo_utils.strutils",
    "oslo_policy.policy",
    "webob",
    "oslo_middleware",
    "factstore.core.services.watch_frames",
    "marshmallow",
    "werkzeug",
    "jinja2",
    "flask",
    "apispec",
    "flask_smorest",
)
"""Packages that take long to import; their order and their number have no effect but on the time."""
_MOMENT = 1e-6  # seconds: gevent looks for data at its sockets only if it has to wait


def import_while_reading() -> None:
    """Import what serves requests, and let other greenlets run between the parts."""
    for name in (*_PARTS, *_modules_of_the_api(), "factstore.wsgi.deploy"):
        importlib.import_module(name)
        time.sleep(_MOMENT)


def _modules_of_the_api() -> Iterator[str]:
    package = factstore.api
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        yield found.name
