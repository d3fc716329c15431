"""Parts that the services share: pages of lists, and reading records at one revision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Generic, TypeVar

from factstore.core.errors import LIST_AGAIN, CursorExpired
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope, Stack
from factstore.core.model.member import Declaration
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import R, Record, RecordKey
from factstore.core.operations.operation import stack_missing
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store
from factstore.core.state.record_tables import RecordTables
from factstore.core.state.state import State

Find = Callable[[RecordKey], Record | None]
"""Returns a record of the same stack at the same revision, or None."""
T = TypeVar("T")


@quick_dataclass(frozen=True, slots=True)
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


class ReadService:
    """The base of the services that read.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(self, store: Store, clock: Clock, timeout: float) -> None:
        self._store = store
        self._clock = clock
        self._timeout = timeout

    def _deadline(self) -> float:
        return self._clock.monotonic() + self._timeout

    def _state(self, *, stale: bool = False) -> State:
        """Return a state no older than the store at this call; with *stale*, this worker's state."""
        return self._store.state() if stale else self._store.refresh(self._deadline())

    def _check_same_store(self, at: Cursor) -> None:
        """Raise an error if the contents that the database had at a cursor may be those of another.

        It is called after they were read, because a database is restored without notice.

        :raises CursorExpired: another backup was restored meanwhile.
        :raises Unavailable: the same, and this worker has not read it yet.
        """
        if self._state().epoch != at.epoch:
            raise CursorExpired("The store was replaced", LIST_AGAIN)

    def _state_after(self, written: Cursor) -> State | None:
        """Return this worker's state, or None if it is not of the store that was written."""
        state = self._store.state()
        return state if state.epoch == written.epoch else None


class Service(ReadService):
    """The base of the services for nouns.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(self, store: Store, clock: Clock, timeout: float, transactor: Transactor) -> None:
        ReadService.__init__(self, store, clock, timeout)
        self._transactor = transactor

    def _page(
        self,
        scope: Scope,
        kind: type[R],
        limit: int,
        marker: str,
        at: Cursor | None,
        shows: Callable[[R, Find], bool] = lambda record, find: True,
        others: Sequence[type[Record]] = (),
    ) -> Page[R]:
        """Return a page of a stack's records of a kind, ordered by name.

        :param at: the cursor of the first page; None for the current revision.
        :param shows: returns True for the records that the list contains; it may find others.
        :param others: the kinds of these.
        :raises NotFound: there is no such stack.
        :raises CursorExpired: the revision is compacted.
        """
        state = self._state()
        with state.read():
            stack_state = state.stack_state(scope)
            if stack_state is None:
                raise stack_missing(scope)
            stack, now = stack_state.stack, state.cursor
            if at is None or at == now:
                tables = stack_state.tables
                found = (r for r in tables.after(kind, marker) if shows(r, tables.find))
                return paginate(found, limit, _name, now)
        check_page_cursor(at, now, stack.created)
        past = self._tables_at(stack, (kind, *others), at.revision)
        self._check_same_store(at)
        found = (r for r in past.after(kind, marker) if shows(r, past.find))
        return paginate(found, limit, _name, at)

    def _tables_at(
        self, stack: Stack, kinds: Iterable[type[Record]], revision: int
    ) -> RecordTables:
        """Return a stack's records of some kinds as of a revision."""
        tables = RecordTables()
        for kind in kinds:
            for record in self._store.records_at(stack, kind, revision, self._deadline()):
                tables.put(record)
        for declaration in tables.table(Declaration).values():
            awaited = declaration.awaited()  # the database has no record of it
            if tables.find(awaited.record_key) is None:
                tables.put(awaited)
        return tables


def _name(record: Record) -> str:
    return record.record_key.name


def check_page_cursor(at: Cursor, now: Cursor, created: int = 0) -> None:
    """Raise CursorExpired if this store or this stack was never at the cursor of a page.

    :param now: the newest cursor.
    :param created: the revision that created the stack.
    :raises CursorExpired: list again from the first page.
    """
    if at.epoch != now.epoch or not created <= at.revision <= now.revision:
        raise CursorExpired(
            "The revision of these pages is no longer available; list again from the first page."
        )
