"""gunicorn's settings, with which ``factstore-api`` serves.

Requests run in greenlets, because an open stream must cost kilobytes and a waiting request no thread.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import Any

from factstore.wsgi import configuration
from factstore.wsgi.addresses import is_loopback
from factstore.wsgi.concurrency import connections_within
from factstore.wsgi.ops import multiprocess_metrics
from factstore.wsgi.unknown_options import unknown_options

_conf = configuration.read()
_, _open_files = resource.getrlimit(resource.RLIMIT_NOFILE)
_host = f"[{_conf.api.host}]" if ":" in _conf.api.host else _conf.api.host

bind = [f"{_host}:{_conf.api.port}"]
workers = _conf.api.workers
worker_class = "factstore.wsgi.server.worker.Worker"
worker_connections = connections_within(_open_files, _conf.api.connections)
backlog = 4096
graceful_timeout = _conf.api.drain_seconds
timeout = 60
keepalive = _conf.api.idle_seconds
limit_request_line = 8190
limit_request_field_size = 8190
preload_app = False
control_socket_disable = True  # the socket would be in the home directory, shared by all masters
accesslog = None
loglevel = "warning"
proc_name = "factstore-api"

if workers > 1:
    multiprocess_metrics.share()


def on_starting(server: Any) -> None:
    """Raise the limit of open files, report unknown options, and refuse to serve all hosts freely."""
    # Each stream is an open file.
    resource.setrlimit(resource.RLIMIT_NOFILE, (_open_files, _open_files))
    if _open_files < _conf.api.connections and _open_files != resource.RLIM_INFINITY:
        server.log.warning(
            "[api] connections is %d, but a process may open %d files only: each worker serves %d "
            "connections. Raise the limit, which is LimitNOFILE in a unit of systemd.",
            *(_conf.api.connections, _open_files, server.cfg.worker_connections),
        )
    if unknown := unknown_options(_conf):
        server.log.warning("The configuration: %s", " ".join(unknown))
    if _conf.auth_strategy != "none":
        return
    for address in server.cfg.address:
        host = address[0] if isinstance(address, tuple) else ""
        if not is_loopback(host):
            sys.stderr.write(
                f"factstore: auth_strategy = none serves loopback addresses only, not {host}. "
                "Bind 127.0.0.1 or set auth_strategy = keystone.\n"
            )
            sys.exit(1)


def child_exit(server: Any, worker: Any) -> None:
    """Subtract the streams and requests of a worker that exited from the gauges."""
    if multiprocess_metrics.VARIABLE in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Remove the directory of the shared metrics."""
    multiprocess_metrics.unshare()
