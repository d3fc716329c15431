"""The decision when a stack is reported as stuck, and when a waiter fails because of that.

A verdict counts only if two looks in a row find the same causes, and the newest state confirms them.
Each worker decides by its own clock; guards let one of them write.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from factstore.core.errors import FactstoreError
from factstore.core.model.fact import Scope, Stack
from factstore.core.model.stuck_report import STUCK_REPORT, StuckReport
from factstore.core.model.wait import Party, Wait
from factstore.core.model.waiter import Waiter
from factstore.core.operations.transactor import Transactor
from factstore.core.operations.waiters import EndWaiter
from factstore.core.operations.waits import ReportStuck, WithdrawStuck
from factstore.core.ports import Clock, Store
from factstore.core.services.time_slice import TimeSlice
from factstore.core.services.wait_finder import FoundWaits, WaitFinder
from factstore.core.services.wait_texts import NOTE, cause_text, summary
from factstore.core.state.pending_waiters import Outcome
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State
from factstore.core.state.wait_verdict import Circle, Verdict

LOG = logging.getLogger(__name__)

REASON_LENGTH = 4000


@dataclass(slots=True)
class _Seen:
    """Causes that were the same at each look since an instant."""

    causes: Hashable
    since: float


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
        self._seen: dict[Hashable, _Seen] = {}

    def look(self) -> None:
        """Look once at each stack in which something waits, and write what is due."""
        state = self._store.state()
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
            verdict = found.verdict
            keys: dict[Hashable, tuple[Hashable, float | None]] = {
                stack_state.stack.id: (_causes(verdict), self._report_seconds(found, report))
            }
            for waiter, seconds in _failing_waiters(stack_state, verdict):
                cause = _cause_key(verdict.cause(Party("waiter", waiter.name)))
                keys[stack_state.stack.id, waiter.name, waiter.revision] = cause, float(seconds)
        now, due = self._clock.monotonic(), False
        for key, (causes, limit) in keys.items():
            seen.add(key)
            known = self._seen.get(key)
            if known is None or known.causes != causes:
                self._seen[key] = _Seen(causes, now)
            elif limit is not None and now - known.since >= limit:
                due = True
        return due

    def _report_seconds(self, found: FoundWaits, report: object) -> float | None:
        """Return after which time a change is reported; None for no change."""
        if found.verdict.stuck == (report is not None):
            return None
        return self._finder.stuck_seconds if found.verdict.stuck else 0.0

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
                if (cause := found.verdict.cause(Party("waiter", waiter.name))) is not None
                and self._is_due(
                    (stack.id, waiter.name, waiter.revision), _cause_key(cause), float(seconds)
                )
            ]
            progress = {
                waiter.name: stack_state.pending_waiters.progress(waiter) for waiter, _ in waiters
            }
            revision = state.revision
        for waiter, cause in waiters:
            reason = f"stuck: {_shortened(cause_text(cause))} {NOTE}"
            outcome = Outcome(stack, waiter, "failed", revision, progress[waiter.name], reason)
            self._transactor.run(EndWaiter(stack.scope, outcome))
        seconds = self._report_seconds(found, report)
        if seconds is not None and self._is_due(stack.id, _causes(found.verdict), seconds):
            self._report(stack.scope, stack.id, found.verdict, report)

    def _report(self, scope: Scope, stack_id: str, verdict: Verdict, report: object) -> None:
        if isinstance(report, StuckReport):
            self._transactor.run(WithdrawStuck(scope, report))
        elif verdict.since is not None:
            reason = f"{_shortened(summary(verdict))} {NOTE}"
            self._transactor.run(ReportStuck(scope, stack_id, verdict.since, reason))

    def _is_due(self, key: Hashable, causes: Hashable, seconds: float) -> bool:
        known = self._seen.get(key)
        if known is None or known.causes != causes:
            return False
        return self._clock.monotonic() - known.since >= seconds


def _failing_waiters(stack_state: StackState, verdict: Verdict) -> Iterable[tuple[Waiter, int]]:
    """Yield the pending waiters that cannot be met and fail because of that, with their times."""
    pending = stack_state.pending_waiters
    for waiter in pending.waiters():
        if Party("waiter", waiter.name) not in verdict.blocked or waiter.name in pending.outcomes:
            continue
        tracker = pending.tracker(waiter.name)
        seconds = tracker.definition.fail_when_stuck if tracker is not None else None
        if seconds is not None:
            yield waiter, seconds


def _causes(verdict: Verdict) -> Hashable:
    """Return what identifies the causes of a verdict; it is the same as long as they are."""
    causes: tuple[Circle | Wait, ...] = (*verdict.circles, *verdict.never)
    return frozenset(map(_cause_key, causes))


def _cause_key(cause: Circle | Wait | None) -> Hashable:
    match cause:
        case Circle():
            return cause.parties
        case Wait():
            return cause.id, cause.obstacle
    return None


def _shortened(text: str) -> str:
    return text if len(text) <= REASON_LENGTH else f"{text[: REASON_LENGTH - 3]}..."
