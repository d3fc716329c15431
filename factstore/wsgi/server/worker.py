"""gunicorn's gevent worker, with a runtime, a quick stop and this API's error responses.

gunicorn's own worker waits on SIGTERM for idle keep-alive connections as if they were requests, for
up to its whole grace period.  This one closes them, and ends streams, at once.

Malformed HTTP never reaches the application; gunicorn's own worker answers it with an HTML page.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import ssl
import sys
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

import gevent
from gevent.pool import Pool
from gunicorn import util
from gunicorn.arbiter import Arbiter
from gunicorn.http import errors as malformed
from gunicorn.http.body import ChunkedReader
from gunicorn.workers.ggevent import GeventWorker

from factstore.wsgi import configuration
from factstore.wsgi.addresses import is_loopback
from factstore.wsgi.server.acceptor import Server
from factstore.wsgi.server.connection import HEADER_BYTES, Connection
from factstore.wsgi.server.connections import Connections, set_listener_options
from factstore.wsgi.server.header_checks import (
    RepeatedHeader,
    asks_to_close,
    check_codings,
    check_single,
    describe_fault,
)
from factstore.wsgi.server.patching import plugins_read_once
from factstore.wsgi.server.request_body import (
    ChunkedBody,
    close_if_unread,
    is_read,
    linger,
    read_rest,
)
from factstore.wsgi.server.timeouts import RequestTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from factstore.wsgi.fast_path.fast_path import FastPath
    from factstore.wsgi.middleware.problem import Problem
    from factstore.wsgi.server.receiver import Receiver

LATE_SECONDS = 1.0  # time for the request of a connection that was accepted while stopping
LINGER_SECONDS = 2.0  # limits for reading the rest of a request that was answered early
OWN_VERSION = (1, 1)  # of HTTP; requests of later ones are served as such (RFC 9110, section 2.5)
READ_PAUSE = 1.0  # between two looks whether the store was read late
_NO_TIMEOUT = contextlib.nullcontext()
_LOADED, _READ = 1, 2  # how far a worker is


def _concern_every_request(cfg: Any) -> bool:
    """Return True if settings of gunicorn, such as a limit of requests, would miss fast requests."""
    logs = cfg.accesslog, cfg.syslog, cfg.logconfig, cfg.logconfig_dict, cfg.statsd_host
    return any(logs) or bool(cfg.max_requests) or cfg.proxy_protocol not in (False, "off")


class Worker(GeventWorker):
    """A process with a runtime and a greenlet for each connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.server_class = partial(Server, accept=self.accept)
        self._ready = mmap.mmap(-1, 1)  # shared with the master, in which this runs
        self._connections: Connections | None = None
        self._fast_path: FastPath | None = None
        self._use_fast_path: Callable[..., Receiver]

    @property
    def is_ready(self) -> bool:
        """True if the worker has loaded the application; the master reads it, too."""
        return self._ready[0] >= _LOADED

    @property
    def has_read(self) -> bool:
        """True if the worker has read the store, too; the master reads it."""
        return self._ready[0] == _READ

    def patch(self) -> None:
        """Let gevent patch the standard library."""
        with plugins_read_once():
            super().patch()

    def load_wsgi(self) -> None:
        """Load the application and start the runtime before the first request."""
        gc.disable()  # nearly all that is loaded here remains
        super().load_wsgi()
        from factstore.wsgi import api, runtime_registry

        try:
            self.wsgi = api.start(lambda conf: self.worker_connections)
        except configuration.ERRORS as error:
            self.log.debug("The service cannot start.", exc_info=True)
            self.log.error("The configuration %s", configuration.describe(error))
            sys.exit(Arbiter.APP_LOAD_ERROR)  # the master ends, too, and starts no other one
        runtime = runtime_registry.get_runtime()
        assert runtime is not None  # noqa: S101 - it has just been started
        limits, metrics = runtime.connection_limits, runtime.metrics
        known = self._connections = Connections(
            limits, metrics.count_closed_connection, self.worker_connections
        )
        runtime.connection_gauges = known.gauges
        from factstore.wsgi.fast_path.fast_path import EXPIRY_SECONDS
        from factstore.wsgi.middleware.metrics import PUBLISH_SECONDS
        from factstore.wsgi.server.greenlet_scheduler import GreenletScheduler
        from factstore.wsgi.server.receiver import use_fast_path
        from factstore.wsgi.server.streams import Streams

        self._use_fast_path = use_fast_path

        known.call_every(PUBLISH_SECONDS, metrics.publish)
        self._fast_path = None if _concern_every_request(self.cfg) else runtime.fast_path
        if self._fast_path is not None:
            self._fast_path.begun = known.call_while(EXPIRY_SECONDS, self._fast_path.expire)
            scheduler = runtime.scheduler
            assert isinstance(scheduler, GreenletScheduler)  # noqa: S101 - gevent has patched threading
            known.streams = Streams(
                runtime.hub,
                runtime.services.watch,
                scheduler,
                runtime.clock,
                self._serve,
            )
        for each in self.sockets:
            set_listener_options(each, limits)
        gc.freeze()  # objects that exist now are permanent
        gc.set_threshold(20_000, 20, 100)
        gc.enable()
        self._ready[0] = _LOADED
        if runtime.pump.wait_ready(0):
            self._ready[0] = _READ
        else:
            gevent.spawn(self._wait_for_store, runtime.pump.wait_ready)

    def _wait_for_store(self, wait_ready: Callable[[float], bool]) -> None:
        """Note that the worker has read the store, which did not answer at the start."""
        while not wait_ready(READ_PAUSE):
            pass
        self._ready[0] = _READ

    def accept(self, listener: Any, pool: Pool, client: int, addr: Any) -> bool:
        """Let a connection wait for its first request in the hub; return False if it cannot."""
        if self._fast_path is None or self._connections is None:
            return False
        connection = Connection(client, self._connections, self._idle_seconds)
        connection.origin = listener, addr
        local = is_loopback(addr[0] if isinstance(addr, tuple) else "")
        receiver = self._use_fast_path(connection, self._fast_path, self._connections, local=local)
        connection.places = pool
        pool.add(connection, blocking=False)
        receiver.readable()  # the first request has often arrived with the connection
        self._connections.add(connection)
        return True

    def wsgi_handler(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve a connection until it ends, in a greenlet of its own.

        It has the name under which gunicorn passes a handler to its server class.
        """
        assert self._connections is not None  # noqa: S101 - the application has been loaded
        connection = Connection(client, self._connections, self._idle_seconds)
        connection.origin = listener, addr
        self._connections.add(connection)
        self._serve(connection)

    def _serve(self, connection: Connection) -> None:
        """Serve the requests of a connection in the current greenlet."""
        connection.enter()
        listener, addr = connection.origin
        self.handle(listener, connection, addr)

    def _idle_seconds(self) -> float:
        """Return the time to wait for the next request of a connection."""
        return float(self.cfg.keepalive) if self.alive else LATE_SECONDS

    def timeout_ctx(self) -> contextlib.AbstractContextManager[None]:
        """Return a context manager without effect; a connection limits its reads itself."""
        return _NO_TIMEOUT

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """Pass a request to the application.

        :raises StopIteration: the connection is to be closed.
        """
        check_single(req.headers)
        req.version = min(req.version, OWN_VERSION)
        if isinstance(req.body.reader, ChunkedReader):
            check_codings(req.headers)
            req.body = ChunkedBody(req)
        if asks_to_close(req.headers):
            req.force_close()
        close_if_unread(req, sock)
        sock.begin_request(req)
        try:
            handled = super().handle_request(listener_name, req, sock, addr)
            if sock.left:
                raise StopIteration
            if not read_rest(req.body, sock.read_seconds):
                raise StopIteration
            return handled
        except StopIteration:  # gunicorn closes the connection after this response
            if not (sock.left or is_read(req.body)):
                linger(sock, LINGER_SECONDS)
            raise
        finally:
            vars(req).pop("should_close", None)  # that of close_if_unread refers to the request
            sock.end_request()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that could not be passed to the application."""
        if isinstance(exc, ssl.SSLError):
            super().handle_error(req, client, addr, exc)
            return
        from factstore.api.errors import INTERNAL_ERROR
        from factstore.wsgi.middleware.problem import problem
        from factstore.wsgi.middleware.request_id import HEADER, new_request_id

        request_id = new_request_id()
        if isinstance(exc, malformed.ParseException):
            answer = self._problem_of(exc, request_id)
            # The message is not logged: it can quote a header with a secret.
            self.log.warning("Refused a malformed request from %s: %s", addr, type(exc).__name__)
        else:
            answer = problem("internal_error", INTERNAL_ERROR, request_id)
            self.log.error("Request %s failed.", request_id, exc_info=exc)
        accept = ",".join(value for name, value in (req.headers if req else ()) if name == "ACCEPT")
        headers = [*answer.headers_for(accept), ("Connection", "close"), (HEADER, request_id)]
        lines = [f"HTTP/1.1 {answer.status_line}", *(f"{name}: {value}" for name, value in headers)]
        with contextlib.suppress(OSError):
            util.write_nonblock(client, "\r\n".join([*lines, "", ""]).encode() + answer.body)
            linger(client, LINGER_SECONDS)

    def _problem_of(self, exc: malformed.ParseException, request_id: str) -> Problem:
        """Return the answer that names the fault of a request that could not be parsed."""
        from factstore.wsgi.middleware.problem import problem

        if isinstance(exc, RequestTimeout):
            return problem(
                "request_timeout",
                "The header of the request did not arrive in time. Send the request again.",
                request_id,
            )
        if isinstance(exc, RepeatedHeader):
            return problem("ambiguous", f"{exc} is given twice. Send it once.", request_id)
        if isinstance(exc, malformed.LimitRequestLine):
            return problem(
                "url_too_long",
                f"The request line is longer than {self.cfg.limit_request_line} bytes.",
                request_id,
            )
        if isinstance(exc, malformed.LimitRequestHeaders):
            return problem(
                "headers_too_large",
                f"The request has more than {self.cfg.limit_request_fields} headers, a header of more "
                f"than {self.cfg.limit_request_field_size} bytes, or headers of more than "
                f"{HEADER_BYTES} bytes together.",
                request_id,
            )
        return problem("http_invalid", describe_fault(exc), request_id)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Finish running requests, and end streams and idle connections."""
        super().handle_exit(sig, frame)
        gevent.spawn(self._drain)

    def _drain(self) -> None:
        from factstore.wsgi import api

        api.drain()
        if self._connections is not None:
            self._connections.close_idle()
