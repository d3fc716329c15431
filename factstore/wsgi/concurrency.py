"""The number of requests that a process of the server serves at once, and how many of them may wait.

A request that waits and a stream occupy one of the server's threads, or connections, for a minute or
for hours.  If they could occupy all of them, heartbeats would wait as well, and members would expire.
"""

from __future__ import annotations

import logging
import math
import sys
from resource import RLIM_INFINITY
from typing import Any
from wsgiref.types import WSGIEnvironment

LOG = logging.getLogger(__name__)

RESERVE = 0.25  # share of the threads or connections that requests that wait cannot occupy

OTHER_FILES = 40  # that a worker opens: connections to etcd and Keystone, logs and libraries
LEAST_CONNECTIONS = 16


def connections_within(open_files: int, connections: int) -> int:
    """Return how many connections a worker can serve that may open a number of files.

    With more, it could not accept any, and those that are refused would wait without an answer.
    """
    if open_files == RLIM_INFINITY:
        return connections
    return min(connections, max(LEAST_CONNECTIONS, open_files - OTHER_FILES))


def blocking(slots: int) -> int:
    """Return how many of a number of threads or connections requests that wait may occupy."""
    return slots - math.ceil(slots * RESERVE)


def slots_of(environ: WSGIEnvironment, threads: int) -> int:
    """Return the number of requests that a process of a server serves at once; log what is wrong.

    :param environ: a request's, which tells the servers apart.
    :param threads: ``[api] threads``, or 0.
    """
    found = threads or _reported(environ)
    if found is None:
        LOG.error(
            "The server serves requests in threads or greenlets and does not report how many. No "
            "request can wait, and no stream can be opened, until [api] threads is set to their "
            "number in one process."
        )
        return 1
    if not blocking(found):
        LOG.error(
            "The server serves %d request at a time in each process, so no request can wait, and no "
            "stream can be opened. Run factstore-api, or a server with several threads.",
            found,
        )
    else:
        LOG.info(
            "Each process serves %d requests at a time. At most %d of them can wait or be streams.",
            found,
            blocking(found),
        )
    return found


def _reported(environ: WSGIEnvironment) -> int | None:
    """Return the number of threads that a server reports, or None if it is unknown."""
    uwsgi: Any = sys.modules.get("uwsgi")
    if uwsgi is not None:
        return max(int(uwsgi.opt.get(name, 1)) for name in ("threads", "async", "gevent"))
    if "mod_wsgi.version" in environ:
        mod_wsgi: Any = sys.modules.get("mod_wsgi")
        return getattr(mod_wsgi, "threads_per_process", None)
    return None if environ.get("wsgi.multithread") else 1
