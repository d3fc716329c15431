"""The history before the first snapshot, read from a backend that follows a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from factstore.core.errors import CursorExpired
from factstore.core.history_store import Enter, KnownFact, PastSteps, Snapshot, at_once
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event, PutFact, PutStack, Step, StepResult
from factstore.core.state.state import State
from factstore.watch import history_fill
from factstore.watch.history import HistoryLimits
from factstore.watch.history_fill import HistoryFill
from factstore.watch.hub import Hub
from factstore.watch.pump import Pump
from tests.eventually import eventually
from tests.unit.core.factories import EPOCH, SCOPE, ManualClock, fact, stack
from tests.unit.watch.test_pump import GONE, LOST, Script, Scripted, published, step

Past = Sequence[int | Exception | Callable[[], object]]


class WithPast(Scripted):
    """A backend whose snapshots are at 4 if they are recent, and at 1 if not.

    :param pasts: what each :meth:`read_past` plays: revisions, then perhaps an error.
    """

    def __init__(self, pasts: Sequence[Past], *scripts: Script) -> None:
        super().__init__([], *scripts)
        self.pasts = list(pasts)
        self.known: list[object] = []
        self.replaced = False

    def open(self, *, recent: bool = False) -> Snapshot:
        self.asked.append("open recent" if recent else "open")
        if not recent:
            return Snapshot(EPOCH, 1, [PutStack(stack())])
        found = [PutStack(stack()), PutFact("s1", fact("p", 3, 3))]
        return Snapshot(EPOCH, 4, found, since=1)

    def read_past(self, after: int, upto: int, known: KnownFact) -> PastSteps:
        assert (after, upto) == (1, 4)
        self.known = [known("s1", "p"), known("s1", "other"), known("s2", "p")]
        return PastSteps(iter([PutStack(stack())]), self._play(self.pasts.pop(0)))

    def _play(self, past: Past) -> Iterator[Step]:
        for entry in past:
            if isinstance(entry, Exception):
                raise entry
            if isinstance(entry, int):
                yield step(entry)
            else:
                entry()

    def head(self, deadline: float) -> int:
        if self.replaced:
            raise CursorExpired("the store was replaced")
        return 9

    def bump_revision(self, deadline: float) -> int:
        self.asked.append("bump")
        return 5


class Loaded:
    """A state machine."""

    def __init__(self) -> None:
        self._state = State()

    def load(self, opening: Snapshot, enter: Enter = at_once) -> None:
        self._state = State(opening.revision, opening.epoch)
        self._state.load(opening.mutations)
        enter(lambda: None)

    def apply(self, made: Step) -> StepResult:
        return self._state.apply(made)

    def state(self) -> State:
        return self._state


@pytest.fixture
def hub() -> Hub:
    return Hub(HistoryLimits(100, 10**6, 900))


def run(backend: WithPast, hub: Hub) -> tuple[Pump, HistoryFill]:
    """Return a running pump that has played all scripts, and is allowed to read the history."""
    fill = HistoryFill(backend, hub, ManualClock())  # type: ignore[arg-type]
    pump = Pump(backend, Loaded(), hub, fill)  # type: ignore[arg-type]
    pump.start()
    assert backend.silent.wait(60)
    pump.fill_history()
    return pump, fill


def test_the_past_is_read_after_a_recent_snapshot_and_known_facts_are_offered(hub: Hub) -> None:
    backend = WithPast([[2, 3]], [5, 6])
    pump, _ = run(backend, hub)
    try:
        assert published(hub, 1) == [2, 3, 5, 6]
        assert backend.asked == ["open recent", 4]
        assert backend.known == [fact("p", 6, 6), None, None]  # the present ones
    finally:
        pump.stop()


def test_a_step_is_made_if_none_followed_the_snapshot(hub: Hub) -> None:
    backend = WithPast([[2, 3]], [])
    pump, _ = run(backend, hub)
    try:
        assert published(hub, 1) == [2, 3]
        assert backend.asked == ["open recent", 4, "bump"]
    finally:
        pump.stop()


def test_the_past_is_read_again_after_an_interruption(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_fill, "RETRY_SECONDS", 0.01)
    pump, _ = run(WithPast([[2, LOST], [LOST], [2, 3]], [5]), hub)
    try:
        assert published(hub, 1) == [2, 3, 5]
    finally:
        pump.stop()


@pytest.mark.parametrize("error", [GONE, RuntimeError("a bug")])
def test_a_past_that_cannot_be_read_is_a_gap_and_the_present_is_followed(
    hub: Hub, error: Exception
) -> None:
    pump, _ = run(WithPast([[2, error]], [5]), hub)
    try:
        for after in (1, 2, 3):
            with pytest.raises(CursorExpired):
                published(hub, after)
        assert published(hub, 4) == [5]
    finally:
        pump.stop()


def test_the_past_of_a_store_that_was_restored_meanwhile_is_not_used(hub: Hub) -> None:
    backend = WithPast([[2, lambda: setattr(backend, "replaced", True), 3]], [5])
    pump, _ = run(backend, hub)
    try:
        with pytest.raises(CursorExpired):
            published(hub, 3)
        assert published(hub, 4) == [5]
    finally:
        pump.stop()


def test_the_past_belongs_to_the_store_whose_revision_it_precedes(hub: Hub) -> None:
    hub.reset(Cursor(EPOCH, 4), 1)
    past = hub.new_past(1)
    past.add(3, [Event(SCOPE, "s1", 3, ())])
    hub.put_past(past, Cursor("f" * 16, 4))
    hub.put_past(None, Cursor(EPOCH, 4))
    with pytest.raises(CursorExpired):
        published(hub, 2)


def test_a_worker_that_loads_the_store_again_reads_the_history_first(hub: Hub) -> None:
    reading, reloaded = threading.Event(), threading.Event()

    def read_while_the_store_is_loaded_again() -> None:
        reading.set()
        assert reloaded.wait(60)

    def wait_for_the_reading() -> None:
        fill.allow()
        assert reading.wait(60)

    backend = WithPast(
        [[2, read_while_the_store_is_loaded_again, 3]], [5, wait_for_the_reading, GONE], [2, 7]
    )
    fill = HistoryFill(backend, hub, ManualClock())  # type: ignore[arg-type]
    pump = Pump(backend, Loaded(), hub, fill)  # type: ignore[arg-type]
    pump.start()
    try:
        assert backend.silent.wait(60)
        assert backend.asked == ["open recent", 4, "open", 1]
        reloaded.set()
        eventually(lambda: not fill.alive)
        assert published(hub, 1) == [2, 7]  # and not what was read of the former state
    finally:
        reloaded.set()
        pump.stop()


def test_the_thread_ends_when_the_pump_stops(hub: Hub) -> None:
    stopping = threading.Event()
    backend = WithPast([[2, stopping.wait, 3]], [5])
    pump, fill = run(backend, hub)
    eventually(lambda: backend.known)
    fill.stop()
    stopping.set()
    pump.stop()
    eventually(lambda: not fill.alive)


def test_it_is_read_even_if_the_worker_does_not_become_ready(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_fill, "READY_SECONDS", 0.01)
    backend = WithPast([[2, 3]], [5])
    pump = Pump(backend, Loaded(), hub, HistoryFill(backend, hub, ManualClock()))  # type: ignore[arg-type]
    pump.start()
    try:
        assert backend.silent.wait(60)
        assert published(hub, 1) == [2, 3, 5]
    finally:
        pump.stop()
