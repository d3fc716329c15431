"""Finding out from a fresh state, or events, whether a lost transaction was applied."""

from __future__ import annotations

from dataclasses import replace

from factstore.core.errors import CursorExpired
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Change
from factstore.core.model.fact import Stack
from factstore.core.model.kept_value import KeptValue
from factstore.core.model.member import Applied, Declaration, Member
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import Record
from factstore.core.model.transaction import Transaction
from factstore.core.ports import EventSource
from factstore.core.state.state import State

_EVENTS, _BYTES = 1000, 4 * 1024 * 1024  # that are read at a time


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


def find_in_events(events: EventSource, transaction: Transaction, upto: Cursor) -> int | None:
    """Return the revision at which a transaction was applied; 0 if it was not, None if that is unknown.

    Each fact that a transaction writes or deletes is part of an event, which stays when others have
    written since.  So this decides transactions on facts of which the state shows nothing any more.

    :param upto: the cursor after which the transaction cannot be applied.
    """
    if not (transaction.puts or (transaction.deletes and transaction.author)):
        return None
    at = Cursor(upto.epoch, transaction.base_revision)
    try:
        while True:
            batch = events.read(transaction.stack.scope, at, events=_EVENTS, size=_BYTES)
            for event in batch.events:
                if event.stack_id == transaction.stack.id and any(
                    _is_part(change, transaction) for change in event.changes
                ):
                    return event.revision
            at = at._replace(revision=batch.upto)
            if not batch.more:
                return 0 if at.revision >= upto.revision else None
    except CursorExpired:
        return None


def _is_part(change: Change, transaction: Transaction) -> bool:
    """Return True if a change was made by a transaction on facts."""
    if transaction.puts:
        put, fact = transaction.puts[0], change.fact
        return fact is not None and (fact.path, fact.request_id, fact.updated_at) == (
            put.path,
            put.request_id,
            put.updated_at,
        )
    author = transaction.author
    return (
        author is not None
        and (change.type, change.path) == ("fact.delete", transaction.deletes[0])
        and change.request_id == author.request_id
    )


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
