"""The planner turns an operation into a transaction with all guards that every write has.

Planning is pure: it reads the state and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from factstore.core.model.event import DeletionAuthor
from factstore.core.model.fact import Author, Scope, Stack
from factstore.core.model.quota import UNLIMITED_QUOTA, Quotas
from factstore.core.model.transaction import GUARDS, OWN_GUARDS, Transaction
from factstore.core.operations.facts import WriteFacts
from factstore.core.operations.grant_guards import guards_on_grant
from factstore.core.operations.operation import Draft, Operation, View
from factstore.core.operations.plain_puts import plan_plain_puts
from factstore.core.operations.quota import check_quota
from factstore.core.operations.receipts import with_receipt
from factstore.core.operations.tree import tree_guards
from factstore.core.ports import Clock
from factstore.core.state.state import State

T = TypeVar("T")


class Planner:
    """Plans operations.

    :param quotas: returns a project's quota by its id.
    :param new_id: returns an id for a new stack that was never used.
    """

    def __init__(self, clock: Clock, quotas: Quotas, new_id: Callable[[], str]) -> None:
        self._clock = clock
        self._quotas = quotas
        self._new_id = new_id

    def plan(
        self, operation: Operation[T], state: State, *, full: bool = False
    ) -> tuple[Draft[T], Transaction | None]:
        """Return an operation's draft on a state, and the transaction that it makes.

        :param full: True if the store accepts nothing but deletions.
        :return: no transaction if there is nothing to write and nothing to confirm.
        :raises FactstoreError: the operation's refusal on that state, or ``quota_exceeded``.
        """
        scope, author = operation.scope, operation.author
        quota, now = self._quotas(scope.project_id), self._clock.timestamp()
        if type(operation) is WriteFacts and not full:
            with state.read():
                found = plan_plain_puts(operation, state, now, quota)
            if found is not None:
                return cast("tuple[Draft[T], Transaction]", found)
        new_stack = self._stack_factory(scope, author) if operation.creates_stack else None
        with state.read():
            view = View(state, scope, now, new_stack, full=full)
            # Before any other refusal, so that a caller without a valid grant always gets this one.
            own = guards_on_grant(view, author.grant) if author and author.grant else {}
            draft = operation.plan(view)
            if draft.empty:
                return draft, None
            stack, known = view.stack, view.stack_state is not None
            removal = draft if draft.changes and not draft.puts else None
            draft = with_receipt(operation, view, draft)
            if operation.counts_toward_quota and quota is not UNLIMITED_QUOTA:
                # The receipt of a removal must not prevent it.
                check_quota(quota, view, removal or draft)
            # A new stack has no records.
            record_revisions = {**own, **draft.record_revisions} if known else {}
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
