"""A worker's streams on sockets in gevent's own loop, and clients that read as much as a test wants."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from unittest.mock import Mock

import gevent
import gevent.socket

from factstore.api.event_stream import Credential, Watcher, frame_pieces
from factstore.api.identity import Identity
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import DropStack, Mutation, PutFact, PutStack, Step
from factstore.core.model.fact import Scope
from factstore.core.model.stack_patterns import ALL_STACKS
from factstore.core.model.stack_selection import StackSelection, Watched
from factstore.core.services.debounce import AT_ONCE, Debounce
from factstore.core.services.watch import WatchService
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import ChangeFrame
from factstore.core.state.state import State
from factstore.watch.history import HistoryLimits
from factstore.watch.hub import Hub
from factstore.wsgi.connection_limits import ConnectionLimits
from factstore.wsgi.server.connection import Connection
from factstore.wsgi.server.connections import Connections
from factstore.wsgi.server.greenlet_scheduler import GreenletScheduler
from factstore.wsgi.server.stream import Stream
from factstore.wsgi.server.streams import Streams
from tests.unit.core.factories import EPOCH, PROJECT, SCOPE, ManualClock, fact, stack

PATIENCE = 60.0
SMALL = 4096  # of a socket's buffer, so that a few events fill it
ALL = Filter()
OTHER = Scope(PROJECT, "other")
NOBODY = Identity("nobody", PROJECT, ())


def watched(wanted: Filter) -> Watched:
    """Return the stacks of a stream: one, or all of the project."""
    return StackSelection(PROJECT, ALL_STACKS) if wanted.many else SCOPE


class Client:
    """A client of a stream, with the bytes that it has read."""

    def __init__(self, own: socket.socket, start: Cursor) -> None:
        self.socket = own
        self.socket.setblocking(False)
        self.start = start
        self.stream: Stream
        self.data = b""
        self.ended = False
        """True once the server has closed the connection."""

    def read(self, size: int = 1 << 20) -> None:
        """Read what has arrived."""
        try:
            data = self.socket.recv(size)
        except BlockingIOError:
            return
        self.data += data
        self.ended = not data

    @property
    def body(self) -> bytes:
        """The pieces of the body that have arrived."""
        body, rest = b"", self.data
        while rest and not rest.startswith(b"0\r\n"):
            size, _, rest = rest.partition(b"\r\n")
            body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return body

    @property
    def frames(self) -> list[bytes]:
        """The frames that have arrived, without pings."""
        return [each for each in self.body.split(b"\n\n") if each and not each.startswith(b":")]


class StreamingWorker:
    """One stack, and the streams of its events.

    :param history: the maximum number of events in memory.
    :ivar served: the connections whose next request would be served.
    """

    def __init__(self, history: int = 10_000) -> None:
        self.clock = ManualClock()
        scheduler = GreenletScheduler(self.clock)
        limits = HistoryLimits(history, 10**9, 900)
        self.hub = Hub(limits, scheduler.new_change_wake_up, self.clock.monotonic)
        self._state = State(0, EPOCH)
        stacks = (PutStack(stack()), PutStack(stack(OTHER, "s2")))
        self._state.apply(Step(1, stacks))
        self.hub.reset(self._state.cursor)
        store = Mock(state=lambda: self._state)
        self.watch = WatchService(store, self.hub, self.clock, 5)
        self.closed: Counter[str] = Counter()
        seconds = ConnectionLimits(PATIENCE, PATIENCE, PATIENCE, 1 << 20)
        self.connections = Connections(seconds, lambda reason: self.closed.update([reason]), 1000)
        self.served: list[Connection] = []
        self.streams = Streams(self.hub, self.watch, scheduler, self.clock, self.served.append)
        self.connections.streams = self.streams
        self.released = 0
        self.clients: list[Client] = []

    @property
    def now(self) -> Cursor:
        """The cursor of the newest revision."""
        return Cursor(EPOCH, self._state.revision)

    def step(self, *mutations: Mutation) -> None:
        """Make one revision."""
        result = self._state.apply(Step(self._state.revision + 1, mutations))
        self.hub.publish(self._state.revision, result.events, result.touched)

    def put(self, path: str, size: int = 1, stacks: Sequence[str] = ("s1",)) -> None:
        """Change a fact, in one stack or in several at once."""
        revision = self._state.revision + 1
        written = fact(path, str(revision) + "x" * size, revision)
        self.step(*(PutFact(stack_id, written) for stack_id in stacks))

    def put_large(self) -> None:
        """Change facts in one event that is not rendered as a whole."""
        revision = self._state.revision + 1
        facts = [fact(f"a/{n}", "x" * 45_000, revision) for n in range(2)]
        self.step(*(PutFact("s1", each) for each in facts))

    def delete_stack(self) -> None:
        self.step(DropStack(SCOPE))

    def connect(
        self,
        since: Cursor | None = None,
        wanted: Filter = ALL,
        settle: Debounce = AT_ONCE,
        identity: Identity = NOBODY,
        version: tuple[int, int] = (1, 1),
    ) -> Client:
        """Return the client of a new stream, which may not have been handed over yet."""
        start = since or self.now
        theirs, ours = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        client = Client(theirs, start)
        self.clients.append(client)
        served = gevent.socket.socket(fileno=ours.detach())
        connection = Connection(served, self.connections, lambda: PATIENCE)
        self.connections.add(connection)
        request = Mock(version=version)
        request.should_close.return_value = version < (1, 1)
        connection.begin_request(request)
        watcher = Watcher(
            watched(wanted),
            wanted,
            settle,
            Credential(identity, self.clock),
            "req-1",
            self._release,
        )
        connection.begin_stream(watcher)
        assert connection.stream is not None
        client.stream = connection.stream
        client.stream.pull(b"", start)
        return client

    def _release(self) -> None:
        self.released += 1

    def until(self, condition: Callable[[], object], *, reading: bool = False) -> None:
        """Run the loop until a condition is met; with *reading*, the clients read meanwhile."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if condition():
                return
            gevent.sleep(0.0002)
            for client in self.clients if reading else ():
                client.read()
        raise AssertionError("the condition was not met in time")

    def listening(self) -> int:
        """Return how many streams listeners send."""
        return sum(client.stream.listener is not None for client in self.clients)

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self.streams.ring()

    def expected(self, client: Client, wanted: Filter = ALL) -> bytes:
        """Return the changes that a stream from the client's start has in a greenlet of its own."""
        frames = self.watch.follower(watched(wanted), client.start, wanted, AT_ONCE).frames()
        return b"".join(
            piece
            for frame in frames
            if isinstance(frame, ChangeFrame)
            for piece in frame_pieces(frame, names_stacks=wanted.many)
        )

    def close(self) -> None:
        self.hub.close()
        for client in self.clients:
            client.socket.close()
        gevent.sleep(0.001)
