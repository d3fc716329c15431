"""Word of what moves reaches all who wait for it, and costs no more than it may."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.fact import Scope
from factstore.watch import stirs as stirring
from factstore.watch.stirs import Stirs

ONE, OTHER = Scope("p", "one"), Scope("p", "other")
LONG = 30.0  # nobody waits that long unless something is wrong


class Parking(threading.Event):
    """A signal that tells when somebody waits on it; others may do something just before."""

    parked = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        type(self).parked.release()
        return super().wait(timeout)


@pytest.fixture
def stirs() -> Stirs:
    Parking.parked = threading.Semaphore(0)
    return Stirs(Parking)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def wait(threads: ThreadPoolExecutor, stirs: Stirs, scope: Scope, after: int) -> Future[bool]:
    """Let somebody wait, and return once they do."""
    waiting = threads.submit(stirs.wait, scope, after, LONG)
    assert Parking.parked.acquire(timeout=LONG)
    return waiting


def test_what_moved_after_the_read_and_before_the_wait_is_not_missed(stirs: Stirs) -> None:
    stirs.tell(5, [ONE])
    assert stirs.wait(ONE, 4, 0)
    assert not stirs.wait(ONE, 5, 0)


def test_who_waits_is_woken_by_what_moves_in_their_stack_alone(
    stirs: Stirs, threads: ThreadPoolExecutor
) -> None:
    waiting = wait(threads, stirs, ONE, 4)
    other = wait(threads, stirs, OTHER, 4)
    stirs.tell(5, [ONE])
    assert waiting.result(LONG)
    assert not other.done()
    stirs.close()
    assert other.result(LONG)


def test_all_who_wait_for_one_stack_are_woken(stirs: Stirs, threads: ThreadPoolExecutor) -> None:
    waiting = [wait(threads, stirs, ONE, after) for after in (3, 4, 4)]
    stirs.tell(5, [OTHER, ONE])
    assert all(one.result(LONG) for one in waiting)


def test_nothing_that_moves_means_a_wait_until_the_time_is_over(stirs: Stirs) -> None:
    stirs.tell(5, [OTHER])
    assert not stirs.wait(ONE, 5, 0.01)


@given(
    st.lists(
        st.tuples(st.sampled_from(["tell", "read", "wait", "reset"]), st.integers(0, 2)),
        max_size=30,
    )
)
def test_a_wait_ends_at_once_just_when_something_moved_since_the_read(
    steps: list[tuple[str, int]],
) -> None:
    # The pump moves the state first, and tells afterwards; who waits has read the state.
    stirs, revision = Stirs(threading.Event), 10
    scopes = [Scope("p", str(n)) for n in range(3)]
    moved, read = dict.fromkeys(scopes, 10), dict.fromkeys(scopes, 10)
    stirs.reset(10)
    for step, which in steps:
        scope = scopes[which]
        match step:
            case "tell":
                revision += 1
                moved[scope] = revision
                stirs.tell(revision, [scope])
            case "read":
                read[scope] = revision
            case "reset":  # whoever was told of it has read anew
                revision -= 5
                stirs.reset(revision)
                moved = dict.fromkeys(scopes, revision)
                read = dict.fromkeys(scopes, revision)
            case "wait":
                assert stirs.wait(scope, read[scope], 0) == (moved[scope] > read[scope])


def test_a_reset_wakes_all_and_makes_nobody_spin(stirs: Stirs, threads: ThreadPoolExecutor) -> None:
    stirs.tell(50, [ONE])
    waiting = wait(threads, stirs, ONE, 50)
    stirs.reset(7)
    assert waiting.result(LONG)
    assert not stirs.wait(ONE, 7, 0), "nothing moved since the state was read anew"
    assert not stirs.wait(ONE, 50, 0), "and a number of before must not end every wait"
    again = wait(threads, stirs, ONE, 7)
    stirs.tell(8, [ONE])
    assert again.result(LONG)


def test_closing_wakes_all_and_nobody_waits_afterwards(
    stirs: Stirs, threads: ThreadPoolExecutor
) -> None:
    waiting = [wait(threads, stirs, scope, 1) for scope in (ONE, ONE, OTHER)]
    stirs.close()
    assert all(one.result(LONG) for one in waiting)
    assert stirs.wait(ONE, 1, LONG)


def test_the_stacks_that_moved_longest_ago_are_forgotten_and_supposed_to_have_moved(
    stirs: Stirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stirring, "REMEMBERED", 10)
    for revision in range(1, 101):
        stirs.tell(revision, [Scope("p", str(revision))])
    assert len(stirs._stirs) == 10
    assert stirs.wait(Scope("p", "1"), 0, 0)
    assert stirs.wait(Scope("p", "never"), 89, 0), "that may be one of those forgotten"
    assert not stirs.wait(Scope("p", "never"), 90, 0)
    assert stirs.wait(Scope("p", "95"), 94, 0)
    assert not stirs.wait(Scope("p", "95"), 95, 0)


def test_waits_for_stacks_that_never_were_take_no_room_afterwards(
    stirs: Stirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stirring, "REMEMBERED", 10)
    for n in range(100):
        assert not stirs.wait(Scope("p", str(n)), 1, 0)
    assert len(stirs._stirs) <= 10


def test_whoever_waits_is_not_forgotten(
    stirs: Stirs, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stirring, "REMEMBERED", 2)
    waiting = wait(threads, stirs, ONE, 1)
    stirs.tell(2, [Scope("p", str(n)) for n in range(9)])
    assert not waiting.done()
    stirs.tell(3, [ONE])
    assert waiting.result(LONG)


def test_no_word_is_lost_between_a_read_and_the_wait(stirs: Stirs) -> None:
    # A counter that one thread moves and others wait for, each step of it once.
    revision, ends = [0], 300
    seen: list[int] = []

    def follow() -> None:
        at = 0
        while at < ends:
            assert stirs.wait(ONE, at, LONG)
            at = revision[0]
        seen.append(at)

    readers = [threading.Thread(target=follow) for _ in range(4)]
    for reader in readers:
        reader.start()
    for at in range(1, ends + 1):
        revision[0] = at
        stirs.tell(at, [ONE])
    for reader in readers:
        reader.join(LONG)
    assert seen == [ends] * 4
