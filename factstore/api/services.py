"""What the views need, given to them when the application is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import current_app

from factstore.api.identity import Access
from factstore.core.context import Contexts
from factstore.core.facts import Facts
from factstore.core.ports import Clock
from factstore.core.stacks import Stacks
from factstore.core.watching import Watching

EXTENSION = "factstore"


@dataclass(frozen=True, slots=True)
class Services:
    """The domain's services, and how to find out what a caller may.

    :param cut_idle: arms the present connection so that a reader who takes nothing is cut.
    """

    access: Access
    facts: Facts
    stacks: Stacks
    contexts: Contexts
    watching: Watching
    clock: Clock
    cut_idle: Callable[[dict[str, object]], None]


def services() -> Services:
    """Those of the present application."""
    found: Services = current_app.extensions[EXTENSION]
    return found
