"""Slots: as many as there are, in order, and none is lost when somebody stops waiting."""

from __future__ import annotations

import threading

from factstore.store.client.slots import Slots
from tests.eventually import eventually


def test_slots_are_passed_on_in_order_and_nobody_overtakes() -> None:
    slots, served, lock = Slots(2), [], threading.Lock()
    assert slots.acquire(0)
    assert slots.acquire(0)
    assert not slots.acquire(0)

    def take(number: int) -> None:
        assert slots.acquire(60)
        with lock:
            served.append(number)

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=take, args=(number,)))
        threads[-1].start()
        eventually(lambda count=number + 1: slots.waiting == count)
    for number in range(5):
        slots.release()
        assert not slots.acquire(0)  # somebody waits, so a newcomer gets nothing
        eventually(lambda count=number + 1: len(served) == count)
    for thread in threads:
        thread.join()
    assert served == list(range(5))


def test_a_slot_is_not_passed_on_to_somebody_who_waits_no_more() -> None:
    slots = Slots(1)
    assert slots.acquire(0)
    assert not slots.acquire(0.01)
    slots.release()
    assert slots.acquire(0)
    assert not slots.acquire(0)
