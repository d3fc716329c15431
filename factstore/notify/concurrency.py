"""The means to do several things at once, injected: greenlets in the program, threads in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Signal(Protocol):
    """An event of :mod:`threading` or of gevent."""

    def set(self) -> object: ...

    def clear(self) -> object: ...

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> object: ...


class Concurrency(Protocol):
    """Starts functions, and makes signals for them."""

    def spawn(self, run: Callable[[], None]) -> object:
        """Run a function beside the caller."""

    def new_signal(self) -> Signal:
        """Return a signal that is not set."""
