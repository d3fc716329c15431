"""The fast path: which requests take it, and what is done for each besides calling a service."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial

from factstore import SERVICE_TYPE
from factstore.api.errors import INTERNAL_ERROR
from factstore.api.event_stream import ContinueStream, Watcher
from factstore.api.identity import Authorizer, Identity
from factstore.api.microversion import HEADER, RESPONSE_HEADERS
from factstore.core.errors import FactstoreError, Unavailable
from factstore.core.ports import Clock
from factstore.core.services.composition import Services
from factstore.core.services.rate_limit import MAX_DELAY_SECONDS
from factstore.store.mirror import MirroredStore
from factstore.store.started_refresh import FOREIGN_SECONDS
from factstore.watch.hub import Hub
from factstore.wsgi.client_gone import ClientGone
from factstore.wsgi.fast_path.accounting import Accounting
from factstore.wsgi.fast_path.call import Attend, Call, Handle, Operation
from factstore.wsgi.fast_path.callers import Callers
from factstore.wsgi.fast_path.context_read import ContextReads
from factstore.wsgi.fast_path.delay import seconds_to_delay, sleep
from factstore.wsgi.fast_path.event_polls import EventPolls
from factstore.wsgi.fast_path.event_reads import EventReads
from factstore.wsgi.fast_path.fact_reads import ROUTE, FactReads
from factstore.wsgi.fast_path.fact_waits import FactWaits
from factstore.wsgi.fast_path.http_request import Partial, Reader, Request
from factstore.wsgi.fast_path.http_response import Answer, Rendered, answer_of, logged_refusal
from factstore.wsgi.fast_path.loop_context_reads import LoopContextReads
from factstore.wsgi.fast_path.loop_waits import LoopWaits
from factstore.wsgi.fast_path.loop_writes import LoopWrites
from factstore.wsgi.fast_path.stream_answer import StreamAnswer, StreamStart
from factstore.wsgi.fast_path.writes import Writes
from factstore.wsgi.middleware.metrics import Metrics
from factstore.wsgi.middleware.problem import problem
from factstore.wsgi.middleware.request_id import new_request_id
from factstore.wsgi.ops.logs import LogContext, set_caller
from factstore.wsgi.scheduler import Scheduler

LOG = logging.getLogger(__name__)

EXPIRY_SECONDS = FOREIGN_SECONDS  # between two searches for requests that have waited for too long

VERSIONS = (RESPONSE_HEADERS[HEADER], f"{SERVICE_TYPE} latest")

Pieces = Iterable[bytes]
Response = bytes | StreamStart | Callable[[], Pieces | None] | None
"""The response, a function that a greenlet calls for it, or None if the loop cannot answer."""

Respond = Callable[[Response], None]


class FastPath:
    """The fast path of one worker.

    :param timeout: seconds after which a read of the store counts as failed.
    """

    def __init__(
        self,
        store: MirroredStore,
        hub: Hub,
        clock: Clock,
        services: Services,
        authorizer: Authorizer,
        callers: Callers,
        scheduler: Scheduler,
        metrics: Metrics,
        timeout: float,
    ) -> None:
        self._services = services
        self._running = services.transactor.running
        self._callers = callers
        self._scheduler = scheduler
        self._reader = Reader(VERSIONS)
        self._responds: dict[str, Respond] = {}  # by the ids of the requests that have started
        self.begun: Callable[[], object] = lambda: None
        """Called when a request starts; :meth:`expire` is then called until it returns False."""

        self.reads = FactReads(store, services, authorizer, metrics, timeout, self._end)
        writes, contexts = Writes(services, authorizer), ContextReads(services, authorizer)
        self._loop_writes = LoopWrites(services, writes, scheduler.join_shared, self._end)
        self._loop_waits = LoopWaits(store, hub, scheduler, clock, timeout, self._end_gone)
        loop_reads = LoopContextReads(store, services, contexts, self._loop_waits, self._end)
        fact_waits = FactWaits(services, authorizer, hub, clock, self._loop_waits, self._end)
        polls = EventPolls(services, authorizer, hub, clock, self._loop_waits, self._end)
        events = EventReads(store, services, authorizer, self._end)

        stack = "/v1/stacks/{stack}"
        self._operations = {
            "facts": Operation(ROUTE, writes.put_fact, self._loop_writes.start_put),
            "batch": Operation(f"{stack}/batch", writes.batch, self._loop_writes.start_batch),
            "heartbeat": Operation(
                f"{stack}/members/{{member}}/heartbeat",
                writes.heartbeat,
                self._loop_writes.start_heartbeat,
            ),
            "context": Operation(f"{stack}/context", contexts.read, loop_reads.start),
            "stale": Operation(ROUTE, self.reads.leave_stale, self.reads.start_stale),
            "wait": Operation(ROUTE, fact_waits.leave, fact_waits.start),
            "events": Operation(f"{stack}/events", events.watch, events.start),
            "poll": Operation(f"{stack}/events", polls.leave, polls.start),
        }

        routes = {noun: operation.route for noun, operation in self._operations.items()}
        self._accounting = Accounting(services.rate_limiter, metrics, routes)

    def parse(self, data: bytes) -> Request | Partial | None:
        """Return the request at the beginning of some bytes; None to pass it to gunicorn."""
        return self._reader.read(data)

    # In the loop

    def start(
        self,
        request: Request,
        respond: Respond,
        attend: Attend | None = None,
        *,
        local: bool,
        begins_streams: bool = False,
    ) -> bool:
        """Start to carry out a request without a greenlet; return False if it needs one.

        :param attend: lets a function be called when the client has gone before the response.
        :param local: True if the request comes from a loopback address.
        :param begins_streams: True if the response may be a stream.
        """
        began = time.monotonic()
        identity = self._identity(request, local=local)
        if identity is None:
            return False
        self.begun()
        if request.reads_fact:
            self._scheduler.note(identity.project_id)
            return self.reads.start(request, identity, began, respond)

        start = self._operations[request.noun].start
        flow = identity.project_id, request.noun == "heartbeat"
        call = Call(request, identity, new_request_id(), began, flow, None, attend, begins_streams)
        if start is None or not self._accounting.charge(call):
            return False

        self._responds[call.request_id] = respond
        if self._scheduler.join_shared(flow, partial(self._start_late, call, start)):
            if call.writes:  # the stack is not quiet, although nothing changes while it waits
                self._running.begin(call.scope, call.request_id)
            return True
        if self._start_now(call, start):
            return True
        del self._responds[call.request_id]
        self._accounting.cancel(call)
        return False

    def _start_now(self, call: Call, start: Callable[[Call], bool]) -> bool:
        """Start a call; return False if a greenlet has to carry it out."""
        try:
            return start(call)
        except FactstoreError:  # the greenlet comes to the same refusal, and answers it
            return False
        except Exception:
            LOG.exception("%s %s failed in the loop.", call.request.method, call.request.target)
            return False

    def _start_late(self, call: Call, start: Callable[[Call], bool]) -> None:
        """Start a call that had to wait for its turn; without success, let the greenlet do it."""
        try:
            if not self._start_now(call, start):
                self._end(call, None)
        except Exception:  # the queue has to continue
            LOG.exception("%s %s failed in the loop.", call.request.method, call.request.target)
        finally:
            self._running.end(call.scope, call.request_id)

    def _end(self, call: Call, found: Answer | Rendered | StreamStart | Handle | None) -> None:
        """End a call that was started.

        :param found: the answer, what the greenlet has to call for it, or None if the greenlet has to
            carry out the call.
        """
        respond = self._responds.pop(call.request_id)
        if found is None:
            self._accounting.cancel(call)
            respond(None)
        elif isinstance(found, StreamStart):
            self._accounting.count(call, found)
            respond(found)
        elif callable(found):
            respond(partial(self._serve_charged, call, found))
        else:
            respond(self._response(call, found))

    def _end_gone(self, call: Call) -> None:
        """End a call whose client has gone."""
        del self._responds[call.request_id]
        self._accounting.count_gone(call)

    def expire(self) -> bool:
        """End what waits for too long; return True if anything waits."""
        self.reads.expire()
        self._loop_writes.expire()
        self._loop_waits.expire()
        return bool(self.reads.running or self._responds) or self._loop_waits.busy

    # In the greenlet of the connection

    def serve(
        self,
        request: Request,
        *,
        local: bool,
        begin_stream: Callable[[Watcher], ContinueStream | None] | None = None,
    ) -> Pieces | None:
        """Carry out a request and return the response; None to pass the request to gunicorn.

        :param begin_stream: prepares the connection for a stream.
        :return: the bytes in pieces, of which the next is made when the previous one has been sent.
        :raises ClientGone: the client has gone.
        """
        began = time.monotonic()
        identity = self._identity(request, local=local)
        if identity is None:
            return None
        flow = identity.project_id, request.noun == "heartbeat"
        call = Call(request, identity, new_request_id(), began, flow, begin_stream)
        if self._scheduler.age(call.flow) > MAX_DELAY_SECONDS:
            return None
        delay = seconds_to_delay(self._services.rate_limiter, call)
        if delay is None:
            return None
        handle = self.reads.read if request.reads_fact else self._operations[request.noun].handle
        return self._serve_charged(call, handle, delay)

    def _serve_charged(self, call: Call, handle: Handle, delay: float = 0.0) -> Pieces | None:
        """Carry out a call that was charged; return the response, or None to pass it to gunicorn."""
        request, identity = call.request, call.identity
        context = LogContext(call.request_id, None)
        set_caller(identity.user_id, identity.project_id, identity.roles)
        answer: Answer | Rendered | StreamAnswer | None
        try:
            answer = handle(call) if self._wait(call, delay) else None
            if answer is None:
                self._accounting.cancel(call)
                return None
        except FactstoreError as error:
            answer = logged_refusal(error, call.request_id)
        except ClientGone:
            self._accounting.count_gone(call)
            raise
        except Exception:
            LOG.exception("%s %s failed.", request.method, request.target)
            answer = answer_of(problem("internal_error", INTERNAL_ERROR, call.request_id))
        finally:
            context.end()
        self._accounting.count(call, answer)
        return answer.pieces(call.request_id)

    def _wait(self, call: Call, delay: float) -> bool:
        """Wait until it is the turn of a request; return False if too many are delayed already."""
        with self._running.running(call.scope) if call.writes else nullcontext():
            if delay and not sleep(self._services.rate_limiter, self._scheduler, delay):
                return False
            self._scheduler.start(call.flow)
        return True

    def _response(self, call: Call, answer: Answer | Rendered) -> bytes:
        """Return the bytes of an answer, and account for it."""
        try:
            self._accounting.count(call, answer)
            return answer.response(call.request_id)
        except Exception:  # the client must get a response
            LOG.exception("%s %s failed.", call.request.method, call.request.target)
            failed = answer_of(problem("internal_error", INTERNAL_ERROR, call.request_id))
            return failed.response(call.request_id)

    # Everywhere

    def _identity(self, request: Request, *, local: bool) -> Identity | None:
        """Return the caller, or None if it is not known or may not use the stack."""
        try:
            identity = self._callers(request.headers, local=local)
        except Unavailable:
            return None
        if identity is None or identity.stack not in ("", request.stack):
            return None
        return identity
