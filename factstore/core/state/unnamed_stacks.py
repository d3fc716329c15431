"""The unnamed stacks in memory: the records of projects, and of the service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from factstore.core.model.delivery import Notifier, Owner
from factstore.core.model.event import DropRecord, Mutation, PutRecord
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import R
from factstore.core.model.subscription import Subscription
from factstore.core.model.unnamed import project_of_unnamed, unnamed_stack
from factstore.core.state.stack_state import StackState
from factstore.core.state.totals import Totals

_CONCERN_NOTIFIERS = (Subscription, Owner, Notifier)


@quick_dataclass(slots=True)
class UnnamedStacks:
    """The unnamed stacks that have records, by project."""

    stacks: dict[str, StackState] = field(default_factory=dict)

    def of(self, project_id: str) -> StackState:
        """Return the unnamed stack of a project, which is empty if nothing was stored in it."""
        return self.stacks.get(project_id) or _empty(project_id)

    def to_change(self, stack_id: str) -> StackState | None:
        """Return the unnamed stack that has an id; None if it is the id of another stack."""
        project_id = project_of_unnamed(stack_id)
        if project_id is None:
            return None
        return self.stacks.setdefault(project_id, _empty(project_id))

    def records(self, kind: type[R]) -> Iterator[tuple[str, R]]:
        """Yield the records of a kind, each with its project."""
        for project_id, stack_state in self.stacks.items():
            for record in stack_state.records(kind).values():
                yield project_id, record


def concerns_notifiers(mutation: Mutation) -> bool:
    """Return True if a mutation changes what notifiers deliver, or which of them does."""
    if isinstance(mutation, PutRecord):
        return isinstance(mutation.record, _CONCERN_NOTIFIERS)
    return isinstance(mutation, DropRecord) and issubclass(
        mutation.record_key.kind, _CONCERN_NOTIFIERS
    )


def _empty(project_id: str) -> StackState:
    return StackState(unnamed_stack(project_id), Totals())
