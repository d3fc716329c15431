"""Waiters: arming, reading, waiting and signalling."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.model.cursor import Cursor
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import check_name, check_stack_name
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.waiter import Progress, Signal, Waiter
from factstore.core.operations.signals import SendSignal, SignalRequest
from factstore.core.operations.waiters import (
    ArmOutcome,
    ArmWaiter,
    DeleteWaiter,
    waiter_missing,
)
from factstore.core.services.base import Page
from factstore.core.services.event_service import EventService
from factstore.core.state.state import State


@quick_dataclass(frozen=True, slots=True)
class WaiterView:
    """A waiter with its current progress and its signals, ordered by id.

    :param fault: the reason why a pending waiter is not evaluated; None if it is.
    """

    waiter: Waiter
    progress: Progress
    signals: tuple[Signal, ...]
    fault: str | None = None


class WaiterService(EventService):
    """The service for waiters."""

    def get(
        self,
        scope: Scope,
        name: str,
        *,
        wait: float = 0,
        unless: Callable[[WaiterView], bool] | None = None,
        stale: bool = False,
    ) -> WaiterView:
        """Return a waiter with its progress; wait for it.

        :param wait: seconds to block while the waiter is missing; if it exists, while *unless* is true,
            or without *unless* until it is terminal or has changed.
        :param stale: read this worker's state, without reading the database.
        :return: the waiter; after *wait* seconds *unless* may still be true for it.
        :raises NotFound: it does not exist; at once with *unless*, or if it was deleted.
        """
        _check(scope, name)
        query = self._query(scope, every_change=True)
        found = query.read_changed(
            lambda state: _read_waiter(state, scope, name),
            lambda found, first: found == first and found.waiter.state == "pending",
            unless,
            wait,
            stale=stale,
        )
        if found is None:
            raise waiter_missing(scope, name)
        return found

    def list(
        self, scope: Scope, *, limit: int, marker: str = "", at: Cursor | None = None
    ) -> Page[Waiter]:
        """Return a page of waiters, ordered by name.

        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted; list again from the first page.
        """
        check_stack_name(scope.stack)
        if marker:
            check_name(marker, "waiter")
        return self._page(scope, Waiter, limit, marker, at)

    def put(
        self, scope: Scope, name: str, definition: Definition, author: Author, *, create_only: bool
    ) -> tuple[WaiterView, ArmOutcome, Cursor]:
        """Arm a waiter; if it is pending with the same definition, change nothing.

        Arming restarts the timeout and deletes earlier signals.

        :param create_only: fail if a waiter with that name exists, in any state.
        :return: the waiter, the outcome, and the cursor of the write.
        :raises PreconditionFailed: the waiter exists, with *create_only*.
        :raises Forbidden: ``quota_exceeded``.
        """
        _check(scope, name)
        operation = ArmWaiter(scope, name, definition, author, create_only)
        done = self._transactor.run(operation)
        waiter = done.written_record(done.outcome.waiter)
        state = self._state_after(done.cursor)
        found = _read_waiter(state, scope, name) if state is not None else None
        if found is None or found.waiter.revision < waiter.revision:  # the state is older
            found = WaiterView(waiter, waiter.progress or Progress(), ())
        return found, done.outcome.outcome, done.cursor

    def delete(self, scope: Scope, name: str, author: Author) -> Cursor:
        """Delete a waiter and its signals; return the cursor of the deletion.

        :raises NotFound: there is no such waiter.
        """
        _check(scope, name)
        return self._transactor.run(DeleteWaiter(scope, name, author)).cursor

    def signal(
        self, scope: Scope, name: str, request: SignalRequest, author: Author
    ) -> tuple[WaiterView, Signal]:
        """Signal success or failure to a waiter; the same id again replaces the signal.

        :raises NotFound: there is no such waiter.
        :raises Forbidden: ``quota_exceeded``.
        """
        _check(scope, name)
        done = self._transactor.run(SendSignal(scope, name, request, author))
        signal = done.outcome.signal
        state = self._state_after(done.cursor)
        found = _read_waiter(state, scope, name) if state is not None else None
        if found is None:  # it was deleted meanwhile
            found = WaiterView(done.outcome.waiter, Progress(), (done.written_record(signal),))
        return found, done.written_record(signal)


def _read_waiter(state: State, scope: Scope, name: str) -> WaiterView | None:
    """Return a waiter with its progress and signals, or None if it does not exist."""
    with state.read():
        stack_state = state.stack_state(scope)
        waiter = stack_state.records(Waiter).get(name) if stack_state else None
        if stack_state is None or waiter is None:
            return None
        progress = stack_state.pending_waiters.progress(waiter)
        fault = stack_state.pending_waiters.fault(waiter)
        signals = stack_state.signals(name).values()
    return WaiterView(waiter, progress, tuple(sorted(signals, key=lambda each: each.id)), fault)


def _check(scope: Scope, name: str) -> None:
    check_stack_name(scope.stack)
    check_name(name, "waiter")
