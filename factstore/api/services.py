"""Access of the views to the domain's services."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import current_app, request

from factstore.core.model.fact import Scope
from factstore.core.services.composition import Services

EXTENSION = "factstore.services"
ROUTE = "factstore.route"
"""Key in the WSGI environment: the path template of the request's route."""
WAITED = "factstore.waited"
"""Key in the WSGI environment of requests with ``wait``, whose duration is not measured."""


@contextmanager
def waiting(project_id: str, seconds: float, patterns: int = 0) -> Iterator[None]:
    """Count the current request among the waiting requests of a project, if it waits.

    :param patterns: the number of patterns that select the stacks of the request.
    :raises Throttled: ``too_many_waiting`` or ``worker_busy``.
    """
    if not seconds:
        yield
        return
    request.environ[WAITED] = True
    with services().rate_limiter.waiting(project_id, patterns):
        yield


def charge_conditions(scope: Scope, conditions: int) -> None:
    """Charge new conditions of a stack by the facts that each worker has to read for them."""
    usage = services().store.state().usage(scope)
    if usage is not None:
        services().rate_limiter.counted(scope.project_id, conditions * usage.facts)


def services() -> Services:
    """Return the services of the current application."""
    found: Services = current_app.extensions[EXTENSION]
    return found
