"""A request that waits in the loop, the changes for which it waits, and the listener to these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from factstore.core.model.fact import Scope
from factstore.core.state.state import State
from factstore.wsgi.fast_path.call import Call

SLICE = 64  # requests that are served before others have their turn


class Waiting(Protocol):
    """The changes for which a request waits."""

    @property
    def scope(self) -> Scope:
        """The stack."""

    @property
    def settles(self) -> bool:
        """True if there was a change, and the response waits until the stack is quiet."""

    def read_set(self, state: State) -> str:
        """Return the digest of the read set that limits which changes end the wait; empty for none."""

    def seconds_left(self, state: State) -> float:
        """Return the seconds to wait unless something happens; 0 if the response is due.

        :raises FactstoreError: a greenlet has to answer the request.
        """


class LoopWait:
    """A request that waits in the loop.

    :param leave: releases its place among the waiting requests.
    :param due: called once, with a state if the response is due, or with None for a greenlet to answer.
    :ivar listener: the listener that looks at it again after a change; None before it waits.
    :ivar tick: at which it is looked at in any case; 0 for none.
    :ivar lags: True if the state has not reached the store's revision.
    :ivar passed: True once the state was moved past a revision that another client may have made.
    """

    __slots__ = ("call", "due", "lags", "leave", "listener", "passed", "tick", "waiting")

    def __init__(
        self,
        call: Call,
        waiting: Waiting,
        leave: Callable[[], None] | None,
        due: Callable[[State | None], None],
    ) -> None:
        self.call = call
        self.waiting = waiting
        self.leave = leave
        self.due = due
        self.listener: ReadSetListener | None = None
        self.tick = 0
        self.lags = self.passed = False


class ReadSetListener:
    """The requests of a stack that wait for changes that concern one read set.

    :param ends: returns True if no wait of a stack is to wait any longer.
    :param join_queue: calls a function when it is a project's turn; returns False if that is now.
    :param look: answers a wait if its response is due, or lets it wait.
    """

    __slots__ = ("_ends", "_join_queue", "_look", "_pending", "end", "requests", "scope")

    def __init__(
        self,
        scope: Scope,
        ends: Callable[[Scope], bool],
        join_queue: Callable[[str, Callable[[], None]], bool],
        look: Callable[[LoopWait], None],
    ) -> None:
        self._ends = ends
        self._join_queue = join_queue
        self._look = look
        self.scope = scope
        self.requests: dict[LoopWait, None] = {}
        self._pending: list[LoopWait] = []
        self.end: Callable[[], None] | None = None

    def wake(self) -> None:
        """Look at all requests again, except at those that wait until the stack is quiet."""
        served = bool(self._pending)
        ends = self._ends(self.scope)
        self._pending = [wait for wait in self.requests if ends or not wait.waiting.settles]
        if not served:
            self._serve_next()

    def _serve_next(self) -> None:
        while self._pending and not self._join_queue(self.scope.project_id, self._serve):
            self._serve_slice()

    def _serve(self) -> None:
        self._serve_slice()
        self._serve_next()

    def _serve_slice(self) -> None:
        found, self._pending = self._pending[:SLICE], self._pending[SLICE:]
        for wait in found:
            if wait.listener is self:
                self._look(wait)
