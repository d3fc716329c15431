"""The transactor carries out every write of every noun, exactly once, or reports an unknown outcome.

An :class:`~factstore.core.operations.operation.Operation` decides, purely, what to write.  The
transactor does everything around that: a fresh state where one is needed, the guards on stack, epoch
and the author's grant, quotas, leases, idempotency keys, and unknown outcomes.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from factstore.core.errors import FactstoreError, OutcomeUnknown, StorageFull, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.quota import Quotas
from factstore.core.model.receipt import Receipt
from factstore.core.model.transaction import Transaction
from factstore.core.operations.attempt import Attempt
from factstore.core.operations.guards import holds
from factstore.core.operations.leases import WriteLeases
from factstore.core.operations.operation import Committed, Draft, Operation
from factstore.core.operations.planner import Planner
from factstore.core.operations.receipts import replay
from factstore.core.operations.running_writes import RunningWrites
from factstore.core.operations.settlement import Settlement, committed_at
from factstore.core.operations.write_queue import Place, WriteQueue
from factstore.core.ports import Clock, EventSource, Store, WakeUp
from factstore.core.state.state import State

T = TypeVar("T")

FIRST_PAUSE = 0.002  # seconds before a write is planned again, at most; doubled each time
LONGEST_PAUSE = 0.05


class Transactor:
    """Carries out operations.  One per process.

    :param quotas: returns a project's quota by its id.
    :param new_id: returns an id for a new stack that was never used.
    :param timeout: seconds after which a write gives up.
    :param on_retry: called when a write has to be planned again because a guard failed.
    :param events: of the store, which settle unknown outcomes that the state alone does not.
    :ivar running: the writes that have not ended.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        quotas: Quotas,
        new_id: Callable[[], str],
        timeout: float,
        new_wake_up: Callable[[], WakeUp] | None = None,
        on_retry: Callable[[], None] = lambda: None,
        events: EventSource | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_wake_up = new_wake_up = new_wake_up or threading.Event
        self._on_retry = on_retry
        self._queue = WriteQueue(clock, new_wake_up)
        self._planner = Planner(clock, quotas, new_id)
        self._settlement = Settlement(store, events, clock, new_wake_up)
        self._timeout = timeout
        self.running = RunningWrites(clock)

    def run(self, operation: Operation[T], epoch: str = "") -> Committed[T]:
        """Carry an operation out and return its outcome with the cursor at which it is valid.

        A plan may have been made on a state that lags behind the database.  If it writes, the guards
        find that out and the operation is planned again; if it refuses, it is planned again on a fresh
        state before the write is refused.  Writes of the same data wait for one another in this worker;
        if those of other workers make a guard fail, the write is planned again and keeps its place.

        :param epoch: of the state on which the operation was decided; empty if it was not.
        :raises FactstoreError: the operation's refusal.
        :raises Unavailable: the store cannot be reached, others were ahead until the deadline, or the
            store is not that of *epoch* any more.
        :raises OutcomeUnknown: the store did not report whether it was written.
        """
        with self.running.running(operation.scope):
            return self._carry_out(operation, self._clock.monotonic() + self._timeout, epoch=epoch)

    def preview(self, operation: Operation[T]) -> tuple[T, Cursor]:
        """Return the outcome that an operation would have, and the cursor at which it is valid.

        :raises FactstoreError: the operation's refusal.
        """
        state = self._store.refresh(self._clock.monotonic() + self._timeout)
        with state.read():
            draft, _ = self._planner.plan(operation, state)
            return draft.outcome, state.cursor

    def start(
        self, operation: Operation[T], ended: Callable[[Attempt[T]], object]
    ) -> Attempt[T] | None:
        """Start to carry an operation out without waiting; return None if that is not possible.

        Nothing has been written then, and :meth:`run` has to do everything.

        :param ended: called once the attempt has a revision or has to be passed to :meth:`resume`.
        """
        deadline = self._clock.monotonic() + self._timeout
        try:
            draft, transaction = self._planner.plan(operation, self._store.state())
        except FactstoreError:
            return None  # a refusal has to be decided on a fresh state
        if transaction is None or draft.uses_leases or operation.idempotency is not None:
            return None
        attempt = Attempt(operation, draft, transaction, deadline)
        if not transaction.writes:
            return self._start_confirming(attempt, ended)
        place = Place(self._queue)
        if not place.enter_at_once(transaction):
            return None
        self.running.begin(operation.scope, place)

        def end(revision: int | None, error: Exception | None) -> None:
            place.leave()
            self.running.end(operation.scope, place)
            attempt.revision, attempt.error = revision, error
            ended(attempt)

        try:
            attempt.commit = self._store.start_commit(transaction, deadline, end)
        finally:
            if attempt.commit is None:
                place.leave()
                self.running.end(operation.scope, place)
        return attempt if attempt.commit is not None else None

    def _start_confirming(
        self, attempt: Attempt[T], ended: Callable[[Attempt[T]], object]
    ) -> Attempt[T] | None:
        """Start to look whether an operation that changes nothing is right on a fresh state."""

        def end(state: State | None) -> None:
            if state is not None and holds(attempt.transaction, state):
                attempt.revision = state.revision
            ended(attempt)

        attempt.commit = self._store.start_refresh(self._timeout, end)
        return attempt if attempt.commit is not None else None

    def resume(self, attempt: Attempt[T]) -> Committed[T]:
        """Carry an operation out after its first attempt failed, as :meth:`run` does."""
        with self.running.running(attempt.operation.scope, attempt.deadline - self._timeout):
            return self._carry_out(attempt.operation, attempt.deadline, attempt)

    def _carry_out(
        self,
        operation: Operation[T],
        deadline: float,
        attempt: Attempt[T] | None = None,
        epoch: str = "",
    ) -> Committed[T]:
        leases = WriteLeases(self._store, operation.scope, self._clock, deadline, self._timeout)
        try:
            with Place(self._queue) as place:
                committed, draft = self._run(operation, leases, place, deadline, attempt, epoch)
        except OutcomeUnknown:
            raise  # what was written may be attached to the leases
        except BaseException:
            leases.release()
            raise
        if draft is None:
            leases.release()
        else:
            leases.settle(draft, committed.cursor.epoch)
        return committed

    def _run(
        self,
        operation: Operation[T],
        leases: WriteLeases,
        place: Place,
        deadline: float,
        attempt: Attempt[T] | None,
        epoch: str,
    ) -> tuple[Committed[T], Draft[T] | None]:
        if attempt is not None and attempt.error is None:
            self._on_retry()
            attempt, state, fresh = None, self._store.refresh(deadline), True
        else:
            state, fresh = self._store.state(), False
        retries = 0
        full: StorageFull | None = None
        while True:
            if attempt is not None:
                draft, transaction = attempt.draft, attempt.transaction
                failure, attempt = attempt.error, None
            else:
                if epoch not in ("", state.epoch):
                    raise Unavailable(
                        "The store was replaced, and what is to be written was decided before."
                    )
                failure = None
                earlier = self._earlier_receipt(operation, state.epoch, deadline)
                try:
                    with state.read():  # a receipt and the facts of its write appear together
                        replayed = replay(operation, state, earlier)
                        if replayed is not None:
                            return replayed, None
                        draft, planned = self._planner.plan(operation, state, full=full is not None)
                except FactstoreError:
                    if fresh:
                        raise
                    state, fresh = self._store.refresh(deadline), True
                    continue
                if planned is None:
                    return Committed(draft.outcome, state.cursor), draft
                if not planned.writes:
                    # What is decided on a fresh state needs no other confirmation.
                    if not fresh:
                        state, fresh = self._store.refresh(deadline), True
                        continue
                    leases.attach(planned, draft.leases)  # instead of those of an earlier plan
                    if leases.renew(draft):
                        return Committed(draft.outcome, state.cursor, planned), draft
                    retries = self._wait_for_retry(retries, deadline)
                    state = self._store.refresh(deadline)
                    continue
                transaction = planned
                if not place.enter(transaction, deadline):
                    state, fresh = self._store.state(), False
                    continue
            if full is not None and transaction.needs_room:
                raise full
            try:
                transaction = leases.attach(transaction, draft.leases)
                if leases.renew(draft):  # before the write, because nothing may fail after it
                    cursor = self._commit(transaction, place, deadline, failure)
                    if cursor is not None:
                        return Committed(draft.outcome, cursor, transaction), draft
            except StorageFull as error:
                if full is not None:
                    raise
                # The store still accepts what only deletes: plan again without notes.
                full, state, fresh = error, self._store.refresh(deadline), True
                continue
            retries = self._wait_for_retry(retries, deadline)
            state, fresh = self._store.refresh(deadline), True

    def _wait_for_retry(self, retries: int, deadline: float) -> int:
        """Wait for a random time, so that workers do not fail one another in step.

        :return: the number of retries.
        :raises Unavailable: the deadline has passed.
        """
        if self._clock.monotonic() >= deadline:
            raise Unavailable(
                "Other writers kept changing the same data until the deadline; nothing was "
                "written. Try again.",
                code="contention",
            )
        self._on_retry()
        longest = min(FIRST_PAUSE * 2**retries, LONGEST_PAUSE)
        self._new_wake_up().wait(random.uniform(0, longest))  # noqa: S311 - spread, not secrecy
        return retries + 1

    def _earlier_receipt(
        self, operation: Operation[T], epoch: str, deadline: float
    ) -> Receipt | None:
        if operation.idempotency is None:
            return None
        project_id, key = operation.scope.project_id, operation.idempotency.key
        return self._store.earlier_receipt(project_id, key, epoch, deadline)

    def _commit(
        self, transaction: Transaction, place: Place, deadline: float, failure: Exception | None
    ) -> Cursor | None:
        """Commit, unless that has failed already; return the cursor, or None if a guard failed.

        A write whose outcome is unknown is settled; see :class:`Settlement`.
        """
        try:
            if failure is not None:
                raise failure
            return committed_at(transaction, self._store.commit(transaction, deadline))
        except StorageFull as full:
            return self._settlement.of_refused(transaction, deadline, full)
        except OutcomeUnknown as unknown:
            place.leave()  # settling the outcome may take until the deadline, and its guards decide
            return self._settlement.of_lost(transaction, deadline, unknown)
