"""Noting on waiters and alarms that history was lost while they were set."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from factstore.core.model.alarm import Alarm
from factstore.core.model.fact import Scope
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.waiter import Waiter
from factstore.core.operations.operation import Draft, Operation, View

RECORDS = 50  # in one transaction


@quick_dataclass(slots=True)
class NoteLostHistory(Operation[bool]):
    """Note that history up to a revision was lost; the outcome is whether there is more to note.

    Waiters and alarms for which something else is about to be written get the note with that.

    :param lost_at: the revision.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    lost_at: int
    author: None = None

    def plan(self, view: View) -> Draft[bool]:
        """Return the draft; it contains the waiters and alarms that were set before the revision."""
        stack_state = view.stack_state
        if stack_state is None:
            return Draft(False)
        decided = (stack_state.pending_waiters.outcomes, stack_state.alarms.decisions)
        affected: list[Waiter | Alarm] = [
            *[each for each in stack_state.records(Waiter).values() if each.state == "pending"],
            *stack_state.records(Alarm).values(),
        ]
        affected = [each for each in affected if each.revision < self.lost_at]
        noted = [
            replace(each, history_lost_at=view.now)
            for each in affected
            if not any(each.name in names for names in decided)
        ][:RECORDS]
        return Draft(
            len(noted) < len(affected),
            records=tuple(noted),
            record_revisions={each.record_key: each.revision for each in noted},
        )


def lost_since(view: View, record: Waiter | Alarm) -> str | None:
    """Return the note for a waiter or alarm that is about to be written."""
    stack_state = view.stack_state
    if stack_state is not None and record.revision < stack_state.conditions.lost_at:
        return view.now
    return record.history_lost_at
