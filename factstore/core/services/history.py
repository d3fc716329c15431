"""The recent events that a worker keeps, from which watches resume."""

from __future__ import annotations

from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.path import check_stack_name, quoted
from factstore.core.ports import EventSource, Kept, Store


class HistoryService:
    """The service for questions about the history of stacks in this worker."""

    def __init__(self, store: Store, events: EventSource) -> None:
        self._store = store
        self._events = events

    @property
    def limits(self) -> Kept:
        """The maximum of events, of all projects."""
        return self._events.limits

    def kept(self, project_id: str) -> dict[Scope, Kept]:
        """Return the events that are kept of a project, by stack."""
        return self._events.kept(project_id)

    def since(self, scope: Scope) -> Cursor:
        """Return the oldest cursor from which a watch of a stack is resumed.

        :raises NotFound: there is no such stack.
        """
        check_stack_name(scope.stack)
        epoch, stack = self._store.epoch, self._store.state().stack(scope)
        if stack is None:
            raise NotFound(f"there is no stack named {quoted(scope.stack)}.")
        return Cursor(epoch, max(self._events.floor(scope), stack.created))
