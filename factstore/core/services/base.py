"""Parts that the services share: a page of a list, and reading records at one revision."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from factstore.core.errors import CursorExpired
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Record
from factstore.core.model.fact import Scope
from factstore.core.model.record_key import RecordKindName
from factstore.core.operations.operation import stack_missing
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store
from factstore.core.state.state import State

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Items in order of their names, as all were at one revision.

    :param cursor: where to start a watch that misses nothing after the page.
    :param marker: the name to continue after; None on the last page.
    """

    items: tuple[T, ...]
    cursor: Cursor
    marker: str | None


def paginate(items: Iterable[T], limit: int, name: Callable[[T], str], cursor: Cursor) -> Page[T]:
    """Return the first *limit* items as a page.

    :param name: returns an item's name, by which the items are ordered.
    """
    found = list(islice(items, limit + 1))
    marker = name(found[limit - 1]) if len(found) > limit else None
    return Page(tuple(found[:limit]), cursor, marker)


class Service:
    """A service of one noun.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(self, store: Store, clock: Clock, timeout: float, transactor: Transactor) -> None:
        self._store = store
        self._clock = clock
        self._timeout = timeout
        self._transactor = transactor

    def cursor(self, revision: int) -> Cursor:
        """Return the cursor of a revision of this store."""
        return Cursor(self._store.epoch, revision)

    def _deadline(self) -> float:
        return self._clock.monotonic() + self._timeout

    def _state(self, *, stale: bool = False) -> State:
        """Return a state no older than the store at this call, or with *stale* the one known here."""
        return self._store.state() if stale else self._store.refresh(self._deadline())

    def _records(
        self, scope: Scope, kind: RecordKindName, at: Cursor | None
    ) -> tuple[list[Record], Cursor]:
        """Return a stack's records of a kind, by name, and the cursor of their revision.

        :param at: the cursor of the first page; None for the present.
        :raises NotFound: there is no such stack.
        :raises CursorExpired: the revision is compacted.
        """
        state = self._state()
        with state.read():
            stack, revision = state.stack(scope), state.revision
            records = state.records(scope, kind)
        if stack is None:
            raise stack_missing(scope)
        if at is not None and at != (self._store.epoch, revision):
            check_page_revision(at, self._store.epoch, revision, stack.created)
            revision = at.revision
            records = self._store.records_at(stack, kind, revision, self._deadline())
        return records, self.cursor(revision)


def check_page_revision(at: Cursor, epoch: str, head: int, created: int = 0) -> None:
    """Refuse a page at a revision that this store, or this stack, never had.

    :param head: the newest revision.
    :param created: the revision that created the stack.
    :raises CursorExpired: the caller begins with the first page again.
    """
    if at.epoch != epoch or not created <= at.revision <= head:
        raise CursorExpired(
            "these pages show a state that is no longer kept; begin with the first page again."
        )
