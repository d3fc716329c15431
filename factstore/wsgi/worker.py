"""gunicorn's gevent worker, starting our machinery and stopping without dawdling.

Stock, a stopping worker waits for connections that are merely kept alive as if they were requests, up
to its whole grace period.  This one lets them go, and sends streams away, the moment it is told.
"""

from __future__ import annotations

import gc
from types import FrameType, TracebackType
from typing import Any, Self

import gevent
from gunicorn.workers.ggevent import GeventWorker

LATE_SECONDS = 1.0  # what a connection that was accepted while stopping has to send its request


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

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: finish what runs, and send everybody else away."""
        super().handle_exit(sig, frame)
        gevent.spawn(self._send_away)

    def _send_away(self) -> None:
        from factstore.wsgi import api

        api.drain()
        for idle in list(self._idle):
            idle.let_go()
