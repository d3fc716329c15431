"""Blocking queries: a pure query on the state, run again whenever the stack has changed.

Nothing that happens between two runs is missed: each wait starts at the revision that was read.
"""

from __future__ import annotations

from collections.abc import Iterator

from factstore.core.model.fact import Scope
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.state.state import State


class BlockingQuery:
    """Successive states of one stack.

    :param timeout: seconds after which a call to the store counts as failed.
    :param every_change: wait for changes that make no event, too.
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
    ) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._scope = scope
        self._timeout = timeout
        self._wait = events.wait_change if every_change else events.wait

    def states(self, wait: float, *, stale: bool = False) -> Iterator[State]:
        """Yield the state, and again after each change of the stack, until the time is over.

        :param wait: seconds; 0 to yield one state.
        :param stale: accept the state known here, without asking the database.
        """
        end = self._clock.monotonic() + wait
        state = self._store.state() if stale else self._refresh()
        while True:
            revision = state.revision  # before the caller reads, which may see more
            yield state
            later = self.next(revision, end)
            if later is None:
                return
            state, _ = later

    def next(self, revision: int, end: float) -> tuple[State, bool] | None:
        """Wait for a change after a revision; return the state then, and whether there was one.

        :param end: an instant of the clock's; the state is returned then even without a change.
        :return: None if *end* has passed already, or readers should leave.
        """
        left = end - self._clock.monotonic()
        if left <= 0 or self._events.closing:
            return None
        changed = self._wait(self._scope, revision, left)
        state = self._store.state()
        if state.revision < revision:  # it was loaded again, from the oldest revision that is kept
            state = self._refresh()
        return state, changed

    def _refresh(self) -> State:
        return self._store.refresh(self._clock.monotonic() + self._timeout)
