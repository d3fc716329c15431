"""A stub of the API for tests of the supervisor: a gunicorn configuration and its application.

Like the real one it learns everything from the files that OS_FACTSTORE_CONFIG_FILES names.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from configparser import ConfigParser
from typing import Any

ARGV = (
    *(sys.executable, "-m", "gunicorn"),
    *("--config", "python:tests.lab.stub"),
    "tests.lab.stub:application",
)

_options = ConfigParser(interpolation=None)
_options.read(os.environ.get("OS_FACTSTORE_CONFIG_FILES", "").split(";"))

# gunicorn's settings
if _options.has_section("api"):
    bind = f"{_options['api']['host']}:{_options['api']['port']}"
    workers = int(_options["api"]["workers"])
control_socket_disable = True


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Respond to ``/etcd`` with the configured etcd, to ``/long`` for a minute, else with 200."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/etcd":
        return [_options["etcd"]["endpoints"].encode()]
    if environ["PATH_INFO"] == "/long":
        return long_response()
    return [b"OK"]


def long_response() -> Iterator[bytes]:
    """Yield the first part, and end after a minute."""
    yield b"begun"
    threading.Event().wait(60)
