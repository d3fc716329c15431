"""A store without threads: it reads a memory backend on refresh, and tests can make it fail."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.model.pulse import Pulse
from factstore.core.ports import Transaction
from factstore.core.state.state import State
from tests.backends.memory import MemoryBackend
from tests.unit.core.factories import ManualClock

Fault = Callable[[Transaction, float], int | None]

CALLS = 1000  # far more than any test makes


class DirectStore:
    """A :class:`~factstore.core.ports.Store`.

    :ivar faults: called instead of the next commits; ``self.backend.commit`` is the real one.
    :ivar before_refresh: called at the next refreshes; it may raise.
    :ivar called: every call that changes something, in order.
    """

    def __init__(self, clock: ManualClock) -> None:
        self.backend = MemoryBackend(clock)
        opening = self.backend.open()
        self.known = State(opening.revision, opening.epoch, opening.signing_key)
        self.faults: list[Fault] = []
        self.before_refresh: list[Callable[[], object]] = []
        self.renew_hooks: list[Callable[[int], bool]] = []
        self.called: list[str] = []
        self.facts_at = self.backend.facts_at
        self.stacks_at = self.backend.stacks_at
        self.earlier_receipt = self.backend.earlier_receipt
        self.deletion_revision = self.backend.deletion_revision

    def state(self) -> State:
        return self.known

    def refresh(self, deadline: float) -> State:
        if self.before_refresh:
            self.before_refresh.pop(0)()
        return self._look(deadline)

    def fence(self, deadline: float) -> State:
        """Return a fresh state: no attempt is applied late here."""
        return self.refresh(deadline)

    def _look(self, deadline: float) -> State:
        head = self.backend.head(deadline)
        if self.known.revision < head:
            for step in self.backend.follow(self.known.revision):
                self.known.apply(step)
                if step.revision >= head:
                    break
        return self.known

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        self.called.append("commit" if commit.writes else "confirm")
        # A manual clock never reaches the deadline, so a write that repeats itself would not end.
        assert len(self.called) < CALLS, "the store is called again and again"
        fault = self.faults.pop(0) if self.faults else self.backend.commit
        revision = fault(commit, deadline)
        if revision is not None:
            self._look(deadline)
        return revision

    def create_lease(self, ttl: int, deadline: float) -> int:
        self.called.append("create")
        return self.backend.create_lease(ttl, deadline)

    def create_monitored_lease(self, ttl: int, deadline: float) -> tuple[int, Pulse | None]:
        return self.create_lease(ttl, deadline), None

    def renew_lease(self, lease: int, deadline: float) -> bool:
        self.called.append("renew")
        hook = self.renew_hooks.pop(0) if self.renew_hooks else None
        return hook(lease) if hook else self.backend.renew_lease(lease, deadline)

    def revoke_lease(self, lease: int, deadline: float) -> None:
        self.called.append("revoke")
        self.backend.revoke_lease(lease, deadline)
