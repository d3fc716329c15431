"""Long polls of the events of a stack, which need neither a greenlet nor a thread while they wait."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from factstore.api.events import poll_texts
from factstore.api.serializers.events import LARGE_BYTES
from factstore.core.errors import CursorExpired, FactstoreError
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.ports import Clock, EventSource
from factstore.core.services.debounce import UndeliveredEvents
from factstore.core.services.watch import Poll, WatchService
from factstore.core.services.watch_filter import Filter
from factstore.core.state.state import State
from factstore.policies import stacks as rules
from factstore.wsgi.fast_path.call import Call, Handle
from factstore.wsgi.fast_path.event_reads import find_filter, load_events_query
from factstore.wsgi.fast_path.http_response import BY_ACCEPT, JSON_LINE, Answer
from factstore.wsgi.fast_path.loop_wait import LoopWait
from factstore.wsgi.fast_path.wait_handler import WaitHandler


class EventPoll:
    """The wait for events after a cursor.

    :param since: None for the current revision.
    :param end: the instant at which the wait ends without events.
    """

    __slots__ = (
        "_at",
        "_clock",
        "_end",
        "_events",
        "_page",
        "_since",
        "_wanted",
        "_watch",
        "scope",
    )

    settles = False

    def __init__(
        self,
        watch: WatchService,
        events: EventSource,
        clock: Clock,
        scope: Scope,
        since: Cursor | None,
        wanted: Filter,
        end: float,
    ) -> None:
        self._watch = watch
        self._events = events
        self._clock = clock
        self._since = since
        self._wanted = wanted
        self._end = end
        self._at: Cursor | None = None
        self._page = UndeliveredEvents(0)
        self.scope = scope

    def read_set(self, state: State) -> str:
        """Return no digest: any event may be wanted."""
        return ""

    def seconds_left(self, state: State) -> float:
        """Return the seconds to wait unless something happens; 0 if the response is due."""
        if self._at is None:
            self._at = self._watch.position(self.scope, self._since, state)
            self._page = UndeliveredEvents(self._at.revision)
        page = self._page
        if not page.events:
            self._watch.take_next(self.scope, self._at.epoch, page, self._wanted)
            if page.more and not page.events:
                raise CursorExpired("The loop reads no more events at once than those of a page.")
        if page.events or self._events.closing:
            return 0.0
        return max(0.0, self._end - self._clock.monotonic())

    @property
    def poll(self) -> Poll:
        """The events that were found, and the cursor after them."""
        epoch = "" if self._at is None else self._at.epoch
        return Poll(tuple(self._page.events), Cursor(epoch, self._page.at), self._page.more)


class EventPolls(WaitHandler):
    """The handler of long polls."""

    def start(self, call: Call) -> bool:
        """Start to wait for events; return False if the view has to do it."""
        headers, identity = call.request.headers, call.identity
        if headers.json or headers.conditional or headers.generation is not None:
            return False
        query = load_events_query(call.request.query)
        if query is None or query["settle"]:
            return False
        if not self._authorizer(rules.EVENTS, identity, identity.project_id):
            return False
        wanted = find_filter(call.request.query, identity.permissions.reach)
        if wanted is None or not call.request.names_valid:  # the view words the refusal
            return False
        cursor = headers.last_event_id or query["since"]
        try:
            since = Cursor.parse(cursor) if cursor else None
        except FactstoreError:
            return False
        seconds: float = query["wait"]
        end = self._clock.monotonic() + seconds
        watch = self._services.watch
        waiting = EventPoll(watch, self._events, self._clock, call.scope, since, wanted, end)
        leave = self._begin_wait(call, seconds)
        due = partial(self._answer, call, waiting, bool(seconds))
        return self._waits.start(LoopWait(call, waiting, leave, due))

    def _answer(self, call: Call, waiting: EventPoll, waited: bool, state: State | None) -> None:
        if state is None:
            self._ended(call, None)
            return
        poll = waiting.poll
        make = partial(_page_answer, poll, waited)
        is_large = sum(event.size for event in poll.events) > LARGE_BYTES
        self._ended(call, _handle(make) if is_large else make())


def _page_answer(poll: Poll, waited: bool) -> Answer:
    lines = f"{JSON_LINE}Cache-Control: no-store\r\n"
    texts = [*poll_texts(poll), "\n"]
    return Answer(200, lines, texts, waited=waited, everywhere=BY_ACCEPT)


def _handle(make: Callable[[], Answer]) -> Handle:
    """Return the function that renders an answer in a greenlet."""
    return lambda call: make()
