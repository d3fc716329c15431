"""The decision when a stack is reported as stuck, and when a waiter fails because of that.

A cause counts only if two looks in a row find it, and the newest state confirms it.  Each has an age of
its own, so that others, which come and go, do not keep a lasting one from being reported.
Each worker decides by its own clock; guards let one of them write.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable

from factstore.core.errors import FactstoreError
from factstore.core.model.fact import Stack
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.stuck_report import STUCK_REPORT, StuckReport
from factstore.core.model.wait import Party, Wait
from factstore.core.model.waiter import Waiter
from factstore.core.operations.transactor import Transactor
from factstore.core.operations.waiters import EndWaiter
from factstore.core.operations.waits import ReportStuck, WithdrawStuck
from factstore.core.ports import Clock, Store
from factstore.core.services.time_slice import TimeSlice
from factstore.core.services.wait_finder import FoundWaits, WaitFinder
from factstore.core.services.wait_texts import cause_text, note_on, summary
from factstore.core.state.pending_waiters import Outcome
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State
from factstore.core.state.wait_verdict import Circle, WaitVerdict

LOG = logging.getLogger(__name__)

REASON_LENGTH = 4000
TEMPLATE_FACTOR = 1.5
"""A circle through a template must last this many times longer than others.  An agent whose template
lacks a fact still publishes its own facts, which it collects once a minute."""


@quick_dataclass(slots=True)
class _Seen:
    """A cause that was found at each look since an instant."""

    since: float
    looks: int = 0


class StuckWatch:
    """Looks at the verdicts on all stacks, again and again.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(
        self, store: Store, clock: Clock, timeout: float, transactor: Transactor, finder: WaitFinder
    ) -> None:
        self._store = store
        self._clock = clock
        self._timeout = timeout
        self._transactor = transactor
        self._finder = finder
        self._epoch = ""
        self._seen: dict[Hashable, _Seen] = {}

    def look(self) -> None:
        """Look once at each stack in which something waits, and write what is due."""
        state = self._store.state()
        if state.epoch != self._epoch:  # what lasted in the former store was not seen in this one
            self._epoch, self._seen = state.epoch, {}
        with state.read():
            stacks = list(state.all_stacks())
        seen: set[Hashable] = set()
        due = []
        for stack_state in TimeSlice(self._clock).each(stacks):
            try:
                if self._look_at(state, stack_state, seen):
                    due.append(stack_state.stack)
            except Exception:  # it must not hide the other stacks
                LOG.exception("the waits of stack %s cannot be judged", stack_state.stack.id)
        for key in self._seen.keys() - seen:
            del self._seen[key]
        if due:
            state = self._store.refresh(self._clock.monotonic() + self._timeout)
            for stack in due:
                try:
                    self._write(state, stack)
                except FactstoreError as error:
                    LOG.info("stack %s is not reported yet: %s", stack.id, error)

    def _look_at(self, state: State, stack_state: StackState, seen: set[Hashable]) -> bool:
        """Note what is found in a stack; return True if something may have to be written."""
        with state.read():
            found = self._find(stack_state)
            if found is None:
                return False
            report = stack_state.record(STUCK_REPORT)
            waiters = list(_failing_waiters(stack_state, found.verdict))
        stack_id, verdict = stack_state.stack.id, found.verdict
        keys: list[Hashable] = [
            (stack_id, key) for cause in _causes(verdict) for key in _cause_keys(cause)
        ]
        keys += [(stack_id, waiter.name, waiter.revision) for waiter, _ in waiters]
        if report is not None and not self._old_causes(stack_id, verdict):
            keys.append((stack_id,))
        for key in keys:
            seen.add(key)
            self._seen.setdefault(key, _Seen(self._clock.monotonic())).looks += 1
        if self._changes(stack_id, verdict, report):
            return True
        return any(self._fails(stack_id, waiter, seconds, verdict) for waiter, seconds in waiters)

    def _changes(self, stack_id: str, verdict: WaitVerdict, report: object) -> bool:
        """Return True if a report has to be written or withdrawn."""
        if report is None:
            return bool(self._old_causes(stack_id, verdict))
        return not self._old_causes(stack_id, verdict) and self._lasts((stack_id,), 0.0)

    def _old_causes(self, stack_id: str, verdict: WaitVerdict) -> list[Circle | Wait]:
        """Return the causes that have lasted long enough to be reported."""
        seconds = self._finder.stuck_seconds
        return [each for each in _causes(verdict) if self._cause_lasts(stack_id, each, seconds)]

    def _cause_lasts(self, stack_id: str, cause: Circle | Wait, seconds: float) -> bool:
        if isinstance(cause, Circle) and cause.uses_templates:
            seconds = max(seconds, self._finder.stuck_seconds * TEMPLATE_FACTOR)
        return any(self._lasts((stack_id, key), seconds) for key in _cause_keys(cause))

    def _fails(self, stack_id: str, waiter: Waiter, seconds: int, verdict: WaitVerdict) -> bool:
        """Return True if a waiter has been blocked for long enough, and its present cause lasts."""
        cause = verdict.cause(Party("waiter", waiter.name))
        return (
            cause is not None
            and self._lasts((stack_id, waiter.name, waiter.revision), float(seconds))
            and self._cause_lasts(stack_id, cause, 0.0)
        )

    def _lasts(self, key: Hashable, seconds: float) -> bool:
        """Return True if something was found at two looks, and for a time."""
        known = self._seen.get(key)
        return (
            known is not None
            and known.looks > 1
            and self._clock.monotonic() - known.since >= seconds
        )

    def _find(self, stack_state: StackState) -> FoundWaits | None:
        """Return the waits in a stack; None if nothing waits there and no report exists."""
        found = self._finder.find(stack_state) if self._finder.may_wait(stack_state) else None
        if found is None and stack_state.record(STUCK_REPORT) is not None:
            return self._finder.find(stack_state)
        return found

    def _write(self, state: State, stack: Stack) -> None:
        """Write what is due in a stack, if the newest state confirms the causes."""
        with state.read():
            stack_state = state.stack_state(stack.id)
            if stack_state is None:
                return
            found = self._finder.find(stack_state)
            report = stack_state.record(STUCK_REPORT)
            waiters = [
                (waiter, cause)
                for waiter, seconds in _failing_waiters(stack_state, found.verdict)
                if self._fails(stack.id, waiter, seconds, found.verdict)
                and (cause := found.verdict.cause(Party("waiter", waiter.name))) is not None
            ]
            progress = {
                waiter.name: stack_state.pending_waiters.progress(waiter) for waiter, _ in waiters
            }
            revision = state.revision
        for waiter, cause in waiters:
            reason = f"stuck: {_shortened(cause_text(cause))} {note_on([cause])}"
            outcome = Outcome(stack, waiter, "failed", revision, progress[waiter.name], reason)
            self._transactor.run(EndWaiter(stack.scope, outcome), state.epoch)
        if self._changes(stack.id, found.verdict, report):
            self._report(state.epoch, stack, found.verdict, report)

    def _report(self, epoch: str, stack: Stack, verdict: WaitVerdict, report: object) -> None:
        if isinstance(report, StuckReport):
            self._transactor.run(WithdrawStuck(stack.scope, report), epoch)
            return
        causes = self._old_causes(stack.id, verdict)
        since = min(cause.since for cause in causes)
        reason = f"{_shortened(summary(causes))} {note_on(causes)}"
        self._transactor.run(ReportStuck(stack.scope, stack.id, since, reason), epoch)


def _failing_waiters(stack_state: StackState, verdict: WaitVerdict) -> Iterable[tuple[Waiter, int]]:
    """Yield the pending waiters that cannot be met and fail because of that, with their times."""
    pending = stack_state.pending_waiters
    for waiter in pending.waiters():
        if Party("waiter", waiter.name) not in verdict.blocked or waiter.name in pending.outcomes:
            continue
        tracker = pending.tracker(waiter.name)
        seconds = tracker.definition.fail_when_stuck if tracker is not None else None
        if seconds is not None:
            yield waiter, seconds


def _causes(verdict: WaitVerdict) -> tuple[Circle | Wait, ...]:
    return (*verdict.circles, *verdict.never)


def _cause_keys(cause: Circle | Wait) -> Iterable[Hashable]:
    """Return what identifies a cause; a circle that grows remains the same by any of its parties."""
    if isinstance(cause, Circle):
        return [("circle", party) for party in cause.parties]
    return [(cause.id, cause.obstacle)]


def _shortened(text: str) -> str:
    return text if len(text) <= REASON_LENGTH else f"{text[: REASON_LENGTH - 3]}..."
