"""The facts that this process has written, which the watch reports and need not be decoded.

What was sent together is recognised by its first and its last key and value, because etcd reports all
of a transaction, in its order.  So it does not matter if some of it is forgotten, or is never reported
because its write has failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from factstore.core.model.event import PutFact
from factstore.core.model.fact import Fact
from factstore.store.types import AnyTxn, FactTxn, KeyValue, SentFacts, WatchEvent

_FACTS = 8192
"""The most that are remembered; a few thousand are on their way at once."""


class _Sent(NamedTuple):
    """The facts of some transactions, one after the other, and the last key."""

    parts: Sequence[SentFacts]
    total: int
    last: bytes


class OwnFacts:
    """Facts that were sent and have not been reported yet.

    Of each key, only what was sent last is remembered: writes of the same fact wait for one another,
    until the state includes the one before.
    """

    def __init__(self) -> None:
        self._sent: dict[bytes, _Sent] = {}  # by the first key
        self._count = 0

    def add(self, txns: Iterable[AnyTxn]) -> None:
        """Remember transactions that are about to be sent as one."""
        run: list[FactTxn] = []
        for txn in txns:
            if type(txn) is FactTxn and txn.facts is not None:
                run.append(txn)
            elif run:
                self._remember(run)
                run = []
        if run:
            self._remember(run)

    def _remember(self, run: Sequence[FactTxn]) -> None:
        if self._count > _FACTS:
            self._sent.clear()
            self._count = 0
        first, last = run[0].written[0], run[-1].written[-1]
        self._forget(first)
        parts = [txn.facts for txn in run if txn.facts is not None]
        count = sum([len(part.facts) for part in parts])
        self._sent[first] = _Sent(parts, count, last)
        self._count += count

    def _forget(self, first: bytes) -> None:
        # In servers with threads, others add at the same time, and may have forgotten it.
        sent = self._sent.pop(first, None)
        if sent is not None:
            self._count -= sent.total

    def take(
        self, event: WatchEvent, at: int, events: Sequence[WatchEvent]
    ) -> list[PutFact] | None:
        """Return the mutations for what begins with an event, or None if it has to be decoded.

        :param at: the number of the event.
        :param events: those of a revision.
        """
        first = event.item
        sent = self._sent.get(first.key)
        # If some of the transactions have failed, others come earlier than they would have.
        if sent is None or at + sent.total > len(events):
            return None
        last = first if sent.total == 1 else events[at + sent.total - 1].item
        part, end = sent.parts[0], sent.parts[-1]
        if last.key != sent.last or last.value != end.last or first.value != part.first:
            return None
        if not (_is_as_planned(first, part.facts[0]) and _is_as_planned(last, end.facts[-1])):
            return None
        self._forget(first.key)
        revision, found = first.revision, []
        for stack_id, facts, _, _ in sent.parts:
            for fact in facts:
                found.append(PutFact(stack_id, fact.complete(revision)))
        return found


def _is_as_planned(item: KeyValue, fact: Fact) -> bool:
    return item.version == fact.version and item.created == (fact.created or item.revision)
