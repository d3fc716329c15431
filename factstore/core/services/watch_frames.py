"""The frames of a stream."""

from __future__ import annotations

from dataclasses import dataclass

from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.waiter import Progress, Waiter


@dataclass(frozen=True, slots=True)
class ChangeFrame:
    """One event."""

    event: Event
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class SnapshotFrame:
    """A part of the current state; a :class:`BookmarkFrame` ends the snapshot.

    :param waiters: with the progress of each.
    """

    facts: tuple[Fact, ...] = ()
    members: tuple[Member, ...] = ()
    waiters: tuple[tuple[Waiter, Progress], ...] = ()


@dataclass(frozen=True, slots=True)
class BookmarkFrame:
    """Every event up to the cursor has been delivered."""

    cursor: Cursor


@dataclass(frozen=True, slots=True)
class ResetFrame:
    """The reader has to discard everything that it received; a snapshot follows."""

    detail: str


@dataclass(frozen=True, slots=True)
class PingFrame:
    """An empty frame that keeps the connection alive."""


@dataclass(frozen=True, slots=True)
class GoodbyeFrame:
    """The end of the stream, which can be resumed from another worker."""

    reason: str


Frame = ChangeFrame | SnapshotFrame | BookmarkFrame | ResetFrame | PingFrame | GoodbyeFrame
