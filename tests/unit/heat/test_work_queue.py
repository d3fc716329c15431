"""When a look is due, and how looks are taken."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from factstore.heat.autoscaling.work_queue import Look, Lookout, due
from tests.eventually import eventually


def told(**changes: Any) -> dict[str, Any]:
    return {
        "stack_id": "stack-1",
        "resource_name": "c1",
        "physical_resource_id": "id-1",
        "resource_type": "OS::Nova::Server",
        "resource_action": "CREATE",
        "resource_status": "COMPLETE",
        "resource_properties": {"user_data": "s3cret"},
        **changes,
    }


class Watchman:
    """Notes what is looked at, and takes as long as it is made to."""

    def __init__(self) -> None:
        self.seen: list[list[str | None]] = []
        self.at: set[str] = set()
        self.most = 0
        self.go = threading.Event()
        self._lock = threading.Lock()

    def look(self, looks: Sequence[Look]) -> None:
        (stack,) = {look.stack for look in looks}
        with self._lock:
            assert stack not in self.at
            self.at.add(stack)
            self.most = max(self.most, len(self.at))
            self.seen.append([look.resource for look in looks])
        self.go.wait(10)
        with self._lock:
            self.at.discard(stack)


# When


@pytest.mark.parametrize("status", ["COMPLETE", "FAILED"])
@pytest.mark.parametrize("action", ["CREATE", "UPDATE", "DELETE", "CHECK", "SUSPEND", "RESUME"])
def test_a_resource_is_looked_at_when_something_of_it_is_over(action: str, status: str) -> None:
    look = due("context", told(resource_action=action, resource_status=status))
    assert look == Look("context", "stack-1", "c1", "id-1", "OS::Nova::Server")


def test_a_resource_is_looked_at_as_soon_as_it_is_to_go() -> None:
    assert due("context", told(resource_action="DELETE", resource_status="IN_PROGRESS"))


@pytest.mark.parametrize("action", ["CREATE", "UPDATE", "CHECK", "SUSPEND", "RESUME", "ADOPT"])
def test_what_has_only_begun_is_no_reason_to_look(action: str) -> None:
    assert due(None, told(resource_action=action, resource_status="IN_PROGRESS")) is None


def test_a_signal_is_no_reason_to_look() -> None:
    assert due(None, told(resource_action="SIGNAL")) is None


def test_a_stack_that_is_done_is_looked_at_as_a_whole() -> None:
    said = told(resource_type="OS::Heat::Stack", physical_resource_id="stack-1")
    assert due("context", said) == Look("context", "stack-1")


def test_a_stack_that_is_a_resource_of_another_stack_is_a_resource() -> None:
    look = due("context", told(resource_type="OS::Heat::Stack", physical_resource_id="stack-2"))
    assert look is not None
    assert look.resource == "c1"


def test_a_look_knows_nothing_of_properties() -> None:
    assert "s3cret" not in repr(due("context", told()))


def test_what_is_no_event_of_heat_s_is_refused() -> None:
    with pytest.raises(KeyError):
        due("context", {"stack_id": "stack-1"})


# How


def test_who_wants_a_look_does_not_wait_for_it() -> None:
    watchman = Watchman()
    lookout = Lookout(watchman.look)
    lookout.want(Look(None, "stack-1", "c1"))
    eventually(lambda: watchman.at)  # it is still being taken, and this went on
    watchman.go.set()
    eventually(lambda: not watchman.at)


def test_what_is_wanted_of_a_stack_that_is_looked_at_is_taken_at_once_afterwards() -> None:
    watchman = Watchman()
    lookout = Lookout(watchman.look)
    lookout.want(Look(None, "stack-1", "c1"))
    eventually(lambda: watchman.at)
    for name in ("c2", "c3", "c4"):
        lookout.want(Look(None, "stack-1", name))
    assert watchman.seen == [["c1"]]
    watchman.go.set()
    eventually(lambda: len(watchman.seen) == 2)
    assert watchman.seen == [["c1"], ["c2", "c3", "c4"]]


def test_stacks_are_looked_at_beside_each_other_by_no_more_threads_than_there_may_be() -> None:
    watchman = Watchman()
    lookout = Lookout(watchman.look, threads=2)
    for number in range(5):
        lookout.want(Look(None, f"stack-{number}", "c1"))
    eventually(lambda: len(watchman.at) == 2)
    assert len(watchman.seen) == 2
    watchman.go.set()
    eventually(lambda: len(watchman.seen) == 5)
    assert watchman.most == 2


def test_no_thread_stays_when_there_is_nothing_to_look_at() -> None:
    watchman = Watchman()
    watchman.go.set()
    lookout = Lookout(watchman.look)
    lookout.want(Look(None, "stack-1", "c1"))
    eventually(lambda: watchman.seen)
    eventually(lambda: not [t for t in threading.enumerate() if t.name == "factstore-look"])
    lookout.want(Look(None, "stack-1", "c2"))
    eventually(lambda: len(watchman.seen) == 2)
