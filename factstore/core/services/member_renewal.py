"""Restarts the time of members that send heartbeats, and restores the pulses that have stopped."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.errors import Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.member import Member
from factstore.core.model.pulse import is_monitored
from factstore.core.operations.fencing import stale_generation
from factstore.core.operations.member_updates import living_member, member_missing
from factstore.core.operations.operation import View
from factstore.core.operations.pulses import RestorePulses
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store
from factstore.core.services.heartbeat_gap import HeartbeatGap
from factstore.core.state.state import State


class MemberRenewal:
    """Renews the leases of members.

    :param timeout: seconds for each renewal after a gap.
    """

    def __init__(self, store: Store, clock: Clock, timeout: float, transactor: Transactor) -> None:
        self._store = store
        self._clock = clock
        self._transactor = transactor
        self.gap = HeartbeatGap(store, clock, timeout)

    def renew(self, scope: Scope, name: str, generation: str | None, deadline: float) -> Member:
        """Restart a member's time, and return the member.

        :raises NotFound: there is no such member.
        :raises Conflict: ``generation_stale``.
        """
        state = self._store.state()
        member = state.member(scope, name)
        # A member that is only declared has no lease that shows whether it still exists.
        if member is None or member.declared_only or generation not in (None, member.generation):
            member = living(self._store.refresh(deadline), scope, name, generation)
        is_late = self._is_late(member)
        if not (self._beats(scope, member) and self._renew(member, deadline)):
            return self._restore(scope, name, generation, deadline)
        # The renewal of a pulse that has stopped may succeed, while others restore it, or try to.
        state = self._store.refresh(deadline) if is_late else self._store.state()
        if state.has_stopped(scope, member.lease) or state.has_ended(scope, member.lease):
            return self._restore(scope, name, generation, deadline)
        return member

    def start(
        self,
        scope: Scope,
        name: str,
        generation: str | None,
        applied: Cursor | None,
        ended: Callable[[bool], object],
    ) -> bool:
        """Start to restart a member's time; return False if that may have to wait, or be refused.

        :param ended: called with True once it was restarted; with False if that is not known.
        """
        state = self._store.state()
        member = state.member(scope, name)
        if member is None or member.declared_only or generation not in (None, member.generation):
            return False
        if self._is_late(member) or not self._beats(scope, member):
            return False  # its pulse may have to be restored first
        if applied is not None and (
            applied.epoch != state.epoch or not _is_recorded(state, scope, name, applied.revision)
        ):
            return False

        def end(renewed: bool | None) -> None:
            if renewed:
                self.gap.succeeded()
            ended(bool(renewed) and self._beats(scope, member))

        return self._store.start_renewal(member.lease, end)

    def _is_late(self, member: Member) -> bool:
        """Return True if others may have ended a member without an answer of this worker.

        What this worker has renewed in the last *ttl* seconds, none ends.
        """
        if not is_monitored(member.lease):
            return False
        return self._clock.monotonic() - self._store.last_renewal(member.lease) >= (member.ttl or 0)

    def _beats(self, scope: Scope, member: Member) -> bool:
        """Return True if the pulse of a member has not stopped, as far as this worker knows."""
        return not self._store.state().has_stopped(scope, member.lease)

    def _restore(self, scope: Scope, name: str, generation: str | None, deadline: float) -> Member:
        """Restore the pulse of a member that has not ended, and restart the member's time."""
        member = living(self._store.refresh(deadline), scope, name, generation)
        restored = self._transactor.run(RestorePulses(scope, (member.lease,))).outcome
        # It may have expired just before that, and the renewal of its pulse would succeed all the same.
        member = living(self._store.state(), scope, name, generation)
        if restored and self._renew(member, deadline):
            return member
        if generation is None:
            raise member_missing(scope, name)
        raise stale_generation(generation, name)

    def _renew(self, member: Member, deadline: float) -> bool:
        """Restart a member's time; return False if its lease has expired."""
        if member.declared_only:
            return True
        began = self._clock.monotonic()
        try:
            renewed = self._store.renew_lease(member.lease, deadline)
        except Unavailable:
            self.gap.failed(began)
            raise
        self.gap.succeeded()
        return renewed


def living(state: State, scope: Scope, name: str, generation: str | None) -> Member:
    """Return the living member of a name.

    :raises NotFound: there is no such member.
    :raises Conflict: ``generation_stale``.
    """
    with state.read():
        return living_member(View(state, scope, now=""), name, generation)


def _is_recorded(state: State, scope: Scope, name: str, revision: int) -> bool:
    """Return True if it need not be recorded that a member has applied a revision."""
    with state.read():
        stack_state = state.stack_state(scope)
        if stack_state is None or revision > state.revision:
            return False
        return not stack_state.convergence.is_progress(name, revision)
