"""The results of a durable write of facts."""

from __future__ import annotations

from typing import Self

from factstore.core.model.cursor import Cursor
from factstore.core.model.fact_result import FactResult
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.transaction import Transaction
from factstore.core.operations.attempt import Attempt
from factstore.core.operations.operation import Committed

FactAttempt = Attempt[tuple[FactResult, ...]]


@quick_dataclass(frozen=True, slots=True)
class WrittenFacts:
    """The results of a durable write.

    :param epoch: of the store that was written.
    :param revision: of the write; if nothing changed, a revision at which that was confirmed.
    """

    results: tuple[FactResult, ...]
    epoch: str
    revision: int

    @property
    def cursor(self) -> Cursor:
        """The cursor of the revision."""
        return Cursor(self.epoch, self.revision)

    @classmethod
    def of(cls, done: Committed[tuple[FactResult, ...]]) -> Self:
        """Return the results with the facts as they were stored."""
        return cls.at(done.outcome, *done.cursor, done.transaction)

    @classmethod
    def at(
        cls,
        outcome: tuple[FactResult, ...],
        epoch: str,
        revision: int,
        transaction: Transaction | None,
    ) -> Self:
        """Return the results of a write at a revision with the facts as they were stored."""
        for result in outcome:
            if result.fact is not None and not result.fact.revision:
                break
        else:
            return cls(outcome, epoch, revision)
        puts = transaction.puts if transaction else ()
        written = {put.path: put for put in puts}
        results = []
        for result in outcome:
            fact = result.fact
            if fact is not None and not fact.revision and fact.path in written:
                stored = written[fact.path].at(revision)
                result = FactResult(result.path, result.outcome, stored)
            results.append(result)
        return cls(tuple(results), epoch, revision)
