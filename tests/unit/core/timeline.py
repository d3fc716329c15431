"""A watched stack with events at given instants, on a clock that advances only by waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from factstore.core.model.event import DropStack, Mutation, PutFact, PutStack, Step
from factstore.core.services.context import ContextService
from factstore.core.services.watch import WatchService
from factstore.core.state.state import State
from factstore.watch.history import HistoryLimits
from factstore.watch.hub import Hub
from tests.unit.core.factories import EPOCH, SCOPE, ManualClock, fact, stack


class _Store:
    """A store with one state, which is always current."""

    epoch = EPOCH

    def __init__(self, state: State) -> None:
        self._state = state

    def state(self) -> State:
        return self._state

    def refresh(self, deadline: float) -> State:
        return self._state


class Timeline:
    """One stack, the services that watch it, and the scheduled events.

    :param history: the maximum number of events in memory.
    """

    def __init__(self, history: int = 10_000) -> None:
        self.clock = ManualClock()
        self.began = self.clock.now
        limits = HistoryLimits(history, 10**9, 900)
        self.hub = Hub(limits, lambda: _Sleep(self), self.clock.monotonic)
        self._state = State(0, EPOCH)
        self._state.apply(Step(1, (PutStack(stack()),)))
        self.hub.reset(self._state.cursor)
        self._coming: list[tuple[float, Callable[[], object]]] = []
        store = _Store(self._state)
        self.watching = WatchService(store, self.hub, self.clock, 5)  # type: ignore[arg-type]
        self.contexts = ContextService(store, self.hub, self.clock, 5)  # type: ignore[arg-type]

    @property
    def passed(self) -> float:
        """Seconds since the beginning."""
        return round(self.clock.now - self.began, 6)

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        """Schedule a call for an instant after the beginning."""
        self._coming.append((self.began + seconds, act))
        self._coming.sort(key=lambda coming: coming[0])

    def puts(self, *instants: float, path: str = "a") -> None:
        """Schedule changes of a fact."""
        for instant in instants:
            self.at(instant, lambda: self.put(path))

    def put(self, path: str = "a", value: object = None) -> int:
        """Change a fact now; return the revision."""
        revision = self._state.revision + 1
        written = fact(path, revision if value is None else value, revision)
        return self.step(PutFact("s1", written))

    def delete_stack(self) -> int:
        """Delete the stack now; return the revision."""
        return self.step(DropStack(SCOPE))

    def create_stack(self) -> int:
        """Create the stack again; return the revision."""
        return self.step(PutStack(stack(created=self._state.revision + 1)))

    def pass_by(self) -> None:
        """Make a revision without changes of the stack."""
        self.step()

    @property
    def revision(self) -> int:
        """The revision of the store."""
        return self._state.revision

    def step(self, *mutations: Mutation) -> int:
        """Make one revision now; return it."""
        revision = self._state.revision + 1
        result = self._state.apply(Step(revision, mutations))
        self.hub.publish(revision, result.events, result.touched)
        return revision

    def sleep(self, timeout: float, woken: Callable[[], bool]) -> None:
        """Advance the clock to the timeout, or to the event that wakes the reader."""
        until = self.clock.now + timeout
        for _ in self._due(until):
            if woken():
                return
        self.clock.now = until

    def _due(self, until: float) -> Iterable[None]:
        while self._coming and self._coming[0][0] <= until:
            instant, act = self._coming.pop(0)
            self.clock.now = max(self.clock.now, instant)
            act()
            yield


class _Sleep:
    """A wake-up that advances the clock when it is waited for."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._timeline.sleep(timeout, self.is_set)
        return self._set
