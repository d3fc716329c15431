"""The cause of a member's last run: the change that woke it, and those that this one followed from.

The causes are claims of the authors, on which nothing else depends.  The answer comes from the recent
events of this worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from factstore.core.errors import CursorExpired, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.fact import Fact, Scope
from factstore.core.model.member import Member
from factstore.core.model.path import check_name, check_stack_name, quoted
from factstore.core.model.permissions import OWNER, Permissions
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.operations.operation import stack_missing
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.services.cause_chain import (
    FLAPPING_TIMES,
    CauseChain,
    CauseStep,
    EndKind,
    Flapping,
)
from factstore.core.services.event_service import EventReadService
from factstore.core.services.time_slice import TimeSlice

_READ_EVENTS, _READ_BYTES = 1000, 16 * 1024 * 1024  # at once
_BEHIND_SECONDS = 0.02  # between looks while the events are behind the state


@quick_dataclass(frozen=True, slots=True)
class Why:
    """The cause of a member's last run.

    :param applied: the cursor that the member has applied; None if it has reported none.
    :param target: the cursor that it has to apply; None if nothing has concerned it.
    :param steps: the changes, the newest first.
    :param end: why there are no more steps.
    :param since: the cursor from which the events are known.
    """

    member: Member
    applied: Cursor | None
    target: Cursor | None
    steps: tuple[CauseStep, ...]
    end: EndKind
    detail: str
    flapping: Flapping | None
    since: Cursor


class WhyService(EventReadService):
    """The service for the causes of members' runs.

    :param timeout: seconds after which a call to the store counts as failed.
    :param flapping_times: how often a chain may return to a path before it is called flapping.
    """

    def __init__(
        self,
        store: Store,
        events: EventSource,
        clock: Clock,
        timeout: float,
        flapping_times: int = FLAPPING_TIMES,
    ) -> None:
        super().__init__(store, events, clock, timeout)
        self.flapping_times = flapping_times

    def get(self, scope: Scope, name: str, permissions: Permissions = OWNER) -> Why:
        """Return why a member last ran.

        :param permissions: of the caller; changes that it may not read are hidden.
        :raises NotFound: there is no such stack or living member.
        """
        check_stack_name(scope.stack)
        check_name(name, "member")
        deadline = self._clock.monotonic() + self._timeout
        state = self._store.refresh(deadline)
        epoch = state.epoch
        with state.read():
            stack_state = state.stack_state(scope)
            if stack_state is None:
                raise stack_missing(scope)
            member = stack_state.live_members.get(name)
            if member is None:
                raise NotFound(
                    f"There is no member named {quoted(name)} in stack {quoted(scope.stack)}: it has "
                    "not joined, or has departed or expired."
                )
            convergence, stack, now = stack_state.convergence, stack_state.stack, state.cursor
            convergence.check()
            applied, target = convergence.applied.get(name), convergence.target_of(name)
        floor, events = self._read(scope, stack.id, stack.created, now, deadline)
        chain = CauseChain(state, scope, events, floor, permissions, self.flapping_times)
        end, detail = chain.follow(name, now.revision if applied is None else applied)
        return Why(
            member,
            None if applied is None else Cursor(epoch, applied),
            Cursor(epoch, target) if target else None,
            tuple(chain.steps),
            end,
            detail,
            chain.flapping,
            Cursor(epoch, floor),
        )

    def loops(self, scope: Scope, facts: Sequence[Fact]) -> Iterator[Flapping]:
        """Yield the loops that end with one of the facts, as it is now.

        :raises CursorExpired: the events are not in memory any more.
        """
        deadline = self._clock.monotonic() + self._timeout
        state = self._store.state()
        stack = state.stack(scope)
        if stack is None:
            return
        upto = Cursor(state.epoch, max(fact.revision for fact in facts))
        floor, events = self._read(scope, stack.id, stack.created, upto, deadline)
        for fact in TimeSlice(self._clock).each(facts):
            chain = CauseChain(state, scope, events, floor, OWNER, self.flapping_times)
            chain.follow(None, fact.revision, fact.path)
            if chain.flapping is not None and chain.flapping.path == fact.path:
                yield chain.flapping

    def _read(
        self, scope: Scope, stack_id: str, created: int, upto: Cursor, deadline: float
    ) -> tuple[int, list[Event]]:
        """Return the revision from which the events are complete, and the events."""
        pauses = TimeSlice(self._clock)
        while True:
            floor = max(self._floor(scope, upto.epoch), created - 1)
            found: list[Event] = []
            at = floor
            try:
                while True:
                    start = Cursor(upto.epoch, at)
                    batch = self._read_events(scope, start, _READ_EVENTS, _READ_BYTES)
                    found += [
                        each for each in pauses.each(batch.events) if each.stack_id == stack_id
                    ]
                    at, left = batch.upto, deadline - self._clock.monotonic()
                    if not batch.more and (
                        at >= upto.revision or left <= 0 or self._events.closing
                    ):
                        return max(floor, created), found
                    if not batch.more:  # the state is ahead of the events
                        reached = Cursor(upto.epoch, at)
                        self._events.wait(scope, reached, min(left, _BEHIND_SECONDS))
            except CursorExpired:
                if self._clock.monotonic() >= deadline:
                    raise
