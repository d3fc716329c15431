"""Parts that the services share: pages of lists, and reading records at one revision."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from factstore.core.errors import CursorExpired
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.record import R
from factstore.core.operations.operation import stack_missing
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store
from factstore.core.state.state import State

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Items ordered by name, all at one revision.

    :param cursor: the revision of the items; a watch from it receives every later event.
    :param marker: the name after which the next page starts; None on the last page.
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
    """The base of the services for nouns.

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
        """Return a state no older than the store at this call; with *stale*, this worker's state."""
        return self._store.state() if stale else self._store.refresh(self._deadline())

    def _records(self, scope: Scope, kind: type[R], at: Cursor | None) -> tuple[list[R], Cursor]:
        """Return a stack's records of a kind, ordered by name, and the cursor of their revision.

        :param at: the cursor of the first page; None for the current revision.
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
    """Raise CursorExpired if this store or this stack never had the revision of a page.

    :param head: the newest revision.
    :param created: the revision that created the stack.
    :raises CursorExpired: list again from the first page.
    """
    if at.epoch != epoch or not created <= at.revision <= head:
        raise CursorExpired(
            "the revision of these pages is no longer available; list again from the first page."
        )
