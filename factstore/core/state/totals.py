"""The facts and bytes of all stacks of a project."""

from __future__ import annotations

from factstore.core.model.quick_dataclass import quick_dataclass


@quick_dataclass(slots=True)
class Totals:
    """Counts that the stacks of a project keep together."""

    facts: int = 0
    bytes: int = 0
