"""The events before a worker's first snapshot, which are read when the worker is ready.

Readers of these events wait for them.  A reader in the loop of the server, which cannot wait, gets an
error, and the request is then answered in a greenlet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field

from factstore.core.errors import Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.fact import Scope
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.ports import WakeUp
from factstore.watch.channel import Channel
from factstore.watch.history import History, HistoryLimits

PAST_SECONDS = 10.0  # for which a reader waits for the past


@quick_dataclass(slots=True, eq=False)
class AwaitedPast:
    """The part of the history that is still being read.

    :param since: the revision after which it begins.
    :param upto: the cursor at its end.
    :param read: set when it has been read, or will not be.
    :param may_wait: returns False for a caller that must not wait.
    """

    since: int
    upto: Cursor
    read: WakeUp
    may_wait: Callable[[], bool]
    stopped: bool = False

    def end(self, *, stopped: bool = False) -> None:
        """Let the readers continue.

        :param stopped: True if the worker stops, so that none of them is served.
        """
        self.stopped = stopped
        self.read.set()

    def wait_for(self, after: Cursor) -> None:
        """Wait as :meth:`wait` does, if it contains events after a cursor."""
        epoch, revision = self.upto
        if after.epoch == epoch and self.since <= after.revision < revision:
            self.wait()

    def wait(self) -> None:
        """Wait until it has been read.

        :raises Unavailable: it takes too long, the caller cannot wait, or the worker is stopping.
        """
        if self.may_wait():
            self.read.wait(PAST_SECONDS)
        if self.stopped or not self.read.is_set():
            raise Unavailable("The worker has just started, and is reading the history. Try again.")


@quick_dataclass(slots=True)
class PastEvents:
    """The events of the past, with the bounds of those that are read later.

    :param limits: the bounds.
    :param since: the revision after which they are complete.
    :param at: the time that counts as that of the events.
    """

    limits: HistoryLimits
    since: int
    at: float
    channels: dict[Scope, Channel] = field(default_factory=dict)
    history: History = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(self.limits, lambda: self.at, lambda scope, channel, revision: None)
        self.history.clear(self.since)

    def add(self, revision: int, events: Iterable[Event]) -> None:
        """Add the events of the next revision."""
        for event in events:
            channel = self.channels.pop(event.scope, None) or Channel()
            self.channels[event.scope] = channel
            self.history.add(channel, event, self.at)
        self.history.make_room(self.channels, revision)
