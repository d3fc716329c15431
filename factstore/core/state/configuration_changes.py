"""Changes of a stack that can concern its configurations, and their views until the next one.

Their states follow from facts below ``configs/`` and ``results/`` and from the members, so other facts
neither wake the readers who wait for configurations nor make them read all configurations again.
"""

from __future__ import annotations

from factstore.core.model.fact import Scope, Stack
from factstore.core.model.path import RESULTS
from factstore.core.model.permissions import CONFIGS
from factstore.core.state.configuration_view import ConfigurationView

__all__ = ["ConfigurationChanges", "configurations_scope"]

FOLDERS = (CONFIGS, RESULTS)
"""Of the facts that concern configurations."""


class ConfigurationChanges:
    """The changes that can concern the configurations of one stack.

    :ivar views: all configurations in order, as last read; None if they must be read again.
    """

    __slots__ = ("_changed", "views")

    def __init__(self) -> None:
        self.views: tuple[ConfigurationView, ...] | None = None
        self._changed = False

    def note(self) -> None:
        """Note that a fact in one of the folders, or a member, has changed, or the stack has ended."""
        self.views = None
        self._changed = True

    def take_changed(self, stack: Stack) -> list[Scope]:
        """Return the scope of the readers if something has changed since the last call."""
        if not self._changed:
            return []
        self._changed = False
        return [configurations_scope(stack.scope)]


def configurations_scope(scope: Scope) -> Scope:
    """Return the scope that wakes only the readers of configurations; no stack has such a name."""
    return Scope(scope.project_id, f"{scope.stack}//configurations")
