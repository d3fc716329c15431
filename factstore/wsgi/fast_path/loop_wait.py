"""A request that waits in the loop, and the changes for which it waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from factstore.core.model.fact import Scope
from factstore.core.state.state import State
from factstore.wsgi.fast_path.call import Call

if TYPE_CHECKING:
    from factstore.wsgi.fast_path.loop_waits import Listener


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

    def seconds_left(self, state: State, epoch: str) -> float:
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
        self.listener: Listener | None = None
        self.tick = 0
        self.lags = self.passed = False
