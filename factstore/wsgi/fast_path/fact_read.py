"""A read of a fact that waits for the store without a greenlet or a thread of its own."""

from __future__ import annotations

from collections.abc import Callable

from factstore.api.identity import Identity
from factstore.core.errors import FactstoreError, Unavailable
from factstore.core.model.fact import Scope
from factstore.core.state.state import State
from factstore.store.mirror import MirroredStore
from factstore.store.started_refresh import StartedRefresh
from factstore.wsgi.fast_path.http_request import Request


class FactRead(StartedRefresh):
    """A linearizable read of a fact.

    :param done: called once, with the state or with the store's error, or with neither if the request
        has to be passed to gunicorn.
    """

    __slots__ = ("_done", "identity", "request", "scope")

    def __init__(
        self,
        store: MirroredStore,
        request: Request,
        identity: Identity,
        began: float,
        timeout: float,
        done: Callable[[FactRead, State | None, FactstoreError | None], None],
    ) -> None:
        super().__init__(store, began, timeout)
        self._done = done
        self.request = request
        self.identity = identity
        self.scope = Scope(identity.project_id, request.stack)

    def reached(self, state: State) -> None:
        """Return the state."""
        self._done(self, state, None)

    def failed(self, error: Unavailable | None) -> None:
        """Return the error."""
        self._done(self, None, error)
