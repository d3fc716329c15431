"""The state that follows a database: a refresh makes it current, even if foreign keys change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.errors import CursorExpired, Unavailable
from factstore.core.history_store import Snapshot
from factstore.core.model.event import PutFact, PutStack, Step
from factstore.core.ports import Transaction
from factstore.core.standstill import STANDSTILL_SECONDS
from factstore.core.state.state import State
from factstore.store.mirror import FILL_SECONDS, SILENT_SECONDS, MirroredStore
from tests.unit.core.factories import EPOCH, SCOPE, ManualClock, fact, stack


class Scripted:
    """A backend whose head and answers the test sets."""

    def __init__(self) -> None:
        self.at: int | Exception = 5
        self.on_nudge = lambda: 0
        self.on_fence = lambda: 0
        self.nudges = 0
        self.interrupts = 0

    def head(self, deadline: float) -> int:
        if isinstance(self.at, Exception):
            raise self.at
        return self.at

    def start_head(self, ended: object) -> bool:
        return False

    def defer(self, call: Callable[[], object]) -> None:
        call()

    def bump_revision(self, deadline: float) -> int:
        self.nudges += 1
        return self.on_nudge()

    def raise_fence(self, deadline: float) -> int:
        return self.on_fence()

    def interrupt(self) -> None:
        self.interrupts += 1

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        assert isinstance(self.at, int)
        self.at += 1
        return self.at


class Passing(threading.Event):
    """A wake-up whose wait returns at once and only advances the clock, perhaps by too much."""

    clock: ManualClock
    late = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        if not self.is_set():
            self.clock.advance((timeout or 0) + self.late)
        return self.is_set()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def backend() -> Scripted:
    return Scripted()


@pytest.fixture
def store(backend: Scripted, clock: ManualClock) -> Iterator[MirroredStore]:
    made = MirroredStore(backend, clock, threading.Event)  # type: ignore[arg-type]
    made.start()
    made.load(Snapshot(EPOCH, 5, [PutStack(stack())]))
    yield made
    made.stop()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def step(revision: int) -> Step:
    return Step(revision, (PutFact("s1", fact("p", revision, revision)),))


def test_the_state_is_unavailable_before_the_store_was_read(backend: Scripted) -> None:
    empty = MirroredStore(backend, ManualClock(), threading.Event)  # type: ignore[arg-type]
    for ask in (empty.state, lambda: empty.refresh(2000)):
        with pytest.raises(Unavailable):
            ask()


def test_a_current_state_is_returned_at_once(store: MirroredStore, backend: Scripted) -> None:
    assert store.refresh(2000).revision == 5
    assert backend.nudges == 0


def test_a_refreshed_state_is_never_older_than_the_head(
    store: MirroredStore, backend: Scripted, threads: ThreadPoolExecutor
) -> None:
    backend.at = 7
    asked = threading.Event()

    def bump_revision() -> int:
        asked.set()
        return 8

    backend.on_nudge = bump_revision
    waiting = [threads.submit(store.refresh, 1030.0) for _ in range(4)]
    assert asked.wait(60)
    store.apply(step(6))
    assert not any(reader.done() for reader in waiting)
    store.apply(step(7))
    store.apply(Step(8, ()))
    assert all(reader.result(60).revision >= 7 for reader in waiting)


def test_a_bumped_revision_makes_the_watch_pass_foreign_revisions(
    store: MirroredStore, backend: Scripted
) -> None:
    backend.at = 900

    def bump_revision() -> int:
        store.apply(Step(901, ()))
        return 901

    backend.on_nudge = bump_revision
    assert store.refresh(1030.0).revision == 901
    assert backend.nudges == 1


def test_a_silent_watch_is_restarted_and_the_reader_notified(
    backend: Scripted, clock: ManualClock
) -> None:
    def passing() -> Passing:
        made = Passing()
        made.clock = clock
        return made

    # Requests take no time, so that only waiting for the watch advances the clock.
    store = MirroredStore(backend, clock, passing)  # type: ignore[arg-type]
    store._head_reads.read = lambda deadline: 7  # type: ignore[method-assign]
    store._bumps.read = lambda deadline: 8  # type: ignore[method-assign]
    store.load(Snapshot(EPOCH, 5, []))
    # The watch may have a long history to report first.
    with pytest.raises(Unavailable):
        store.refresh(clock.now + FILL_SECONDS - 1)
    assert backend.interrupts == 0
    store.apply(Step(8, ()))
    assert store.refresh(clock.now + 1).revision == 8
    # Once the state was current, it may be silent for a second.
    store._bumps.read = store._head_reads.read = lambda deadline: 9  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        store.refresh(clock.now + 2)
    assert backend.interrupts == 1
    # Impatient readers leave it the time to open, and do not restart it again and again.
    for _ in range(2):
        with pytest.raises(Unavailable):
            store.refresh(clock.now + 1)
        assert backend.interrupts == 1
    with pytest.raises(Unavailable):
        store.refresh(clock.now + 1)
    assert backend.interrupts == 2


@pytest.mark.parametrize(("late", "interrupts"), [(0.0, 1), (STANDSTILL_SECONDS, 1), (5.0, 0)])
def test_a_process_that_stood_still_does_not_restart_its_watch(
    backend: Scripted, clock: ManualClock, late: float, interrupts: int
) -> None:
    def passing() -> Passing:
        made = Passing()
        made.clock, made.late = clock, late
        return made

    store = MirroredStore(backend, clock, passing)  # type: ignore[arg-type]
    store._bumps.read = store._head_reads.read = lambda deadline: 7  # type: ignore[method-assign]
    store.load(Snapshot(EPOCH, 5, []))
    clock.advance(FILL_SECONDS)
    with pytest.raises(Unavailable):
        store.refresh(clock.now + SILENT_SECONDS + 0.5)
    assert backend.interrupts == interrupts


def test_a_watch_that_reports_no_history_for_too_long_is_restarted(
    backend: Scripted, clock: ManualClock
) -> None:
    def passing() -> Passing:
        made = Passing()
        made.clock = clock
        return made

    store = MirroredStore(backend, clock, passing)  # type: ignore[arg-type]
    store._bumps.read = store._head_reads.read = lambda deadline: 7  # type: ignore[method-assign]
    store.load(Snapshot(EPOCH, 5, []))
    with pytest.raises(Unavailable):
        store.refresh(clock.now + FILL_SECONDS + 2)
    assert backend.interrupts == 1


def test_a_fenced_state_includes_the_revision_of_the_fence(
    store: MirroredStore, backend: Scripted, threads: ThreadPoolExecutor
) -> None:
    raised = threading.Event()

    def raise_fence() -> int:
        raised.set()
        return 7

    backend.on_fence = raise_fence
    writers = [threads.submit(store.fence, 1030.0) for _ in range(4)]
    assert raised.wait(60)
    store.apply(step(6))
    assert not any(writer.done() for writer in writers)
    store.apply(Step(7, ()))
    assert all(writer.result(60).revision >= 7 for writer in writers)


def test_a_replaced_store_is_unavailable_until_it_is_loaded_again(
    store: MirroredStore, backend: Scripted
) -> None:
    backend.at = CursorExpired("another life")
    with pytest.raises(Unavailable):
        store.refresh(1030.0)
    backend.at = 2
    store.load(Snapshot("f" * 16, 2, [PutStack(stack(stack_id="other"))]))
    found = store.refresh(1030.0).stack(SCOPE)
    assert found is not None
    assert found.id == "other"
    assert store.state().epoch == "f" * 16


def test_the_backend_answers_for_a_store_only_once_its_state_is_in_place(
    store: MirroredStore,
) -> None:
    """Otherwise, a refresh would compare the newest revision with that of the former state."""
    seen: list[str] = []

    def enter(place: Callable[[], None]) -> None:
        seen.append(store.state().epoch)
        place()
        seen.append(store.state().epoch)

    other, waited = "f" * 16, list[str]()
    store.join_revision(9, lambda: waited.append(store.state().epoch))
    use = lambda: seen.append(f"used by {store.state().epoch}")  # noqa: E731 - a recorder
    store.load(Snapshot(other, 2, [PutStack(stack())], use=use), enter)
    assert seen == [EPOCH, f"used by {other}", other]
    assert waited == [other], "those that wait find the new state"


def test_loading_during_a_refresh_never_shows_an_older_state(
    store: MirroredStore, backend: Scripted
) -> None:
    """Loading begins at the oldest revision that has not been compacted."""

    class ConcurrentlyReloaded(State):
        looks = 0

        @property
        def revision(self) -> int:
            self.looks += 1
            if self.looks == 1:
                store.load(Snapshot(EPOCH, 3, [PutStack(stack())]))
            return self.known

        @revision.setter
        def revision(self, revision: int) -> None:
            self.known = revision

    def catch_up() -> int:
        for revision in range(4, 9):
            store.apply(step(revision))
        return 8

    backend.at = 7
    backend.on_nudge = catch_up
    tricky = ConcurrentlyReloaded(7)
    store._state = tricky  # type: ignore[attr-defined]
    assert store.refresh(1030.0).revision >= 7


def test_a_write_is_acknowledged_once_its_own_state_shows_it(
    store: MirroredStore, threads: ThreadPoolExecutor
) -> None:
    writing = threads.submit(store.commit, Transaction(stack(), 5, deletes=("p",)), 1030.0)
    store.apply(step(6))
    assert writing.result(60) == 6
    assert store.state().revision == 6


def test_a_write_is_acknowledged_even_if_the_watch_does_not_show_it(
    store: MirroredStore,
) -> None:
    assert store.commit(Transaction(stack(), 5, deletes=("p",)), 900.0) == 6


def test_a_confirmation_does_not_wait_for_the_watch(store: MirroredStore) -> None:
    assert store.commit(Transaction(stack(), 5), 1030.0) == 6
    assert store.state().revision == 5


def test_is_behind_is_true_if_the_database_has_moved(
    store: MirroredStore, backend: Scripted
) -> None:
    assert not store.is_behind(1030.0)
    backend.at = 6
    assert store.is_behind(1030.0)
    store.apply(step(6))
    assert not store.is_behind(1030.0)
