"""The result of one requested change of a fact."""

from __future__ import annotations

from typing import Literal, get_args

from factstore.core.model.fact import Fact
from factstore.core.model.quick_dataclass import quick_dataclass

FactOutcome = Literal["created", "updated", "unchanged", "deleted", "absent"]
FACT_OUTCOMES: tuple[FactOutcome, ...] = get_args(FactOutcome)


@quick_dataclass(frozen=True, slots=True)
class FactResult:
    """The result of one put or delete.

    :param fact: the fact after the change, or None if it was deleted.  Its revision is 0 until the
        write is durable.
    :param deleted: the number of deleted facts of a prefix; None for a single fact.
    :param more: True if facts of the prefix are left for another write.
    """

    path: str
    outcome: FactOutcome
    fact: Fact | None = None
    deleted: int | None = None
    more: bool = False
