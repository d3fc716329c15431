"""A read of a fact that waits for the store without a greenlet or a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from factstore.api.identity import Identity
from factstore.core.errors import FactstoreError, Unavailable
from factstore.core.model.fact import Fact, Scope
from factstore.store.mirror import MirroredStore
from factstore.store.read_index import HeadRead
from factstore.wsgi.fast_path.http_request import Request


class FactRead:
    """A linearizable read of a fact.

    :param done: called once, with the fact, with the store's error, or with None if the request has to
        be passed to gunicorn.
    """

    __slots__ = (
        "_call",
        "_done",
        "_store",
        "began",
        "identity",
        "lags",
        "passed",
        "request",
        "scope",
    )

    def __init__(
        self,
        store: MirroredStore,
        request: Request,
        identity: Identity,
        began: float,
        done: Callable[[FactRead, Fact | FactstoreError | None], None],
    ) -> None:
        self._store = store
        self._done: Callable[[FactRead, Fact | FactstoreError | None], None] | None = done
        self._call: HeadRead | None = None
        self.lags = False
        """True if the state has not reached the store's revision."""
        self.passed = False
        """True once the state was moved past a revision that another client may have made."""
        self.request = request
        self.identity = identity
        self.scope = Scope(identity.project_id, request.stack)
        self.began = began

    def start(self) -> None:
        """Start to read the store.

        :raises Unavailable: the service has not read the store yet, or is stopping.
        """
        self._store.state()
        self._call = self._store.join_head_read(self._have_revision)

    def pass_foreign(self) -> None:
        """Move the state past the revision, which another client of etcd seems to have made."""
        self.lags, self.passed = False, True
        try:
            self._call = self._store.join_bump(self._have_revision)
        except Unavailable:
            self.end(None)

    def _have_revision(self) -> None:
        """Continue, because the call has ended."""
        call = self._call
        if call is None or self._done is None:
            return
        if call.error is not None:
            self.end(call.error if type(call.error) is Unavailable else None)
        elif not self._answer(call.revision):
            self.lags = True
            self._store.join_revision(call.revision, partial(self._have_state, call.revision))

    def _have_state(self, revision: int) -> None:
        """Continue, because the state has reached a revision or was read again."""
        if not self._answer(revision):
            self.end(None)

    def _answer(self, revision: int) -> bool:
        state = self._store.state()
        if state.revision < revision:
            return False
        self.end(state.fact(self.scope, self.request.path))
        return True

    def end(self, found: Fact | FactstoreError | None) -> None:
        """End the read, unless it has ended."""
        done, self._done = self._done, None
        if done is not None:
            done(self, found)
