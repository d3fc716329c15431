"""Reads of facts that wait until the fact exists, or differs from the known one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from factstore.api.schemas.field_types import WAIT_LIMIT
from factstore.api.serializers.facts import fact_text
from factstore.core.errors import Forbidden, Invalid, NotFound
from factstore.core.model.fact import Scope
from factstore.core.model.path import check_path, check_stack_name
from factstore.core.ports import Clock, EventSource
from factstore.core.services.blocked_reads import reader_of
from factstore.core.services.readable_facts import fact_missing
from factstore.core.state.state import State
from factstore.policies import facts as rules
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.fast_path.http_response import JSON_LINE, Answer, etag_lines, refusal
from factstore.wsgi.fast_path.loop_wait import LoopWait
from factstore.wsgi.fast_path.wait_handler import WaitHandler


class FactWait:
    """The wait for a fact.

    :param known: the entity tags of the fact that the caller knows; none to wait until it exists.
    :param end: the instant at which the wait ends without a change.
    """

    __slots__ = ("_clock", "_end", "_events", "_known", "_path", "scope")

    settles = False

    def __init__(
        self,
        events: EventSource,
        clock: Clock,
        scope: Scope,
        path: str,
        known: frozenset[str],
        end: float,
    ) -> None:
        self._events = events
        self._clock = clock
        self.scope = scope
        self._path = path
        self._known = known
        self._end = end

    def read_set(self, state: State) -> str:
        """Return no digest: any change may concern the fact."""
        return ""

    def seconds_left(self, state: State) -> float:
        """Return the seconds to wait unless something happens; 0 if the response is due."""
        fact = state.fact(self.scope, self._path)
        waits = not self._known if fact is None else fact.etag(state.epoch) in self._known
        if not waits or self._events.closing:
            return 0.0
        return max(0.0, self._end - self._clock.monotonic())


class FactWaits(WaitHandler):
    """The handler of reads that wait."""

    def start(self, call: Call) -> bool:
        """Start to wait for a fact; return False if its view has to do it."""
        request, identity = call.request, call.identity
        known, seconds = request.headers.known, int(request.query.removeprefix("wait="))
        if known is None or request.headers.generation is not None or seconds > WAIT_LIMIT:
            return False
        if not self._authorizer(rules.GET, identity, identity.project_id):
            return False
        try:
            check_stack_name(request.stack)
            check_path(request.path)
            identity.permissions.check_read(request.path)
        except (Invalid, Forbidden, NotFound):
            return False
        end = self._clock.monotonic() + seconds
        waiting = FactWait(self._events, self._clock, call.scope, request.path, known, end)
        leave = self._begin_wait(call, seconds)
        if leave is not None and not known:
            leave = self._noting(leave, call)
        due = partial(self._answer, call, bool(seconds))
        return self._waits.start(LoopWait(call, waiting, leave, due))

    def _noting(self, leave: Callable[[], None], call: Call) -> Callable[[], None]:
        """Note that a read waits; return a function to call when it ends."""
        identity = call.identity
        reader = reader_of(identity.user_id, identity.permissions)
        end = self._services.blocked_reads.begin(call.scope, call.request.path, reader)

        def leave_noted() -> None:
            leave()
            end()

        return leave_noted

    def _answer(self, call: Call, waited: bool, state: State | None) -> None:
        self._ended(call, None if state is None else self._found(call, state, waited))

    def _found(self, call: Call, state: State, waited: bool) -> Answer | None:
        request, known = call.request, call.request.headers.known or ()
        fact = state.fact(call.scope, request.path)
        if fact is None:
            error = fact_missing(state, call.scope, request.path, call.identity.permissions)
            retry = [("Retry-After", "1")] if waited else []
            return refusal(error, call.request_id, retry, waited=waited)
        if fact.sensitive:
            return None
        etag = fact.etag(state.epoch)
        if etag in known:
            return Answer(304, etag_lines(etag), None, waited=waited)
        lines = JSON_LINE + etag_lines(etag)
        return Answer(200, lines, [fact_text(fact, state.epoch), "\n"], waited=waited)
