"""The bases of the services that also wait for events."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.errors import CursorExpired, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.stack_selection import Watched
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, EventBatch, EventSource, Store
from factstore.core.services.base import ReadService, Service
from factstore.core.services.blocking_query import BlockingQuery
from factstore.core.state.state import State


class EventReadService(ReadService):
    """The base of the services that read, and wait for what they read.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(self, store: Store, events: EventSource, clock: Clock, timeout: float) -> None:
        super().__init__(store, clock, timeout)
        self._events = events

    def _read_events(self, of: Watched, at: Cursor, events: int, size: int) -> EventBatch:
        """Return the events after a cursor that a state of this worker has given.

        :raises CursorExpired: the history after the cursor is no longer in memory.
        :raises Unavailable: the state is no longer that of the store.
        """
        try:
            return self._events.read(of, at, events=events, size=size)
        except CursorExpired:
            if self._store.state().epoch == at.epoch:
                raise
            raise _replaced() from None

    def _floor(self, scope: Scope, epoch: str) -> int:
        """Return the oldest revision from which a stack's history is complete.

        :param epoch: that of a state of this worker.
        :raises Unavailable: the state is no longer that of the store.
        """
        try:
            return self._events.floor(scope, epoch)
        except CursorExpired:
            raise _replaced() from None

    def _query(
        self,
        scope: Scope,
        *,
        every_change: bool = False,
        read_set: Callable[[State], str] | None = None,
    ) -> BlockingQuery:
        """Return a query that waits for changes of a stack; see :class:`BlockingQuery`."""
        return BlockingQuery(
            self._store,
            self._events,
            self._clock,
            scope,
            timeout=self._timeout,
            every_change=every_change,
            read_set=read_set,
        )


class EventService(EventReadService, Service):
    """The base of the services for nouns that callers wait for.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(
        self,
        store: Store,
        events: EventSource,
        clock: Clock,
        timeout: float,
        transactor: Transactor,
    ) -> None:
        Service.__init__(self, store, clock, timeout, transactor)
        self._events = events


def _replaced() -> Unavailable:
    return Unavailable("The store was replaced during the request. Try again.")


class NamingService(EventService):
    """The base of the services for nouns whose records have unique ids.

    :param timeout: seconds after which a call to the store counts as failed.
    :param new_id: returns a unique id for a new record.
    """

    def __init__(
        self,
        store: Store,
        events: EventSource,
        clock: Clock,
        timeout: float,
        transactor: Transactor,
        new_id: Callable[[], str],
    ) -> None:
        super().__init__(store, events, clock, timeout, transactor)
        self._new_id = new_id
