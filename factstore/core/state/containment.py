"""Containment of faults in the state that is derived from a stack.

All workers derive it from the same changes, so an exception there would be repeated after each restart
of the watch, and stop the changes of all stacks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from factstore.core.errors import Unavailable

LOG = logging.getLogger(__name__)

P = ParamSpec("P")
S = TypeVar("S", bound="Contained")


class Contained:
    """A part of a stack's derived state that is given up if an update of it fails.

    :cvar part: the noun for the log and for errors.
    :ivar fault: the reason why it was given up; None if it is complete.
    """

    part: str
    fault: str | None = None

    def __init__(self, stack_id: str) -> None:
        self._stack_id = stack_id

    def check(self) -> None:
        """Raise Unavailable if the part was given up, because its answers would be wrong."""
        if self.fault is not None:
            raise Unavailable(
                f"This worker failed to compute the {self.part} of the stack ({self.fault}); it is "
                "computed again when the worker restarts. Report the log of the worker.",
            )

    def on_fault(self) -> None:
        """Adapt what others have derived from the part."""


def contained(method: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """Return a method of a :class:`Contained` that catches its faults, and does nothing after one."""

    @wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.fault is not None:
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            self.fault = type(error).__name__
            LOG.exception("the %s of stack %s is not computed any more", self.part, self._stack_id)
            self.on_fault()

    return call
