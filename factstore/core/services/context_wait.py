"""The wait of a context's reader: for which changes, and until when.  Nothing here waits itself."""

from __future__ import annotations

from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.path import quoted
from factstore.core.ports import Clock, EventSource
from factstore.core.services.context_view import View
from factstore.core.services.debounce import Debounce, Debouncer
from factstore.core.state.state import State


class Settling:
    """The time for which a reader waits further after a change, until its stack is quiet.

    :param end: of the reader's wait.
    :param whole: True if the reader has no copy.  What it has published itself does not delay its first
        context then.
    """

    __slots__ = ("_clock", "_debouncer", "_due", "_events", "_reader", "_scope", "_view")

    def __init__(
        self,
        events: EventSource,
        clock: Clock,
        scope: Scope,
        view: View,
        settle: Debounce,
        end: float,
        *,
        whole: bool = False,
    ) -> None:
        self._events = events
        self._clock = clock
        self._scope = scope
        self._view = view
        self._reader = view.member if whole else ""
        self._debouncer = Debouncer(settle, end)
        self._due = clock.monotonic()
        self._debouncer.touch(self._due)

    def seconds_left(self, state: State) -> float:
        """Return the seconds to wait; 0 if the stack has been quiet for long enough, or was deleted."""
        stack_state = state.stack_state(self._scope)
        if stack_state is None or self._events.closing:
            return 0.0
        if self._events.revision >= state.revision:  # else the change has just happened
            read_set = self._view.current_read_set(stack_state)
            last = self._events.quiet_since(self._scope, read_set, unless_of=self._reader)
            self._debouncer.quiet_since(last)
        now = self._clock.monotonic()
        self._debouncer.delay(max(0.0, now - self._due))
        self._due = self._debouncer.deadline or now
        return max(0.0, self._due - now)


class ContextWait:
    """A reader's wait for the changes of a context since a cursor.

    :param end: the instant at which it gets a response even without a change.
    """

    __slots__ = ("_clock", "_events", "_settle", "_settling", "end", "scope", "since", "view")

    def __init__(
        self,
        events: EventSource,
        clock: Clock,
        scope: Scope,
        since: Cursor,
        view: View,
        settle: Debounce,
        end: float,
    ) -> None:
        self._events = events
        self._clock = clock
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

    def seconds_left(self, state: State, epoch: str) -> float:
        """Return the seconds to wait unless something happens; 0 if the response is due.

        :param epoch: of the store.
        :raises NotFound: the stack or the member does not exist.
        """
        if self._settling is None:
            with state.read():
                stack_state = state.stack_state(self.scope)
                if stack_state is None or not self.view.exists(stack_state):
                    raise context_missing(self.scope, self.view)
                pending = self.view.last_change(stack_state) > self.since.revision
            left = max(0.0, self.end - self._clock.monotonic())
            whole = not follows(state, self._events, epoch, self.scope, self.since)
            if whole:
                if not left:
                    return 0.0
            elif not pending:
                return 0.0 if self._events.closing else left
            if self._settle.quiet <= 0:
                return 0.0
            self._settling = Settling(
                self._events,
                self._clock,
                self.scope,
                self.view,
                self._settle,
                self.end,
                whole=whole,
            )
        return self._settling.seconds_left(state)


def follows(state: State, events: EventSource, epoch: str, scope: Scope, since: Cursor) -> bool:
    """Return True if a cursor belongs to this stack, and the history after it is in memory."""
    stack = state.stack(scope)
    if stack is None or since.epoch != epoch:
        return False
    return max(stack.created, events.floor(scope)) <= since.revision <= state.revision


def context_missing(scope: Scope, view: View) -> NotFound:
    """Return the error for a stack or a member that does not exist."""
    missing = f"no member {quoted(view.member)} in a stack" if view.member else "no stack"
    return NotFound(f"there is {missing} named {quoted(scope.stack)}.")
