"""All that the service imports, for the template of :mod:`tests.forked_child`.

gevent patches the standard library in a worker before it imports the application, and modules keep
what they import from patched modules. So it is patched here, too. Afterwards the standard library is
restored, because the master is not patched, and gevent forgets that it has patched anything. When a
worker calls for the patches, they are the same objects again.
"""

from __future__ import annotations

import importlib
import os
import sys
from unittest import mock

import gevent
from gevent import monkey

from factstore.wsgi.server.patching import plugins_read_once

_UNPATCHED = ("factstore.cmd.serve", "factstore.cmd.notify", "factstore.wsgi.server.master")
_PATCHED = (
    "factstore.wsgi.api",
    "factstore.wsgi.auth.keystone",
    "factstore.wsgi.server.worker",
    "factstore.cmd.notifier.program",
)


def load() -> None:
    """Import the modules."""
    for name in _UNPATCHED:
        importlib.import_module(name)
    # The hooks with which gevent repairs threads after a fork are for workers.
    with plugins_read_once(), mock.patch("os.register_at_fork"):
        monkey.patch_all()
    for name in _PATCHED:
        importlib.import_module(name)
    gevent.get_hub().destroy(True)  # urllib3 opens a socket when it is imported
    for name, attributes in monkey.saved.items():
        if name in sys.modules:
            for attribute, original in attributes.items():
                setattr(sys.modules[name], attribute, original)
    monkey.saved.clear()
    os.register_at_fork(after_in_child=_choose_values)


def _choose_values() -> None:
    """Choose shared values if the master has several workers.

    The library chooses them when it is imported.
    """
    from prometheus_client import values

    values.ValueClass = values.get_value_class()
