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
from factstore.core.services.context import ContextService
from factstore.core.services.convergence import ConvergenceService
from factstore.core.services.facts import FactService
from factstore.core.services.grants import GrantService
from factstore.core.services.members import MemberService
from factstore.core.services.rate_limit import Allowances, RateLimiter
from factstore.core.services.stacks import StackService
from factstore.core.services.waiters import WaiterService
from factstore.core.services.watch import WatchService

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
    facts: FactService
    stacks: StackService
    members: MemberService
    waiters: WaiterService
    grants: GrantService
    convergences: ConvergenceService
    contexts: ContextService
    watching: WatchService
    quotas: Quotas
    allowances: Allowances
    admission: RateLimiter
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
