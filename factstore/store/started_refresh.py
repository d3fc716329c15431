"""Reads of the state that nobody waits for: each calls a method when it has ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Protocol

from factstore.core.errors import Unavailable
from factstore.core.state.state import State
from factstore.store.read_index import HeadRead

FOREIGN_SECONDS = 0.02  # after this wait, a revision is assumed to belong to another client of etcd
LAG_SECONDS = 1.0
"""After which a read of a state that lags is left to a refresh, which renews a watch that is broken."""


class Joins(Protocol):
    """The part of :class:`~factstore.store.mirror.MirroredStore` that a started refresh needs."""

    def state(self) -> State: ...

    def join_head_read(self, ended: Callable[[HeadRead], object]) -> None: ...

    def join_bump(self, ended: Callable[[HeadRead], object]) -> None: ...

    def join_revision(self, revision: int, reached: Callable[[], object]) -> None: ...


class StartedRefresh(ABC):
    """A refresh of the state that was started without waiting; it ends once.

    :param began: the time of its start.
    :param timeout: seconds after which it fails.
    """

    __slots__ = ("_ended", "_lags", "_passed", "_store", "_timeout", "began")

    def __init__(self, store: Joins, began: float, timeout: float) -> None:
        self._store = store
        self._timeout = timeout
        self._ended = False
        self._lags = False  # the state has not reached the store's revision
        self._passed = False  # it was moved past a revision that another client may have made
        self.began = began

    @abstractmethod
    def reached(self, state: State) -> None:
        """Receive the state, at least at the newest revision at the time of the start."""

    @abstractmethod
    def failed(self, error: Unavailable | None) -> None:
        """Receive the error of the store, or None if :meth:`Store.refresh` has to be called."""

    def start(self) -> None:
        """Start to read the store.

        :raises Unavailable: the service has not read the store yet, or is stopping.
        """
        self._store.state()
        self._store.join_head_read(self._have_revision)

    def expire(self, now: float) -> None:
        """Move the state past a foreign revision; end the refresh if it takes too long."""
        waited = now - self.began
        if waited < FOREIGN_SECONDS:
            return
        if self._lags and waited > LAG_SECONDS:
            self._fail(None)
        elif waited > self._timeout:
            self._fail(Unavailable("The store did not answer in time."))
        elif self._lags and not self._passed:
            self._pass_foreign()

    def _pass_foreign(self) -> None:
        """Move the state past the revision, which another client of etcd seems to have made."""
        self._lags, self._passed = False, True
        try:
            self._store.join_bump(self._have_revision)
        except Unavailable:
            self._fail(None)

    def _have_revision(self, call: HeadRead) -> None:
        """Continue, because the call has ended."""
        if self._ended:
            return
        if call.error is not None:
            self._fail(call.error if type(call.error) is Unavailable else None)
        elif not self._reach(call.revision):
            self._lags = True
            self._store.join_revision(call.revision, partial(self._have_state, call.revision))

    def _have_state(self, revision: int) -> None:
        """Continue, because the state has reached a revision or was read again."""
        if not self._reach(revision):
            self._fail(None)

    def _reach(self, revision: int) -> bool:
        state = self._store.state()
        if state.revision < revision:
            return False
        if not self._ended:
            self._ended = True
            self.reached(state)
        return True

    def _fail(self, error: Unavailable | None) -> None:
        if not self._ended:
            self._ended = True
            self.failed(error)


class CallbackRefresh(StartedRefresh):
    """A refresh that calls a function at its end.

    :param then: called with the state, or with None if it failed.
    """

    __slots__ = ("_then",)

    def __init__(
        self, store: Joins, began: float, timeout: float, then: Callable[[State | None], object]
    ) -> None:
        super().__init__(store, began, timeout)
        self._then = then

    def reached(self, state: State) -> None:
        """Pass the state on."""
        self._then(state)

    def failed(self, error: Unavailable | None) -> None:
        """Pass the failure on."""
        self._then(None)
