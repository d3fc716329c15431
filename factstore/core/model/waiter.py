"""Waiters and the signals sent to them, as immutable records."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Literal, get_args

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey

WaiterState = Literal["pending", "met", "failed", "timed_out"]
WAITER_STATES: tuple[WaiterState, ...] = get_args(WaiterState)
SignalStatus = Literal["SUCCESS", "FAILURE"]

TIMEOUT_MIN = 1  # seconds
TIMEOUT_MAX = 30 * 24 * 3600
TIMEOUT_DEFAULT = 3600
WAITERS_PER_STACK = 100
SIGNALS_PER_WAITER = 1000
SIGNAL_ID_LENGTH = 255


@quick_dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a condition.

    :param satisfied: the number of parts that are met, out of *needed*.
    :param missing: the unmet parts: paths, members' names, or ``signals``; at most 100.
    :param failing: the causes of failure: paths, members' names, signals' ids; at most 100.
    """

    satisfied: int = 0
    needed: int = 0
    missing: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()


@quick_dataclass(frozen=True, slots=True)
class Waiter(Record):
    """A named condition on facts, members and signals, as last armed.

    An arming is identified by the revision at which the record became pending; the one change after
    it, to a terminal state, is guarded by that revision.

    :param definition: canonical JSON of success, failure, timeout and extend_on_progress.
    :param timeout: seconds.
    :param extends: True if progress restarts the timeout.
    :param progress: the progress when it became terminal; None while pending.
    :param decided_revision: the revision that decided the terminal state; 0 while pending.
    :param timer: the lease whose expiry is the timeout; 0 once it is terminal.
    :param history_lost_at: when it was noticed that no worker may have seen some of the revisions for
        which it was pending; None if none were lost.
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
    history_lost_at: str | None = None

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RecordKey(Waiter, self.name)

    def only_lost_history(self, former: Waiter) -> bool:
        """Return True if it differs from *former* only in the note that history was lost."""
        at = self.history_lost_at
        noted = replace(former, history_lost_at=at, revision=self.revision)
        return self == noted and at != former.history_lost_at

    @property
    def size(self) -> int:
        """The bytes that count towards quotas."""
        return len(self.name) + len(self.definition.encode())


@quick_dataclass(frozen=True, slots=True)
class Timer(Record):
    """A record that expires with a waiter's timeout.

    It is attached to a lease, so that all workers see the expiry at the same revision.
    """

    waiter: str

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RecordKey(Timer, self.waiter)


@quick_dataclass(frozen=True, slots=True)
class Signal(Record):
    """A signal to a waiter.

    :param id: chosen by the sender; another signal with the same id replaces this one.
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

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack; ids are free texts, so it contains their hash."""
        digest = hashlib.sha256(self.id.encode()).hexdigest()[:32]
        return RecordKey(Signal, f"{self.waiter}/{digest}")

    @property
    def size(self) -> int:
        """The bytes that count towards quotas."""
        return len(self.id.encode()) + len(self.reason.encode()) + len(self.data.encode())
