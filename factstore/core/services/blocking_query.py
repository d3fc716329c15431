"""Blocking queries: a query on the state that is run again whenever the stack has changed.

No change between two runs is missed, because each wait starts at the revision that was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.state.state import State

T = TypeVar("T")


class BlockingQuery:
    """Successive states of one stack.

    :param timeout: seconds after which a call to the store counts as failed.
    :param every_change: wait also for changes that make no event.
    :param read_set: returns the digest of a read set, to wait only for changes that concern it; empty
        to wait for all events.  It is called before each wait.
    """

    def __init__(
        self,
        store: Store,
        events: EventSource,
        clock: Clock,
        scope: Scope,
        *,
        timeout: float,
        every_change: bool = False,
        read_set: Callable[[State], str] | None = None,
    ) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._scope = scope
        self._timeout = timeout
        self._every_change = every_change
        self._read_set = read_set

    def states(self, wait: float, *, stale: bool = False) -> Iterator[State]:
        """Yield the state, and again after each change of the stack, until *wait* has passed.

        :param wait: seconds; 0 to yield one state.
        :param stale: yield this worker's state first, without reading the database.
        """
        end = self._clock.monotonic() + wait
        state = self._store.state() if stale else self._refresh()
        while True:
            at = state.cursor  # read first: the caller may read a newer revision
            yield state
            later = self.next(at, end)
            if later is None:
                return
            state, _ = later

    def read(
        self,
        read: Callable[[State], T],
        unless: Callable[[T], bool],
        wait: float,
        *,
        stale: bool = False,
    ) -> T:
        """Return the result of *read* on the state; read again after changes while *unless* is true.

        :param wait: seconds; after that *unless* may still be true for the result.
        """
        states = self.states(wait, stale=stale)
        found = read(next(states))
        while unless(found) and (state := next(states, None)) is not None:
            found = read(state)
        return found

    def read_changed(
        self,
        read: Callable[[State], T | None],
        same: Callable[[T, T], bool],
        unless: Callable[[T], bool] | None,
        wait: float,
        *,
        stale: bool = False,
    ) -> T | None:
        """Return the result of *read* as soon as it differs from the first one, which may be None.

        :param same: returns True for two results that do not differ.
        :param unless: wait while it is true, instead of until the result differs; then the result is
            returned at once if it is None.
        :return: None also if a result was deleted; after *wait* seconds, the newest result.
        """
        found, first = None, None
        for number, state in enumerate(self.states(wait, stale=stale)):
            found = read(state)
            if number == 0:
                first = found
            if found is None:
                if unless is not None or first is not None:
                    return None
            elif not (unless(found) if unless else first is not None and same(found, first)):
                return found
        return found

    def next(self, at: Cursor, end: float) -> tuple[State, bool] | None:
        """Wait for a change after a cursor; return the state, and True if there was a change.

        :param end: the instant, of the monotonic clock, at which to return even without a change.
        :return: None if *end* has passed already, or readers are to stop.
        """
        left = end - self._clock.monotonic()
        if left <= 0 or self._events.closing:
            return None
        changed = self._wait(at, left)
        state = self._store.state()
        if not state.includes(at):  # it was read again, from an older revision or another store
            state = self._refresh()
        return state, changed

    def _wait(self, at: Cursor, left: float) -> bool:
        if self._every_change:
            return self._events.wait_change(self._scope, at, left)
        digest = self._read_set(self._store.state()) if self._read_set is not None else ""
        if digest:
            return self._events.wait_concern(self._scope, digest, at, left)
        return self._events.wait(self._scope, at, left)

    def _refresh(self) -> State:
        return self._store.refresh(self._clock.monotonic() + self._timeout)
