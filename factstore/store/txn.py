"""The compares of a transaction in etcd."""

from __future__ import annotations

from factstore.core.model.path import ancestors
from factstore.core.model.transaction import Transaction
from factstore.store.keyspace import Keyspace
from factstore.store.types import Compare

COMPARES = 128  # etcd's --max-txn-ops limits compares as well


def compares_for(commit: Transaction, keys: Keyspace, store_id: bytes) -> list[Compare]:
    """Return the compares of a transaction; at most 128.

    :param store_id: the value of the epoch key.
    """
    stack = commit.stack
    record = keys.stack(stack.project_id, stack.name)
    compares = [Compare(keys.epoch, "value", "==", store_id)]
    if commit.creates_stack:
        # A new stack has no contents that could conflict.
        return [*compares, Compare(record, "create", "==", 0), *_receipt(commit, keys)]
    compares.append(Compare(record, "create", "==", stack.created))
    if not (
        commit.fact_revisions or commit.record_revisions
    ):  # it changes the record of the stack itself
        compares.append(Compare(record, "mod", "==", stack.revision))
    for path, revision in commit.fact_revisions.items():
        compares.append(Compare(keys.fact(stack.project_id, stack.id, path), "mod", "==", revision))
    for record_key, revision in commit.record_revisions.items():
        key = keys.record(stack.project_id, stack.id, record_key)
        compares.append(Compare(key, "mod", "==", revision))
    compares.extend(_receipt(commit, keys))
    if commit.new_paths:
        compares.extend(_tree(commit, keys, COMPARES - len(compares)))
    return compares


def _receipt(commit: Transaction, keys: Keyspace) -> list[Compare]:
    if commit.idempotency is None:
        return []
    key = keys.receipt(commit.idempotency.project_id, commit.idempotency.key)
    return [Compare(key, "create", "==", 0)]


def _tree(commit: Transaction, keys: Keyspace, room: int) -> list[Compare]:
    """Return compares that fail if a new path has become a folder, or has a fact above it.

    For one path the compares are exact: there is no fact at its ancestors, and none below it.  For
    several paths they check that no fact was created in their folders since the plan, because only a
    creation can break the tree.  Such a compare reads its folder, at about a microsecond for each key,
    so the smallest folders that fit are used.
    """
    stack = commit.stack
    created = commit.new_paths
    if len(created) == 1 and not commit.deletes:
        path = created[0]
        below = keys.facts(stack.project_id, stack.id, path)
        exact = [Compare(below.start, "create", "==", 0, below.end)]
        exact += [
            Compare(keys.fact(stack.project_id, stack.id, above), "create", "==", 0)
            for above in ancestors(path)
        ]
        return exact
    fresh = commit.base_revision + 1
    tops = {path.partition("/")[0] for path in created}
    if 2 * len(tops) > room:
        everything = keys.facts(stack.project_id, stack.id)
        return [Compare(everything.start, "create", "<", fresh, everything.end)]
    compares = []
    for top in sorted(tops):
        below = keys.facts(stack.project_id, stack.id, top)
        compares.append(Compare(below.start, "create", "<", fresh, below.end))
        if top not in commit.fact_revisions:
            key = keys.fact(stack.project_id, stack.id, top)
            compares.append(Compare(key, "create", "==", 0))
    return compares
