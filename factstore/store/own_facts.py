"""The facts that this process has written, which the watch reports and need not be decoded.

They are recognised by key and value: the same bytes are decoded into the same fact.  So it does not
matter if one is forgotten, or is never reported because its write has failed.
"""

from __future__ import annotations

from collections.abc import Sequence

from factstore.core.model.event import PutFact
from factstore.core.model.fact import Fact
from factstore.store.types import KeyValue, Operation, PutKey

_FACTS = 8192
"""The most that are remembered; a few thousand are on their way at once."""


class OwnFacts:
    """Facts that were sent and have not been reported yet.

    Of each key, only the value that was sent last is remembered: writes of the same fact wait for one
    another, until the state includes the one before.
    """

    def __init__(self) -> None:
        self._sent: dict[bytes, tuple[bytes, str, Fact]] = {}

    def add(self, stack_id: str, facts: Sequence[Fact], operations: Sequence[Operation]) -> None:
        """Remember facts that are about to be sent.

        :param operations: those that store the facts, in the same order.
        """
        sent = self._sent
        if len(sent) + len(facts) > _FACTS:
            sent.clear()
        for fact, operation in zip(facts, operations, strict=True):
            if type(operation) is PutKey and fact.sealed is None:
                sent[operation.key] = operation.value, stack_id, fact

    def take(self, item: KeyValue) -> PutFact | None:
        """Return the mutation for a key that was stored, or None if it has to be decoded."""
        found = self._sent.get(item.key)
        if found is None or found[0] != item.value:
            return None
        del self._sent[item.key]
        _, stack_id, fact = found
        return PutFact(
            stack_id, fact.complete(item.revision, item.created, item.version, item.lease)
        )
