"""Looks that are due: who asks for one goes on at once, and one thread at a time looks at a stack.

Heat's engine waits for its threads when it stops, updates or deletes a stack, and gives one to each
event.  So none of those talks to another service here: they leave word, and threads of our own, few and
only as long as there is something to look at, do the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_THREADS = 8
_STACK = "OS::Heat::Stack"


@dataclass(frozen=True)
class Look:
    """Something to look at.

    :param context: as whom; Heat's request context.
    :param stack: the id of a stack.
    :param resource: the name of one of its resources; None for all of the tree that it is in.
    :param identifier: the resource's physical id, by which it is known once it is gone.
    :param type: what the event said its type is.
    """

    context: Any
    stack: str
    resource: str | None = None
    identifier: str = ""
    type: str = ""


def due(context: Any, told: Mapping[str, Any]) -> Look | None:
    """Where an event says to look; None if it says of nothing that it is over, or on its way out.

    :param context: the event's.
    :param told: its payload.
    :raises KeyError: it is no event of Heat's.
    """
    stack, action, status = told["stack_id"], told["resource_action"], told["resource_status"]
    if action == "SIGNAL":  # its status is the resource's, which it does not change
        return None
    if status not in ("COMPLETE", "FAILED") and action != "DELETE":
        return None
    if told["resource_type"] == _STACK and told["physical_resource_id"] == stack:
        return Look(context, stack)
    return Look(
        context,
        stack,
        told["resource_name"],
        told["physical_resource_id"] or "",
        told["resource_type"],
    )


class Lookout:
    """Has looks taken.

    :param look: called with all looks that are due at a stack, with no two at the same one at a time.
        It lets no exception out.
    """

    def __init__(self, look: Callable[[Sequence[Look]], None], threads: int = _THREADS) -> None:
        self._look = look
        self._threads = threads
        self._lock = threading.Lock()
        self._due: dict[str, list[Look]] = {}
        self._looked_at: set[str] = set()
        self._running = 0

    def want(self, look: Look) -> None:
        """Have a look taken soon; returns at once."""
        with self._lock:
            self._due.setdefault(look.stack, []).append(look)
            if self._running >= self._threads or look.stack in self._looked_at:
                return
            self._running += 1
        threading.Thread(target=self._run, name="factstore-look", daemon=True).start()

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            stack, looks = taken
            self._look(looks)
            with self._lock:
                self._looked_at.discard(stack)

    def _take(self) -> tuple[str, list[Look]] | None:
        """The looks at some stack; None if this thread is not needed any more."""
        with self._lock:
            for stack in self._due:
                if stack not in self._looked_at:
                    self._looked_at.add(stack)
                    return stack, self._due.pop(stack)
            self._running -= 1
            return None
