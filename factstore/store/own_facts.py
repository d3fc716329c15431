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

    :ivar sent: by key and value; empty in a worker that only follows others.
    """

    def __init__(self) -> None:
        self.sent: dict[tuple[bytes, bytes], tuple[str, Fact]] = {}

    def add(self, stack_id: str, facts: Sequence[Fact], operations: Sequence[Operation]) -> None:
        """Remember facts that are about to be sent.

        :param operations: those that store the facts, in the same order.
        """
        if len(self.sent) + len(facts) > _FACTS:
            self.sent.clear()
        for fact, operation in zip(facts, operations, strict=True):
            if type(operation) is PutKey and fact.sealed is None:
                self.sent[operation.key, operation.value] = stack_id, fact

    def take(self, item: KeyValue) -> PutFact | None:
        """Return the mutation for a key that was stored, or None if it has to be decoded."""
        found = self.sent.pop((item.key, item.value), None)
        if found is None:
            return None
        stack_id, fact = found
        return PutFact(
            stack_id, fact.complete(item.revision, item.created, item.version, item.lease)
        )
