"""The record that writes share which depend on all conditions of a stack.

One takes room for conditions: the bounds are judged by the state, and a guard keeps them.  Another has
a plan that shows what conditions make of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from factstore.core.model.condition import Leaf
from factstore.core.model.condition_room import ROOM_KEY, ConditionRoom
from factstore.core.model.record import RecordKey
from factstore.core.operations.operation import View
from factstore.core.state.condition_room import check_room


def take_room(
    view: View, user: RecordKey, leaves: Iterable[Leaf]
) -> tuple[ConditionRoom, dict[RecordKey, int]]:
    """Return the record to write with a definition, and the guard on it.

    :param user: the waiter or the alarm, whose present conditions are replaced.
    :raises Forbidden: ``quota_exceeded``: the definition would exceed the bounds.
    """
    used = view.stack_state.conditions.used() if view.stack_state else {}
    check_room(used, user, leaves)
    return next_room(view)


def next_room(view: View) -> tuple[ConditionRoom, dict[RecordKey, int]]:
    """Return the record to write, and the guard that fails if another such write is made meanwhile."""
    known = view.record(ROOM_KEY)
    taken = known.taken if isinstance(known, ConditionRoom) else 0
    return ConditionRoom(taken + 1), {ROOM_KEY: known.revision if known else 0}
