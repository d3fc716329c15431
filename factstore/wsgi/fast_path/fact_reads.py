"""Reads of facts on the fast path, which need no greenlet."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from factstore.api.errors import INTERNAL_ERROR
from factstore.api.identity import Authorizer, Identity
from factstore.api.serializers.facts import fact_text
from factstore.core.errors import FactstoreError, Unavailable
from factstore.core.model.fact import Fact, Scope
from factstore.core.services.composition import Services
from factstore.core.state.state import State
from factstore.policies import facts as rules
from factstore.store.mirror import MirroredStore
from factstore.store.started_refresh import FOREIGN_SECONDS
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.fast_path.fact_read import FactRead
from factstore.wsgi.fast_path.http_request import Request
from factstore.wsgi.fast_path.http_response import (
    JSON_LINE,
    Answer,
    Rendered,
    answer_of,
    etag_lines,
    logged_refusal,
)
from factstore.wsgi.fast_path.loop_writes import Ended
from factstore.wsgi.middleware.metrics import Metrics
from factstore.wsgi.middleware.problem import problem
from factstore.wsgi.middleware.request_id import new_request_id
from factstore.wsgi.ops.logs import LogContext, set_caller

LOG = logging.getLogger(__name__)

ROUTE = "/v1/stacks/{stack}/facts/{path}"
_RENDERED = 4096  # responses that are kept, and the bytes of the largest body
_RENDERED_BYTES = 2048

RespondBytes = Callable[[bytes | None], None]
"""Receives the response to a request, or None if a greenlet has to make it."""


class FactReads:
    """The reads of one worker.

    :param timeout: seconds after which a read of the store counts as failed.
    :param ended: called when a read that may be old has ended.
    """

    def __init__(
        self,
        store: MirroredStore,
        services: Services,
        authorizer: Authorizer,
        metrics: Metrics,
        timeout: float,
        ended: Ended,
    ) -> None:
        self._ended = ended
        self._store = store
        self._services = services
        self._authorizer = authorizer
        self._metrics = metrics
        self._timeout = timeout
        self.running: dict[FactRead, RespondBytes] = {}
        self._rendered: dict[tuple[Scope, str], tuple[Fact, str, Rendered]] = {}

    def start(
        self, request: Request, identity: Identity, began: float, respond: RespondBytes
    ) -> bool:
        """Start to read a fact; return False if a greenlet has to do it."""
        if not self._may_read(request, identity):
            return False
        read = FactRead(self._store, request, identity, began, self._timeout, self._end_read)
        self.running[read] = respond
        try:
            read.start()
        except Unavailable:
            del self.running[read]
            return False
        return True

    def start_stale(self, call: Call) -> bool:
        """Answer with this worker's state, without reading the store; return False if a view has to."""
        if not self._may_read(call.request, call.identity):
            return False
        state = self._store.state()
        fact = state.fact(call.scope, call.request.path)
        if fact is None or fact.sensitive:
            return False
        self._ended(call, self._fact_answer(call, fact, state.epoch))
        return True

    @staticmethod
    def leave_stale(call: Call) -> None:
        """Leave a read that may be old to its view."""

    def _may_read(self, request: Request, identity: Identity) -> bool:
        if request.headers.generation is not None:
            return False
        if identity.stack not in ("", request.stack):
            return False
        if not identity.permissions.can_read(request.path):
            return False
        if not request.names_valid:
            return False
        return self._authorizer(rules.GET, identity, identity.project_id)

    def read(self, call: Call) -> Answer | Rendered | None:
        """Return a fact that was not read in the loop; None for a view.

        :raises FactstoreError: the fact is missing, or the store cannot be read.
        """
        request, identity, scope = call.request, call.identity, call.scope
        known = self._store.state().fact(scope, request.path)
        if (known is not None and known.sensitive) or not self._may_read(request, identity):
            return None
        found = self._services.facts.get(scope, request.path, permissions=identity.permissions)
        return None if found.fact.sensitive else self._fact_answer(call, *found)

    def _end_read(self, read: FactRead, state: State | None, error: FactstoreError | None) -> None:
        respond, request_id = self.running.pop(read), new_request_id()
        try:
            response = self._read_response(read, state, error, request_id)
        except Exception:  # other reads that have ended at the same moment must not be lost
            LOG.exception("GET %s failed.", read.request.target)
            answer = answer_of(problem("internal_error", INTERNAL_ERROR, request_id))
            response = answer.response(request_id)
        respond(response)

    def _read_response(
        self, read: FactRead, state: State | None, error: FactstoreError | None, request_id: str
    ) -> bytes | None:
        caller, limiter = read.identity, self._services.rate_limiter
        fact, epoch = None, ""
        if state is not None:
            fact, epoch = state.fact(read.scope, read.request.path), state.epoch
        if error is None and (fact is None or fact.sensitive):
            return None
        if not limiter.request_at_once(caller.project_id, 0):
            return None
        answer: Answer | Rendered
        if fact is not None:
            answer = self._fact_answer(read, fact, epoch)
            if caller.stack:  # the state is as new as if it had been read for the holder's sake
                self._services.grants.note_refresh(read.began)
        elif error is not None:
            context = LogContext(request_id, None)
            set_caller(caller.user_id, caller.project_id, caller.roles)
            answer = logged_refusal(error, request_id)
            context.end()
        limiter.answered(caller.project_id, answer.size)
        seconds = time.monotonic() - read.began
        self._metrics.observe("GET", ROUTE, answer.status, answer.size, seconds)
        return answer.response(request_id)

    def _fact_answer(self, read: FactRead | Call, fact: Fact, epoch: str) -> Answer | Rendered:
        known = read.request.headers.known
        if known is None or known:
            etag = fact.etag(epoch)
            if known is None or etag in known:
                return Answer(304, etag_lines(etag), None)
        key = read.scope, fact.path
        kept = self._rendered.get(key)
        if kept is not None and kept[0] is fact and kept[1] == epoch:
            return kept[2]
        lines = JSON_LINE + etag_lines(fact.etag(epoch))
        rendered = Rendered(200, lines, f"{fact_text(fact, epoch)}\n")
        if rendered.size <= _RENDERED_BYTES:
            if len(self._rendered) >= _RENDERED:
                self._rendered.clear()
            self._rendered[key] = fact, epoch, rendered
        return rendered

    def expire(self) -> None:
        """End the reads that wait for too long; the sooner ones come first."""
        now = time.monotonic()
        for read in list(self.running):
            if now - read.began < FOREIGN_SECONDS:
                return
            read.expire(now)
