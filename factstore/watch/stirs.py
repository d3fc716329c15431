"""Word of everything that moves in a stack, events or not, for those who look at more than facts.

How far a member has come is told to nobody who watches, but who waits for convergence must hear of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from factstore.core.model.fact import Scope
from factstore.core.ports import WakeUp

REMEMBERED = 10_000  # scopes; of those forgotten it is supposed that they moved


@dataclass(slots=True)
class _Stir:
    last: int = 0
    signal: WakeUp | None = None
    waiting: int = 0


class Stirs:
    """The last revision at which something moved, by scope, and who waits for the next."""

    def __init__(self, new_signal: Callable[[], WakeUp]) -> None:
        self._new_signal = new_signal
        self._lock = threading.Lock()
        self._stirs: dict[Scope, _Stir] = {}
        self._floor = 0
        self._closing = False

    def tell(self, revision: int, scopes: Iterable[Scope]) -> None:
        """Something moved in these scopes."""
        signals = []
        with self._lock:
            for scope in scopes:
                stir = self._stirs.pop(scope, None) or _Stir()
                self._stirs[scope] = stir  # the last in order again
                stir.last = revision
                if stir.signal is not None:
                    signals.append(stir.signal)
                    stir.signal = None
            self._forget()
        for signal in signals:
            signal.set()

    def _forget(self) -> None:
        excess = len(self._stirs) - REMEMBERED
        if excess <= 0:
            return
        idle = (scope for scope, stir in self._stirs.items() if not stir.waiting)
        for scope in list(islice(idle, excess)):
            self._floor = max(self._floor, self._stirs.pop(scope).last)

    def reset(self, revision: int) -> None:
        """Begin anew at a revision: whoever waits looks again."""
        with self._lock:
            signals = self._take_all()
            self._floor = revision
        for signal in signals:
            signal.set()

    def close(self) -> None:
        """Ask everybody to leave."""
        with self._lock:
            self._closing = True
            signals = self._take_all()
        for signal in signals:
            signal.set()

    def _take_all(self) -> list[WakeUp]:
        signals = [stir.signal for stir in self._stirs.values() if stir.signal is not None]
        self._stirs.clear()
        return signals

    def wait(self, scope: Scope, after: int, timeout: float) -> bool:
        """Wait until something moved after a revision; False after *timeout* seconds."""
        with self._lock:
            stir = self._stirs.get(scope)
            if self._closing or after < (stir.last if stir else self._floor):
                return True
            if stir is None:
                stir = self._stirs[scope] = _Stir(self._floor)
            if stir.signal is None:
                stir.signal = self._new_signal()
            signal = stir.signal
            stir.waiting += 1
        try:
            signal.wait(timeout)
        finally:
            with self._lock:
                stir.waiting -= 1
                self._forget()  # anybody may wait for stacks that never were
        return signal.is_set()
