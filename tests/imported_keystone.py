"""All that Keystone imports, for the template of :mod:`tests.forked_child`."""

from __future__ import annotations

import contextlib
import gc
import importlib
import warnings
from importlib import metadata

_MODULES = (
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread",
    "keystone.server.flask.application",
    "keystone.server.wsgi",
    "oslo_cache.backends.dictionary",
    "sqlalchemy.dialects.sqlite.pysqlite",
)
_DRIVERS = ("sql", "fernet", "rules", "password", "token", "external", "mapped", "default")


def load() -> None:
    """Import the modules, and the drivers that Keystone finds by their names."""
    gc.disable()
    with warnings.catch_warnings(action="ignore"):
        for name in _MODULES:
            importlib.import_module(name)
        for point in metadata.distribution("keystone").entry_points:
            if point.name in _DRIVERS:
                with contextlib.suppress(ImportError):
                    point.load()
    gc.enable()
