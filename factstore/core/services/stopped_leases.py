"""Monitored leases without a pulse, as the lease monitor sees them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from factstore.core.model.fact import Scope
from factstore.core.model.pulse import Pulse, pulse_key
from factstore.core.state.stack_leases import Stop
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State


class Stopped(NamedTuple):
    """A monitored lease without a pulse.

    :param ended: True if it was chosen to end.
    """

    lease: int
    stop: Stop
    ttl: int
    term: int
    ended: bool

    @property
    def key(self) -> tuple[int, int]:
        """The lease and the revision at which its pulse stopped."""
        return self.lease, self.stop.at


class Seen(NamedTuple):
    """When this worker saw a lease without a pulse for the first time."""

    instant: float
    revision: int


StoppedLeases = tuple[Scope, Sequence[Stopped]]
"""Leases of one stack."""


def find_stopped(state: State) -> list[StoppedLeases]:
    """Return the leases without a pulse of each stack that has some; the caller holds the lock.

    They are in order from one of them on, so that workers do not end the same ones at once.
    """
    return [
        (stack_state.stack.scope, _from_anywhere(map(partial(_stop, stack_state), stopped)))
        for stack_state in state.all_stacks()
        if (stopped := stack_state.leases.stopped)
    ]


def still_stopped(state: State, part: StoppedLeases) -> list[Stopped]:
    """Return the leases of a part as they are now, without those that were restored or chosen to end.

    Some may have been restored and have stopped again.
    """
    scope, stopped = part
    with state.read():
        stack_state = state.stack_state(scope)
        if stack_state is None:
            return []
        found = [
            (each, _stop(stack_state, each.lease))
            for each in stopped
            if each.lease in stack_state.leases.stopped
        ]
    return [present for former, present in found if former.ended or not present.ended]


def in_turns(found: Sequence[StoppedLeases], size: int) -> Iterator[StoppedLeases]:
    """Yield a part of each stack's leases, then the second part; no stack waits for a large one."""
    longest = max(len(stopped) for _, stopped in found)
    for at in range(0, longest, size):
        for scope, stopped in found:
            if at < len(stopped):
                yield scope, stopped[at : at + size]


def _stop(stack_state: StackState, lease: int) -> Stopped:
    leases = stack_state.leases
    pulse = stack_state.record(pulse_key(lease))
    ended = isinstance(pulse, Pulse) and pulse.ended
    ttl, term = leases.owner(lease).ttl, leases.term(lease)
    return Stopped(lease, stack_state.stop(lease), ttl, term, ended)


def _from_anywhere(stopped: Iterable[Stopped]) -> list[Stopped]:
    found = sorted(stopped)
    start = random.randrange(len(found))  # noqa: S311 - spread, not secrecy
    return found[start:] + found[:start]
