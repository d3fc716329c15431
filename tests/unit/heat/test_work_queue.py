"""The work queue: the events that become requests, and their processing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from factstore.heat.autoscaling.work_queue import ReconcileRequest, WorkQueue, request_from_event
from tests.eventually import eventually


def payload(**changes: Any) -> dict[str, Any]:
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


class Processor:
    """Records the requests it processes, and blocks until it is released."""

    def __init__(self) -> None:
        self.seen: list[list[str | None]] = []
        self.active: set[str] = set()
        self.most = 0
        self.release = threading.Event()
        self._lock = threading.Lock()

    def process(self, requests: Sequence[ReconcileRequest]) -> None:
        (stack,) = {request.stack_id for request in requests}
        with self._lock:
            assert stack not in self.active
            self.active.add(stack)
            self.most = max(self.most, len(self.active))
            self.seen.append([request.resource_name for request in requests])
        self.release.wait(60)
        with self._lock:
            self.active.discard(stack)


# Events


@pytest.mark.parametrize("status", ["COMPLETE", "FAILED"])
@pytest.mark.parametrize("action", ["CREATE", "UPDATE", "DELETE", "CHECK", "SUSPEND", "RESUME"])
def test_an_event_that_ends_an_action_becomes_a_request(action: str, status: str) -> None:
    request = request_from_event("context", payload(resource_action=action, resource_status=status))
    assert request == ReconcileRequest("context", "stack-1", "c1", "id-1", "OS::Nova::Server")


def test_the_beginning_of_a_deletion_becomes_a_request() -> None:
    assert request_from_event(
        "context", payload(resource_action="DELETE", resource_status="IN_PROGRESS")
    )


@pytest.mark.parametrize("action", ["CREATE", "UPDATE", "CHECK", "SUSPEND", "RESUME", "ADOPT"])
def test_the_beginning_of_another_action_is_ignored(action: str) -> None:
    event = payload(resource_action=action, resource_status="IN_PROGRESS")
    assert request_from_event(None, event) is None


def test_a_signal_is_ignored() -> None:
    assert request_from_event(None, payload(resource_action="SIGNAL")) is None


def test_an_event_of_a_stack_becomes_a_request_for_the_whole_tree() -> None:
    event = payload(resource_type="OS::Heat::Stack", physical_resource_id="stack-1")
    assert request_from_event("context", event) == ReconcileRequest("context", "stack-1")


def test_a_stack_that_is_a_resource_of_another_stack_is_a_resource() -> None:
    event = payload(resource_type="OS::Heat::Stack", physical_resource_id="stack-2")
    request = request_from_event("context", event)
    assert request is not None
    assert request.resource_name == "c1"


def test_a_request_contains_no_properties() -> None:
    assert "s3cret" not in repr(request_from_event("context", payload()))


def test_a_payload_that_is_not_from_heat_is_refused() -> None:
    with pytest.raises(KeyError):
        request_from_event("context", {"stack_id": "stack-1"})


# Processing


def test_adding_a_request_does_not_wait_for_its_processing() -> None:
    processor = Processor()
    queue = WorkQueue(processor.process)
    queue.add(ReconcileRequest(None, "stack-1", "c1"))
    eventually(lambda: processor.active)  # still blocked, and this thread went on
    processor.release.set()
    eventually(lambda: not processor.active)


def test_requests_for_a_stack_in_process_are_processed_together_afterwards() -> None:
    processor = Processor()
    queue = WorkQueue(processor.process)
    queue.add(ReconcileRequest(None, "stack-1", "c1"))
    eventually(lambda: processor.active)
    for name in ("c2", "c3", "c4"):
        queue.add(ReconcileRequest(None, "stack-1", name))
    assert processor.seen == [["c1"]]
    processor.release.set()
    eventually(lambda: len(processor.seen) == 2)
    assert processor.seen == [["c1"], ["c2", "c3", "c4"]]


def test_stacks_are_processed_at_the_same_time_up_to_the_number_of_threads() -> None:
    processor = Processor()
    queue = WorkQueue(processor.process, threads=2)
    for number in range(5):
        queue.add(ReconcileRequest(None, f"stack-{number}", "c1"))
    eventually(lambda: len(processor.active) == 2)
    assert len(processor.seen) == 2
    processor.release.set()
    eventually(lambda: len(processor.seen) == 5)
    assert processor.most == 2


def test_the_threads_end_when_the_queue_is_empty() -> None:
    processor = Processor()
    processor.release.set()
    queue = WorkQueue(processor.process)
    queue.add(ReconcileRequest(None, "stack-1", "c1"))
    eventually(lambda: processor.seen)
    eventually(lambda: not [t for t in threading.enumerate() if t.name == "factstore-reconcile"])
    queue.add(ReconcileRequest(None, "stack-1", "c2"))
    eventually(lambda: len(processor.seen) == 2)
