"""The context: all facts and members of a stack in one document, at one revision.

A reader that has a copy of the document can ask for the changes since its cursor instead.
"""

from __future__ import annotations

import threading
from collections.abc import Collection

from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.path import check_stack_name
from factstore.core.operations.running_writes import RunningWrites
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.services.compiled_context import Context
from factstore.core.services.context_cache import Cache
from factstore.core.services.context_delta import ContextDelta, changes_texts
from factstore.core.services.context_document import Rendered
from factstore.core.services.context_view import ContextView
from factstore.core.services.context_wait import (
    Activity,
    ContextWait,
    Settling,
    context_missing,
    follows,
    history,
)
from factstore.core.services.debounce import AT_ONCE, PAGE_EVENTS, Debounce
from factstore.core.services.event_service import EventReadService
from factstore.core.state.state import State

_CACHED_CHARACTERS = 64 * 1024 * 1024
_CACHED_DELTAS = 4 * 1024 * 1024  # characters
_CACHED_ANSWERS = 4096
_SMALLEST = 1024  # bytes; a delta up to this size is never replaced by the document
SMALL_CHARACTERS = 128 * 1024  # of a document that may be sent in one piece

WHOLE = ContextView()
"""All facts and members but the results."""


class ContextService(EventReadService):
    """The service for contexts.

    :param timeout: seconds after which a call to the store counts as failed.
    :param running: the writes of this worker.
    """

    def __init__(
        self,
        store: Store,
        events: EventSource,
        clock: Clock,
        timeout: float,
        running: RunningWrites | None = None,
    ) -> None:
        super().__init__(store, events, clock, timeout)
        self._activity = Activity(events, running or RunningWrites(clock), clock)
        self._rendering = threading.Lock()
        self._compiled: Cache[tuple[str, str, bool, str], Rendered] = Cache(_CACHED_CHARACTERS)
        self._deltas: Cache[tuple[str, str, bool, str, int], tuple[str, ...]] = Cache(
            _CACHED_DELTAS
        )
        # Many readers ask for the same at one revision.
        self._unchanged: Cache[tuple[str, Scope, ContextView], Context] = Cache(_CACHED_ANSWERS)
        self._changes: Cache[tuple[str, str, bool, str, Cursor], ContextDelta] = Cache(
            _CACHED_DELTAS
        )

    def get(
        self,
        scope: Scope,
        view: ContextView = WHOLE,
        *,
        wait: float = 0,
        unless: Collection[str] | None = None,
        settle: Debounce = AT_ONCE,
        stale: bool = False,
    ) -> Context:
        """Return a stack's context; wait for it.

        :param wait: seconds to block while the stack or the member is missing; with *unless*, seconds
            to block while the etag is one of *unless*.
        :param settle: after a change, wait further until the stack is quiet.  A settled reader reports
            the revision that it has applied, so it also gets a response if a change was undone.
        :return: the context; after *wait* seconds its etag may still be one of *unless*.
        :raises NotFound: the stack or the member does not exist; at once with *unless*.
        """
        check_stack_name(scope.stack)
        end = self._clock.monotonic() + wait
        view.check()
        context, target = None, None
        settles = settle.quiet > 0 and unless is not None  # a first context is returned at once
        query = self._query(scope)
        for state in query.states(wait, stale=stale):
            context = self._compile(state, scope, view, unless or ())
            if context is None and unless is not None:
                break
            # If the target moved and the text is the same, a change was undone.
            moved = settles and context is not None and target not in (None, context.target)
            changed = context is not None and (moved or context.etag not in (unless or ()))
            if changed and settles:
                state = self._settled(state, scope, view, settle, end)
                context = self._compile(state, scope, view, unless or ())
                if context is None and unless is not None:
                    break
            if context is not None and (moved or context.etag not in (unless or ())):
                return context
            target = context.target if context is not None else None
            settles = settle.quiet > 0
        if context is None:
            raise context_missing(scope, view)
        return context

    def unchanged(
        self, state: State, scope: Scope, view: ContextView, known: Collection[str]
    ) -> Context | None:
        """Return the context of a state, without its text, if it is cached and its etag is known."""
        key = state.epoch, scope, view
        context = self._unchanged.get(key, state.revision)
        if context is None:
            check_stack_name(scope.stack)
            view.check()
            with state.read():
                stack_state = state.stack_state(scope)
                if stack_state is None:
                    return None
                if self._compiled.get(view.document_key(stack_state), stack_state.changed) is None:
                    return None
                context = self._compile(state, scope, view, known)
            if context is not None and context.etag in known:
                self._unchanged.put(key, state.revision, context, 1)
        return context if context is not None and context.etag in known else None

    def since(
        self,
        scope: Scope,
        since: Cursor,
        view: ContextView = WHOLE,
        *,
        wait: float = 0,
        settle: Debounce = AT_ONCE,
        stale: bool = False,
    ) -> ContextDelta | Context:
        """Return the changes of a stack's context since a cursor; wait for them.

        :param since: the cursor of the context that the caller has.
        :param wait: seconds to block while nothing has changed that counts for the view.
        :return: the changes, which may be none after *wait* seconds; or the whole context, if their
            history is not in memory, or they are larger than the stack.
        :raises NotFound: the stack or the member does not exist.
        """
        waiting = self.waiting(scope, since, view, wait, settle)
        # A caller that has seen a newer state must not receive an older one.
        stale = stale and self._store.state().revision >= since.revision
        query = self._query(scope, read_set=waiting.read_set)
        for state in query.states(wait, stale=stale):
            while (left := waiting.seconds_left(state)) and waiting.settles:
                state = self._paused(state, scope, left)
            if not left:
                break
        return self.answer(state, waiting)

    def answer(self, state: State, waiting: ContextWait) -> ContextDelta | Context:
        """Return what a reader gets once its wait has ended.

        :raises NotFound: the stack or the member does not exist.
        """
        scope, view = waiting.scope, waiting.view
        context = self.changes(state, waiting) or self._compile(state, scope, view, ())
        if context is None:
            raise context_missing(scope, view)
        return context

    def small(self, state: State, waiting: ContextWait) -> Context | None:
        """Return the whole context of a state; None if it is large, or made for one member."""
        scope, view = waiting.scope, waiting.view
        with state.read():
            found = state.stack_state(scope)
            if found is None or view.shown_parts or found.bytes > SMALL_CHARACTERS:
                return None
            context = self._compile(state, scope, view, ())
        is_small = context is not None and sum(map(len, context.texts)) <= SMALL_CHARACTERS
        return context if is_small else None

    def is_published(self, state: State) -> bool:
        """Return True if :meth:`changes` of a state needs no wait."""
        return self._events.has_published(state.cursor)

    def waiting(
        self, scope: Scope, since: Cursor, view: ContextView, wait: float, settle: Debounce
    ) -> ContextWait:
        """Return the wait of :meth:`since`."""
        check_stack_name(scope.stack)
        view.check()
        end = self._clock.monotonic() + wait
        return ContextWait(self._activity, scope, since, view, settle, end)

    def _settled(
        self, state: State, scope: Scope, view: ContextView, settle: Debounce, end: float
    ) -> State:
        """Return the state once the stack has been quiet or was deleted.

        :param end: of the reader's wait.
        """
        settling = Settling(self._activity, scope, view, settle, end)
        while left := settling.seconds_left(state):
            state = self._paused(state, scope, left)
        return state

    def _paused(self, state: State, scope: Scope, seconds: float) -> State:
        """Return the state after a pause, or once the stack was deleted."""
        # While all members of a stack write, each of them would be woken by every write.
        self._events.pause(scope, seconds)
        later = self._store.state()
        if not later.includes(state.cursor):  # it was read again
            return self._store.refresh(self._clock.monotonic() + self._timeout)
        return later

    def _compile(
        self, state: State, scope: Scope, view: ContextView, known: Collection[str]
    ) -> Context | None:
        """Return the context, without its text if its etag is in *known*; None if it does not exist."""
        with state.read():
            stack_state = state.stack_state(scope)
            if stack_state is None or not view.exists(stack_state):
                return None
            key, changed = view.document_key(stack_state), stack_state.changed
            cursor, target = state.cursor, stack_state.target
            checksum = view.checksum(stack_state)
            rendered = self._compiled.get(key, changed)
            contents = state.contents(scope) if rendered is None else None
        if rendered is None and contents is not None:
            with self._rendering:  # readers that were woken together render it once
                rendered = self._compiled.get(key, changed)
                if rendered is None:
                    facts = view.shown(contents.facts)
                    tags = {}
                    if contents.sensitive:
                        tags = {f.path: f.etag(state.epoch) for f in facts if f.sensitive}
                    rendered = Rendered(scope.stack, facts, contents.members, tags)
                    self._compiled.put(key, changed, rendered, rendered.length)
        assert rendered is not None  # noqa: S101 - rendered above
        parts = view.shown_parts
        etag = rendered.etag_for(view.member, parts)
        texts: tuple[str, ...] = ()
        if etag not in known:
            texts = rendered.seen_by(view.member, parts) if parts else rendered.texts
        return Context(texts, etag, cursor, target, checksum)

    # Deltas

    def changes(self, state: State, waiting: ContextWait) -> ContextDelta | None:
        """Return the changes of a context, or None if the whole document has to be sent.

        It waits if *state* is newer than the published events.
        """
        epoch, scope, view, since = state.epoch, waiting.scope, waiting.view, waiting.since
        with state.read():
            stack_state = state.stack_state(scope)
            if stack_state is None or not view.exists(stack_state):
                return None
            key = view.changes_key(stack_state, since.revision)
            of = *key[:4], since
            recent = self._changes.get(of, state.revision)
            if recent is not None and since.epoch == epoch:
                return recent
            cursor, changed = state.cursor, stack_state.changed
            checksum = view.checksum(stack_state)
            size, count = stack_state.bytes, stack_state.count
        if not follows(state, self._events, scope, since):
            return None
        changes = self._deltas.get(key, changed)
        if changes is None:
            most, deadline = max(count, PAGE_EVENTS), self._clock.monotonic() + self._timeout
            events = history(self._activity, scope, since, changed, most, deadline)
            if events is None:
                return None
            changes = changes_texts(events, view.shows, epoch)
            self._deltas.put(key, changed, changes, sum(map(len, changes)))
        length = sum(map(len, changes))
        if length > max(size, _SMALLEST):
            return None
        fields = f'"since":"{since}","cursor":"{cursor}","checksum":"{checksum}"'
        delta = ContextDelta((f"{{{fields},", *changes, "}"), cursor, checksum)
        self._changes.put(of, cursor.revision, delta, len(fields) + length)
        return delta
