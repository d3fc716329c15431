"""The guards of a transaction, judged on a state."""

from __future__ import annotations

from factstore.core.model.transaction import Transaction
from factstore.core.state.state import State


def holds(transaction: Transaction, state: State) -> bool:
    """Return True if what a transaction was decided on certainly has not changed in a state.

    A transaction with guards on folders has to be planned again.
    """
    stack_state = state.stack_state(transaction.stack.scope)
    if stack_state is None or state.epoch != transaction.epoch or not transaction.tree.is_empty:
        return False
    stack, planned = stack_state.stack, transaction.stack
    if stack.id != planned.id or stack.revision != planned.revision:
        return False
    facts = stack_state.facts
    for path, revision in transaction.fact_revisions.items():
        fact = facts.get(path)
        if (0 if fact is None else fact.revision) != revision:
            return False
    for key, revision in transaction.record_revisions.items():
        record = stack_state.record(key)
        if (0 if record is None else record.revision) != revision:
            return False
    return True
