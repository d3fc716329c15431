"""Revokes monitored leases that are attached to nothing, because they do not end by themselves.

A worker creates a lease before the write that attaches it, and revokes it if the write is not made.  If
the worker is killed between, the lease remains.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Protocol

from factstore.core.model.pulse import is_monitored, pulse_lease
from factstore.core.ports import Clock
from factstore.core.state.state import State
from factstore.store.keyspace import Keyspace

LOG = logging.getLogger(__name__)

IDLE_SECONDS = 3600.0  # far more than a write takes
PERIOD = 600.0  # seconds between searches


class IdleLeaseClient(Protocol):
    """The calls to etcd that concern leases."""

    def leases(self, *, deadline: float) -> list[int]: ...

    def is_idle(self, lease: int, *, deadline: float) -> bool: ...

    def revoke(self, lease: int, *, deadline: float) -> None: ...


class IdleLeases:
    """The monitored leases that this worker has found idle, and since when.

    :param state: returns the current state.
    """

    def __init__(
        self, client: IdleLeaseClient, keyspace: Keyspace, clock: Clock, state: Callable[[], State]
    ) -> None:
        self._client = client
        self._keys = keyspace
        self._clock = clock
        self._state = state
        self._idle_since: dict[int, float] = {}
        self._search_at = clock.monotonic() + PERIOD

    def revoke(self, deadline: float) -> None:
        """If it is time for a search, revoke the leases that have been idle for an hour."""
        now = self._clock.monotonic()
        if now < self._search_at:
            return
        self._search_at = now + PERIOD
        known = self._idle_since
        self._idle_since = {lease: known.get(lease, now) for lease in self._unused(deadline)}
        for lease, since in list(self._idle_since.items()):
            if now - since >= IDLE_SECONDS and self._client.is_idle(lease, deadline=deadline):
                LOG.info("revoking lease %x, to which nothing has been attached for an hour", lease)
                for each in (lease, pulse_lease(lease)):
                    self._client.revoke(each, deadline=deadline)
                del self._idle_since[lease]

    def _unused(self, deadline: float) -> Collection[int]:
        """Return our monitored leases that the state does not use."""
        found = {
            lease
            for lease in self._client.leases(deadline=deadline)
            if is_monitored(lease) and self._keys.is_own_lease(lease)
        }
        state = self._state()
        with state.read():
            for stack_state in state.all_stacks():
                found.difference_update(stack_state.leases.owners, stack_state.leases.paths)
        return found
