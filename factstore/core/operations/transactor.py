"""The transactor carries out every write of every noun, exactly once, or reports an unknown outcome.

An :class:`~factstore.core.operations.operation.Operation` decides, purely, what to write.  The
transactor does everything around that: a fresh state where one is needed, the guards on stack, epoch
and the author's grant, quotas, leases, idempotency keys, and unknown outcomes.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from factstore.core.errors import (
    FactstoreError,
    OutcomeUnknown,
    StorageFull,
    Unavailable,
)
from factstore.core.model.event import DeletionAuthor
from factstore.core.model.fact import Author, Scope, Stack
from factstore.core.model.quota import UNLIMITED_QUOTA, Quotas
from factstore.core.model.receipt import Receipt
from factstore.core.model.transaction import GUARDS, OWN_GUARDS, Transaction
from factstore.core.operations.grants import guards_on_grant
from factstore.core.operations.leases import WriteLeases
from factstore.core.operations.operation import Committed, Draft, Operation, View
from factstore.core.operations.quota import check_quota
from factstore.core.operations.receipts import replay, with_receipt
from factstore.core.operations.tree import tree_guards
from factstore.core.operations.unknown_outcome import (
    can_be_planned_again,
    find_deleted,
    find_written,
    guards_still_hold,
)
from factstore.core.operations.write_queue import Place, WriteQueue
from factstore.core.ports import Clock, Store, WakeUp
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
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        quotas: Quotas,
        new_id: Callable[[], str],
        timeout: float,
        new_wake_up: Callable[[], WakeUp] = threading.Event,
        on_retry: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_wake_up = new_wake_up
        self._on_retry = on_retry
        self._queue = WriteQueue(clock, new_wake_up)
        self._quotas = quotas
        self._new_id = new_id
        self._timeout = timeout

    def run(self, operation: Operation[T]) -> Committed[T]:
        """Carry an operation out and return its outcome with the revision at which it is valid.

        A plan may have been made on a state that lags behind the database.  If it writes, the guards
        find that out and the operation is planned again; if it refuses, it is planned again on a fresh
        state before the write is refused.  Writes of the same data wait for one another in this worker;
        if those of other workers make a guard fail, the write is planned again and keeps its place.

        :raises FactstoreError: the operation's refusal.
        :raises Unavailable: the store cannot be reached, or others were ahead until the deadline.
        :raises OutcomeUnknown: the store did not report whether it was written.
        """
        deadline = self._clock.monotonic() + self._timeout
        leases = WriteLeases(self._store, self._clock, deadline, self._timeout)
        try:
            with Place(self._queue) as place:
                committed, draft = self._run(operation, leases, place, deadline)
        except OutcomeUnknown:
            raise  # what was written may be attached to the leases
        except BaseException:
            leases.release()
            raise
        if draft is None:
            leases.release()
        else:
            leases.settle(draft)
        return committed

    def _run(
        self, operation: Operation[T], leases: WriteLeases, place: Place, deadline: float
    ) -> tuple[Committed[T], Draft[T] | None]:
        state, fresh, retries = self._store.state(), False, 0
        full: StorageFull | None = None
        while True:
            earlier = self._earlier_receipt(operation, deadline)
            try:
                with state.read():  # a receipt and the facts of its write appear together
                    replayed = replay(operation, state, earlier)
                    if replayed is not None:
                        return replayed, None
                    draft, transaction = self.plan(operation, state, full=full is not None)
            except FactstoreError:
                if fresh:
                    raise
                state, fresh = self._store.refresh(deadline), True
                continue
            if transaction is None:
                return Committed(draft.outcome, state.revision), draft
            if not place.enter(transaction, deadline):
                state, fresh = self._store.state(), False
                continue
            if full is not None and transaction.needs_room:
                raise full
            try:
                transaction = leases.attach(transaction, draft.leases)
                writes = transaction.writes
                # Leases are renewed before a write, because nothing may fail after it; a mere
                # confirmation is renewed after it, because only then is it known that nothing needs to
                # be written.
                if not writes or leases.renew(draft):
                    revision = self._commit(transaction, place, deadline)
                    if revision is not None and (writes or leases.renew(draft)):
                        return Committed(draft.outcome, revision, transaction), draft
            except StorageFull as error:
                if full is not None:
                    raise
                # The store still accepts what only deletes: plan again without notes.
                full, state, fresh = error, self._store.refresh(deadline), True
                continue
            if self._clock.monotonic() >= deadline:
                raise Unavailable(
                    "other writers kept changing the same data until the deadline; nothing was "
                    "written. Try again.",
                    code="contention",
                )
            self._on_retry()
            self._pause(retries)
            retries += 1
            state, fresh = self._store.refresh(deadline), True

    def _pause(self, retries: int) -> None:
        """Wait for a random time, so that workers do not fail one another in step."""
        longest = min(FIRST_PAUSE * 2**retries, LONGEST_PAUSE)
        self._new_wake_up().wait(random.uniform(0, longest))  # noqa: S311 - spread, not secrecy

    def _earlier_receipt(self, operation: Operation[T], deadline: float) -> Receipt | None:
        if operation.idempotency is None:
            return None
        project_id, key = operation.scope.project_id, operation.idempotency.key
        return self._store.earlier_receipt(project_id, key, deadline)

    def plan(
        self, operation: Operation[T], state: State, *, full: bool = False
    ) -> tuple[Draft[T], Transaction | None]:
        """Return an operation's draft on a state, and the transaction that it makes.

        :param full: True if the store accepts nothing but deletions.
        :return: no transaction if there is nothing to write and nothing to confirm.
        :raises FactstoreError: the operation's refusal on that state, or ``quota_exceeded``.
        """
        scope, author = operation.scope, operation.author
        new_stack = self._stack_factory(scope, author) if operation.creates_stack else None
        with state.read():
            view = View(state, scope, self._clock.timestamp(), new_stack, full=full)
            draft = operation.plan(view)
            if draft.empty:
                return draft, None
            stack, known = view.stack, view.stack_state is not None
            removal = draft if draft.changes and not draft.puts else None
            draft = with_receipt(operation, view, draft)
            if operation.counts_toward_quota:
                quota = self._quotas(scope.project_id)
                if quota is not UNLIMITED_QUOTA:
                    # The receipt of a removal must not prevent it.
                    check_quota(quota, view, removal or draft)
            record_revisions = draft.record_revisions
            if author is not None and author.grant:
                record_revisions = {**guards_on_grant(view, author.grant), **record_revisions}
            record_revisions = record_revisions if known else {}  # a new stack has no records
            created = [put.path for put in draft.puts if put.version == 1]
            room = GUARDS - OWN_GUARDS - len(record_revisions)
            transaction = Transaction(
                draft.stack or stack,
                state.revision,
                state.epoch,
                creates_stack=not known,
                updates_stack=known and draft.stack is not None and not draft.drops_stack,
                drops_stack=draft.drops_stack,
                fact_revisions=draft.fact_revisions,
                tree=tree_guards(created, draft.deletes, draft.fact_revisions, room, draft.emptied),
                puts=draft.puts,
                deletes=draft.deletes,
                record_revisions=record_revisions,
                records=draft.records,
                removes=draft.removes if known else (),
                cleared_waiters=draft.cleared_waiters,
                author=None if full else _deletion_author(stack, draft, author),
                only_deletes=full,
            )
        return draft, transaction

    def _stack_factory(self, scope: Scope, author: Author | None) -> Callable[[], Stack]:
        def new_stack() -> Stack:
            now = self._clock.timestamp()
            return Stack(
                project_id=scope.project_id,
                name=scope.stack,
                id=self._new_id(),
                description="",
                created_at=now,
                updated_at=now,
                updated_by=author.user_id if author else "",
                request_id=author.request_id if author else "",
            )

        return new_stack

    def _commit(self, transaction: Transaction, place: Place, deadline: float) -> int | None:
        """Commit, and return the revision; None when a guard did not hold.

        An unknown outcome is settled by what the state shows, else by trying the same again.  The very
        same guards make the retry safe: if the lost attempt was, or will be, applied, the retry fails
        them.  They cannot distinguish a path that was created and removed again from one that never
        existed.
        """
        try:
            return self._store.commit(transaction, deadline)
        except StorageFull as full:
            # etcd may apply a write and refuse it all the same.
            applied = True
            with suppress(Unavailable):
                state = self._store.refresh(deadline)
                found = self._find(state, transaction, deadline) or find_deleted(state, transaction)
                if found is not None:
                    return found
                applied = not guards_still_hold(state, transaction)
            if not applied:
                raise
            raise OutcomeUnknown(
                "the store is full and did not report whether the write was among the last that "
                "fitted. Read before you retry."
            ) from full
        except OutcomeUnknown as unknown:
            place.leave()  # settling the outcome may take until the deadline, and its guards decide
            while self._clock.monotonic() < deadline:
                try:
                    state = self._store.refresh(deadline)
                    found = self._find(state, transaction, deadline)
                    if found is not None:
                        return found
                    if can_be_planned_again(state, transaction):
                        return None
                    if not guards_still_hold(state, transaction):
                        break
                    return self._retry(transaction, deadline)
                except (Unavailable, OutcomeUnknown):
                    continue
            raise OutcomeUnknown(unknown.detail) from unknown

    def _find(self, state: State, transaction: Transaction, deadline: float) -> int | None:
        """Return the revision at which a transaction was applied, if it or its author's note shows."""
        found, author = find_written(state, transaction), transaction.author
        if found is not None or author is None:
            return found
        return self._store.deletion_revision(author, transaction.base_revision, deadline)

    def _retry(self, transaction: Transaction, deadline: float) -> int:
        revision = self._store.commit(transaction, deadline)
        if revision is None:
            raise OutcomeUnknown("the write was retried and its guards failed")
        return revision


def _deletion_author(stack: Stack, draft: Draft[T], author: Author | None) -> DeletionAuthor | None:
    """Return who deletes; etcd's delete events carry no author, and an expiry looks the same."""
    if author is None or not (draft.deletes or draft.drops_stack):
        return None
    return DeletionAuthor(
        stack.id,
        author.user_id,
        author.request_id,
        tuple(sorted(draft.deletes)),
        whole_stack=draft.drops_stack,
    )
