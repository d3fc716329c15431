"""The maintenance tasks of several workers, on a clock that the test sets."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import Unavailable
from factstore.core.model.cursor import Cursor
from factstore.store.maintenance import NOTE_SECONDS, Maintenance
from tests.eventually import eventually
from tests.unit.core.factories import EPOCH, ManualClock

WINDOW = 600.0


@dataclass
class Database:
    """The database of all workers: its head, and the last compaction turn with its revision."""

    head: int = 0
    version: int = 0
    noted: int = 0
    compacted: list[int] = field(default_factory=list)
    sweeps: int = 0
    turns: list[float] = field(default_factory=list)
    notes: list[tuple[int, bool]] = field(default_factory=list)

    def purge_deleted(self, deadline: float) -> None:
        self.sweeps += 1

    @property
    def followed(self) -> Database:
        return self

    def note(self, at: Cursor, deadline: float, *, at_once: bool = False) -> None:
        self.notes.append((at.revision, at_once))

    def compact(self, revision: int, deadline: float) -> None:
        self.compacted.append(revision)

    def try_compaction_turn(self, seen: int, deadline: float) -> tuple[bool, int, int]:
        if seen != self.version:
            return False, self.version, self.noted
        before, self.noted = self.noted, self.head
        self.version += 1
        self.turns.append(deadline)
        return True, self.version, before


class Mirror:
    """A mirror that is behind as often as the test sets."""

    def __init__(self, *behind: bool) -> None:
        self._behind = list(behind)
        self.moves = 0
        self.needs_write = False

    def is_behind(self, deadline: float) -> bool:
        return self._behind.pop(0) if self._behind else False

    def catch_up(self, deadline: float) -> None:
        self.moves += 1

    @property
    def notes_lost_history(self) -> bool:
        return False


def worker(
    database: Database,
    clock: ManualClock,
    mirror: Mirror | None = None,
    window: float = WINDOW,
    reached: int | None = None,
) -> Maintenance:
    """Return a worker without a thread: the test runs its rounds."""
    maintenance = Maintenance(
        mirror or Mirror(),
        database,
        clock,
        window=window,
        published=lambda: Cursor(EPOCH, database.head if reached is None else reached),
        period=3600,
    )
    maintenance.start()
    maintenance.stop()
    return maintenance


def test_history_is_kept_for_one_to_two_windows_by_one_worker() -> None:
    clock, database = ManualClock(), Database()
    maintenance = worker(database, clock)
    heads: dict[float, int] = {}
    for second in range(0, 10 * int(WINDOW), 5):
        clock.advance(5)
        database.head += 1
        heads[clock.now] = database.head
        before = len(database.compacted)
        maintenance.round()
        if len(database.compacted) > before:
            kept = [at for at, head in heads.items() if head >= database.compacted[-1]]
            assert WINDOW <= clock.now - min(kept) <= 2 * WINDOW, second
    assert len(database.compacted) == 9


@given(
    st.integers(1, 5),
    st.lists(st.floats(0, WINDOW), min_size=5, max_size=5),
    st.lists(st.integers(0, 20), min_size=5, max_size=5),
)
def test_several_workers_compact_no_more_often_than_one(
    count: int, starts: list[float], offsets: list[int]
) -> None:
    clock, database = ManualClock(), Database()
    begin = clock.now
    workers: list[Maintenance | None] = [None] * count
    heads: list[tuple[float, int]] = []
    for _ in range(0, 6 * int(WINDOW), 30):
        clock.advance(30)
        database.head += 1
        heads.append((clock.now, database.head))
        for n in range(count):
            at = workers[n]
            if at is None:
                if clock.now - begin >= starts[n] + offsets[n]:
                    workers[n] = worker(database, clock)
                continue
            before = len(database.compacted)
            at.round()
            if len(database.compacted) > before:
                written = next(when for when, head in heads if head >= database.compacted[-1])
                assert clock.now - written >= WINDOW, "history was given up too early"
    assert database.compacted == sorted(set(database.compacted))
    assert 2 <= len(database.compacted) <= 2 * 6, "the workers compact too often, or never"


def test_a_worker_that_starts_late_first_reads_the_turn_and_then_takes_turns() -> None:
    clock = ManualClock()
    database = Database(head=100, version=7, noted=50)
    maintenance = worker(database, clock)
    clock.advance(WINDOW)
    maintenance.round()
    assert database.compacted == []
    clock.advance(WINDOW)
    maintenance.round()
    assert database.compacted == [50]


def test_the_first_turn_compacts_nothing() -> None:
    clock, database = ManualClock(), Database(head=100)
    maintenance = worker(database, clock)
    clock.advance(WINDOW)
    maintenance.round()
    assert database.version == 1
    assert database.compacted == []


def test_history_that_local_readers_have_not_received_is_not_compacted() -> None:
    clock, database = ManualClock(), Database(head=100, version=0, noted=0)
    maintenance = worker(database, clock, reached=30)
    for _ in range(2):
        clock.advance(WINDOW)
        maintenance.round()
    assert database.compacted == [30]


def test_nothing_is_compacted_before_the_first_window_is_over_or_without_one() -> None:
    clock, database = ManualClock(), Database(head=9)
    early, never = worker(database, clock), worker(database, clock, window=0)
    clock.advance(WINDOW - 1)
    early.round()
    never.round()
    assert database.version == 0
    clock.advance(10 * WINDOW)
    never.round()
    assert database.version == 0
    assert database.sweeps == 3


def test_the_state_catches_up_only_when_it_is_behind_twice_in_a_row() -> None:
    clock, database = ManualClock(), Database()
    mirror = Mirror(True, False, True, True, True, False)
    maintenance = worker(database, clock, mirror)
    moves = []
    for _ in range(6):
        maintenance.round()
        moves.append(mirror.moves)
    assert moves == [0, 0, 0, 1, 2, 2]


def test_a_failed_round_does_not_end_maintenance(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Database):
        def purge_deleted(self, deadline: float) -> None:
            super().purge_deleted(deadline)
            if self.sweeps == 1:
                raise Unavailable("etcd is down")
            if self.sweeps == 2:
                raise RuntimeError("a bug")

    database = Failing()
    maintenance = Maintenance(
        Mirror(),
        database,
        ManualClock(),
        window=0,
        published=lambda: Cursor(EPOCH, 0),
        period=0.001,
    )
    maintenance.start()
    eventually(lambda: database.sweeps >= 4)
    maintenance.stop()


def test_a_round_is_run_at_once_when_a_stack_was_deleted() -> None:
    database = Database()
    maintenance = Maintenance(
        Mirror(), database, ManualClock(), window=0, published=lambda: Cursor(EPOCH, 0), period=3600
    )
    maintenance.start()
    maintenance.wake()
    eventually(lambda: database.sweeps == 1)
    maintenance.stop()


def test_a_worker_notes_how_far_it_has_followed_when_nothing_is_left_to_write() -> None:
    clock, database, mirror = ManualClock(), Database(head=5), Mirror()
    maintenance = worker(database, clock, mirror)
    database.notes.clear()
    clock.advance(NOTE_SECONDS)
    mirror.needs_write = True
    maintenance.round()
    maintenance.stop()
    assert database.notes == []
    mirror.needs_write = False
    for database.head in (6, 7):  # the second one is too early
        maintenance.round()
    clock.advance(NOTE_SECONDS)
    database.head = 8
    maintenance.round()
    database.head = 9
    maintenance.stop()
    assert database.notes == [(6, False), (8, False), (9, True)]


def test_a_worker_that_cannot_note_how_far_it_has_followed_stops_all_the_same() -> None:
    class Away(Database):
        def note(self, at: Cursor, deadline: float, *, at_once: bool = False) -> None:
            raise Unavailable("etcd does not answer")

    worker(Away(), ManualClock()).stop()
