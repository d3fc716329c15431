"""Reads of contexts that need neither a greenlet nor a thread of their own.

These are comparisons of a copy that has not changed, and reads of what has changed, which may wait, and
of small documents after a wait.
Everything else is read in the greenlet of the connection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Concatenate, ParamSpec

from factstore.core.errors import FactstoreError
from factstore.core.services.composition import Services
from factstore.core.services.context_view import ContextView
from factstore.core.services.context_wait import ContextWait
from factstore.core.state.state import State
from factstore.store.mirror import MirroredStore
from factstore.store.read_index import HeadRead
from factstore.wsgi.fast_path.call import Call, Handle
from factstore.wsgi.fast_path.context_read import ContextReads
from factstore.wsgi.fast_path.http_response import Answer, Rendered
from factstore.wsgi.fast_path.loop_wait import LoopWait
from factstore.wsgi.fast_path.loop_waits import LoopWaits
from factstore.wsgi.fast_path.loop_writes import Ended

LOG = logging.getLogger(__name__)

P = ParamSpec("P")


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
            self._store.join_head_read(partial(self._compare, call, view))
            return True
        found = self._contexts.awaited(call)
        if found is None:
            return False
        waiting, leave = found
        if leave is None:
            self._store.join_head_read(partial(self._change, call, waiting))
            return True
        due = partial(self._answer, call, waiting, True)
        return self._waits.start(LoopWait(call, waiting, leave, due))

    def _change(self, call: Call, waiting: ContextWait, head: HeadRead) -> None:
        """Answer a read that does not wait for a change, but perhaps for the state."""
        state, contexts = self._store.state(), self._services.context
        if head.error is None and state.revision >= head.revision and contexts.is_published(state):
            self._answer(call, waiting, False, state)
            return
        due = partial(self._answer, call, waiting, False)
        if not self._waits.start(LoopWait(call, waiting, None, due), head):
            self._ended(call, self._contexts.read)

    def _compare(self, call: Call, view: ContextView, head: HeadRead) -> None:
        self._end(call, self._same, view, head)

    def _same(self, call: Call, view: ContextView, head: HeadRead) -> Answer | Rendered | None:
        state, known = self._store.state(), call.request.headers.known or ()
        if head.error is not None or state.revision < head.revision:
            return None
        context = self._services.context.unchanged(state, call.scope, view, known)
        return None if context is None else self._contexts.answer(call, context)

    def _answer(self, call: Call, waiting: ContextWait, waited: bool, state: State | None) -> None:
        self._end(call, self._changed, waiting, waited, state)

    def _changed(
        self, call: Call, waiting: ContextWait, waited: bool, state: State | None
    ) -> Answer | Rendered | Handle | None:
        if state is None:
            return None
        contexts = self._services.context
        # Many readers that begin together get the same document; a greenlet for each costs more.
        found = contexts.changes(state, waiting) or contexts.small(state, waiting)
        if found is None:  # a large document
            return partial(self._contexts.read_awaited, state, waiting, waited)
        return self._contexts.answer(call, found, waited=waited)

    def _end(
        self,
        call: Call,
        find: Callable[Concatenate[Call, P], Answer | Rendered | Handle | None],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """End a read with what is found; otherwise, or after a failure, let a greenlet read."""
        found: Answer | Rendered | Handle | None = None
        try:
            found = find(call, *args, **kwargs)
        except FactstoreError as error:
            LOG.debug("a greenlet has to answer: %s", error)
        except Exception:  # the request must get a response
            LOG.exception("GET %s failed in the loop.", call.request.target)
        self._ended(call, self._contexts.read if found is None else found)
