"""Reads of facts that wait in the loop for the store."""

from __future__ import annotations

import time
from unittest.mock import Mock

import pytest

from factstore.core.errors import CursorExpired, FactstoreError, Unavailable
from factstore.core.state.state import State
from factstore.store.started_refresh import FOREIGN_SECONDS, LAG_SECONDS
from factstore.wsgi.fast_path.fact_read import FactRead
from tests.contract.world import Worker
from tests.raw_http import request_bytes
from tests.unit.wsgi.fast_requests import FACT, OWNER, fast_path, read

BEGAN = 100.0


class Store:
    """A store whose calls end when the test ends them."""

    def __init__(self) -> None:
        self.ended: list[tuple[Mock, Mock]] = []
        self.reached: list[tuple[int, Mock]] = []
        self.now = Mock(revision=5)

    def join_head_read(self, ended: Mock) -> None:
        self.ended.append((Mock(error=None, revision=0), ended))

    join_bump = join_head_read

    def join_revision(self, revision: int, reached: Mock) -> None:
        self.reached.append((revision, reached))

    def state(self) -> Mock:
        return self.now

    def end(self, revision: int = 0, error: FactstoreError | None = None) -> None:
        call, ended = self.ended.pop()
        call.revision, call.error = revision, error
        ended(call)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def found() -> list[State | FactstoreError | None]:
    return []


@pytest.fixture
def fact_read(store: Store, found: list[State | FactstoreError | None]) -> FactRead:
    request = read(request_bytes("GET", FACT))
    made = FactRead(
        store,  # type: ignore[arg-type]
        request,
        OWNER,
        BEGAN,
        5.0,
        lambda read, state, error: found.append(state or error),
    )
    made.start()
    return made


def test_a_read_shows_a_state_at_the_revision_of_the_store(
    store: Store, fact_read: FactRead, found: list[object]
) -> None:
    store.end(5)
    assert found == [store.now]
    fact_read.expire(BEGAN + 6)
    assert found == [store.now], "it ends once"


def test_a_read_waits_for_a_state_that_lags(
    store: Store, fact_read: FactRead, found: list[object]
) -> None:
    store.end(7)
    assert found == []
    ((revision, reached),) = store.reached
    assert revision == 7
    store.now.revision = 7
    reached()
    assert found == [store.now]


def test_a_read_is_left_to_the_view_if_the_state_was_read_again_from_before(
    store: Store, fact_read: FactRead, found: list[object]
) -> None:
    store.end(7)
    fact_read.expire(BEGAN + 2 * FOREIGN_SECONDS)
    store.reached[0][1]()
    assert found == [None]


def test_a_read_passes_a_foreign_revision(
    store: Store, fact_read: FactRead, found: list[object]
) -> None:
    store.end(7)
    fact_read.expire(BEGAN + FOREIGN_SECONDS / 2)
    assert not store.ended
    fact_read.expire(BEGAN + 2 * FOREIGN_SECONDS)
    store.end(9)
    assert store.reached[1][0] == 9
    store.now.revision = 9
    store.reached[1][1]()
    assert found == [store.now]


@pytest.mark.parametrize("error", [Unavailable("no answer"), CursorExpired("replaced")])
def test_a_read_states_that_the_store_is_away_and_leaves_other_errors_to_the_view(
    store: Store, fact_read: FactRead, found: list[object], error: FactstoreError
) -> None:
    store.end(error=error)
    assert found == [error if isinstance(error, Unavailable) else None]


@pytest.mark.parametrize(
    ("lags", "seconds", "expected"),
    [
        (True, LAG_SECONDS / 2, []),
        (True, LAG_SECONDS + 0.1, [None]),
        (False, 4.0, []),
        (False, 6.0, 503),
    ],
)
def test_a_read_that_waits_for_too_long_ends(
    store: Store,
    fact_read: FactRead,
    found: list[object],
    lags: bool,
    seconds: float,
    expected: list[object] | int,
) -> None:
    if lags:
        store.end(7)
        fact_read.expire(BEGAN + 2 * FOREIGN_SECONDS)
        store.end(9)
    for _ in range(2):
        fact_read.expire(BEGAN + seconds)
    if expected == 503:
        (error,) = found
        assert isinstance(error, Unavailable)
    else:
        assert found == expected


def test_the_reads_of_a_worker_expire_one_after_the_other(worker: Worker) -> None:
    path, now = fast_path(worker, OWNER), time.monotonic()
    late, new, newer = Mock(began=now - 6), Mock(began=now + 60), Mock(began=now + 60)
    path.reads.running = dict.fromkeys([late, new, newer], Mock())
    assert path.expire()
    late.expire.assert_called_once()
    assert not new.expire.called
    path.reads.running.clear()
    assert not path.expire()
