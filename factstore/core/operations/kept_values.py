"""Keeping the last values of facts, in stacks that ask for it.

A value is kept by the transaction that replaces or deletes it.  That transaction is guarded by the
revision of the fact, and so by that of its kept values.  These are not kept:

- sensitive values: a secret that was replaced must not remain.  A fact that becomes sensitive loses the
  values that were kept when it was not;
- facts with a ttl or a member, because they end with a lease and nobody writes then;
- facts that were in the way of the result of a configuration.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import field
from typing import ClassVar

from factstore.core.errors import TooLarge
from factstore.core.model.counts import counted
from factstore.core.model.fact import Author, Fact, Scope
from factstore.core.model.kept_value import KEEP_VALUES_MAX, KeptValue, kept_values
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.operations.batches import BATCH_BYTES, BATCH_OPERATIONS
from factstore.core.operations.operation import Draft, Operation, View

_REMOVED_AT_ONCE = 100


@quick_dataclass(frozen=True, slots=True)
class KeptValues:
    """The kept values that a write adds, and the keys of those that it removes."""

    records: tuple[KeptValue, ...] = ()
    removes: tuple[RecordKey, ...] = ()


_NOTHING = KeptValues()


def keep(
    view: View, puts: Iterable[Fact], deletes: Iterable[Fact | None], author: Author
) -> KeptValues:
    """Return what to keep of the facts that a write replaces and deletes.

    :param puts: the facts as they become.
    :raises TooLarge: ``batch_too_large``: with the kept values, the write is too large.
    """
    limit = view.stack.keep_values
    if view.stack_state is None or view.full:  # a full store accepts only deletions
        return _NOTHING
    if not limit:  # values that were kept before may not have been deleted yet
        puts, deletes = [put for put in puts if put.sensitive], ()
    records: list[KeptValue] = []
    removes: list[RecordKey] = []
    writes, size = 0, 0
    for put in puts:
        writes += 1
        size += put.size
        known = view.fact(put.path)
        if put.sensitive:
            removes += [each.record_key for each in kept_values(view.record, put.path)]
        elif known is not None and _may_be_kept(known):
            records.append(_next(view, known, limit))
    for fact in deletes:
        writes += 1
        if fact is not None and _may_be_kept(fact):
            records.append(_next(view, fact, limit, author))
    writes += len(records) + len(removes)
    size += sum(each.size for each in records)
    if records and (writes > BATCH_OPERATIONS or size > BATCH_BYTES + records[0].size):
        raise TooLarge(
            f"The stack keeps {counted(limit, 'earlier value')} of each fact. "
            "With the values to keep, the batch "
            f"has {writes} writes and {size} bytes; at most {BATCH_OPERATIONS} and {BATCH_BYTES} are "
            "allowed together. Split it.",
            code="batch_too_large",
        )
    return KeptValues(tuple(records), tuple(removes))


def _may_be_kept(fact: Fact) -> bool:
    return not fact.sensitive and fact.ttl is None and fact.member is None


def _next(view: View, fact: Fact, limit: int, deleted: Author | None = None) -> KeptValue:
    """Return the record of a fact's value: in a free slot, or in that of the oldest value."""
    kept = kept_values(view.record, fact.path)
    if len(kept) < limit:
        used = {each.slot for each in kept}
        slot = next(slot for slot in range(KEEP_VALUES_MAX) if slot not in used)
    else:
        slot = kept[0].slot
    return KeptValue(
        fact.path,
        slot,
        fact.text,
        fact.kind,
        fact.created_at,
        fact.updated_at,
        fact.updated_by,
        fact.request_id,
        fact.version,
        fact.revision,
        fact.created,
        deleted.user_id if deleted else None,
        deleted.request_id if deleted else None,
    )


@quick_dataclass(slots=True)
class TrimKeptValues(Operation[bool]):
    """Remove values that a stack no longer keeps; the outcome is whether others are left."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    author: None = field(default=None)

    def plan(self, view: View) -> Draft[bool]:
        """Return the draft; it is empty if there are no such values."""
        if view.stack_state is None:
            return Draft(False)
        by_path: defaultdict[str, list[KeptValue]] = defaultdict(list)
        for each in view.stack_state.records(KeptValue).values():
            by_path[each.path].append(each)
        limit = view.stack.keep_values
        surplus = [
            each
            for kept in by_path.values()
            if len(kept) > limit
            for each in sorted(kept, key=lambda each: each.at)[: len(kept) - limit]
        ]
        removed = surplus[:_REMOVED_AT_ONCE]
        return Draft(
            len(surplus) > len(removed),
            removes=tuple(each.record_key for each in removed),
            # A slot that was written meanwhile has another value.
            record_revisions={each.record_key: each.revision for each in removed},
        )
