"""gunicorn's gevent worker, starting our machinery, stopping without dawdling, refusing in our form.

Stock, a stopping worker waits for connections that are merely kept alive as if they were requests, up
to its whole grace period.  This one lets them go, and sends streams away, the moment it is told.

What is no HTTP never reaches the application; stock, it is answered with a page of HTML.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import ssl
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

import gevent
from gunicorn import util
from gunicorn.http import errors as malformed
from gunicorn.http.body import ChunkedReader
from gunicorn.workers.ggevent import GeventWorker

if TYPE_CHECKING:
    from factstore.wsgi.middleware.problem import Problem

LATE_SECONDS = 1.0  # what a connection that was accepted while stopping has to send its request
LINGER_SECONDS = 2.0  # what is left of a request that was answered early is read for so long,
LINGER_BYTES = 8 * 1024 * 1024  # and so far


class _Idle:
    """A connection between two requests: it ends after some seconds, or when it is let go."""

    def __init__(self, others: set[_Idle], seconds: float) -> None:
        self._others = others
        self._timeout = gevent.Timeout(seconds)
        self._greenlet = gevent.getcurrent()

    def __enter__(self) -> Self:
        self._others.add(self)
        self._timeout.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._others.discard(self)
        self._timeout.close()
        return error is self._timeout

    def let_go(self) -> None:
        """End it as if its time were over."""
        gevent.get_hub().loop.run_callback(self._end)

    def _end(self) -> None:
        # In the hub, so that between the look and the throw it cannot become a request.
        if self in self._others:
            self._greenlet.throw(self._timeout)


class _Chunks(io.RawIOBase):
    """A body in chunks; one that is malformed is a connection that broke, not a fault of ours."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data: bytes = self._body.read(len(buffer))
        except malformed.ParseException as error:
            raise ConnectionResetError(errno.ECONNRESET, "a chunk is malformed") from error
        buffer[: len(data)] = data
        return len(data)


def _take_rest(body: Any) -> None:
    """Let somebody who was answered in the middle of a body finish, within bounds.

    A connection that is closed with something unread is reset, and whoever still sends may never
    come to read the answer; a proxy then makes a 502 of it.
    """
    taken = 0
    with (
        contextlib.suppress(OSError, malformed.ParseException),
        gevent.Timeout(LINGER_SECONDS, False),
    ):
        while taken < LINGER_BYTES and (piece := body.read(64 * 1024)):
            taken += len(piece)


class Worker(GeventWorker):
    """One process: many greenlets, one node."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle: set[_Idle] = set()

    def load_wsgi(self) -> None:
        """Load the application and start the machinery, before the first request."""
        super().load_wsgi()
        from factstore.wsgi import api

        api.start()
        # What is there now stays; and collecting often would walk all facts held in memory each time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 100)

    def timeout_ctx(self) -> _Idle:
        """What limits the wait for the next request of a connection."""
        return _Idle(self._idle, self.cfg.keepalive if self.alive else LATE_SECONDS)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """Hand a request to the application; a time limit that it puts on the connection ends too."""
        if isinstance(req.body.reader, ChunkedReader):
            req.body = _Chunks(req.body)
        try:
            return super().handle_request(listener_name, req, sock, addr)
        except StopIteration:  # the connection ends with this answer
            _take_rest(req.body)
            raise
        finally:
            sock.settimeout(None)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what could not be handed to the application, or what broke on the way to it."""
        if isinstance(exc, ssl.SSLError):
            super().handle_error(req, client, addr, exc)
            return
        from factstore.api.errors import FAILED
        from factstore.wsgi.middleware.problem import problem
        from factstore.wsgi.middleware.request_id import HEADER
        from factstore.wsgi.middleware.request_id import new as new_request_id

        request_id = new_request_id()
        if req is None and isinstance(exc, malformed.ParseException):
            answer = self._problem_of(exc, request_id)
            # Not what it says: that may be a header with a secret.
            self.log.warning("refused a request from %s: %s", addr, type(exc).__name__)
        else:
            answer = problem("internal_error", FAILED, request_id)
            self.log.error("request %s failed", request_id, exc_info=exc)
        headers = [*answer.headers, ("Connection", "close"), (HEADER, request_id)]
        lines = [f"HTTP/1.1 {answer.status_line}", *(f"{name}: {value}" for name, value in headers)]
        with contextlib.suppress(OSError):
            util.write_nonblock(client, "\r\n".join([*lines, "", ""]).encode() + answer.body)

    def _problem_of(self, exc: malformed.ParseException, request_id: str) -> Problem:
        """Return the answer that names the fault of a request that could not be parsed."""
        from factstore.wsgi.middleware.problem import problem

        if isinstance(exc, malformed.LimitRequestLine):
            return problem(
                "url_too_long",
                f"the request line may have {self.cfg.limit_request_line} bytes.",
                request_id,
            )
        if isinstance(exc, malformed.LimitRequestHeaders):
            return problem(
                "headers_too_large",
                f"a request may have {self.cfg.limit_request_fields} headers "
                f"of {self.cfg.limit_request_field_size} bytes each.",
                request_id,
            )
        return problem(
            "http_invalid",
            "the request line, a header, or what says how long the body is, is malformed.",
            request_id,
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: finish what runs, and send everybody else away."""
        super().handle_exit(sig, frame)
        gevent.spawn(self._send_away)

    def _send_away(self) -> None:
        from factstore.wsgi import api

        api.drain()
        for idle in list(self._idle):
            idle.let_go()
