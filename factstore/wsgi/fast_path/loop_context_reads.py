"""Reads of contexts that need neither a greenlet nor a thread of their own.

These are comparisons of a copy that has not changed, and reads of what has changed, which may wait, and
of small documents after a wait.
Everything else is read in the greenlet of the connection.
"""

from __future__ import annotations

from functools import partial

from factstore.core.services.composition import Services
from factstore.core.services.context_view import View
from factstore.core.services.context_wait import ContextWait
from factstore.core.state.state import State
from factstore.store.mirror import MirroredStore
from factstore.store.read_index import HeadRead
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.fast_path.context_read import ContextReads
from factstore.wsgi.fast_path.loop_wait import LoopWait
from factstore.wsgi.fast_path.loop_waits import LoopWaits, join
from factstore.wsgi.fast_path.loop_writes import Ended


class LoopContextReads:
    """The handler of reads that are started in the loop.

    :param ended: called when a read that was started has ended.
    """

    def __init__(
        self,
        store: MirroredStore,
        services: Services,
        contexts: ContextReads,
        waits: LoopWaits,
        ended: Ended,
    ) -> None:
        self._store = store
        self._services = services
        self._contexts = contexts
        self._waits = waits
        self._ended = ended

    def start(self, call: Call) -> bool:
        """Start to read a context; return False if a greenlet has to do it."""
        view = self._contexts.compared_view(call)
        if view is not None:
            join(self._store.join_head_read, partial(self._compare, call, view))
            return True
        found = self._contexts.awaited(call)
        if found is None:
            return False
        waiting, leave = found
        due = partial(self._answer, call, waiting, leave is not None)
        return self._waits.start(LoopWait(call, waiting, leave, due))

    def _compare(self, call: Call, view: View, head: HeadRead) -> None:
        state, known = self._store.state(), call.request.headers.known or ()
        if head.error is None and state.revision >= head.revision:
            context = self._services.context.unchanged(state, call.scope, view, known)
            if context is not None:
                self._ended(call, self._contexts.answer(call, context))
                return
        self._ended(call, self._contexts.read)

    def _answer(self, call: Call, waiting: ContextWait, waited: bool, state: State | None) -> None:
        if state is None:
            self._ended(call, self._contexts.read)
            return
        contexts = self._services.context
        # Many readers that begin together get the same document; a greenlet for each costs more.
        found = contexts.changes(state, waiting) or contexts.small(state, waiting)
        if found is None:  # a large document
            self._ended(call, partial(self._contexts.read_awaited, state, waiting, waited))
        else:
            self._ended(call, self._contexts.answer(call, found, waited=waited))
