"""Waiters: arming, looking, waiting, signalling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from factstore.core.model.condition import Definition
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import check_name, check_stack_name
from factstore.core.model.waiter import Progress, Signal, Waiter
from factstore.core.operations.signals import SendSignal, SignalRequest
from factstore.core.operations.transactor import Transactor
from factstore.core.operations.waiters import (
    ArmOutcome,
    ArmWaiter,
    DeleteWaiter,
    waiter_missing,
)
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.services.base import Page, Service, paginate
from factstore.core.services.blocking_query import BlockingQuery
from factstore.core.state.state import State


@dataclass(frozen=True, slots=True)
class Shown:
    """A waiter as it stands."""

    waiter: Waiter
    progress: Progress
    signals: tuple[Signal, ...]


class WaiterService(Service):
    """The service for waiters."""

    def __init__(
        self,
        store: Store,
        events: EventSource,
        clock: Clock,
        timeout: float,
        transactor: Transactor,
    ) -> None:
        super().__init__(store, clock, timeout, transactor)
        self._events = events

    def get(
        self,
        scope: Scope,
        name: str,
        *,
        wait: float = 0,
        unless: Callable[[Shown], bool] | None = None,
        stale: bool = False,
    ) -> Shown:
        """A waiter, and how far it has come; wait for it.

        :param wait: seconds to block while the waiter is missing; if it is there, with *unless* while
            that holds of it, else until it is terminal or shows the first progress.
        :param stale: accept what is known here, without asking the database.
        :return: the waiter; *unless* may still hold of it when the time is over.
        :raises NotFound: there is none; at once if change was waited for.
        """
        _check(scope, name)
        found, first, looked = None, None, False
        query = BlockingQuery(
            self._store,
            self._events,
            self._clock,
            scope,
            timeout=self._timeout,
            every_change=True,
        )
        for state in query.states(wait, stale=stale):
            found = _show(state, scope, name)
            if not looked:
                first, looked = found, True
            if found is None and (unless is not None or first is not None):
                break
            if found is not None and not (
                unless(found)
                if unless is not None
                else found == first and found.waiter.state == "pending"
            ):
                return found
        if found is None:
            raise waiter_missing(scope, name)
        return found

    def list(
        self, scope: Scope, *, limit: int, marker: str = "", at: Cursor | None = None
    ) -> Page[Waiter]:
        """A page of waiters by name.

        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted: begin anew.
        """
        check_stack_name(scope.stack)
        if marker:
            check_name(marker, "waiter")
        records, cursor = self._records(scope, "waiter", at)
        found = (each for each in records if isinstance(each, Waiter) and each.name > marker)
        return paginate(found, limit, lambda waiter: waiter.name, cursor)

    def put(
        self, scope: Scope, name: str, definition: Definition, author: Author, *, create_only: bool
    ) -> tuple[Shown, ArmOutcome, int]:
        """Arm a waiter; one that is pending with this very definition is left alone.

        Arming begins anew: the timeout starts, and what was signalled before counts no more.

        :param create_only: refuse if there is a waiter of that name, whatever its state.
        :return: the waiter, what became of it, and the revision at which that holds.
        :raises PreconditionFailed: see *create_only*.
        :raises Forbidden: ``quota_exceeded``.
        """
        _check(scope, name)
        operation = ArmWaiter(scope, name, definition, author, create_only)
        done = self._transactor.run(operation)
        waiter = done.written_record(done.outcome.waiter)
        found = _show(self._store.state(), scope, name)
        if found is None or found.waiter.revision < waiter.revision:  # it is not seen here yet
            found = Shown(waiter, waiter.progress or Progress(), ())
        return found, done.outcome.outcome, done.revision

    def delete(self, scope: Scope, name: str, author: Author) -> int:
        """Delete a waiter and its signals; return the revision of the deletion.

        :raises NotFound: there is none.
        """
        _check(scope, name)
        return self._transactor.run(DeleteWaiter(scope, name, author)).revision

    def signal(
        self, scope: Scope, name: str, request: SignalRequest, author: Author
    ) -> tuple[Shown, Signal]:
        """Signal success or failure to a waiter; the same id again replaces the signal.

        :raises NotFound: there is no such waiter.
        :raises Forbidden: ``quota_exceeded``.
        """
        _check(scope, name)
        done = self._transactor.run(SendSignal(scope, name, request, author))
        signal = done.outcome.signal
        found = _show(self._store.state(), scope, name)
        if found is None:
            raise waiter_missing(scope, name)  # it was deleted since
        return found, done.written_record(signal)


def _show(state: State, scope: Scope, name: str) -> Shown | None:
    """A waiter as a state has it."""
    with state.read():
        space = state.stack_state(scope)
        waiter = space.records["waiter"].get(name) if space else None
        if space is None or not isinstance(waiter, Waiter):
            return None
        tracker = space.pending_waiters.tracker(name)
        progress = waiter.progress or (tracker.progress() if tracker else Progress())
        signals = space.signals(name).values()
    return Shown(waiter, progress, tuple(sorted(signals, key=lambda signal: signal.id)))


def _check(scope: Scope, name: str) -> None:
    check_stack_name(scope.stack)
    check_name(name, "waiter")
