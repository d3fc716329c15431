"""The compares and the operations of a transaction in etcd."""

from __future__ import annotations

import random
from dataclasses import replace

from factstore.core.model.fact import Stack
from factstore.core.model.pulse import Pulse, Restorations
from factstore.core.model.transaction import GUARDS, OWN_GUARDS, Transaction, TreeGuards
from factstore.store import codec
from factstore.store.key_builder import DELETION_AUTHOR_SLOTS
from factstore.store.keyspace import Keyspace
from factstore.store.types import Compare, DeleteKeys, Operation, PutKey

PUTS = 100  # in one transaction; etcd takes 128 operations, and there are some of other kinds


def compares_for(transaction: Transaction, keys: Keyspace, store_id: bytes) -> list[Compare]:
    """Return the compares of a transaction.

    :param store_id: the value of the epoch key.
    """
    stack = transaction.stack
    same = Compare(keys.epoch, "value", "==", store_id)
    if not stack.name:  # it always exists, and has no record
        return [same, *record_compares(transaction, keys)]
    record = keys.stack(stack.project_id, stack.name)
    if transaction.creates_stack:
        # A new stack has no contents that could conflict.
        return [same, Compare(record, "create", "==", 0)]
    compares = stack_compares(stack, keys, store_id)
    for path, revision in transaction.fact_revisions.items():
        if revision == 0 and transaction.tree.cover(path):
            continue
        compares.append(Compare(keys.fact(stack.project_id, stack.id, path), "mod", "==", revision))
    folder = keys.facts(transaction.stack.project_id, transaction.stack.id).start
    tree = tree_compares(transaction.tree, folder, transaction.base_revision)
    return [*compares, *record_compares(transaction, keys), *tree]


def stack_compares(stack: Stack, keys: Keyspace, store_id: bytes) -> list[Compare]:
    """Return the compares of all transactions in a stack that exists, with the settings that it has."""
    return [
        Compare(keys.epoch, "value", "==", store_id),
        Compare(keys.stack(stack.project_id, stack.name), "mod", "==", stack.revision),
    ]


def record_compares(transaction: Transaction, keys: Keyspace) -> list[Compare]:
    """Return the compares of the records on which the transaction was decided."""
    stack = transaction.stack
    return [
        Compare(keys.record(stack.project_id, stack.id, key), "mod", "==", revision)
        for key, revision in transaction.record_revisions.items()
    ]


def tree_compares(tree: TreeGuards, folder: bytes, base_revision: int) -> list[Compare]:
    """Return the compares of the tree's guards.

    The compare of a subtree reads its keys, at about a microsecond for each.

    :param folder: the key of a fact without its path.
    :param base_revision: at which the transaction was planned.
    """
    compares = [Compare(folder + path.encode(), "create", "==", 0) for path in tree.absent]
    for path in tree.empty:
        key = folder + path.encode()
        compares.append(Compare(key + b"/", "create", "==", 0, key + b"0"))
    fresh = base_revision + 1
    for path in tree.subtrees:
        # One range for the path and all below it; it also covers siblings such as path-x and path.x.
        start = folder + path.encode()
        end = start + b"0" if path else folder[:-1] + b"0"
        compares.append(Compare(start, "create", "<", fresh, end))
    return compares


def operations_for(transaction: Transaction, keys: Keyspace) -> list[Operation]:
    """Return the operations of a transaction."""
    stack = transaction.stack
    project_id, stack_id = stack.project_id, stack.id
    operations: list[Operation] = []
    if transaction.creates_stack or transaction.updates_stack:
        record = keys.stack(project_id, stack.name)
        operations.append(PutKey(record, codec.encode_stack(stack)))
    for fact in transaction.puts:
        key = keys.fact(project_id, stack_id, fact.path)
        operations.append(PutKey(key, codec.encode_fact(fact), fact.lease))
    operations += [
        DeleteKeys(keys.fact(project_id, stack_id, path)) for path in transaction.deletes
    ]
    for new in transaction.records:
        key = keys.record(project_id, stack_id, new.record_key)
        operations.append(PutKey(key, codec.encode_record(new), new.lease))
    operations += [
        DeleteKeys(keys.record(project_id, stack_id, key)) for key in transaction.removes
    ]
    for waiter in transaction.cleared_waiters:
        operations.append(DeleteKeys(*keys.signals(project_id, stack_id, waiter)))
    if transaction.drops_stack:
        operations.append(DeleteKeys(keys.stack(project_id, stack.name)))
        if not transaction.only_deletes:
            operations.append(PutKey(keys.purge(project_id, stack_id), b""))
    if transaction.author is not None:
        # A bounded number of slots needs no cleanup; only the watch reads them.
        slot = random.randrange(DELETION_AUTHOR_SLOTS)  # noqa: S311 - spread, not secrecy
        operations.append(PutKey(keys.act(slot), codec.encode_deletion_author(transaction.author)))
    return operations


def split_pulses(transaction: Transaction) -> tuple[Transaction, Transaction | None]:
    """Return a transaction without the pulses for which it has no room, and one that stores these.

    The guards on pulses that are restored are those of the second one.
    """
    guards = OWN_GUARDS + len(transaction.fact_revisions) + len(transaction.record_revisions)
    if len(transaction.puts) + len(transaction.records) <= PUTS and guards <= GUARDS:
        return transaction, None
    pulses = tuple([each for each in transaction.records if isinstance(each, Pulse | Restorations)])
    if not pulses:
        return transaction, None
    stored = {each.record_key for each in pulses}
    revisions = transaction.record_revisions
    others = replace(
        transaction,
        records=tuple([each for each in transaction.records if each.record_key not in stored]),
        record_revisions={key: at for key, at in revisions.items() if key not in stored},
    )
    return others, Transaction(
        transaction.stack,
        transaction.base_revision,
        records=pulses,
        record_revisions={key: at for key, at in revisions.items() if key in stored},
    )
