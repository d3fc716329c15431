"""Transactions that store facts in a stack that exists, with the parts of their messages.

These are most writes.  The result is that of :func:`~factstore.store.txn.compares_for` and
:func:`~factstore.store.txn.operations_for`, in a third of the time: what all writes of a stack have in
common is made once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import starmap
from typing import NamedTuple

from factstore.core.model.fact import Stack
from factstore.core.model.record import RecordKey
from factstore.core.model.transaction import Transaction, TreeGuards
from factstore.store import codec
from factstore.store.client.encoding import (
    encode_absence,
    encode_compare,
    encode_puts,
    encode_revisions,
)
from factstore.store.keyspace import Keyspace
from factstore.store.txn import stack_compares, tree_compares
from factstore.store.types import FactTxn, SentFacts

_STACKS = 4096  # of which the common part is remembered
_RECORDS = 64  # of a stack, whose keys are remembered


class _Common(NamedTuple):
    """The part that the transactions of a stack have in common.

    :param compared: the keys that all of them compare.
    :param compares: the parts of a message that state these compares.
    :param folder: the key of a fact without its path.
    :param records: the keys of records, above all of grants.
    """

    stack: Stack
    store_id: bytes
    compared: list[bytes]
    compares: list[bytes]
    folder: bytes
    records: dict[RecordKey, bytes]


class FactTxns:
    """Makes transactions."""

    def __init__(self, keys: Keyspace) -> None:
        self._keys = keys
        self._stacks: dict[str, _Common] = {}

    def make(self, transaction: Transaction, store_id: bytes) -> FactTxn | None:
        """Return a transaction, or None if it does more than to store facts in a stack that exists.

        :param store_id: the value of the epoch key.
        """
        stack, fact_revisions = transaction.stack, transaction.fact_revisions
        if (
            not stack.name
            or transaction.creates_stack
            or transaction.updates_stack
            or transaction.drops_stack
            or transaction.deletes
            or transaction.records
            or transaction.removes
            or transaction.cleared_waiters
            or transaction.author is not None
            or not transaction.puts
        ):
            return None
        common = self._stacks.get(stack.id)
        if common is None or common.stack is not stack or common.store_id is not store_id:
            common = self._common(stack, store_id)
        folder, tree, puts = common.folder, transaction.tree, transaction.puts
        keys = {path: folder + path.encode() for path in fact_revisions}
        guarded, revisions = list(keys.values()), list(fact_revisions.values())
        if tree.subtrees:
            guarded, revisions = _without_covered(keys, transaction)
        for record, revision in transaction.record_revisions.items():
            guarded.append(common.records.get(record) or self._record(common, record))
            revisions.append(revision)
        compares = common.compares + encode_revisions(guarded, revisions)
        ranges: Sequence[tuple[bytes, bytes]] = ()
        if not tree.is_empty:
            absent = [folder + path.encode() for path in tree.absent]
            new = [keys.get(path) or folder + path.encode() for path in tree.empty]
            ranges = [(key + b"/", key + b"0") for key in new]
            compares += map(encode_absence, absent)
            compares += starmap(encode_absence, ranges)
            guarded += absent
            if tree.subtrees:
                subtrees = TreeGuards(subtrees=tree.subtrees)
                others = tree_compares(subtrees, folder, transaction.base_revision)
                compares += map(encode_compare, others)
                ranges += [(compare.key, compare.end) for compare in others]
        written = [keys.get(put.path) or folder + put.path.encode() for put in puts]
        values, leases = codec.encode_facts(puts), [put.lease for put in puts]
        sent = SentFacts(stack.id, puts, values[0], values[-1]) if _is_known(transaction) else None
        message = encode_puts(zip(written, values, leases, strict=True))
        guarded += common.compared
        return FactTxn(compares, message, written, guarded, ranges, stack.project_id, sent)

    def _record(self, common: _Common, record: RecordKey) -> bytes:
        if len(common.records) >= _RECORDS:
            common.records.clear()
        stack = common.stack
        key = common.records[record] = self._keys.record(stack.project_id, stack.id, record)
        return key

    def _common(self, stack: Stack, store_id: bytes) -> _Common:
        if len(self._stacks) >= _STACKS:
            self._stacks.clear()
        compares = stack_compares(stack, self._keys, store_id)
        encoded, compared = [encode_compare(each) for each in compares], [c.key for c in compares]
        folder = self._keys.facts(stack.project_id, stack.id).start
        common = _Common(stack, store_id, compared, encoded, folder, {})
        self._stacks[stack.id] = common
        return common


def _without_covered(
    keys: Mapping[str, bytes], transaction: Transaction
) -> tuple[list[bytes], list[int]]:
    """Return the keys that are compared, and their revisions, besides those in guarded subtrees."""
    revisions = transaction.fact_revisions
    found = [path for path, known in revisions.items() if known or not transaction.tree.cover(path)]
    return [keys[path] for path in found], [revisions[path] for path in found]


def _is_known(transaction: Transaction) -> bool:
    """Return True if etcd will report the facts as they are: with the numbers that were planned.

    It has these if the revisions before were compared.  Of a sensitive fact it has more than is shown.
    """
    revisions = transaction.fact_revisions
    for put in transaction.puts:
        before = revisions.get(put.path)
        if before is None or put.sealed is not None or (not before) != (not put.created):
            return False
    return True
