"""The results of a durable write of facts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from factstore.core.model.fact_result import FactResult
from factstore.core.operations.attempt import Attempt
from factstore.core.operations.operation import Committed

FactAttempt = Attempt[tuple[FactResult, ...]]


@dataclass(frozen=True, slots=True)
class WrittenFacts:
    """The results of a durable write.

    :param revision: of the write; if nothing changed, a revision at which that was confirmed.
    """

    results: tuple[FactResult, ...]
    revision: int

    @classmethod
    def of(cls, done: Committed[tuple[FactResult, ...]]) -> Self:
        """Return the results with the facts as they were stored."""
        results = [
            replace(result, fact=done.written_fact(result.fact))
            if result.fact is not None and not result.fact.revision
            else result
            for result in done.outcome
        ]
        return cls(tuple(results), done.revision)
