"""The totals of a project."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import field

from factstore.core.model.fact import Stack
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.state.stack_state import StackState
from factstore.core.state.totals import Totals


@quick_dataclass(slots=True)
class ProjectTotals(Totals):
    """The stacks of a project, and their total usage.

    :param names: of the stacks, in order.
    """

    stacks: dict[str, StackState] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def add(self, stack_state: StackState) -> None:
        """Add a new stack, which is empty."""
        name = stack_state.stack.name
        if name not in self.stacks:
            insort(self.names, name)
        self.stacks[name] = stack_state

    def after(self, name: str) -> Iterator[Stack]:
        """Yield the stacks after a name, ordered by name."""
        for at in range(bisect_right(self.names, name), len(self.names)):
            yield self.stacks[self.names[at]].stack

    def remove(self, name: str, stack_state: StackState) -> None:
        """Subtract a deleted stack.

        :param name: the name under which it was added; in a damaged store its record may have another.
        """
        self.facts -= stack_state.count
        self.bytes -= stack_state.bytes
        del self.stacks[name], self.names[bisect_left(self.names, name)]
