"""Readers share requests for the head, but no request is older than its readers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

import pytest

from factstore.core.errors import CursorExpired, FactstoreError, Unavailable
from factstore.store.read_index import RETRY_SECONDS, HeadRead, ReadIndex
from tests.eventually import eventually
from tests.unit.core.factories import ManualClock


class Database:
    """Answers when the test permits it; *asked* counts the requests that have arrived."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.questions = 0
        self.answers: SimpleQueue[int | Exception] = SimpleQueue()

    def head(self, deadline: float) -> int:
        self.questions += 1
        self.asked.release()
        answer = self.answers.get(timeout=60)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def index(database: Database) -> Iterator[ReadIndex]:
    made = ReadIndex(database.head, ManualClock(), threading.Event)
    made.start()
    yield made
    database.answers.put(0)
    made.stop()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def readers(index: ReadIndex, threads: ThreadPoolExecutor, count: int) -> list[Future[int]]:
    """Start readers that all wait for the next request."""
    arrived = threading.Semaphore(0)

    def read() -> int:
        arrived.release()
        return index.read(1000.0 + 30)

    made = [threads.submit(read) for _ in range(count)]
    for _ in made:
        assert arrived.acquire(timeout=60)
    return made


def test_a_reader_gets_the_head(
    index: ReadIndex, database: Database, threads: ThreadPoolExecutor
) -> None:
    for head in (5, 6):
        database.answers.put(head)
        assert threads.submit(index.read, 1030.0).result(60) == head


def test_a_reader_that_fails_does_not_affect_others(
    index: ReadIndex, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()

    def fail(call: HeadRead) -> None:
        raise ZeroDivisionError

    index.join(fail)
    index.join(lambda call: ended.set())
    database.answers.put(5)
    database.answers.put(5)
    assert ended.wait(60)
    assert index.alive
    assert "A reader failed." in caplog.text


def test_a_reader_that_arrives_during_a_request_gets_the_next_one(
    index: ReadIndex, database: Database, threads: ThreadPoolExecutor
) -> None:
    (first,) = readers(index, threads, 1)
    assert database.asked.acquire(timeout=60)
    late = readers(index, threads, 8)
    eventually(lambda: index._next is not None)  # type: ignore[attr-defined]
    database.answers.put(5)
    assert first.result(60) == 5
    assert database.asked.acquire(timeout=60)
    assert not any(reader.done() for reader in late), "an answer older than its reader"
    database.answers.put(6)
    found = [reader.result(60) for reader in late]
    assert set(found) == {6}, "all who wait share one question"
    assert database.questions == 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unavailable("etcd is down"), Unavailable),
        (CursorExpired("another life"), CursorExpired),
        (RuntimeError("a bug"), Unavailable),
    ],
)
def test_an_error_reaches_all_waiting_readers_and_no_later_one(
    index: ReadIndex,
    database: Database,
    threads: ThreadPoolExecutor,
    error: Exception,
    told: type[FactstoreError],
) -> None:
    (first,) = readers(index, threads, 1)
    assert database.asked.acquire(timeout=60)
    group = readers(index, threads, 4)
    eventually(lambda: index._next is not None)  # type: ignore[attr-defined]
    database.answers.put(4)
    assert first.result(60) == 4
    assert database.asked.acquire(timeout=60)
    database.answers.put(error)
    errors = [reader.exception(10) for reader in group]
    assert {type(found) for found in errors} <= {told, type(None)}
    assert told in {type(found) for found in errors}
    assert len({id(found) for found in errors if found}) == sum(bool(found) for found in errors)
    database.answers.put(7)
    assert threads.submit(index.read, 1030.0).result(60) == 7


def test_a_reader_gives_up_at_its_deadline_without_affecting_others(
    index: ReadIndex, database: Database, threads: ThreadPoolExecutor
) -> None:
    with pytest.raises(Unavailable):
        index.read(999.0)
    assert database.asked.acquire(timeout=60)
    (patient,) = readers(index, threads, 1)
    database.answers.put(5)
    database.answers.put(6)
    assert patient.result(60) == 6


def test_all_readers_fail_when_the_service_stops(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    index = ReadIndex(database.head, ManualClock(), threading.Event)
    index.start()
    (first,) = readers(index, threads, 1)
    assert database.asked.acquire(timeout=60)
    late = readers(index, threads, 2)
    eventually(lambda: index._next is not None)  # type: ignore[attr-defined]
    stopping = threads.submit(index.stop)
    eventually(lambda: index._stopping)  # type: ignore[attr-defined]
    database.answers.put(5)
    assert first.result(60) == 5
    for reader in late:
        with pytest.raises(Unavailable):
            reader.result(60)
    stopping.result(60)
    with pytest.raises(Unavailable):
        threads.submit(index.read, 1030.0).result(60)
    assert database.questions == 1


def test_readers_that_retry_while_the_database_is_down_do_not_spin(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    pauses: list[float | None] = []

    class Noted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout)
            return super().wait(timeout)

    index = ReadIndex(database.head, ManualClock(), Noted)
    index.start()
    for _ in range(3):
        database.answers.put(Unavailable("etcd is down"))
        with pytest.raises(Unavailable):
            threads.submit(index.read, 1030.0).result(60)
    eventually(lambda: pauses.count(RETRY_SECONDS) == 3)
    database.answers.put(7)
    assert threads.submit(index.read, 1030.0).result(60) == 7
    index.stop()
    assert pauses.count(RETRY_SECONDS) == 3


# Calls that need no thread


class Loop:
    """Starts calls that end when the test ends them."""

    def __init__(self) -> None:
        self.open = True
        self.calls: list[Callable[[int | None], object]] = []

    def start(self, ended: Callable[[int | None], object]) -> bool:
        if self.open:
            self.calls.append(ended)
        return self.open


def test_readers_that_arrive_during_a_call_share_the_next_one(database: Database) -> None:
    loop, found = Loop(), list[int]()
    index = ReadIndex(database.head, ManualClock(), threading.Event, loop.start)
    calls = [index.join(lambda call: found.append(call.revision)) for _ in "abc"]
    assert calls[1] is calls[2] is not calls[0]
    loop.calls.pop()(5)
    assert found == [5]
    loop.calls.pop()(6)
    assert found == [5, 6, 6]
    assert database.questions == 0
    index.join(lambda call: None)
    assert len(loop.calls) == 1


def test_readers_that_arrive_in_the_same_turn_of_the_loop_share_a_call(database: Database) -> None:
    loop, turn, found = Loop(), list[Callable[[], object]](), list[int]()
    index = ReadIndex(database.head, ManualClock(), threading.Event, loop.start, turn.append)

    def join() -> None:
        index.join(lambda call: found.append(call.revision))

    def end_turn() -> None:
        while turn:
            turn.pop(0)()

    join()
    join()
    assert (len(turn), loop.calls) == (1, []), "others may arrive before it is sent"
    end_turn()
    assert len(loop.calls) == 1
    join()  # it has been sent
    end_turn()
    assert len(loop.calls) == 1, "one call at a time"
    loop.calls.pop()(5)
    assert found == [5, 5]
    join()
    end_turn()
    loop.calls.pop()(6)
    assert found == [5, 5, 6, 6]
    assert (turn, loop.calls, database.questions) == ([], [], 0)


@pytest.mark.parametrize("starts", [True, False])
def test_a_call_without_a_response_is_repeated_by_the_thread(
    database: Database, starts: bool
) -> None:
    loop, ended = Loop(), threading.Semaphore(0)
    loop.open = starts
    index = ReadIndex(database.head, ManualClock(), threading.Event, loop.start)
    index.start()
    first = index.join(lambda call: ended.release())
    if starts:
        loop.calls.pop()(None)
    assert database.asked.acquire(timeout=60)
    second = index.join(lambda call: ended.release())
    assert loop.calls == [], "one call at a time"
    loop.open = True
    database.answers.put(5)
    assert ended.acquire(timeout=60)
    assert (first.revision, database.questions) == (5, 1)
    eventually(lambda: len(loop.calls) == 1)
    loop.calls.pop()(6)
    assert ended.acquire(timeout=60)
    assert second.revision == 6
    index.stop()


def test_readers_are_released_when_the_index_stops_during_a_call(database: Database) -> None:
    loop, found = Loop(), list[HeadRead]()
    index = ReadIndex(database.head, ManualClock(), threading.Event, loop.start)
    index.start()
    calls = [index.join(found.append) for _ in "ab"]
    index.stop()
    loop.calls.pop()(None)
    assert found == calls[::-1]
    assert all(isinstance(call.error, Unavailable) for call in calls)
