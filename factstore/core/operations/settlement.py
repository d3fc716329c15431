"""Settling writes that the store did not answer, or refused although it may have made them.

Before anything is looked up, the store is fenced, so that the lost attempt cannot be applied later.
Without that, the guards could not distinguish a path that was created by a retry and removed again by
others from one that never existed, and the write would happen twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from factstore.core.errors import OutcomeUnknown, StorageFull, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.transaction import Transaction
from factstore.core.operations.unknown_outcome import (
    can_be_planned_again,
    find_in_events,
    find_written,
    guards_still_hold,
)
from factstore.core.ports import Clock, EventSource, Store, WakeUp
from factstore.core.state.state import State

LOOKS, LOOK_SECONDS = 20, 0.005  # for the events of a state, which are published just after it


class Settlement:
    """Finds out what has become of transactions.

    :param events: which decide what the state does not show any more.
    """

    def __init__(
        self,
        store: Store,
        events: EventSource | None,
        clock: Clock,
        new_wake_up: Callable[[], WakeUp],
    ) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._new_wake_up = new_wake_up

    def of_lost(
        self, transaction: Transaction, deadline: float, unknown: OutcomeUnknown
    ) -> Cursor | None:
        """Return the cursor of a transaction, after a retry if needed.

        :return: None if it was not applied, never will be, and has to be planned again.
        :raises OutcomeUnknown: others have written since, and nothing shows it any more.
        """
        while self._clock.monotonic() < deadline:
            try:
                state, fenced = self._fenced(deadline)
                found = self._find(state, transaction, deadline)
                if found is not None:
                    return found
                if not fenced:
                    break
                if can_be_planned_again(state, transaction):
                    return None
                if guards_still_hold(state, transaction):
                    return self._retry(transaction, deadline)
                at = self._find_in_events(state, transaction)
                if at is None:
                    break
                return Cursor(state.epoch, at) if at else None
            except (Unavailable, OutcomeUnknown):
                continue
        raise OutcomeUnknown(unknown.detail) from unknown

    def of_refused(self, transaction: Transaction, deadline: float, full: StorageFull) -> Cursor:
        """Return the cursor of a transaction that a full store has applied and refused all the same.

        :raises StorageFull: it was not applied.
        :raises OutcomeUnknown: nothing shows whether it was.
        """
        applied = True
        with suppress(Unavailable):
            state = self._store.refresh(deadline)
            found = self._find(state, transaction, deadline)
            if found is not None:
                return found
            if guards_still_hold(state, transaction):
                applied = False
            else:  # the store has answered, so nothing can be applied later
                at = self._find_in_events(state, transaction)
                if at:
                    return Cursor(state.epoch, at)
                applied = at is None
        if not applied:
            raise full
        raise OutcomeUnknown(
            "The store is full and did not report whether the write was among the last that "
            "fitted. Read before you retry."
        ) from full

    def _fenced(self, deadline: float) -> tuple[State, bool]:
        """Return a state that includes earlier attempts, and True if none will be applied later."""
        try:
            return self._store.fence(deadline), True
        except StorageFull:
            return self._store.refresh(deadline), False

    def _find(self, state: State, transaction: Transaction, deadline: float) -> Cursor | None:
        """Return the cursor at which a transaction was applied, if it or its author's note shows."""
        found, author = find_written(state, transaction), transaction.author
        if found is None and author is not None:
            after = transaction.base_revision
            found = self._store.deletion_revision(author, after, deadline)
        return None if found is None else Cursor(state.epoch, found)

    def _find_in_events(self, state: State, transaction: Transaction) -> int | None:
        """Return the revision at which a transaction was applied, 0 if it was not, None if unknown."""
        events = self._events
        if events is None:
            return None
        for _ in range(LOOKS):
            if events.has_published(state.cursor):
                break
            self._new_wake_up().wait(LOOK_SECONDS)
        return find_in_events(events, transaction, state.cursor)

    def _retry(self, transaction: Transaction, deadline: float) -> Cursor:
        cursor = committed_at(transaction, self._store.commit(transaction, deadline))
        if cursor is None:
            raise OutcomeUnknown("The write was retried and its guards failed")
        return cursor


def committed_at(transaction: Transaction, revision: int | None) -> Cursor | None:
    """Return the cursor of a transaction that was committed; None if a guard failed.

    It was committed in no other store than that on whose state it was planned.
    """
    return None if revision is None else Cursor(transaction.epoch, revision)
