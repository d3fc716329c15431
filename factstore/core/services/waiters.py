"""Waiters: arming, looking, waiting, signalling."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from factstore.core.errors import (
    FactstoreError,
    NotFound,
    OutcomeUnknown,
)
from factstore.core.model.condition import Definition
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Scope, Stack
from factstore.core.model.path import check_name, check_stack_name, quoted
from factstore.core.model.waiter import Progress, Signal, Waiter
from factstore.core.operations.signals import Signalling, SignalRequest
from factstore.core.operations.transactor import Transactor
from factstore.core.operations.waiters import ArmWaiter, DeleteWaiter, missing
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.services.blocking_query import check_age, states
from factstore.core.state.state import State

ArmOutcome = Literal["created", "armed", "unchanged"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A waiter as it stands."""

    waiter: Waiter
    progress: Progress
    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class WaiterPage:
    """Waiters in order of their names, as all stood at one revision.

    :param marker: the name to continue after; None on the last page.
    """

    waiters: tuple[Waiter, ...]
    cursor: Cursor
    marker: str | None


class WaiterService:
    """The service for waiters.

    :param new_stack: makes the record of a stack that a first waiter creates.
    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(
        self,
        store: Store,
        events: EventSource,
        clock: Clock,
        new_stack: Callable[[Scope, Author], Stack],
        timeout: float,
        carrier: Transactor,
    ) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._new_stack = new_stack
        self._timeout = timeout
        self._carrier = carrier

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
        for state in states(
            self._store,
            self._events,
            self._clock,
            scope,
            wait=wait,
            timeout=self._timeout,
            stale=stale,
            stirs=True,
        ):
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
            raise missing(scope, name)
        return found

    def list(
        self, scope: Scope, *, limit: int, marker: str = "", at: Cursor | None = None
    ) -> WaiterPage:
        """A page of waiters by name.

        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted: begin anew.
        """
        check_stack_name(scope.stack)
        if marker:
            check_name(marker, "waiter")
        state = self._store.refresh(self._deadline())
        with state.read():
            stack, revision = state.stack(scope), state.revision
            records = state.records(scope, "waiter")
        if stack is None:
            raise NotFound(f"there is no stack named {quoted(scope.stack)}.")
        epoch = self._store.epoch
        if at is not None and at != (epoch, revision):
            check_age(at, epoch, revision, stack.created)
            revision = at.revision
            records = self._store.records_at(stack, "waiter", revision, self._deadline())
        waiters = [w for w in records if isinstance(w, Waiter) and w.name > marker]
        rest = waiters[limit - 1].name if len(waiters) > limit else None
        return WaiterPage(tuple(waiters[:limit]), Cursor(epoch, revision), rest)

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
        attempt = ArmWaiter(
            self._store,
            self._new_stack,
            scope,
            name,
            definition,
            author,
            create_only=create_only,
            now=self._clock.timestamp(),
            deadline=self._deadline(),
        )
        try:
            plan, revision = self._carrier.run(attempt, author)
        except OutcomeUnknown:
            raise  # the waiter may have the lease
        except BaseException:
            self._end(attempt.granted)
            raise
        outcome, former = plan.results
        if outcome == "unchanged":
            self._end(attempt.granted)
        elif former is not None:
            self._end(former.timer)
        state = self._store.state()
        found = _show(state, scope, name)
        made = former
        if outcome != "unchanged":
            waiter = plan.commit.records[0]
            assert isinstance(waiter, Waiter)  # noqa: S101 - plan() put it there
            made = replace(waiter, revision=revision)
        if found is None or found.waiter.revision < made.revision:  # it is not seen here yet
            found = Shown(made, made.progress or Progress(), ())
        return found, outcome, revision

    def delete(self, scope: Scope, name: str, author: Author) -> int:
        """Remove a waiter and what was signalled to it; the revision at which it went.

        :raises NotFound: there is none.
        """
        _check(scope, name)
        plan, revision = self._carrier.run(DeleteWaiter(scope, name, self._deadline()), author)
        self._end(plan.results[0].timer)
        return revision

    def signal(
        self, scope: Scope, name: str, wish: SignalRequest, author: Author
    ) -> tuple[Shown, Signal]:
        """Signal success or failure to a waiter; the same id again replaces the signal.

        :raises NotFound: there is no such waiter.
        :raises Forbidden: ``quota_exceeded``.
        """
        _check(scope, name)
        attempt = Signalling(scope, name, wish, author, self._clock.timestamp(), self._deadline())
        plan, revision = self._carrier.run(attempt, author)
        signal, changed = plan.results
        found = _show(self._store.state(), scope, name)
        if found is None:
            raise missing(scope, name)  # it was deleted since
        return found, replace(signal, revision=revision) if changed else signal

    def _end(self, lease: int) -> None:
        if lease:
            with suppress(FactstoreError):  # it ends by itself
                self._store.revoke_lease(lease, self._deadline())

    def _deadline(self) -> float:
        return self._clock.monotonic() + self._timeout


def _show(state: State, scope: Scope, name: str) -> Shown | None:
    """A waiter as a state has it."""
    with state.read():
        space = state.space(scope)
        waiter = space.tables["waiter"].get(name) if space else None
        if space is None or not isinstance(waiter, Waiter):
            return None
        tracker = space.pendings.tracker(name)
        progress = waiter.progress or (tracker.progress() if tracker else Progress())
        signals = space.signals(name).values()
    return Shown(waiter, progress, tuple(sorted(signals, key=lambda signal: signal.id)))


def _check(scope: Scope, name: str) -> None:
    check_stack_name(scope.stack)
    check_name(name, "waiter")
