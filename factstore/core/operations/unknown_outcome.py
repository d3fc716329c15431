"""Telling from a fresh state whether a transaction with an unknown outcome was applied."""

from __future__ import annotations

from dataclasses import replace

from factstore.core.model.fact import Stack
from factstore.core.model.kept_value import KeptValue
from factstore.core.model.member import Applied, Declaration, Member
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import Record
from factstore.core.model.transaction import Transaction
from factstore.core.state.state import State


def find_written(state: State, transaction: Transaction) -> int | None:
    """Return the revision at which a transaction was applied, if the state still shows any of it.

    What is gone shows nothing, because another transaction may have removed it.
    """
    scope = transaction.stack.scope
    stack = state.stack(scope)
    if transaction.creates_stack and stack is not None and stack.id == transaction.stack.id:
        return stack.created  # its id was never used before
    if transaction.updates_stack and stack is not None and _same_write(stack, transaction):
        return stack.revision
    for put in transaction.puts:
        fact = state.fact(scope, put.path)
        if fact and (fact.request_id, fact.updated_at) == (put.request_id, put.updated_at):
            return fact.revision
    for record in transaction.records:
        known = state.record(scope, record.record_key)
        if known is not None and _same(known, record):
            return known.revision
    return None


def can_be_planned_again(state: State, transaction: Transaction) -> bool:
    """Return whether a transaction on the stack's own record was not applied, and never will be.

    It compares the record's revision.  If that has changed, a late attempt fails.
    """
    if not (transaction.drops_stack or not transaction.writes):
        return False
    stack, planned = state.stack(transaction.stack.scope), transaction.stack
    return stack is not None and stack.id == planned.id and stack.revision != planned.revision


def guards_still_hold(state: State, transaction: Transaction) -> bool:
    """Return whether everything is as it was planned on, and certainly was so all the time."""
    with state.read():
        contents = state.stack_state(transaction.stack.scope)
        nothing_was_dropped = state.last_deletion <= transaction.base_revision
        if contents is None:
            return transaction.creates_stack and nothing_was_dropped
        if contents.stack.id != transaction.stack.id:
            return False
        if contents.stack.revision != transaction.stack.revision:
            return False
        guards = transaction.record_revisions
        # A receipt that was stored meanwhile is still there.
        absent = {key.kind for key, known in guards.items() if known == 0} - {Receipt}
        missing = 0 in transaction.fact_revisions.values() or bool(absent)
        if missing and not (nothing_was_dropped or contents.changed <= transaction.base_revision):
            return False
        # Neither waiters nor signals nor applied records move `changed`.
        unseen = any(kind not in (Member, Declaration) for kind in absent)
        if unseen and not nothing_was_dropped:
            return False
        for path, known in transaction.fact_revisions.items():
            fact = contents.facts.get(path)
            if (fact.revision if fact else 0) != known:
                return False
        records = {key: state.record(transaction.stack.scope, key) for key in guards}
        return all(
            (record.revision if record else 0) == guards[key] for key, record in records.items()
        )


def _same_write(stack: Stack, transaction: Transaction) -> bool:
    return stack == replace(
        transaction.stack,
        revision=stack.revision,
        created=stack.created,
    )


def _same(known: Record, written: Record) -> bool:
    """Return True if a record is the one to be written, and not an equal one of another writer."""
    if isinstance(written, KeptValue):
        return False  # all writers that replace a value keep the same record of it
    if isinstance(written, Applied):
        return isinstance(known, Applied) and known.seen == written.seen
    request_id = getattr(written, "request_id", None)
    return request_id is not None and known == replace(
        written,
        revision=known.revision,
        lease=known.lease,
    )
