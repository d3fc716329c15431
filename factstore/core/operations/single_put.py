"""The plan of the most frequent write: one fact with a value, in a stack that exists.

It is a special case of :meth:`WriteFacts.plan` and of the planner's guards, and costs a third of them.
What it cannot decide, refusals above all, it leaves to them.
"""

from __future__ import annotations

from factstore.core.errors import FactstoreError
from factstore.core.model.fact import Fact, Put
from factstore.core.model.fact_result import FactOutcome, FactResult
from factstore.core.model.path import ancestors
from factstore.core.model.precondition import ANY
from factstore.core.model.quota import UNLIMITED, UNLIMITED_QUOTA, Quota
from factstore.core.model.record import RecordKey
from factstore.core.model.transaction import Transaction, TreeGuards
from factstore.core.operations.facts import WriteFacts
from factstore.core.operations.grants import guards_on_grant
from factstore.core.operations.operation import Draft, View
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State

Plan = tuple[Draft[tuple[FactResult, ...]], Transaction]

_NO_GUARDS = TreeGuards()


def plan_single_put(operation: WriteFacts, state: State, now: str, quota: Quota) -> Plan | None:
    """Return the plan of an operation, or None if it is not simple; the caller holds the state's lock.

    :param now: the present moment, ISO 8601 in UTC.
    """
    if len(operation.requests) != 1 or operation.idempotency is not None or operation.fences:
        return None
    put, author = operation.requests[0], operation.author
    if type(put) is not Put or not _is_simple(put, operation):
        return None
    stack_state = state.stack_state(operation.scope)
    if stack_state is None:
        return None
    path, known = put.path, stack_state.facts.get(put.path)
    if known is not None and (known.ttl is not None or known.member is not None or known.sensitive):
        return None
    if not author.may_set_parameters and "parameter" in (put.kind, known and known.kind):
        return None
    tree = _NO_GUARDS
    if known is None:
        folders = frozenset(ancestors(path))
        facts = stack_state.facts  # of which there may be many
        if any(folder in facts for folder in folders) or any(stack_state.below(path)):
            return None
        tree = TreeGuards(absent=folders, empty=frozenset((path,)))
    puts: tuple[Fact, ...] = ()
    fact = known
    if known is None or put.text != known.text or put.kind != known.kind:
        fact = Fact(
            path=path,
            text=put.text,
            kind=put.kind,
            created_at=now if known is None else known.created_at,
            updated_at=now,
            updated_by=author.user_id,
            request_id=author.request_id,
            version=1 if known is None else known.version + 1,
        )
        puts = (fact,)
        if quota is not UNLIMITED_QUOTA and not _fits(quota, state, stack_state, fact, known):
            return None
    record_revisions: dict[RecordKey, int] = {}
    if author.grant:
        try:
            record_revisions = guards_on_grant(View(state, operation.scope, now), author.grant)
        except FactstoreError:
            return None
    outcome: FactOutcome = "unchanged"
    if puts:
        outcome = "created" if known is None else "updated"
    revisions = {path: 0 if known is None else known.revision}
    draft = Draft((FactResult(path, outcome, fact),), puts=puts, fact_revisions=revisions)
    transaction = Transaction(
        stack_state.stack,
        state.revision,
        state.epoch,
        fact_revisions=draft.fact_revisions,
        tree=tree,
        puts=puts,
        record_revisions=record_revisions,
    )
    return draft, transaction


def _is_simple(put: Put, operation: WriteFacts) -> bool:
    return (
        put.ttl is None
        and put.member is None
        and put.generation is None
        and not put.sensitive
        and put.sealed is None
        and all(path == put.path and guard is ANY for path, guard in operation.guards)
    )


def _fits(
    quota: Quota, state: State, stack_state: StackState, fact: Fact, known: Fact | None
) -> bool:
    """Return True if a fact certainly exceeds no quota."""
    facts, size = (1, fact.size) if known is None else (0, fact.size - known.size)
    if facts <= 0 and size <= 0:
        return True
    project = state.project_usage(stack_state.stack.project_id)
    return all(
        limit == UNLIMITED or used <= limit
        for limit, used in (
            (quota.facts, project.facts + facts),
            (quota.bytes, project.bytes + size),
            (quota.facts_per_stack, stack_state.count + facts),
            (quota.bytes_per_stack, stack_state.bytes + size),
        )
    )
