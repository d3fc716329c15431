"""The look at what is blocked, every few seconds in each worker.

A worker stores its blocked reads, on a lease of its own, so that all workers find the same waits.  It
writes only what has changed since the last look, and nothing that was blocked for less than one.
"""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.model.blocked_reads import BlockedRead, BlockedReads, shortened
from factstore.core.model.fact import Scope, Stack
from factstore.core.operations.transactor import Transactor
from factstore.core.operations.waits import ShareBlockedReads, WithdrawBlockedReads
from factstore.core.ports import Clock, Store, WakeUp
from factstore.core.services.blocked_reads import LOOK_SECONDS
from factstore.core.services.control_loop import ControlLoop
from factstore.core.services.flapping_watch import FlappingWatch
from factstore.core.services.stuck_watch import StuckWatch
from factstore.core.services.wait_finder import FoundWaits, WaitFinder
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State

TTL = 15  # seconds after which the blocked reads of a lost worker are forgotten


class WaitMonitor(ControlLoop):
    """A thread that looks at what is blocked.

    :param timeout: seconds after which a call to the store counts as failed.
    :param look: seconds between two looks.
    :param flapping: looks at what is changed again and again at the same time.
    """

    name = "wait-monitor"
    delayed = "the waits of stacks are not examined now"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        timeout: float,
        transactor: Transactor,
        finder: WaitFinder,
        new_wake_up: Callable[[], WakeUp],
        look: float = LOOK_SECONDS,
        flapping: FlappingWatch | None = None,
    ) -> None:
        super().__init__(new_wake_up, look)
        self._store = store
        self._clock = clock
        self._timeout = timeout
        self._transactor = transactor
        self._finder = finder
        self._stuck = StuckWatch(store, clock, timeout, transactor, finder)
        self._flapping = flapping
        self._look = look
        self._epoch = ""
        self._shared: dict[str, tuple[Scope, BlockedReads]] = {}  # by stack id
        self._lease = 0

    def run_round(self) -> float:
        """Look once, and return the seconds until the next look."""
        self.run_once()
        return self._look

    def find(self, stack_state: StackState) -> FoundWaits:
        """Return the waits in a stack; the caller holds the lock of its state."""
        return self._finder.find(stack_state)

    def run_once(self) -> None:
        """Look at all stacks once."""
        self._share(self._store.state())
        self._stuck.look()
        if self._flapping is not None:
            self._flapping.look()

    def _share(self, state: State) -> None:
        """Store the blocked reads of this worker."""
        registry = self._finder.registry
        if self._lease and not self._store.renew_lease(
            self._lease, self._clock.monotonic() + self._timeout
        ):
            self._lease, self._shared = 0, {}
        if state.epoch != self._epoch:  # the store may lack what was shared in the former one
            self._epoch, self._shared = state.epoch, {}
        blocked: set[str] = set()
        for scope in registry.scopes():
            with state.read():
                stack_state = state.stack_state(scope)
                if stack_state is None:
                    continue
                registry.continue_from(scope, self._finder.of_others(stack_state))
                reads = registry.of(scope, least=self._look)
                missing = [read for read in reads if read.path not in stack_state.facts]
            if missing:
                blocked.add(stack_state.stack.id)
                self._store_reads(stack_state.stack, missing)
        for stack_id in self._shared.keys() - blocked:
            self._withdraw(stack_id)
        if self._lease and not self._shared:
            self._store.revoke_lease(self._lease, self._clock.monotonic() + self._timeout)
            self._lease = 0

    def _store_reads(self, stack: Stack, found: list[BlockedRead]) -> None:
        entries, omitted = shortened(found)
        _, known = self._shared.get(stack.id, (None, None))
        if known is not None and (known.entries, known.omitted) == (entries, omitted):
            return
        record = BlockedReads(self._finder.worker, entries, omitted, lease=self._lease)
        done = self._transactor.run(ShareBlockedReads(stack.scope, record, TTL))
        stored = done.written_record(record)
        if stored.revision:  # else the stack does not exist any more
            self._lease = stored.lease
            self._shared[stack.id] = stack.scope, stored

    def _withdraw(self, stack_id: str) -> None:
        scope, shared = self._shared[stack_id]
        self._transactor.run(WithdrawBlockedReads(scope, shared))
        del self._shared[stack_id]
