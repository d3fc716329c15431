"""Counting in advance what new conditions count.

The conditions of a step are known before it is applied.  So the state is counted while it is still at
the revision before, in parts between which readers read it, and the step itself only updates the new
counters like all others.  The result is that of counting at the step's revision at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from factstore.core.model.alarm import Alarm
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.condition import Leaf, leaves
from factstore.core.model.definition import Definition
from factstore.core.model.event import PutRecord, Step
from factstore.core.model.record import Record
from factstore.core.model.waiter import Waiter
from factstore.core.state.pending_waiters import ConditionView
from factstore.core.state.state import State


def prepare_conditions(state: State, step: Step, pause: Callable[[], object]) -> None:
    """Count what the new conditions of a step count; :meth:`State.apply` of that step must follow.

    :param pause: called between short parts of the work; the state must not be changed by others.
    """
    if step.revision <= state.revision:
        return
    wanted: dict[str, list[Leaf]] = {}
    for mutation in step.mutations:
        if type(mutation) is PutRecord and isinstance(mutation.record, Waiter | Alarm):
            stack_state = state.stack_state(mutation.stack_id)
            if stack_state is not None:
                known = stack_state.record(mutation.record.record_key)
                wanted.setdefault(mutation.stack_id, []).extend(_new(mutation.record, known))
    for stack_id, found in wanted.items():
        stack_state = state.stack_state(stack_id)
        if stack_state is not None and found:
            stack_state.conditions.prepare(found, ConditionView(stack_state), pause)


def _new(record: Waiter | Alarm, known: Record | None) -> Iterable[Leaf]:
    """Return the conditions without parts of a record, unless it is an alarm that has them already."""
    if isinstance(known, Alarm) and known.definition == record.definition:
        return ()
    # A definition that cannot be read is reported when the step is applied.
    with suppress(Exception):
        if isinstance(record, Alarm):
            return leaves(AlarmDefinition.parse(record.definition).condition)
        if record.state == "pending":
            return Definition.parse(record.definition).leaves()
    return ()
