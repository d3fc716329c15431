"""Waiters and what is signalled to them, as immutable records."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

from factstore.core.model.record_key import RecordKey

WaiterState = Literal["pending", "met", "failed", "timed_out"]
WAITER_STATES: tuple[WaiterState, ...] = get_args(WaiterState)
SignalStatus = Literal["SUCCESS", "FAILURE"]

TIMEOUT_MIN = 1  # seconds
TIMEOUT_MAX = 30 * 24 * 3600
TIMEOUT_DEFAULT = 3600
WAITERS_PER_STACK = 100
SIGNALS_PER_WAITER = 1000
SIGNAL_ID_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a condition has come.

    :param satisfied: how many of *needed* hold.
    :param missing: what does not hold yet: paths, members' names, or ``signals``; at most 100.
    :param failing: what makes the failure: paths, members' names, signals' ids; at most 100.
    """

    satisfied: int = 0
    needed: int = 0
    missing: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiter:
    """A named condition over facts and members, as it was armed last.

    An arming is the revision at which the record became pending; the one change after it, to a
    terminal state, is compared with that.

    :param definition: canonical JSON of success, failure, timeout and extend_on_progress.
    :param timeout: seconds.
    :param extends: whether progress starts the timeout anew.
    :param progress: how far it had come when it became terminal; None while pending.
    :param decided_revision: the first revision at which the terminal state held; 0 while pending.
    :param timer: the lease whose end is the timeout; 0 once it is terminal.
    """

    name: str
    definition: str
    timeout: int
    extends: bool
    state: WaiterState
    armed_at: str
    updated_by: str
    request_id: str
    decided_at: str | None = None
    decided_revision: int = 0
    reason: str | None = None
    progress: Progress | None = None
    timer: int = 0
    revision: int = 0
    lease: int = 0

    @property
    def record_key(self) -> RecordKey:
        """Where it lies in its stack."""
        return RecordKey("waiter", self.name)

    @property
    def size(self) -> int:
        """How many bytes it counts."""
        return len(self.name) + len(self.definition.encode())


@dataclass(frozen=True, slots=True)
class Timer:
    """What ends when a waiter's time is over: on a lease, so that all see it at one revision."""

    waiter: str
    revision: int = 0
    lease: int = 0

    @property
    def record_key(self) -> RecordKey:
        """Where it lies in its stack."""
        return RecordKey("timer", self.waiter)


@dataclass(frozen=True, slots=True)
class Signal:
    """What somebody signalled to a waiter.

    :param id: the sender's; the same id again replaces the signal.
    :param data: canonical JSON.
    """

    waiter: str
    id: str
    status: SignalStatus
    reason: str
    data: str
    received_at: str
    by: str
    request_id: str
    revision: int = 0
    lease: int = 0

    @property
    def record_key(self) -> RecordKey:
        """Where it lies in its stack; ids are free texts, so their hash stands in the key."""
        digest = hashlib.sha256(self.id.encode()).hexdigest()[:32]
        return RecordKey("signal", f"{self.waiter}/{digest}")

    @property
    def size(self) -> int:
        """How many bytes it counts."""
        return len(self.id.encode()) + len(self.reason.encode()) + len(self.data.encode())
