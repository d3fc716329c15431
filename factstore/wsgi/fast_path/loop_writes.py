"""Heartbeats, puts and batches that wait for the store without a greenlet or a thread of their own.

Only what is usual ends here.  Everything else is handed to the greenlet of the connection: from the
beginning if nothing was written, or with the attempt to write that has failed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from factstore.core.services.composition import Services
from factstore.core.services.written_facts import FactAttempt, WrittenFacts
from factstore.wsgi.fair_queue import Flow
from factstore.wsgi.fast_path.call import Call, Handle
from factstore.wsgi.fast_path.http_response import Answer, Rendered
from factstore.wsgi.fast_path.stream_answer import StreamStart
from factstore.wsgi.fast_path.writes import HEARTBEAT_ANSWER, Writes

LOG = logging.getLogger(__name__)

MakeAnswer = Callable[[Call, WrittenFacts], Answer]

Ended = Callable[[Call, Answer | Rendered | StreamStart | Handle | None], None]
"""Receives the answer; the function that returns it in a greenlet; or None to handle all there."""


class LoopWrites:
    """The handlers of writes that are started in the loop.

    :param join_queue: calls a function when it is a flow's turn; returns False if that is now.
    :param ended: called when a write that was started has ended.
    """

    def __init__(
        self,
        services: Services,
        writes: Writes,
        join_queue: Callable[[Flow, Callable[[], object]], bool],
        ended: Ended,
    ) -> None:
        self._services = services
        self._join_queue = join_queue
        self._writes = writes
        self._ended = ended
        self._attempts: dict[int, FactAttempt] = {}

    def start_heartbeat(self, call: Call) -> bool:
        """Start to restart a member's time; return False if a greenlet has to do it."""
        found = self._writes.read_heartbeat(call)
        if found is None:
            return False

        def end(renewed: bool) -> None:
            self._ended(call, HEARTBEAT_ANSWER if renewed else None)

        return self._services.members.start_heartbeat(call.scope, call.request.member, *found, end)

    def start_put(self, call: Call) -> bool:
        """Start to store a fact; return False if a greenlet has to do it."""
        found = self._writes.read_put(call)
        if found is None:
            return False
        put, fences = found
        ended = partial(self._end_puts, call, self._writes.put_answer)
        return self._begin(
            self._services.facts.start_put(
                call.scope, put, self._writes.author(call), ended, fences=fences
            )
        )

    def start_batch(self, call: Call) -> bool:
        """Start to store several facts; return False if a greenlet has to do it."""
        found = self._writes.read_batch(call)
        if found is None:
            return False
        puts, fences = found
        ended = partial(self._end_puts, call, self._writes.batch_answer)
        return self._begin(
            self._services.facts.start_puts(
                call.scope, puts, self._writes.author(call), ended, fences=fences
            )
        )

    def _begin(self, attempt: FactAttempt | None) -> bool:
        if attempt is None:
            return False
        self._attempts[id(attempt)] = attempt
        return True

    def _end_puts(self, call: Call, made: MakeAnswer, attempt: FactAttempt) -> None:
        self._attempts.pop(id(attempt), None)
        # The answers to a batch of writes are due at once, and others wait until they have been made.
        answer = partial(self._answer_puts, call, made, attempt)
        if not self._join_queue(call.flow, answer):
            answer()

    def _answer_puts(self, call: Call, made: MakeAnswer, attempt: FactAttempt) -> None:
        answer: Answer | Handle | None = None
        if attempt.revision is not None:
            try:
                answer = made(call, self._services.facts.written(attempt))
                self._note_refresh(call, attempt)
            except Exception:  # the greenlet fails in the same way, and answers that
                LOG.exception("%s %s failed in the loop.", call.request.method, call.request.target)
        self._ended(call, answer or partial(self._resume, made, attempt))

    def _note_refresh(self, call: Call, attempt: FactAttempt) -> None:
        """Note that the state includes what was in the store before a holder's write began."""
        if call.identity.stack and attempt.revision is not None:
            state = self._services.store.state()
            # An answer does not wait for the state forever, and another store may have been read.
            if state.revision >= attempt.revision and state.epoch == attempt.transaction.epoch:
                self._services.grants.note_refresh(call.began)

    def _resume(self, made: MakeAnswer, attempt: FactAttempt, call: Call) -> Answer:
        return made(call, self._services.facts.written(attempt))

    def expire(self) -> None:
        """End the writes that take too long."""
        now = time.monotonic()
        for attempt in list(self._attempts.values()):
            if attempt.commit is not None:
                attempt.commit.expire(now)
