"""A call of a service on the fast path, and the operations that make one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from factstore.api.identity import Identity
from factstore.core.model.fact import Scope
from factstore.wsgi.fast_path.http_request import Request
from factstore.wsgi.fast_path.http_response import Answer


class Call(NamedTuple):
    """A request and its caller."""

    request: Request
    identity: Identity
    request_id: str

    @property
    def scope(self) -> Scope:
        """The stack of the request."""
        return Scope(self.identity.project_id, self.request.stack)


class Operation(NamedTuple):
    """An operation of the API.

    :param route: its path template.
    :param handle: carries it out; returns None, before anything is done, for a request that has to be
        passed to gunicorn.
    """

    route: str
    handle: Callable[[Call], Answer | None]
