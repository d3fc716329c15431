"""Reads of contexts that have not changed, which need neither a greenlet nor a thread of their own.

Every other context is read in the greenlet of the connection.
"""

from __future__ import annotations

from functools import partial

from factstore.core.services.composition import Services
from factstore.core.services.context_view import View
from factstore.store.mirror import MirroredStore
from factstore.store.read_index import HeadRead
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.fast_path.context_read import ContextReads
from factstore.wsgi.fast_path.loop_writes import Ended


class LoopContextReads:
    """The handler of reads that are started in the loop.

    :param ended: called when a read that was started has ended.
    """

    def __init__(
        self, store: MirroredStore, services: Services, contexts: ContextReads, ended: Ended
    ) -> None:
        self._store = store
        self._services = services
        self._contexts = contexts
        self._ended = ended

    def start(self, call: Call) -> bool:
        """Start to compare the caller's copy; return False if a greenlet has to do it."""
        view = self._contexts.compared_view(call)
        if view is None:
            return False
        reads: list[HeadRead] = []  # one, when it has ended
        reads.append(self._store.join_head_read(partial(self._end, call, view, reads)))
        return True

    def _end(self, call: Call, view: View, reads: list[HeadRead]) -> None:
        state, known = self._store.state(), call.request.headers.known or ()
        if all(read.error is None and state.revision >= read.revision for read in reads) and reads:
            context = self._services.context.unchanged(state, call.scope, view, known)
            if context is not None:
                self._ended(call, self._contexts.answer(call, context))
                return
        self._ended(call, self._contexts.read)
