"""The writes that are running in this worker, by stack.

While the store does not answer, nothing changes, and yet the stack is not quiet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from factstore.core.model.fact import Scope
from factstore.core.ports import Clock

STACKS = 10_000
"""The number of stacks without running writes that are remembered."""


class RunningWrites:
    """The instants at which the running writes of each stack began."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: dict[Scope, dict[object, float]] = {}

    # Each step here is atomic, which costs less than a lock for each write.

    def begin(self, scope: Scope, write: object, at: float | None = None) -> None:
        """Note a write that begins; *at* an instant in the past if it is continued."""
        began = self._began.get(scope)
        if began is None:
            if len(self._began) >= STACKS:
                self._began = {of: each for of, each in list(self._began.items()) if each}
            began = self._began.setdefault(scope, {})
        began[write] = self._clock.monotonic() if at is None else at

    def end(self, scope: Scope, write: object) -> None:
        """Note that a write has ended, unless it had already."""
        self._began.get(scope, {}).pop(write, None)

    @contextmanager
    def running(self, scope: Scope, at: float | None = None) -> Iterator[None]:
        """Note a write for the duration of a ``with`` block."""
        write = object()
        self.begin(scope, write, at)
        try:
            yield
        finally:
            self.end(scope, write)

    def oldest(self, scope: Scope) -> float:
        """Return the instant at which the oldest running write of a stack began; infinity for none.

        A write that was continued counts as oldest once those that began before that have ended.
        """
        began = list(self._began.get(scope, {}).values())
        return began[0] if began else math.inf
