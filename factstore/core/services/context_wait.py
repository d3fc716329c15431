"""The wait of a context's reader: for which changes, and until when.

Only :func:`history` waits itself, and only for events that are being published.
"""

from __future__ import annotations

from factstore.core.errors import CursorExpired, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.fact import Scope
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.operations.running_writes import RunningWrites
from factstore.core.ports import Clock, EventSource
from factstore.core.services.context_view import ContextView
from factstore.core.services.debounce import PAGE_BYTES, PAGE_EVENTS, Debounce, Debouncer
from factstore.core.state.state import State


@quick_dataclass(frozen=True, slots=True)
class Activity:
    """The events and the running writes of this worker."""

    events: EventSource
    running: RunningWrites
    clock: Clock


class Settling:
    """The time for which a reader waits further after a change, until its stack is quiet.

    :param end: of the reader's wait.
    :param whole: True if the reader has no copy.  What it has published itself does not delay its first
        context then, and that is not limited while the stack grows: many start together.
    """

    __slots__ = ("_activity", "_debouncer", "_due", "_quiet", "_scope", "_view", "_whole")

    def __init__(
        self,
        activity: Activity,
        scope: Scope,
        view: ContextView,
        settle: Debounce,
        end: float,
        *,
        whole: bool = False,
    ) -> None:
        self._activity = activity
        self._scope = scope
        self._view = view
        self._whole = whole
        self._quiet = settle.quiet
        self._debouncer = Debouncer(settle, end)
        self._due = activity.clock.monotonic()
        self._debouncer.touch(self._due)

    def seconds_left(self, state: State) -> float:
        """Return the seconds to wait; 0 if the stack has been quiet for long enough, or was deleted."""
        events, scope = self._activity.events, self._scope
        stack_state = state.stack_state(scope)
        if stack_state is None or events.closing:
            return 0.0
        now = self._activity.clock.monotonic()
        late = max(0.0, now - self._due)
        if events.has_published(state.cursor):  # else the change has just happened
            read_set = self._view.current_read_set(stack_state)
            reader = self._view.member if self._whole else ""
            last = events.quiet_since(scope, read_set, unless_of=reader)
            if now - self._activity.running.oldest(scope) >= self._quiet:
                last = now  # the store does not answer, or is slow
            self._debouncer.quiet_since(last)
        if self._whole:
            self._debouncer.grown_at(events.grown_at(scope))
        self._debouncer.delay(late)
        self._due = self._debouncer.deadline or now
        return max(0.0, self._due - now)


class ContextWait:
    """A reader's wait for the changes of a context since a cursor.

    :param end: the instant at which it gets a response even without a change.
    """

    __slots__ = ("_activity", "_settle", "_settling", "end", "scope", "since", "view")

    def __init__(
        self,
        activity: Activity,
        scope: Scope,
        since: Cursor,
        view: ContextView,
        settle: Debounce,
        end: float,
    ) -> None:
        self._activity = activity
        self._settle = settle
        self._settling: Settling | None = None
        self.scope = scope
        self.since = since
        self.view = view
        self.end = end

    @property
    def settles(self) -> bool:
        """True if there was a change, and the response waits until the stack is quiet."""
        return self._settling is not None

    def read_set(self, state: State) -> str:
        """Return the digest of the read set that limits which changes end the wait; empty for none."""
        return self.view.current_read_set(state.stack_state(self.scope))

    def seconds_left(self, state: State) -> float:
        """Return the seconds to wait unless something happens; 0 if the response is due.

        :raises NotFound: the stack or the member does not exist.
        """
        if self._settling is None:
            events, clock = self._activity.events, self._activity.clock
            # Before the stack is read, because the history also shows when it has last changed.
            whole = not follows(state, events, self.scope, self.since)
            with state.read():
                stack_state = state.stack_state(self.scope)
                if stack_state is None or not self.view.exists(stack_state):
                    raise context_missing(self.scope, self.view)
                pending = self.view.last_change(stack_state) > self.since.revision
            left = max(0.0, self.end - clock.monotonic())
            if whole:
                if not left:
                    return 0.0
            elif not pending:
                return 0.0 if events.closing else left
            if self._settle.quiet <= 0:
                return 0.0
            self._settling = Settling(
                self._activity, self.scope, self.view, self._settle, self.end, whole=whole
            )
        return self._settling.seconds_left(state)


def follows(state: State, events: EventSource, scope: Scope, since: Cursor) -> bool:
    """Return True if a cursor belongs to this stack, and the history after it is in memory."""
    stack = state.stack(scope)
    if stack is None or since.epoch != state.epoch:
        return False
    return stack.created <= since.revision <= state.revision and events.keeps(scope, since)


def context_missing(scope: Scope, view: ContextView) -> NotFound:
    """Return the error for a stack or a member that does not exist."""
    missing = f"no member {quoted(view.member)} in a stack" if view.member else "no stack"
    return NotFound(f"There is {missing} named {quoted(scope.stack)}.")


def history(
    activity: Activity, scope: Scope, since: Cursor, upto: int, most: int, deadline: float
) -> list[Event] | None:
    """Return the events of a stack after a cursor up to a revision.

    :return: None if they are not in memory, or there are more than *most*.
    """
    found: list[Event] = []
    while since.revision < upto:
        try:
            batch = activity.events.read(scope, since, events=PAGE_EVENTS, size=PAGE_BYTES)
        except CursorExpired:
            return None
        found += [event for event in batch.events if event.revision <= upto]
        if len(found) > most:
            return None
        if batch.upto <= since.revision:  # events are published after the state has moved
            left = deadline - activity.clock.monotonic()
            if left <= 0 or activity.events.closing:
                return None
            activity.events.wait(scope, since, left)
        since = since._replace(revision=batch.upto)
    return found
