"""Debouncing: a settled reader receives a burst of changes at once, after a short delay.

A debouncer does not read a clock: it is given the times of changes and returns the time of delivery.
That is never before the stack is quiet unless a bound requires it, and never later than any bound.
"""

from __future__ import annotations

import math
from dataclasses import field
from functools import lru_cache
from typing import NamedTuple

from factstore.core.model.event import Event, by_revision
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.ports import EventBatch
from factstore.core.services.watch_filter import Filter

TIMES = 10  # the default of max_settle, as a multiple of settle

PAGE_EVENTS = 1000
PAGE_BYTES = 1024 * 1024


class Debounce(NamedTuple):
    """The settle times of a reader, in seconds.

    :param quiet: the time without a change after which to deliver; 0 to deliver at once.
    :param limit: the maximum delay after the first change.
    :param stretches: True if the limit does not count the time for which a busy worker was late, and
        does not apply to a first context while the stack grows.
    """

    quiet: float = 0.0
    limit: float = 0.0
    stretches: bool = False

    @staticmethod
    @lru_cache(256)
    def of(settle: int, max_settle: int | None = None) -> Debounce:
        """Return the settle times that a request gives in milliseconds."""
        if max_settle is None:
            return Debounce(settle / 1000, settle * TIMES / 1000, stretches=True)
        return Debounce(settle / 1000, max_settle / 1000)


AT_ONCE = Debounce()


class Debouncer:
    """Computes the instant at which changes are delivered.

    :param until: the end of the reader's wait.  A change shortly before it may still settle for *quiet*
        after the first change, and no longer.
    """

    def __init__(self, settle: Debounce, until: float = math.inf) -> None:
        self._settle = settle
        self._until = until
        self._first: float | None = None
        self._last = 0.0
        self._late = 0.0
        self._grown = -math.inf

    def touch(self, now: float) -> None:
        """Record a change at an instant."""
        if self._first is None:
            self._first = now
        self._last = now

    def quiet_since(self, last: float) -> None:
        """Record the instant of the last change."""
        self._last = last

    def delay(self, late: float) -> None:
        """Record that the last deadline was checked late.

        While a worker is late, changes that clients have made are not known to it, so that the stack
        seems to be quiet.  Many readers that act on a part of the changes would make it later still.
        """
        self._late = late
        if self._first is not None and self._settle.stretches:
            self._first += late

    def grown_at(self, instant: float) -> None:
        """Record when the stack has grown; while it grows, the limit does not apply if it stretches."""
        self._grown = instant

    def reset(self) -> None:
        """Forget the changes, because they were delivered."""
        self._first = None

    @property
    def deadline(self) -> float | None:
        """The instant of delivery; None if there is no change."""
        if self._first is None:
            return None
        quiet, limit, stretches = self._settle
        quiet = max(quiet, self._late)
        in_time = max(self._until, self._first + quiet)
        limited = self._first + limit
        if stretches:
            limited = max(limited, self._grown + quiet)
        return min(self._last + quiet, limited, in_time)


@quick_dataclass(slots=True)
class UndeliveredEvents:
    """Events that were read and are not delivered yet, at most a page.

    :param at: the revision up to which events were read.
    :param more: True if further events are available.
    :param complete: True if no more events can be added: the page is full, or the stack was deleted.
    """

    at: int
    events: list[Event] = field(default_factory=list)
    more: bool = False
    complete: bool = False
    _size: int = 0

    @property
    def room(self) -> tuple[int, int]:
        """The number of events, and the approximate bytes, that still fit."""
        return PAGE_EVENTS - len(self.events), PAGE_BYTES - self._size

    def take(self, batch: EventBatch, wanted: Filter) -> bool:
        """Add the wanted events of a batch as far as they fit; return True if any was added.

        The events of one revision are added together.
        """
        before = len(self.events)
        for found in by_revision(batch.events):
            kept = [event for each in found if (event := wanted.apply(each)) is not None]
            size = sum(event.size for event in kept)
            if kept:
                if self.events and self._size + size > PAGE_BYTES:
                    self.more = self.complete = True
                    return len(self.events) > before
                self.events += kept
                self._size += size
                self.complete = self.complete or any(map(wanted.ends, kept))
            self.at = found[0].revision
        self.at = max(self.at, batch.upto)
        self.more = batch.more
        self.complete = self.complete or min(self.room) <= 0
        return len(self.events) > before
