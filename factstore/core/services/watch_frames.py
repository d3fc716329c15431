"""The frames of a stream."""

from __future__ import annotations

from factstore.core.model.alarm import Alarm
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.fact import Fact, Scope
from factstore.core.model.member import Member
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.waiter import Progress, Waiter


@quick_dataclass(frozen=True, slots=True)
class ChangeFrame:
    """All events of one revision, one for each stack; it is delivered as a whole.

    So no cursor is between two events.
    """

    events: tuple[Event, ...]
    cursor: Cursor

    @property
    def size(self) -> int:
        """The approximate bytes of memory, including renderings."""
        return sum(event.size for event in self.events)


@quick_dataclass(frozen=True, slots=True)
class SnapshotFrame:
    """A part of the current state of a stack; a :class:`BookmarkFrame` ends the snapshot.

    :param epoch: of the store whose state it is.
    :param waiters: with the progress of each.
    """

    scope: Scope
    epoch: str
    facts: tuple[Fact, ...] = ()
    members: tuple[Member, ...] = ()
    waiters: tuple[tuple[Waiter, Progress], ...] = ()
    alarms: tuple[Alarm, ...] = ()


@quick_dataclass(frozen=True, slots=True)
class BookmarkFrame:
    """Every event up to the cursor has been delivered."""

    cursor: Cursor


@quick_dataclass(frozen=True, slots=True)
class ResetFrame:
    """The reader has to discard everything that it received; a snapshot follows."""

    detail: str


@quick_dataclass(frozen=True, slots=True)
class PingFrame:
    """An empty frame that keeps the connection alive."""


@quick_dataclass(frozen=True, slots=True)
class GoodbyeFrame:
    """The end of the stream, which can be resumed from another worker."""

    reason: str


Frame = ChangeFrame | SnapshotFrame | BookmarkFrame | ResetFrame | PingFrame | GoodbyeFrame
