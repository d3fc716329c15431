"""The pump, with a backend whose watch follows a script."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.errors import CursorExpired, Unavailable
from factstore.core.history_store import Enter, Snapshot, at_once
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import PutFact, PutStack, Step, StepResult
from factstore.core.state.state import State
from factstore.watch.history import HistoryLimits
from factstore.watch.hub import Hub
from factstore.watch.pump import Pump
from tests.eventually import eventually
from tests.unit.core.factories import EPOCH, SCOPE, fact, stack

Script = Sequence[int | Exception | Callable[[], object]]
LOST = Unavailable("the connection was lost")
GONE = CursorExpired("it was compacted")


def step(revision: int) -> Step:
    return Step(revision, (PutFact("s1", fact("p", revision, revision)),))


class Scripted:
    """A backend; each :meth:`follow` plays one script: revisions, then perhaps an error.

    A script that ends without an error leaves the watch open and silent until it is interrupted.

    :ivar epoch: of the next snapshot.
    """

    epoch = EPOCH

    def __init__(self, openings: Sequence[int | Exception], *scripts: Script) -> None:
        self.openings = list(openings)
        self.scripts = list(scripts)
        self.asked: list[int | str] = []
        self.silent = threading.Event()
        self.interrupted = threading.Event()

    def open(self, *, recent: bool = False) -> Snapshot:
        self.asked.append("open")
        at = self.openings.pop(0)
        if isinstance(at, Exception):
            raise at
        return Snapshot(self.epoch, at, [PutStack(stack())])

    def follow(self, after: int) -> Iterator[Step]:
        self.asked.append(after)
        for entry in self.scripts.pop(0) if self.scripts else ():
            if isinstance(entry, Exception):
                raise entry
            if isinstance(entry, int):
                yield step(entry)
            else:
                entry()
        self.silent.set()
        self.interrupted.wait(30)
        raise Unavailable("interrupted")

    def interrupt(self) -> None:
        self.interrupted.set()


class Recorder:
    """A state machine that records its calls."""

    def __init__(self) -> None:
        self.state = State()
        self.seen: list[int | str] = []

    def load(self, opening: Snapshot, enter: Enter = at_once) -> None:
        def place() -> None:
            self.state = state

        state = State(opening.revision, opening.epoch)
        state.load(opening.mutations)
        enter(place)
        self.seen.append(f"load {opening.revision}")

    def apply(self, made: Step) -> StepResult:
        self.seen.append(made.revision)
        return self.state.apply(made)


@pytest.fixture
def hub() -> Hub:
    return Hub(HistoryLimits(100, 10**6, 900))


def run(backend: Scripted, hub: Hub, reader: Recorder | None = None) -> Recorder:
    """Run the pump until all scripts are played."""
    reader = reader or Recorder()
    pump = Pump(backend, reader, hub)  # type: ignore[arg-type]
    pump.start()
    try:
        assert backend.silent.wait(60)
        assert pump.wait_ready(0)
    finally:
        pump.stop()
    return reader


def published(hub: Hub, after: int, epoch: str = EPOCH) -> list[int]:
    found = hub.read(SCOPE, Cursor(epoch, after), events=99, size=10**6).events
    return [event.revision for event in found]


def test_every_step_reaches_the_state_and_then_the_readers(hub: Hub) -> None:
    backend = Scripted([4], [5, 7, 8])
    reader = run(backend, hub)
    assert backend.asked == ["open", 4]
    assert reader.seen == ["load 4", 5, 7, 8]
    assert published(hub, 4) == [5, 7, 8]
    assert hub.cursor == (EPOCH, 8)


def test_it_resumes_where_it_stopped_without_loss_or_repetition(hub: Hub) -> None:
    backend = Scripted([4], [5, 6, LOST], [LOST], [7, LOST], [8])
    reader = run(backend, hub)
    assert backend.asked == ["open", 4, 6, 6, 7]
    assert reader.seen == ["load 4", 5, 6, 7, 8]
    assert published(hub, 4) == [5, 6, 7, 8]


def test_repeated_steps_of_a_lagging_etcd_member_are_ignored(hub: Hub) -> None:
    reader = run(Scripted([4], [5, 6, LOST], [4, 5, 6, 7, 7, 6, 8]), hub)
    assert reader.seen == ["load 4", 5, 6, 7, 8]
    assert published(hub, 4) == [5, 6, 7, 8]


def test_if_history_was_compacted_the_pump_reloads_and_readers_see_a_gap(
    hub: Hub,
) -> None:
    backend = Scripted([4, 20], [5, GONE], [21])
    reader = run(backend, hub)
    assert backend.asked == ["open", 4, "open", 20]
    assert reader.seen == ["load 4", 5, "load 20", 21]
    for after in (4, 5, 19):
        with pytest.raises(CursorExpired):
            published(hub, after)
    assert published(hub, 20) == [21]


def test_readers_receive_the_events_of_one_store(hub: Hub) -> None:
    backend = Scripted([4, 2], [5, 6, lambda: restore(), GONE], [3, 4, 5, 6, 7])

    def restore() -> None:
        assert published(hub, 4) == [5, 6]
        backend.epoch = "f" * 16

    run(backend, hub)
    assert published(hub, 2, backend.epoch) == [3, 4, 5, 6, 7]
    for after in (2, 5, 7, 9):
        with pytest.raises(CursorExpired):
            published(hub, after)


def test_a_state_and_its_events_appear_together(hub: Hub) -> None:
    free = []

    class Watching(Recorder):
        def load(self, opening: Snapshot, enter: Enter = at_once) -> None:
            def entered(place: Callable[[], None]) -> None:
                def watched() -> None:
                    # A reader on another thread, which may have seen the state, has to wait.
                    free.append(threads.submit(hub._lock.acquire, False).result(60))
                    place()

                enter(watched)

            super().load(opening, entered)

    with ThreadPoolExecutor(1) as threads:
        run(Scripted([4, 2], [5, GONE], [3]), hub, Watching())
    assert free == [False, False]


def test_history_starts_with_the_snapshot_of_the_backend(hub: Hub) -> None:
    run(Scripted([4], []), hub)
    with pytest.raises(CursorExpired):
        published(hub, 3)
    assert published(hub, 4) == []


def test_waiting_readers_are_woken_by_a_reload(hub: Hub) -> None:
    woken: list[bool] = []
    waiting = threading.Thread(target=lambda: woken.append(hub.wait(SCOPE, Cursor(EPOCH, 5), 30)))

    def wait_first() -> None:
        waiting.start()
        eventually(lambda: any(c.readers for c in hub._channels.values()))  # type: ignore[attr-defined]

    run(Scripted([4, 20], [5, wait_first, GONE], []), hub)
    waiting.join(60)
    assert woken == [True]


@pytest.mark.parametrize("error", [LOST, GONE, RuntimeError("a bug")])
def test_it_keeps_trying_to_open(hub: Hub, error: Exception) -> None:
    reader = run(Scripted([error, error, 4], [5]), hub)
    assert reader.seen == ["load 4", 5]


def test_an_unexpected_error_results_in_a_reload(hub: Hub) -> None:
    backend = Scripted([4, 4], [5, RuntimeError("a bug")], [5, 6])
    reader = run(backend, hub)
    assert backend.asked == ["open", 4, "open", 4]
    assert reader.seen == ["load 4", 5, "load 4", 5, 6]
    assert published(hub, 4) == [5, 6]


def test_it_is_not_ready_before_the_state_was_read(hub: Hub) -> None:
    released = threading.Event()

    class Slow(Scripted):
        def open(self, *, recent: bool = False) -> Snapshot:
            assert released.wait(60)
            return super().open(recent=recent)

    backend = Slow([4], [])
    pump = Pump(backend, Recorder(), hub)  # type: ignore[arg-type]
    pump.start()
    assert not pump.wait_ready(0)
    released.set()
    assert pump.wait_ready(10)
    pump.stop()


def test_the_pump_stops_while_the_watch_is_silent(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    backend = Scripted([4], [5])
    pump = Pump(backend, Recorder(), hub)  # type: ignore[arg-type]
    pump.start()
    assert backend.silent.wait(60)
    pump.stop()
    assert pump._thread is not None  # type: ignore[attr-defined]
    assert not pump._thread.is_alive()  # type: ignore[attr-defined]
    assert not caplog.messages


def test_the_pump_stops_even_if_it_is_interrupted_just_before_it_follows(hub: Hub) -> None:
    class Uninterrupted(Scripted):
        """A backend that forgets an interruption when it follows."""

        def follow(self, after: int) -> Iterator[Step]:
            if not self.asked.count(after):
                self.silent.set()
                assert self.interrupted.wait(60)
                self.interrupted.clear()
            yield from super().follow(after)

    backend = Uninterrupted([4], [])
    pump = Pump(backend, Recorder(), hub)  # type: ignore[arg-type]
    pump.start()
    assert backend.silent.wait(60)
    pump.stop()
    assert not pump._thread.is_alive()  # type: ignore[attr-defined, union-attr]
