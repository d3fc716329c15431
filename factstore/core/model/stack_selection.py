"""The stacks of a watch: one, or those of a project whose names match patterns."""

from __future__ import annotations

from typing import NamedTuple

from factstore.core.model.fact import Scope
from factstore.core.model.stack_patterns import StackPatterns


class StackSelection(NamedTuple):
    """The stacks whose names match, including those that are created later.

    :param project_id: their project; None for all projects.
    """

    project_id: str | None
    patterns: StackPatterns

    def includes(self, scope: Scope) -> bool:
        """Return True if a stack is selected."""
        return self.project_id in (None, scope.project_id) and self.patterns.matches(scope.stack)


Watched = Scope | StackSelection
"""One stack, which has to exist, or a selection of stacks."""
