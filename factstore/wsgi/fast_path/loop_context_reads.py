"""Reads of contexts that need neither a greenlet nor a thread of their own.

These are comparisons of a copy that has not changed, and reads of what has changed, which may wait.
Everything else is read in the greenlet of the connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from factstore.core.errors import FactstoreError
from factstore.core.ports import Clock
from factstore.core.services.composition import Services
from factstore.core.services.context_delta import ContextDelta
from factstore.core.services.context_view import View
from factstore.store.mirror import FOREIGN_SECONDS, MirroredStore
from factstore.store.read_index import HeadRead
from factstore.watch.hub import Hub
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.fast_path.context_read import ContextReads
from factstore.wsgi.fast_path.context_waits import ContextRead, ContextWaits
from factstore.wsgi.fast_path.fact_reads import LAG_SECONDS
from factstore.wsgi.fast_path.loop_writes import Ended
from factstore.wsgi.scheduler import Scheduler


class LoopContextReads:
    """The handler of reads that are started in the loop.

    :param timeout: seconds after which a read of the store counts as failed.
    :param ended: called when a read that was started has ended.
    :param gone: called when the client of a read that waits has gone.
    """

    def __init__(
        self,
        store: MirroredStore,
        hub: Hub,
        services: Services,
        contexts: ContextReads,
        scheduler: Scheduler,
        clock: Clock,
        timeout: float,
        ended: Ended,
        gone: Callable[[Call], None],
    ) -> None:
        self._store = store
        self._services = services
        self._contexts = contexts
        self._timeout = timeout
        self._ended = ended
        self._gone = gone
        self._waits = ContextWaits(store, hub, services.context, scheduler, clock, self._answer)
        # Those for which the state is not new enough yet, and when a greenlet has to see to that.
        self._started: dict[ContextRead, float] = {}

    def start(self, call: Call) -> bool:
        """Start to read a context; return False if a greenlet has to do it."""
        view = self._contexts.compared_view(call)
        if view is not None:
            _join(self._store.join_head_read, partial(self._compare, call, view))
            return True
        read = self._contexts.awaited(call)
        if read is None:
            return False
        self._started[read] = call.began + self._timeout
        if call.attend is not None:
            call.attend(partial(self._leave, read))
        try:
            _join(self._store.join_head_read, partial(self._begin, read))
        except FactstoreError:
            self._abandon(read)
            return False
        return True

    # Comparisons

    def _compare(self, call: Call, view: View, head: HeadRead) -> None:
        state, known = self._store.state(), call.request.headers.known or ()
        if head.error is None and state.revision >= head.revision:
            context = self._services.context.unchanged(state, call.scope, view, known)
            if context is not None:
                self._ended(call, self._contexts.answer(call, context))
                return
        self._ended(call, self._contexts.read)

    # Changes

    def _begin(self, read: ContextRead, head: HeadRead) -> None:
        if head.error is not None:
            self._hand_over(read)
        elif self._store.state().revision >= head.revision:
            self._look(read)
        else:
            if read in self._started:
                read.lags = True
                seconds = LAG_SECONDS if read.passed else FOREIGN_SECONDS
                self._started[read] = time.monotonic() + seconds
            reached = partial(self._look_at, read, head.revision)
            self._store.join_revision(head.revision, reached)

    def _look_at(self, read: ContextRead, revision: int) -> None:
        if self._store.state().revision >= revision:
            self._look(read)
        else:  # the state was read again
            self._hand_over(read)

    def _look(self, read: ContextRead) -> None:
        if read in self._started:
            del self._started[read]
            self._waits.look(read)

    def _pass_foreign(self, read: ContextRead) -> None:
        """Move the state past the revision, which another client of etcd seems to have made."""
        read.lags, read.passed = False, True
        self._started[read] = time.monotonic() + self._timeout
        try:
            _join(self._store.join_bump, partial(self._begin, read))
        except FactstoreError:
            self._hand_over(read)

    def _answer(self, read: ContextRead, found: ContextDelta | None) -> None:
        if found is None:
            self._ended(read.call, self._contexts.read)
        else:
            self._ended(read.call, self._contexts.answer(read.call, found, waited=read.waits))

    def _hand_over(self, read: ContextRead) -> None:
        """Let the greenlet of the connection read the context, unless the read has ended."""
        if read in self._started:
            self._abandon(read)
            self._ended(read.call, self._contexts.read)

    def _leave(self, read: ContextRead) -> None:
        self._abandon(read)
        self._gone(read.call)

    def _abandon(self, read: ContextRead) -> None:
        self._started.pop(read, None)
        self._waits.forget(read)

    def expire(self) -> None:
        """Hand over the reads for which the state lags, and look at those whose time has come."""
        now = time.monotonic()
        for read, at in list(self._started.items()):
            if now < at:
                continue
            if read.lags and not read.passed:
                self._pass_foreign(read)
            else:
                self._hand_over(read)
        self._waits.ring()


def _join(
    join: Callable[[Callable[[], object]], HeadRead], end: Callable[[HeadRead], None]
) -> None:
    """Join a read of the store's newest revision, and call a function with it when it has ended."""
    heads: list[HeadRead] = []
    ended: list[bool] = []

    def end_head() -> None:
        ended.append(True)
        if heads:
            end(heads.pop())  # a reference would be a cycle

    heads.append(join(end_head))
    if ended:  # at once
        end(heads.pop())
