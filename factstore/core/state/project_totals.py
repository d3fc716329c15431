"""The totals of a project."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from factstore.core.state.stack_state import StackState


@dataclass(slots=True)
class ProjectTotals:
    """The stacks of a project, and their total usage."""

    stacks: dict[str, StackState] = field(default_factory=dict)
    facts: int = 0
    bytes: int = 0

    def remove(self, name: str, stack_state: StackState) -> None:
        """Subtract a deleted stack.

        :param name: the name under which it was added; in a damaged store its record may have another.
        """
        self.facts -= stack_state.count
        self.bytes -= stack_state.bytes
        del self.stacks[name]
