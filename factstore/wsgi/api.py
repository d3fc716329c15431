"""``factstore.wsgi.api:application``, for any WSGI server.

The machinery behind it is made with the first request, or when the server calls :func:`start`: after
any forking, because neither threads nor gRPC channels survive a fork.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterable
from typing import Any

from factstore.wsgi import configuration, deploy, runtime_registry
from factstore.wsgi import runtime as nodes
from factstore.wsgi.auth.keystone import Wsgi
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.ops import logs

READY_SECONDS = 5.0

_lock = threading.Lock()
_pipeline: Wsgi | None = None


def start() -> Wsgi:
    """Read the configuration, start this process's machinery and return the pipeline; once."""
    global _pipeline
    with _lock:
        if _pipeline is None:
            conf = configuration.read(register_more=logs.register)
            logs.set_up(conf)
            node = nodes.build(conf, SystemClock())
            pipeline = deploy.pipeline(conf, node)
            node.start()
            runtime_registry.set_node(node)
            atexit.register(node.stop)
            node.pump.wait_ready(READY_SECONDS)
            _pipeline = pipeline
        return _pipeline


def drain() -> None:
    """Send streams and waiting requests away; the server is about to stop."""
    node = runtime_registry.node()
    if node is not None:
        node.drain()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The WSGI application."""
    return (_pipeline or start())(environ, start_response)
