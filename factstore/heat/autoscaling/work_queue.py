"""A work queue of reconcile requests, processed one stack at a time by a few short-lived threads.

Heat's engine waits for its threads when it stops, updates or deletes a stack, and uses one for each
event. A thread of the engine therefore only adds a request here and never waits for another service.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_THREADS = 8
_STACK = "OS::Heat::Stack"


@dataclass(frozen=True)
class ReconcileRequest:
    """A request to compare a stack, or one of its resources, with the members.

    :param context: Heat's request context, which authenticates the writes.
    :param stack_id: the id of the stack.
    :param resource_name: the name of one of its resources; None for the whole tree of the stack.
    :param physical_id: the resource's physical id, which identifies its member after the deletion.
    :param resource_type: the type that the event named.
    """

    context: Any
    stack_id: str
    resource_name: str | None = None
    physical_id: str = ""
    resource_type: str = ""


def request_from_event(context: Any, payload: Mapping[str, Any]) -> ReconcileRequest | None:
    """Return the request for an event, or None if it reports neither an end nor a deletion.

    :raises KeyError: the payload is not that of a Heat event.
    """
    stack_id, action = payload["stack_id"], payload["resource_action"]
    status = payload["resource_status"]
    if action == "SIGNAL":  # the status is the resource's own, which a signal does not change
        return None
    if status not in ("COMPLETE", "FAILED") and action != "DELETE":
        return None
    if payload["resource_type"] == _STACK and payload["physical_resource_id"] == stack_id:
        return ReconcileRequest(context, stack_id)
    return ReconcileRequest(
        context,
        stack_id,
        payload["resource_name"],
        payload["physical_resource_id"] or "",
        payload["resource_type"],
    )


class WorkQueue:
    """Collects requests by stack and has them processed.

    :param process: called with all pending requests of one stack, and never twice at a time for the
        same stack.  It must not raise.
    """

    def __init__(
        self, process: Callable[[Sequence[ReconcileRequest]], None], threads: int = _THREADS
    ) -> None:
        self._process = process
        self._threads = threads
        self._lock = threading.Lock()
        self._pending: dict[str, list[ReconcileRequest]] = {}
        self._processing: set[str] = set()
        self._running = 0

    def add(self, request: ReconcileRequest) -> None:
        """Add a request and return at once."""
        with self._lock:
            self._pending.setdefault(request.stack_id, []).append(request)
            if self._running >= self._threads or request.stack_id in self._processing:
                return
            self._running += 1
        threading.Thread(target=self._run, name="factstore-reconcile", daemon=True).start()

    def _run(self) -> None:
        while (item := self._take()) is not None:
            stack_id, requests = item
            self._process(requests)
            with self._lock:
                self._processing.discard(stack_id)

    def _take(self) -> tuple[str, list[ReconcileRequest]] | None:
        """Return the requests of one stack, or None if the calling thread is to end."""
        with self._lock:
            for stack_id in self._pending:
                if stack_id not in self._processing:
                    self._processing.add(stack_id)
                    return stack_id, self._pending.pop(stack_id)
            self._running -= 1
            return None
