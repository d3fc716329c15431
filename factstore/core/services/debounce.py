"""When to deliver: a reader may bear to wait a little so as to be told of a burst at once.

It knows neither clocks nor events: it is told when something was noticed, and answers when that is to
be delivered.  It promises that this is never before things were quiet, unless a bound demands it,
and never later than any bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from factstore.core.model.event import Event
from factstore.core.ports import EventBatch

TIMES = 10  # the default of max_settle, in times of settle

PAGE_EVENTS = 1000
PAGE_BYTES = 1024 * 1024


class Debounce(NamedTuple):
    """For how long a reader has things settle; in seconds.

    :param quiet: deliver when nothing more came for so long; 0 to deliver at once.
    :param limit: deliver so long after the first thing at the latest.
    """

    quiet: float = 0.0
    limit: float = 0.0

    @classmethod
    def of(cls, settle: int, max_settle: int | None = None) -> Debounce:
        """From milliseconds, as requests name them."""
        return cls(settle / 1000, (settle * TIMES if max_settle is None else max_settle) / 1000)


AT_ONCE = Debounce()


class Debouncer:
    """The instant at which what was noticed is due.

    :param until: when the reader has waited long enough.  What is noticed about then may still settle
        for *quiet* from the first thing on, and no longer: an answer must come in time.
    """

    def __init__(self, settle: Debounce, until: float = math.inf) -> None:
        self._settle = settle
        self._until = until
        self._first: float | None = None
        self._last = 0.0

    def touch(self, now: float) -> None:
        """Something that is to be delivered happened."""
        if self._first is None:
            self._first = now
        self._last = now

    def reset(self) -> None:
        """Nothing is to be delivered any more."""
        self._first = None

    @property
    def deadline(self) -> float | None:
        """When to deliver; None while there is nothing."""
        if self._first is None:
            return None
        quiet, limit = self._settle
        in_time = max(self._until, self._first + quiet)
        return min(self._last + quiet, self._first + limit, in_time)


@dataclass(slots=True)
class Page:
    """Events that were read and are not delivered yet: at most a page of them.

    :param at: everything up to here was read.
    :param more: there are further events already.
    :param complete: waiting for more is of no use: none fit in, or the stack has ended.
    """

    at: int
    events: list[Event] = field(default_factory=list)
    more: bool = False
    complete: bool = False
    _size: int = 0

    @property
    def room(self) -> tuple[int, int]:
        """How many events, and about how many bytes, may still be read into it."""
        return PAGE_EVENTS - len(self.events), PAGE_BYTES - self._size

    def take(self, batch: EventBatch, wanted: Callable[[Event], Event | None]) -> bool:
        """Take in what follows, as far as it fits; whether there was anything wanted."""
        before = len(self.events)
        for event in batch.events:
            kept = wanted(event)
            if kept is not None:
                if self.events and self._size + kept.size > PAGE_BYTES:
                    self.more = self.complete = True
                    return len(self.events) > before
                self.events.append(kept)
                self._size += kept.size
                self.complete = self.complete or kept.ends_stack
            self.at = event.revision
        self.at = max(self.at, batch.upto)
        self.more = batch.more
        self.complete = self.complete or min(self.room) <= 0
        return len(self.events) > before
