"""The waits in a stack as one worker knows them, and the verdict on them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from factstore.core.model.blocked_reads import BlockedRead, BlockedReads
from factstore.core.model.permissions import CONFIGS
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.template_report import lacks_path
from factstore.core.model.turn import Turn
from factstore.core.ports import Clock
from factstore.core.services.blocked_reads import BlockedReadRegistry
from factstore.core.state.stack_state import StackState
from factstore.core.state.wait_verdict import WaitVerdict, judge
from factstore.core.state.waits import StackWaits, find_waits

STUCK_SECONDS = 60.0


@quick_dataclass(frozen=True, slots=True)
class FoundWaits:
    """The waits in a stack, and the verdict.

    :param omitted: the number of blocked reads that other workers have only counted.
    """

    waits: StackWaits
    verdict: WaitVerdict
    omitted: int


class WaitFinder:
    """Finds the waits.

    :param worker: the id of this worker.
    :param stuck_seconds: the time for which a value that differs from the awaited one can still change.
    """

    def __init__(
        self, registry: BlockedReadRegistry, clock: Clock, worker: str, stuck_seconds: float
    ) -> None:
        self.registry = registry
        self.worker = worker
        self.stuck_seconds = stuck_seconds
        self._clock = clock

    def find(self, stack_state: StackState) -> FoundWaits:
        """Return the waits in a stack; the caller holds the lock of its state."""
        scope = stack_state.stack.scope
        reads = [*self.registry.of(scope), *self.of_others(stack_state)]
        now = datetime.fromisoformat(self._clock.timestamp().replace("Z", "+00:00"))
        settled = now - timedelta(seconds=self.stuck_seconds)
        settled_before = settled.isoformat(timespec="microseconds").replace("+00:00", "Z")
        waits = find_waits(stack_state, reads, settled_before)
        omitted = sum(record.omitted for record in self._records(stack_state))
        return FoundWaits(waits, judge(waits.waits, waits.needs), omitted)

    def may_wait(self, stack_state: StackState) -> bool:
        """Return False if certainly nothing waits in a stack; much faster than :meth:`find`."""
        return bool(
            len(stack_state.pending_waiters)
            or self.registry.has(stack_state.stack.scope)
            or stack_state.records(BlockedReads)
            or stack_state.records(Turn)
            or next(stack_state.below(CONFIGS.rstrip("/")), None)
            or any(lacks_path(name) in stack_state.facts for name in stack_state.live_members)
        )

    def of_others(self, stack_state: StackState) -> Iterator[BlockedRead]:
        """Yield the reads that other workers have shared."""
        for record in self._records(stack_state):
            yield from record.entries

    def _records(self, stack_state: StackState) -> Iterator[BlockedReads]:
        for record in stack_state.records(BlockedReads).values():
            if record.worker != self.worker:
                yield record
