"""The context: everything a stack knows, compiled into one document at one revision."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from factstore.core.cursor import Cursor
from factstore.core.errors import NotFound
from factstore.core.fact import Fact, Scope
from factstore.core.path import check_stack_name, shown
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.settling import AT_ONCE, Settle, Settling
from factstore.core.state import State
from factstore.core.value import encode

RESULTS = "results/"
_CACHED = 256  # stacks whose context is kept rendered
_CACHED_LENGTH = 256 * 1024  # characters


@dataclass(frozen=True, slots=True)
class Context:
    """A compiled context.

    :param text: JSON; it holds nothing that moves by itself, so equal facts make equal texts.
    :param etag: a hash of the text, without quotes.
    :param cursor: where to watch from so as to miss nothing.
    """

    text: str
    etag: str
    cursor: Cursor


class Contexts:
    """The service for contexts.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(self, store: Store, events: EventSource, clock: Clock, timeout: float) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._timeout = timeout
        self._lock = threading.Lock()
        self._compiled: dict[tuple[str, bool], tuple[int, str, str]] = {}

    def get(
        self,
        scope: Scope,
        *,
        results: bool = False,
        wait: float = 0,
        unless: Collection[str] | None = None,
        settle: Settle = AT_ONCE,
        stale: bool = False,
    ) -> Context:
        """Compile a stack's context; wait for it.

        :param results: include the facts below ``results/``.
        :param wait: seconds to block while the stack is missing, or with *unless*, while it is there
            and its etag is one of *unless*.
        :param settle: with *unless*, wait further until nothing more happens in the stack.
        :return: the context; its etag may still be one of *unless* when the time is over.
        :raises NotFound: there is no such stack; at once if change was waited for.
        """
        check_stack_name(scope.stack)
        end = self._clock.monotonic() + wait
        state = (
            self._store.state()
            if stale
            else self._store.refresh(self._clock.monotonic() + self._timeout)
        )
        while True:
            context, revision = self._compile(state, scope, results)
            if context is None and unless is not None:
                break
            changed = context is not None and unless is not None and context.etag not in unless
            if changed and settle.quiet:
                state = self._settled(state, scope, revision, Settling(settle, end))
                context, revision = self._compile(state, scope, results)
            if context is not None and context.etag not in (unless or ()):
                return context
            left = end - self._clock.monotonic()
            if left <= 0 or self._events.closing:
                break
            self._events.wait(scope, revision, left)
            state = self._store.state()
            if state.revision < revision:  # read anew, from the oldest that is kept
                state = self._store.refresh(self._clock.monotonic() + self._timeout)
        if context is None:
            raise NotFound(f"there is no stack named {shown(scope.stack)}.")
        return context

    def _settled(self, state: State, scope: Scope, revision: int, settling: Settling) -> State:
        """The state once the stack has been quiet."""
        settling.noticed(self._clock.monotonic())
        while not self._events.closing:
            left = settling.left(self._clock.monotonic())
            if left <= 0:
                break
            if self._events.wait(scope, revision, left):
                settling.noticed(self._clock.monotonic())
                known = self._store.state()
                if known.revision <= revision:  # read anew, from the oldest that is kept
                    break
                state, revision = known, known.revision
        return state

    def _compile(self, state: State, scope: Scope, results: bool) -> tuple[Context | None, int]:
        epoch = self._store.epoch
        with state.read():
            contents = state.contents(scope)
            if contents is None:
                return None, state.revision
        key = (contents.stack.id, results)
        kept = self._compiled.get(key)
        if kept is None or kept[0] != contents.changed:
            facts = [f for f in contents.facts if results or not f.path.startswith(RESULTS)]
            text = render(scope.stack, facts)
            kept = (contents.changed, text, hashlib.sha256(text.encode()).hexdigest()[:32])
            self._keep(key, kept)
        return Context(kept[1], kept[2], Cursor(epoch, contents.revision)), contents.revision

    def _keep(self, key: tuple[str, bool], compiled: tuple[int, str, str]) -> None:
        """Keep a rendered context for the next who asks, unless it is too large to keep many of."""
        if len(compiled[1]) > _CACHED_LENGTH:
            return
        with self._lock:
            while len(self._compiled) >= _CACHED:
                del self._compiled[next(iter(self._compiled))]
            self._compiled[key] = compiled


def render(stack: str, facts: Sequence[Fact]) -> str:
    """The context document as JSON.

    :param facts: in order of their paths.
    """
    tree: dict[str, object] = {}
    for fact in facts:
        *folders, name = fact.path.split("/")
        folder = tree
        for segment in folders:
            folder = folder.setdefault(segment, {})  # type: ignore[assignment]
        folder[name] = fact
    return f'{{"stack":{encode(stack)},"facts":{_nested(tree)},"members":{{}}}}'


def _nested(tree: dict[str, object]) -> str:
    members = (
        f"{encode(name)}:{child.text if isinstance(child, Fact) else _nested(child)}"  # type: ignore[arg-type]
        for name, child in tree.items()
    )
    return "{" + ",".join(members) + "}"
