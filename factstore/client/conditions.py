"""The calls of a stack that concern conditions: waiters and alarms."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from factstore.client.alarm import Alarm, AlarmRecord
from factstore.client.contexts import Contexts
from factstore.client.waiter import Waiter, WaiterRecord


class Conditions(Contexts):
    """The part of a stack's operations that concerns waiters and alarms."""

    def waiter(self, name: str) -> Waiter:
        """Return a waiter by its name.  No request is sent, and the waiter need not exist."""
        return Waiter(self._url, name, self._transport)

    def waiters(self) -> Iterator[WaiterRecord]:
        """Iterate over all waiters in the order of their names, without progress and signals.

        :raises NotFound: the stack does not exist.
        :raises Gone: reading took too long and the revision is no longer kept; start again.
        """
        for page in self._pages("waiters"):
            yield from map(WaiterRecord.parse, page)

    def wait_condition(
        self,
        success: Mapping[str, Any],
        timeout: int,
        *,
        failure: Mapping[str, Any] | None = None,
        on_progress: Callable[[WaiterRecord], object] = lambda record: None,
    ) -> WaiterRecord:
        """Arm a waiter, wait until it ends, delete it, and return how it ended.

        :param timeout: seconds after which the waiter times out.
        :param on_progress: called with the waiter at first, and after each change.
        """
        waiter = self.waiter(f"wait-{uuid.uuid4().hex}")
        waiter.arm(success, failure=failure, timeout=timeout)
        try:
            return waiter.wait(math.inf, on_progress=on_progress)
        finally:
            waiter.delete()

    def alarm(self, name: str) -> Alarm:
        """Return an alarm by its name.  No request is sent, and the alarm need not exist."""
        return Alarm(self._url, name, self._transport)

    def alarms(self) -> Iterator[AlarmRecord]:
        """Iterate over all alarms in the order of their names, without their present evaluation.

        :raises NotFound: the stack does not exist.
        :raises Gone: reading took too long and the revision is no longer kept; start again.
        """
        for page in self._pages("alarms"):
            yield from map(AlarmRecord.parse, page)
