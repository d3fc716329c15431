"""The plan of the most frequent writes: facts with a value, in a stack that exists.

It is a special case of :meth:`WriteFacts.plan` and of the planner's guards, and costs a third of them.
What it cannot decide, refusals above all, it leaves to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from factstore.core.errors import FactstoreError
from factstore.core.model.fact import Fact, Put
from factstore.core.model.fact_result import FactOutcome, FactResult
from factstore.core.model.path import ancestors
from factstore.core.model.precondition import ANY
from factstore.core.model.quota import UNLIMITED, UNLIMITED_QUOTA, Quota
from factstore.core.model.record import RecordKey
from factstore.core.model.transaction import GUARDS, OWN_GUARDS, Transaction, TreeGuards
from factstore.core.operations.facts import WriteFacts
from factstore.core.operations.grant_guards import guards_on_grant
from factstore.core.operations.operation import Draft
from factstore.core.operations.tree import tree_guards
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State

Plan = tuple[Draft[tuple[FactResult, ...]], Transaction]

_NO_GUARDS = TreeGuards()
_terms = attrgetter("ttl", "member", "generation", "sensitive", "sealed")
_NO_TERMS = None, None, None, False, None


def plan_plain_puts(operation: WriteFacts, state: State, now: str, quota: Quota) -> Plan | None:
    """Return the plan of an operation, or None if it is not simple; the caller holds the state's lock.

    :param now: the present moment, ISO 8601 in UTC.
    """
    stack_state = state.stack_state(operation.scope)
    if stack_state is None or stack_state.stack.keep_values or not _has_no_terms(operation):
        return None
    author, facts, limited = operation.author, stack_state.facts, quota is not UNLIMITED_QUOTA
    may_set_parameters, cause = author.may_set_parameters, author.cause_in(state.epoch)
    results: list[FactResult] = []
    puts: list[Fact] = []
    created: list[str] = []
    revisions: dict[str, int] = {}
    growth = 0
    for put in operation.requests:
        if type(put) is not Put or _terms(put) != _NO_TERMS:
            return None
        path, known = put.path, facts.get(put.path)
        if path in revisions:
            return None
        if known is None:
            created.append(path)
            revisions[path] = 0
        elif known.ttl is None and known.member is None and known.sealed is None:
            revisions[path] = known.revision
        else:
            return None
        if not may_set_parameters and "parameter" in (put.kind, known and known.kind):
            return None
        if known is not None and put.text == known.text and put.kind == known.kind:
            results.append(FactResult(path, "unchanged", known))
            continue
        outcome: FactOutcome
        if known is None:
            outcome, created_at, created_in, version = "created", now, 0, 1
        else:
            outcome, created_at, created_in = "updated", known.created_at, known.created
            version = known.version + 1
        fact = Fact(
            path,
            put.text,
            put.kind,
            created_at,
            now,
            author.user_id,
            author.request_id,
            version=version,
            created=created_in,
            cause=cause,
        )
        puts.append(fact)
        results.append(FactResult(path, outcome, fact))
        if limited:
            growth += fact.size if known is None else fact.size - known.size
    if limited and not _fits(quota, stack_state, len(created), growth):
        return None
    record_revisions: dict[RecordKey, int] = {}
    if author.grant:
        try:
            record_revisions = guards_on_grant(stack_state, author.grant)
        except FactstoreError:
            return None
    tree = _NO_GUARDS
    if created:
        guards = _tree(stack_state, created, revisions, len(record_revisions))
        if guards is None:
            return None
        tree = guards
    draft = Draft(tuple(results), puts=tuple(puts), fact_revisions=revisions)
    transaction = Transaction(
        stack_state.stack,
        state.revision,
        state.epoch,
        fact_revisions=revisions,
        tree=tree,
        puts=draft.puts,
        record_revisions=record_revisions,
    )
    return draft, transaction


def _has_no_terms(operation: WriteFacts) -> bool:
    """Return True if an operation only states facts."""
    if operation.idempotency is not None or operation.fences or not operation.requests:
        return False
    guards = operation.guards
    if not guards:
        return True
    (path, guard), only = guards[0], operation.requests[0]
    return len(guards) == len(operation.requests) == 1 and guard is ANY and path == only.path


def _tree(
    stack_state: StackState, created: Sequence[str], revisions: dict[str, int], others: int
) -> TreeGuards | None:
    """Return the guards of new paths, or None if one of them is a folder, or below a fact.

    :param others: the number of guards on records.
    """
    facts, new, above = stack_state.facts, set(created), set[str]()
    for path in created:
        for folder in ancestors(path):
            if folder in facts or folder in new:
                return None
            above.add(folder)
        if not stack_state.is_empty_below(path):
            return None
    room = GUARDS - OWN_GUARDS - others
    if len(above) + len(new) + len(revisions) <= room:
        return TreeGuards(absent=frozenset(above), empty=frozenset(new))
    return tree_guards(created, (), revisions, room)


def _fits(quota: Quota, stack_state: StackState, facts: int, size: int) -> bool:
    """Return True if some more facts and bytes certainly exceed no quota."""
    if facts <= 0 and size <= 0:
        return True
    project = stack_state.project
    return (
        (quota.facts == UNLIMITED or project.facts + facts <= quota.facts)
        and (quota.bytes == UNLIMITED or project.bytes + size <= quota.bytes)
        and (
            quota.facts_per_stack == UNLIMITED or stack_state.count + facts <= quota.facts_per_stack
        )
        and (
            quota.bytes_per_stack == UNLIMITED or stack_state.bytes + size <= quota.bytes_per_stack
        )
    )
