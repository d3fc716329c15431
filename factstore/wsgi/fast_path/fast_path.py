"""The fast path: which requests take it, and what is done for each besides calling a service."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus

from factstore import SERVICE_TYPE
from factstore.api.errors import INTERNAL_ERROR, STATUS
from factstore.api.identity import Authorizer, Identity
from factstore.api.media import JSON
from factstore.api.microversion import HEADER, RESPONSE_HEADERS
from factstore.api.serializers.facts import fact_text
from factstore.core.errors import FactstoreError, Invalid, Throttled, Unavailable
from factstore.core.model.fact import Fact, Scope
from factstore.core.model.path import check_path, check_stack_name
from factstore.core.services.composition import Services
from factstore.core.services.rate_limit import MAX_DELAY_SECONDS
from factstore.policies import facts as rules
from factstore.store.mirror import FOREIGN_SECONDS, MirroredStore
from factstore.wsgi.client_gone import ClientGone
from factstore.wsgi.fast_path.call import Call, Operation
from factstore.wsgi.fast_path.callers import Callers
from factstore.wsgi.fast_path.context_read import ContextReads
from factstore.wsgi.fast_path.fact_read import FactRead
from factstore.wsgi.fast_path.http_request import Partial, Reader, Request
from factstore.wsgi.fast_path.http_response import (
    Answer,
    Rendered,
    answer_of,
    etag_headers,
    refusal,
)
from factstore.wsgi.fast_path.writes import Writes
from factstore.wsgi.middleware.metrics import Metrics
from factstore.wsgi.middleware.problem import problem
from factstore.wsgi.middleware.request_id import new_request_id
from factstore.wsgi.ops.logs import LogContext, set_caller
from factstore.wsgi.scheduler import Scheduler

LOG = logging.getLogger(__name__)

EXPIRY_SECONDS = FOREIGN_SECONDS
"""Between two searches for reads that have waited for too long."""

LAG_SECONDS = 1.0
"""After which a read of a state that lags is left to its view, which renews a watch that is broken."""

VERSIONS = (RESPONSE_HEADERS[HEADER], f"{SERVICE_TYPE} latest")
_RENDERED = 4096  # responses that are kept, and the bytes of the largest body
_RENDERED_BYTES = 2048
_FACT = "/v1/stacks/{stack}/facts/{path}"

Respond = Callable[[bytes | None], None]
"""Receives the response to a request, or None if the request has to be passed to gunicorn."""


class FastPath:
    """The fast path of one worker.

    :param timeout: seconds after which a read of the store counts as failed.
    """

    def __init__(
        self,
        store: MirroredStore,
        services: Services,
        authorizer: Authorizer,
        callers: Callers,
        scheduler: Scheduler,
        metrics: Metrics,
        timeout: float,
    ) -> None:
        self._timeout = timeout
        self._store = store
        self._services = services
        self._authorizer = authorizer
        self._callers = callers
        self._scheduler = scheduler
        self._metrics = metrics
        self._reader = Reader(VERSIONS)
        writes, contexts = Writes(services, authorizer), ContextReads(services, authorizer)
        stack = "/v1/stacks/{stack}"
        self._operations = {
            "facts": Operation(_FACT, writes.put_fact),
            "batch": Operation(f"{stack}/batch", writes.batch),
            "heartbeat": Operation(f"{stack}/members/{{member}}/heartbeat", writes.heartbeat),
            "context": Operation(f"{stack}/context", contexts.read),
        }
        self.reads: dict[FactRead, Respond] = {}
        self._rendered: dict[tuple[Scope, str], tuple[Fact, str, Rendered]] = {}

    def parse(self, data: bytes) -> Request | Partial | None:
        """Return the request at the beginning of some bytes; None to pass it to gunicorn."""
        return self._reader.read(data)

    # Reads

    def start_read(self, request: Request, respond: Respond, *, local: bool) -> bool:
        """Start to read a fact; return False if the request has to be passed to gunicorn.

        :param local: True if the request comes from a loopback address.
        """
        began = time.perf_counter()
        try:
            identity = self._callers(request.headers, local=local)
            if identity is None or not self._may_read(request, identity):
                return False
            read = FactRead(self._store, request, identity, began, self._end_read)
            read.start()
        except Unavailable:
            return False
        self.reads[read] = respond
        return True

    def _may_read(self, request: Request, identity: Identity) -> bool:
        if request.headers.generation is not None:
            return False
        if identity.stack not in ("", request.stack):
            return False
        if not identity.permissions.can_read(request.path):
            return False
        if not request.names_checked:
            try:
                check_stack_name(request.stack)
                check_path(request.path)
            except Invalid:
                return False
            request.names_checked = True
        return self._authorizer(rules.GET, identity, identity.project_id)

    def _end_read(self, read: FactRead, found: Fact | FactstoreError | None) -> None:
        respond, request_id = self.reads.pop(read), new_request_id()
        try:
            response = self._read_response(read, found, request_id)
        except Exception:  # other reads that have ended at the same moment must not be lost
            LOG.exception("GET %s failed.", read.request.target)
            answer = answer_of(problem("internal_error", INTERNAL_ERROR, request_id))
            response = answer.response(request_id)
        respond(response)

    def _read_response(
        self, read: FactRead, found: Fact | FactstoreError | None, request_id: str
    ) -> bytes | None:
        caller, limiter = read.identity, self._services.rate_limiter
        if found is None or (isinstance(found, Fact) and found.sensitive):
            return None
        if not limiter.request_at_once(caller.project_id, 0):
            return None
        answer: Answer | Rendered
        if isinstance(found, Fact):
            answer = self._fact_answer(read, found)
        else:
            context = LogContext(request_id, None)
            set_caller(caller.user_id, caller.project_id, caller.roles)
            answer = _refusal(found, request_id)
            context.end()
        limiter.answered(caller.project_id, answer.size)
        seconds = time.perf_counter() - read.began
        self._metrics.observe("GET", _FACT, answer.status, answer.size, seconds)
        return answer.response(request_id)

    def _fact_answer(self, read: FactRead, fact: Fact) -> Answer | Rendered:
        epoch, known = self._store.epoch, read.request.headers.known
        if known is None or known:
            etag = fact.etag(epoch)
            if known is None or etag in known:
                return Answer(304, etag_headers(etag), None)
        key = read.scope, fact.path
        kept = self._rendered.get(key)
        if kept is not None and kept[0] is fact and kept[1] == epoch:
            return kept[2]
        lines = [("Content-Type", JSON), *etag_headers(fact.etag(epoch))]
        rendered = Rendered(200, lines, f"{fact_text(fact, epoch)}\n")
        if rendered.size <= _RENDERED_BYTES:
            if len(self._rendered) >= _RENDERED:
                self._rendered.clear()
            self._rendered[key] = fact, epoch, rendered
        return rendered

    def expire_reads(self) -> None:
        """End the reads that wait for too long; the sooner ones come first."""
        now = time.perf_counter()
        for read in list(self.reads):
            waited = now - read.began
            if waited < FOREIGN_SECONDS:
                return
            if read.lags and waited > LAG_SECONDS:
                read.end(None)
            elif waited > self._timeout:
                read.end(Unavailable("the store did not answer in time."))
            elif read.lags and not read.passed:
                read.pass_foreign()

    # Other requests

    def serve(self, request: Request, *, local: bool) -> Iterable[bytes] | None:
        """Carry out a request and return the response; None to pass the request to gunicorn.

        :return: the bytes in pieces, of which the next is made when the previous one has been sent.
        :raises ClientGone: the client has gone.
        """
        began = time.perf_counter()
        try:
            identity = self._callers(request.headers, local=local)
        except Unavailable:
            return None
        if identity is None or identity.stack not in ("", request.stack):
            return None
        operation = self._operations[request.noun]
        heartbeat, project_id = request.noun == "heartbeat", identity.project_id
        if self._scheduler.age((project_id, heartbeat)) > MAX_DELAY_SECONDS:
            return None
        if not self._services.rate_limiter.request_at_once(
            project_id, len(request.body), heartbeat=heartbeat
        ):
            return None
        request_id = new_request_id()
        context = LogContext(request_id, None)
        set_caller(identity.user_id, project_id, identity.roles)
        answer: Answer | None
        try:
            self._scheduler.start((project_id, heartbeat))
            answer = operation.handle(Call(request, identity, request_id))
            if answer is None:
                self._services.rate_limiter.cancel(
                    project_id, len(request.body), heartbeat=heartbeat
                )
                return None
        except FactstoreError as error:
            answer = _refusal(error, request_id)
        except ClientGone:
            self._metrics.observe(request.method, operation.route, 499, 0, None)
            raise
        except Exception:
            LOG.exception("%s %s failed.", request.method, request.target)
            answer = answer_of(problem("internal_error", INTERNAL_ERROR, request_id))
        finally:
            context.end()
        self._services.rate_limiter.answered(project_id, answer.size, heartbeat=heartbeat)
        seconds = None if answer.waited else time.perf_counter() - began
        self._metrics.observe(request.method, operation.route, answer.status, answer.size, seconds)
        return answer.pieces(request_id)


def _refusal(error: FactstoreError, request_id: str) -> Answer:
    is_failure = STATUS[error.code][0] >= HTTPStatus.INTERNAL_SERVER_ERROR
    if is_failure and not isinstance(error, Throttled):
        LOG.warning("%s: %s", error.code, error.detail)
    return refusal(error, request_id)
