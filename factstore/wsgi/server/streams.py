"""The streams that a worker sends without a greenlet for each."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

import gevent
from gevent import get_hub
from gevent.pool import Pool

from factstore.api.event_stream import CREDENTIAL_ENDED, frame_chunks
from factstore.core.model.cursor import Cursor
from factstore.core.ports import Clock
from factstore.core.services.watch import WatchService
from factstore.watch.hub import Hub
from factstore.wsgi.client_gone import ClientGone
from factstore.wsgi.fast_path.chunks import LAST_CHUNK
from factstore.wsgi.ops.logs import LogContext, set_caller
from factstore.wsgi.server.listener import Listener
from factstore.wsgi.server.stream import Stream

if TYPE_CHECKING:
    from factstore.wsgi.server.connection import Connection
    from factstore.wsgi.server.greenlet_scheduler import GreenletScheduler

LOG = logging.getLogger(__name__)

CHECK_SECONDS = 5.0  # between two searches for credentials that have to be checked
CHECKS = 16  # of credentials at the same time; Keystone has to answer each
RINGS = 100  # alarms that are served in one turn of the loop


class Streams:
    """The listeners of a worker.

    :param serve: serves the next requests of a connection, in the current greenlet.
    """

    def __init__(
        self,
        hub: Hub,
        watch: WatchService,
        scheduler: GreenletScheduler,
        clock: Clock,
        serve: Callable[[Connection], None],
    ) -> None:
        self._hub = hub
        self._watch = watch
        self._scheduler = scheduler
        self._clock = clock
        self._serve = serve
        self._listeners: dict[tuple[object, ...], Listener] = {}
        self._all: dict[Listener, tuple[object, ...]] = {}
        self._alarms: list[tuple[float, int, Listener]] = []
        self._sequence = itertools.count()
        self._loop = get_hub().loop
        self._timer: Any = None
        self._checks = Pool(CHECKS)
        self._sweep = self._loop.timer(CHECK_SECONDS, CHECK_SECONDS)
        self._sweep.start(lambda: gevent.spawn(self.check_credentials))

    @property
    def stopping(self) -> bool:
        """True if the worker is stopping."""
        return self._hub.closing

    def join(self, stream: Stream, cursor: Cursor) -> bool:
        """Let a listener continue a stream that has everything before a cursor; return False if not."""
        if self._hub.closing:
            return False
        of, wanted, settle, *_ = stream.watcher
        key = (of, wanted, settle, cursor.epoch, stream.chunked)
        listener = self._listeners.get(key)
        if listener is not None:
            joined = listener.join(stream, cursor)
            if joined is not None:
                return joined
        follower = self._watch.follower(of, cursor, wanted, settle)
        listener = Listener(self, follower, stream, lambda wake: self._hub.listen(of, wake))
        self._listeners[key], self._all[listener] = listener, key
        return True

    def forget(self, listener: Listener) -> None:
        """Forget a listener that is closed."""
        key = self._all.pop(listener, None)
        if key is not None and self._listeners.get(key) is listener:
            del self._listeners[key]

    def join_queue(self, project_id: str, run: Callable[[], None]) -> bool:
        """Call a function when it is a project's turn; return False if that is now."""
        return self._scheduler.join((project_id, False), run)

    # Alarms

    def set_alarm(self, listener: Listener, at: float) -> None:
        """Wake a listener at an instant, unless it will be woken before."""
        if at >= listener.alarm_at:
            return
        listener.alarm_at = at
        heappush(self._alarms, (at, next(self._sequence), listener))
        if self._alarms[0][2] is listener:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
        delay = max(0.0, self._alarms[0][0] - self._clock.monotonic())
        self._timer = self._loop.timer(delay)
        self._timer.start(self.ring)

    def ring(self) -> None:
        """Wake the listeners whose alarm is due."""
        now = self._clock.monotonic()
        for _ in range(RINGS):
            if not self._alarms or self._alarms[0][0] > now:
                break
            at, _, listener = heappop(self._alarms)
            if listener.closed or at != listener.alarm_at:
                continue  # an earlier alarm has replaced this one
            listener.alarm_at = float("inf")
            if listener.due_at > now:
                self.set_alarm(listener, listener.due_at)
            else:
                listener.wake()
        if self._alarms:
            self._set_timer()

    # Greenlets

    def check_credentials(self) -> None:
        """End the streams whose credentials are not valid any more."""
        for listener in list(self._all):
            for stream in list(listener.readers):
                credential = stream.watcher.credential
                if credential.is_due:
                    if credential.identity.lasts:
                        continue
                    credential.begin_check()
                    self._checks.spawn(self._check, stream)

    def _check(self, stream: Stream) -> None:
        context = self._log_context(stream)
        try:
            valid = stream.watcher.credential.check()
        except Exception:
            LOG.exception("The credential of a stream could not be checked.")
            valid = True
        finally:
            context.end()
        if not valid and stream.listener is not None:
            stream.finish(CREDENTIAL_ENDED)

    def pull(self, stream: Stream, rest: bytes | memoryview, cursor: Cursor | None) -> None:
        """Send the rest of a frame, and then a stream from a cursor; the end of one without it."""
        gevent.spawn(self._pull, stream, rest, cursor)

    def _pull(self, stream: Stream, rest: bytes | memoryview, cursor: Cursor | None) -> None:
        connection, watcher = stream.connection, stream.watcher
        connection.enter()
        context = self._log_context(stream)
        try:
            self._scheduler.start((watcher.project_id, False))
            connection.sendall(rest)
            if cursor is not None:
                frames = self._watch.follow(
                    watcher.of,
                    cursor,
                    watcher.wanted,
                    watcher.settle,
                    stream.hand_over,
                )
                credential = watcher.credential
                names = watcher.wanted.many
                for piece in frame_chunks(frames, credential, names_stacks=names):
                    connection.sendall(stream.framed(piece))
                if stream.listener is not None:
                    return
                if stream.chunked:
                    connection.sendall(LAST_CHUNK)
        except (ClientGone, OSError):
            stream.keeps_alive = False
        except Exception:
            LOG.exception("The answer was cut short.")
            stream.keeps_alive = False
        finally:
            context.end()
        watcher.release()
        connection.end_stream()
        if stream.keeps_alive and not self.stopping:
            self._serve(connection)
        else:
            connection.close()

    def serve_next(self, connection: Connection) -> None:
        """Serve the next requests of a connection in a greenlet."""
        gevent.spawn(self._serve, connection)

    def _log_context(self, stream: Stream) -> LogContext:
        context = LogContext(stream.watcher.request_id, None)
        identity = stream.watcher.credential.identity
        set_caller(identity.user_id, identity.project_id, identity.roles)
        return context
