"""Calls to etcd from gevent's loop, without a greenlet or a thread that waits for the response.

gRPC needs some hundred microseconds of processor time for a call under gevent, most of it to wait in
a thread.  So the calls that a worker makes most often are made here.  If a call cannot be made, or gets
no response and may be repeated, the caller makes it with gRPC, which knows the deadlines, the other
endpoints, and how to get a new token.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent import get_hub

from factstore.store.client.http2 import Http2Connection
from factstore.store.client.http2_calls import Ended, ProtocolError, Received
from factstore.store.client.loop_connect import connect
from factstore.store.client.loop_stream import OpenStream
from factstore.store.client.silence import Silence
from factstore.store.types import Credentials

LOG = logging.getLogger(__name__)

TIMER_SECONDS = 0.1  # between two searches for calls that take too long, and two answers to pings
RETRY_SECONDS = 2.0  # between two attempts to connect
_READ, _WRITE = 1, 2  # of libev
_READ_BYTES = 64 * 1024


class LoopCalls:
    """Calls to one endpoint at a time.

    :param endpoint: returns the URL of the preferred endpoint.
    :param token: returns the token for the calls; empty without a user, None if none was
        issued yet.
    :param connected: called in the hub when a connection was opened.
    :param silent: called in the hub with the URL of an endpoint that has not answered a call in time.
    :param gone: called in the hub with the URL of an endpoint that has closed the connection.
    """

    def __init__(
        self,
        endpoint: Callable[[], str],
        credentials: Credentials,
        token: Callable[[], str | None],
        connected: Callable[[], object] = lambda: None,
        silent: Callable[[str], object] = lambda url: None,
        gone: Callable[[str], object] = lambda url: None,
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._token = token
        self._connected = connected
        self._silent = silent
        self._gone = gone
        self._url, self._is_tls = "", False
        self._socket: Any = None
        self._http2: Http2Connection | None = None
        self._connecting = False
        self._retry_at = 0.0
        self._closed = False
        self._loop = get_hub().loop
        self._readable: Any = None
        self._writable: Any = None
        self._unsent = b""
        self._flushing = False
        self._deferred: deque[Callable[[], object]] = deque()
        self._timer = self._loop.timer(TIMER_SECONDS, TIMER_SECONDS)
        self._timing = False
        self._silence = Silence()

    def call(self, method: str, messages: Sequence[bytes], ended: Ended, seconds: float) -> bool:
        """Start a call; return False if that is not possible at this moment.

        :param ended: called in the hub with the responses, or with the failure.
        :param seconds: after which the call is given up.
        """
        http2, token, now = self._usable(), self._token(), time.monotonic()
        if http2 is None or token is None:
            return False
        if not http2.busy:
            self._silence.asked = now
        if not http2.call(method, messages, ended, now + seconds, token):
            return False
        self._begun(now)
        return True

    def open(
        self,
        method: str,
        message: bytes,
        received: Received,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> OpenStream | None:
        """Start a call that returns a stream; return None if that is not possible at this moment.

        :param received: called in the hub with each message; with None once the stream has ended.
        """
        http2, token = self._usable(), self._token()
        if http2 is None or token is None:
            return None
        number = http2.open(method, message, received, token, metadata)
        if number is None:
            return None
        self._begun(time.monotonic())
        return OpenStream(http2, number, self._flush_soon)

    def _usable(self) -> Http2Connection | None:
        """Return the connection if calls can be begun; otherwise open another one."""
        http2 = self._http2
        if http2 is None:
            self.connect_soon()
            return None
        if http2.ended or self._url != self._endpoint():
            self._reconnect()
            return None
        return http2

    def _begun(self, now: float) -> None:
        """Send a call that was added, and watch its time."""
        self._flush_soon()
        if not self._timing:
            self._timing = True
            self._silence.begin(now)
            self._timer.again(self._expire)

    def defer(self, call: Callable[[], object]) -> None:
        """Call a function at the end of this turn of the loop, before what was added is sent."""
        self._deferred.append(call)
        self._flush_soon()

    def close(self) -> None:
        """Close the connection; running calls end without a response."""
        self._closed = True
        self._lose()

    # Connecting

    def connect_soon(self) -> None:
        """Begin to open a connection, unless that was tried just now."""
        now = time.monotonic()
        if self._http2 is None and not (self._connecting or self._closed or now < self._retry_at):
            self._connecting, self._retry_at = True, now + RETRY_SECONDS
            gevent.spawn(self._connect)

    def _connect(self) -> None:
        url = self._endpoint()
        try:
            sock = connect(url, self._credentials)
        except (OSError, ValueError) as error:
            LOG.debug("no connection to %s beside that of gRPC: %s", url, error)
            return
        finally:
            self._connecting = False
        if self._closed:
            sock.close()
            return
        parts = urlsplit(url)
        self._url, self._socket, self._is_tls = url, sock, parts.scheme == "https"
        self._http2 = Http2Connection(parts.scheme, parts.netloc)
        self._readable = self._loop.io(sock.fileno(), _READ)
        self._writable = self._loop.io(sock.fileno(), _WRITE)
        self._readable.start(self._receive)
        self._flush_soon()
        self._connected()

    # In the hub

    def _receive(self) -> None:
        """Take what the server has sent."""
        http2 = self._http2
        try:
            while http2 is not None and http2 is self._http2:
                data = self._socket.recv(_READ_BYTES)
                if not data:
                    raise ConnectionResetError("etcd has closed it")
                self._silence.heard = time.monotonic()
                http2.receive(data)
                # TLS may have decrypted more than it has returned.
                if len(data) < _READ_BYTES and not self._is_tls:
                    break
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except (OSError, ProtocolError) as error:
            LOG.info("the connection to %s beside that of gRPC was lost: %s", self._url, error)
            self._leave()
        except Exception:  # the hub would lose the calls of all others, too
            LOG.exception("The connection to %s beside that of gRPC failed.", self._url)
            self._lose()
        if http2 is self._http2 and http2 is not None:
            if http2.ended:
                self._leave()
            elif http2.to_send:
                self._flush_soon()
            if http2.pongs and not self._timing:
                self._begun(self._silence.heard)

    def _flush_soon(self) -> None:
        """Send what was added, at the end of this turn of the loop."""
        if not self._flushing:
            self._flushing = True
            self._loop.run_callback(self._flush)

    def _flush(self) -> None:
        """Send what all calls of this turn of the loop have added."""
        while self._deferred:
            try:
                self._deferred.popleft()()
            except Exception:  # the others have to be called, and what they add has to be sent
                LOG.exception("A deferred call failed.")
        self._flushing = False
        http2 = self._http2
        if http2 is None:
            return
        data = self._unsent + b"".join(http2.to_send)
        http2.to_send.clear()
        try:
            sent = self._socket.send(data) if data else 0
        except (BlockingIOError, ssl.SSLWantWriteError):
            sent = 0
        except OSError:
            self._lose()
            return
        self._unsent = data[sent:]
        if self._unsent:
            self._writable.start(self._flush)
        else:
            self._writable.stop()

    def _expire(self) -> None:
        """End what takes too long: the calls whose time is over, and a connection that is silent."""
        http2 = self._http2
        if http2 is None or not (http2.busy or http2.streaming or http2.pongs):
            self._timing = False
            self._timer.stop()
            return
        http2.to_send += http2.pongs
        http2.pongs.clear()

        now = time.monotonic()
        self._silence.look(now, TIMER_SECONDS)
        if reason := self._silence.lost(now, busy=http2.busy):
            LOG.info("%s %s.", self._url, reason)
            self._lose()
            return
        if self._silence.needs_ping(now):
            http2.ping()

        if http2.is_overdue(now):
            # The loop may have been busy, and the responses may be waiting in the socket.
            self._receive()
            if http2 is not self._http2:
                return
            if http2.give_up(now):
                self._silent(self._url)
                if self._url != self._endpoint():
                    self._reconnect()
                    return
        self._flush_soon()

    def _leave(self) -> None:
        """Close a connection that the server has ended; if another is preferred now, connect to it."""
        self._gone(self._url)
        if self._url != self._endpoint():
            self._reconnect()
        else:
            self._lose()

    def _reconnect(self) -> None:
        """Close the connection, and open one to the preferred endpoint."""
        self._lose()
        self._retry_at = 0.0
        self.connect_soon()

    def _lose(self) -> None:
        """Close the connection and end its calls; a later call opens another one."""
        http2, self._http2 = self._http2, None
        if http2 is None:
            return
        self._retry_at = time.monotonic() + RETRY_SECONDS if http2.busy else 0.0
        self._unsent = b""
        for watcher in (self._readable, self._writable):
            watcher.stop()
            watcher.close()
        self._socket.close()
        http2.fail()
