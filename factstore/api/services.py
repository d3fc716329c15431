"""The domain's services: the one list of them, and how views reach them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from flask import current_app, request

from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.quota import Quotas
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.services.context import ContextService
from factstore.core.services.convergence import ConvergenceService
from factstore.core.services.facts import FactService
from factstore.core.services.grants import GrantService
from factstore.core.services.members import MemberService
from factstore.core.services.rate_limit import Allowances, RateLimiter
from factstore.core.services.stacks import StackService
from factstore.core.services.waiters import WaiterService
from factstore.core.services.watch import WatchService

EXTENSION = "factstore.services"
ROUTE = "factstore.route"
"""Key in the WSGI environment: the path template of the request's route."""
WAITED = "factstore.waited"
"""Key in the WSGI environment of requests with ``wait``, whose duration is not measured."""


@dataclass(frozen=True, slots=True)
class Services:
    """The services over one store."""

    store: Store
    facts: FactService
    stacks: StackService
    members: MemberService
    waiters: WaiterService
    grants: GrantService
    convergence: ConvergenceService
    context: ContextService
    watch: WatchService
    quotas: Quotas
    allowances: Allowances
    rate_limiter: RateLimiter
    clock: Clock

    @classmethod
    def build(
        cls,
        store: Store,
        events: EventSource,
        clock: Clock,
        timeout: float,
        encryption: Encryption,
        quotas: Quotas,
        allowances: Allowances,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> Self:
        """Return all services over a store.

        :param timeout: seconds after which a call to the store has failed.
        :param new_id: returns a unique id for a stack.
        """
        transactor = Transactor(store, clock, quotas)
        stacks = StackService(store, clock, new_id, timeout, quotas)
        return cls(
            store=store,
            facts=FactService(store, events, clock, stacks.new, timeout, transactor, encryption),
            stacks=stacks,
            members=MemberService(store, clock, stacks.new, timeout, transactor),
            waiters=WaiterService(store, events, clock, stacks.new, timeout, transactor),
            grants=GrantService(store, clock, stacks.new, timeout, transactor),
            convergence=ConvergenceService(store, events, clock, timeout),
            context=ContextService(store, events, clock, timeout),
            watch=WatchService(store, events, clock, timeout),
            quotas=quotas,
            allowances=allowances,
            rate_limiter=RateLimiter(allowances, clock),
            clock=clock,
        )

    @property
    def epoch(self) -> str:
        """The epoch of the store's revisions.

        :raises Unavailable: the store has not been read yet.
        """
        return self.store.epoch

    def cursor(self, revision: int) -> str:
        """Return the cursor of a revision, as responses contain it."""
        return str(Cursor(self.epoch, revision))


@contextmanager
def waiting(scope: Scope, seconds: float) -> Iterator[None]:
    """Count the current request among the waiting requests of its project, if it waits.

    :raises Throttled: ``too_many_waiting``.
    """
    if not seconds:
        yield
        return
    request.environ[WAITED] = True
    with services().rate_limiter.waiting(scope.project_id):
        yield


def services() -> Services:
    """Return the services of the current application."""
    found: Services = current_app.extensions[EXTENSION]
    return found
