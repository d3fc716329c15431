"""What the views need, given to them when the application is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import current_app, request

from factstore.api.identity import Access
from factstore.core.model.fact import Scope
from factstore.core.model.quota import Quotas
from factstore.core.ports import Clock
from factstore.core.services.context import Contexts
from factstore.core.services.convergence import Convergences
from factstore.core.services.facts import Facts
from factstore.core.services.grants import Grants
from factstore.core.services.members import Members
from factstore.core.services.rate_limit import Admission, Allowances
from factstore.core.services.stacks import Stacks
from factstore.core.services.waiters import Waiters
from factstore.core.services.watch import Watching

EXTENSION = "factstore"
ROUTE = "factstore.route"
"""In the WSGI environment: the path template of the route that a request took."""
WAITED = "factstore.waited"
"""In the WSGI environment of a request that was asked to wait: how long it took says nothing."""


@dataclass(frozen=True, slots=True)
class Services:
    """The domain's services, and how to find out what a caller may.

    :param cut_idle: arms the present connection so that a reader who takes nothing is cut.
    """

    access: Access
    facts: Facts
    stacks: Stacks
    members: Members
    waiters: Waiters
    grants: Grants
    convergences: Convergences
    contexts: Contexts
    watching: Watching
    quotas: Quotas
    allowances: Allowances
    admission: Admission
    clock: Clock
    cut_idle: Callable[[dict[str, object]], None]


@contextmanager
def waiting(scope: Scope, seconds: float) -> Iterator[None]:
    """Count the present request among those of its project that wait, if it is to.

    :raises Throttled: ``too_many_waiting``.
    """
    if not seconds:
        yield
        return
    request.environ[WAITED] = True
    with services().admission.waiting(scope.project_id):
        yield


def services() -> Services:
    """Those of the present application."""
    found: Services = current_app.extensions[EXTENSION]
    return found
