"""Heartbeats that nobody waits for, of members that this worker knows."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.ports import Store
from factstore.core.services.heartbeat_gap import HeartbeatGap
from factstore.core.state.state import State


def start_heartbeat(
    store: Store,
    gap: HeartbeatGap,
    scope: Scope,
    name: str,
    generation: str | None,
    applied: Cursor | None,
    ended: Callable[[bool], object],
) -> bool:
    """Start to restart a member's time; return False if that may have to wait, or be refused.

    :param ended: called with True once it was restarted; with False if that is not known.
    """
    state = store.state()
    member = state.member(scope, name)
    if member is None or member.declared_only or generation not in (None, member.generation):
        return False
    if state.has_stopped(scope, member.lease):
        return False  # its pulse has to be restored first
    if applied is not None and (
        applied.epoch != state.epoch or not _is_recorded(state, scope, name, applied.revision)
    ):
        return False

    def end(renewed: bool | None) -> None:
        if renewed:
            gap.succeeded()
        ended(bool(renewed))

    return store.start_renewal(member.lease, end)


def _is_recorded(state: State, scope: Scope, name: str, revision: int) -> bool:
    """Return True if it need not be recorded that a member has applied a revision."""
    with state.read():
        stack_state = state.stack_state(scope)
        if stack_state is None or revision > state.revision:
            return False
        return not stack_state.convergence.is_progress(name, revision)
