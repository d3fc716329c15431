"""The effects of changes that nobody has made: on members, on waiters and on alarms.

Nothing is changed.  The conditions are evaluated as those of a revision are, on a
:class:`~factstore.core.state.condition_fork.ConditionFork`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from factstore.core.model.alarm import Alarm, AlarmState
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.path import RESULTS
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.waiter import Progress, Waiter, WaiterState
from factstore.core.state.alarm_tracker import Reading
from factstore.core.state.condition_fork import ConditionFork
from factstore.core.state.pending_waiters import PendingWaiters
from factstore.core.state.stack_state import StackState
from factstore.core.state.standing_alarms import AlarmStep


@quick_dataclass(frozen=True, slots=True)
class WaiterForecast:
    """A pending waiter whose state or progress would change.

    :param state: the state that it would get; ``pending`` if only its progress would change.
    :param reason: of that state; None while it is pending.
    """

    waiter: Waiter
    state: WaiterState
    progress: Progress
    reason: str | None = None


@quick_dataclass(frozen=True, slots=True)
class AlarmForecast:
    """An alarm that would take a step.

    :param step: see :class:`~factstore.core.state.standing_alarms.AlarmDecision`.
    :param state: after the step; with ``pend``, after the time.
    """

    alarm: Alarm
    step: AlarmStep
    state: AlarmState
    reading: Reading


@quick_dataclass(frozen=True, slots=True)
class Forecast:
    """The effects of changes, each part ordered by name.

    :param woken: the members that the changes concern, according to their read sets.
    """

    woken: tuple[Member, ...] = ()
    waiters: tuple[WaiterForecast, ...] = ()
    alarms: tuple[AlarmForecast, ...] = ()


def forecast(stack_state: StackState, puts: Sequence[Fact], deletes: Sequence[str]) -> Forecast:
    """Return what would follow from changes of facts in one revision.

    :param puts: the facts after the changes; a new one has version 1.
    :param deletes: the paths of facts that exist.
    :raises Unavailable: the targets of members are not computed any more.
    """
    conditions = ConditionFork(stack_state.conditions)
    for fact in puts:
        conditions.fact(fact.path, fact)
    for path in deletes:
        conditions.fact(path, None)
    concerned = _concerned(stack_state, puts, deletes)
    for member in concerned:
        conditions.lagging(member.name, True)
    changed = conditions.take_changed()
    waiters, alarms = stack_state.pending_waiters, stack_state.alarms
    after = alarms.forecast(conditions, stack_state, changed)
    return Forecast(
        tuple([member for member in concerned if not member.declared_only]),
        tuple(_waiters(stack_state, waiters.forecast(conditions, stack_state, changed))),
        tuple(
            [
                AlarmForecast(each.alarm, each.step, each.state, each.reading)
                for _, each in sorted(after.decisions.items())
            ]
        ),
    )


def _concerned(
    stack_state: StackState, puts: Sequence[Fact], deletes: Sequence[str]
) -> list[Member]:
    """Return the members whose target would move, by name."""
    convergence = stack_state.convergence
    digests: set[str] = set()
    changes = [(fact.path, fact.version == 1) for fact in puts]
    for path, listed in (*changes, *[(path, True) for path in deletes]):
        if not path.startswith(RESULTS):
            digests |= convergence.moved_by(path, listed=listed)
    if not digests:
        return []
    members = stack_state.live_members
    return [members[name] for name in sorted(members) if convergence.digest(name) in digests]


def _waiters(stack_state: StackState, after: PendingWaiters) -> Iterable[WaiterForecast]:
    before = stack_state.pending_waiters
    for waiter in after.waiters():
        outcome = after.outcomes.get(waiter.name)
        if outcome is not None:
            yield WaiterForecast(waiter, outcome.state, outcome.progress, outcome.reason)
        elif (progress := after.progress(waiter)) != before.progress(waiter):
            yield WaiterForecast(waiter, "pending", progress)
