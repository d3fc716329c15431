"""Reports of what members have applied.

All members of a stack report at about the same time, when they have applied the same change.  One write
can record many reports for which nobody waits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from factstore.core.errors import (
    CursorExpired,
    FactstoreError,
    OutcomeUnknown,
    StorageFull,
    Unavailable,
)
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.member import Member
from factstore.core.operations.member_updates import RecordApplied, Report
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Store, WakeUp
from factstore.core.services.outage_log import OutageLog
from factstore.core.state.state import State

LOG = logging.getLogger(__name__)

LINGER_SECONDS = 0.02  # after the first report, for which others can join it
MEMBERS = 30  # in one write, which needs two guards for each; other writes share its transaction
RETRY_SECONDS = 1.0
STOP_SECONDS = 5.0


class AppliedReports:
    """Records reports, at once or soon in a thread."""

    def __init__(
        self, store: Store, transactor: Transactor, new_wake_up: Callable[[], WakeUp]
    ) -> None:
        self._store = store
        self._transactor = transactor
        self._new_wake_up = new_wake_up
        self._lock = threading.Lock()
        self._pending: dict[tuple[Scope, str], Report] = {}
        self._wanted = new_wake_up()
        self._outage = OutageLog(LOG)
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="applied-reports", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread once it has recorded what was reported."""
        self._stopping = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    @property
    def alive(self) -> bool:
        """True if the thread is running."""
        return self._thread is not None and self._thread.is_alive()

    def record(self, scope: Scope, member: Member, applied: Cursor, deadline: float) -> None:
        """Record the revision that a member has applied, if that changes who lags.

        :raises CursorExpired: *applied* is of another epoch or newer than the store.
        """
        state = self._state_with(applied, deadline)
        if state is None:
            raise CursorExpired(
                "The cursor in applied is from another epoch of the store, or newer than the store; "
                "read the context again."
            )
        if _is_progress(state, scope, member, applied):
            with suppress(StorageFull):  # the member is alive; it states the revision again
                self._transactor.run(RecordApplied(scope, [(member, applied)]))

    def add(self, scope: Scope, member: Member, applied: Cursor, deadline: float) -> None:
        """Record soon the revision that a member has applied, if that changes who lags.

        A cursor of another epoch, or one that is newer than the store, is ignored.
        """
        state = self._state_with(applied, deadline)
        if state is not None and _is_progress(state, scope, member, applied):
            with self._lock:
                self._pending[scope, member.name] = member, applied
            self._wanted.set()

    def add_at_once(
        self, scope: Scope, name: str, generation: str | None, applied: Cursor | None
    ) -> bool:
        """Record soon what a member has applied; return False if that may have to wait, or be refused.

        :param generation: of the member; None for the current one.
        :param applied: None to check the generation only.
        """
        state = self._store.state()
        member = state.member(scope, name)
        if member is None or generation not in (None, member.generation):
            return False
        if applied is not None:
            if applied.revision > state.revision:
                return False
            self.add(scope, member, applied, deadline=0)
        return True

    def _state_with(self, cursor: Cursor, deadline: float) -> State | None:
        """Return a state that contains the revision of a cursor, or None if the store does not."""
        state = self._store.state()
        if cursor.revision > state.revision:
            state = self._store.refresh(deadline)
        return state if state.includes(cursor) else None

    def _run(self) -> None:
        while not self._stopping:
            self._wanted.wait()
            if not self._stopping:
                self._pause(LINGER_SECONDS)
            self._wanted = self._new_wake_up()
            try:
                self.run_once()
                self._outage.succeeded("what members have applied is recorded again")
            except FactstoreError as error:
                self._outage.failed("what members have applied is not recorded yet: %s", error)
                self._retry()
            except Exception:
                LOG.exception("what members have applied could not be recorded")

    def _retry(self) -> None:
        if not self._stopping:
            self._pause(RETRY_SECONDS)
            self._wanted.set()

    def _pause(self, seconds: float) -> None:
        self._new_wake_up().wait(seconds)

    def run_once(self) -> None:
        """Record all reports.

        :raises Unavailable: the store cannot be reached; the rest is kept.
        :raises OutcomeUnknown: the store did not confirm the write in time; the rest is kept.
        """
        with self._lock:
            reports, self._pending = self._pending, {}
        stacks: dict[Scope, list[Report]] = {}
        for (scope, _), report in reports.items():
            stacks.setdefault(scope, []).append(report)
        try:
            for scope, found in stacks.items():
                while found:
                    self._record(scope, found[-MEMBERS:])
                    del found[-MEMBERS:]
        except (Unavailable, OutcomeUnknown):
            with self._lock:
                for scope, found in stacks.items():
                    for report in found:
                        self._pending.setdefault((scope, report[0].name), report)
            raise

    def _record(self, scope: Scope, found: list[Report]) -> None:
        try:
            self._transactor.run(RecordApplied(scope, found))
        except (Unavailable, OutcomeUnknown):
            raise
        except FactstoreError as error:  # the store is full, or the stack was deleted
            LOG.debug("what members have applied is not recorded: %s", error)


def _is_progress(state: State, scope: Scope, member: Member, applied: Cursor) -> bool:
    """Return True if a member lags and has applied more than is recorded.

    :param state: contains the revision of *applied*, so that it knows the member's target.
    """
    with state.read():
        stack_state = state.stack_state(scope)
        return stack_state is not None and stack_state.convergence.is_progress(
            member.name, applied.revision
        )
