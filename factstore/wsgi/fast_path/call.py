"""A call of a service on the fast path, and the operations that make one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from factstore.api.event_stream import ContinueStream, Watcher
from factstore.api.identity import Identity
from factstore.core.model.fact import Scope
from factstore.wsgi.fair_queue import Flow
from factstore.wsgi.fast_path.http_request import Request
from factstore.wsgi.fast_path.http_response import Answer, Rendered
from factstore.wsgi.fast_path.stream_answer import StreamAnswer

Attend = Callable[[Callable[[], None]], None]


class Call(NamedTuple):
    """A request and its caller.

    :param began: the time at which the request was read.
    :param flow: in which it waits for its turn.
    :param begin_stream: prepares the connection for a stream; None in the loop.
    :param attend: lets a function be called if the client goes before the response; only in the loop.
    :param begins_streams: True if the connection can begin a stream in the loop.
    """

    request: Request
    identity: Identity
    request_id: str
    began: float
    flow: Flow
    begin_stream: Callable[[Watcher], ContinueStream | None] | None = None
    attend: Attend | None = None
    begins_streams: bool = False

    @property
    def scope(self) -> Scope:
        """The stack of the request."""
        return Scope(self.identity.project_id, self.request.stack)

    @property
    def writes(self) -> bool:
        """True if the request can change the stack."""
        return self.request.method not in ("GET", "HEAD") and self.request.noun != "heartbeat"


Handle = Callable[[Call], Answer | Rendered | StreamAnswer | None]


class Operation(NamedTuple):
    """An operation of the API.

    :param route: its path template.
    :param handle: carries it out; returns None, before anything is done, for a request that has to be
        passed to gunicorn.
    :param start: starts it without a greenlet; returns False if it needs one.  None if it always does.
    """

    route: str
    handle: Handle
    start: Callable[[Call], bool] | None = None
