"""The waiter controller writes the outcomes of waiters, so that each arming ends exactly once.

Every worker finds the same outcomes at the same revisions; a guard on the arming allows only one to
write.  In the same way it writes the decisions of alarms, so that each edge is one event.  It also
renews the timers of waiters that made progress, ends those that are overdue, and records the last
deletion in a stack and the runs of actions that were lost, which the records that remain do not show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, zip_longest

from factstore.core.errors import FactstoreError
from factstore.core.model.fact import Scope
from factstore.core.operations.action_results import StoreLostRuns
from factstore.core.operations.alarms import WriteDecision
from factstore.core.operations.lost_history import NoteLostHistory
from factstore.core.operations.maintenance import MarkDeletion
from factstore.core.operations.transactor import Transactor
from factstore.core.operations.waiters import EndWaiter
from factstore.core.ports import Clock, Store, WakeUp
from factstore.core.services.alarm_pace import AlarmPace
from factstore.core.services.control_loop import ControlLoop
from factstore.core.services.lease_deadlines import LeaseDeadlines
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State

RETRY_SECONDS = 1.0  # between attempts of a write, and between deletion markers
PERIOD = 1.0  # seconds between rounds while there is nothing to write
ROUND_SECONDS = 1.0  # after which a round ends, and the next one begins at once


def _in_turns(stacks: Iterable[StackState]) -> Iterator[StackState]:
    """Yield the first stack of each project, then the second; none waits for a large project."""
    projects: dict[str, list[StackState]] = {}
    for stack_state in stacks:
        projects.setdefault(stack_state.stack.project_id, []).append(stack_state)
    for row in zip_longest(*projects.values()):
        yield from (stack_state for stack_state in row if stack_state is not None)


class WaiterController(ControlLoop):
    """A thread that writes the outcomes of waiters.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    name = "waiter-controller"
    delayed = "the outcomes of waiters are not written yet"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        timeout: float,
        transactor: Transactor,
        new_wake_up: Callable[[], WakeUp],
    ) -> None:
        super().__init__(new_wake_up, RETRY_SECONDS)
        self._store = store
        self._clock = clock
        self._timeout = timeout
        self._transactor = transactor
        self._deadlines = LeaseDeadlines(store, clock, timeout)
        self._pace = AlarmPace(clock)
        self._pause = PERIOD
        self._extending: set[int] = set()
        self._failed: dict[str, None] = {}  # the ids of stacks, the one that failed last at the end
        self._marked_at = 0.0

    def run_round(self) -> float:
        """Write what is due, and return the seconds until the next round."""
        self._pause = PERIOD
        left = self.run_once()
        return min(RETRY_SECONDS if left else PERIOD, self._pause)

    def run_once(self) -> bool:
        """Write all due outcomes and markers; return True if some are left."""
        state = self._store.state()
        now = self._clock.monotonic()
        marks = now - self._marked_at >= RETRY_SECONDS
        for stack_state in self._in_order(state.stacks_needing_write()):
            if self._clock.monotonic() - now > ROUND_SECONDS:
                self.wake()  # outcomes that were found meanwhile do not wait for the rest
                break
            identifier = stack_state.stack.id
            self._failed.pop(identifier, None)
            self._failed[identifier] = None  # in case that a write fails, which ends the round
            self._write(state, stack_state, now, marks=marks)
            self._failed.pop(identifier, None)
        self._extend()
        self._pause = self._pace.end_round()
        self._deadlines.revoke_overdue()
        return bool(self._extending or state.stacks_needing_write())

    def _in_order(self, stacks: Iterable[StackState]) -> Iterator[StackState]:
        """Yield the stacks; those whose writes failed come last, so that none holds up the others."""
        found = {each.stack.id: each for each in stacks}
        self._failed = {each: None for each in self._failed if each in found}
        failed = [found.pop(each) for each in self._failed]
        return chain(_in_turns(found.values()), failed)

    def _write(self, state: State, stack_state: StackState, now: float, *, marks: bool) -> None:
        """Write what is due in a stack."""
        with state.read():
            scope = stack_state.stack.scope
            outcomes = list(stack_state.pending_waiters.outcomes.values())
            advanced = list(stack_state.pending_waiters.advanced.values())
            stack_state.pending_waiters.advanced.clear()
            decisions = list(stack_state.alarms.decisions.values())
            unrecorded = marks and stack_state.convergence.has_unrecorded_deletion
            marker = stack_state.convergence.marker if unrecorded else None
            lost_at = stack_state.conditions.lost_at
        for waiter in advanced:
            self._deadlines.restart(waiter)
            self._extending.add(waiter.timer)
        self._extend()
        for outcome in outcomes:
            self._transactor.run(EndWaiter(scope, outcome), state.epoch)
        for decision in self._pace.due(decisions):
            self._transactor.run(WriteDecision(scope, decision), state.epoch)
        if marker is not None:
            self._marked_at = now
            self._transactor.run(MarkDeletion(scope, marker), state.epoch)
        if lost_at:
            self._note_lost(stack_state, scope, lost_at)
        while stack_state.actions.lost:
            if self._transactor.run(StoreLostRuns(scope), state.epoch).transaction is None:
                break

    def _note_lost(self, stack_state: StackState, scope: Scope, lost_at: int) -> None:
        """Note lost history on the waiters and alarms of a stack, except on those with an outcome."""
        while True:
            done = self._transactor.run(NoteLostHistory(scope, lost_at), stack_state.epoch)
            if not done.outcome:
                stack_state.conditions.lost_at = 0
            if not done.outcome or done.transaction is None:
                return

    def _extend(self) -> None:
        """Renew the timers of waiters that made progress; those that cannot be are left."""
        for lease in list(self._extending):
            with suppress(FactstoreError):
                self._store.renew_lease(lease, self._clock.monotonic() + self._timeout)
                self._extending.discard(lease)
