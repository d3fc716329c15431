"""Pulses: the records that show whether a lease is still renewed.

etcd revokes a lease that was renewed in time, if its leader was paused for longer than the lease's time
and did not see the renewals.  So members and facts with a ttl are on a lease that does not end by
itself, a *monitored* lease.  Renewals go to the lease of its pulse.  When the pulse disappears, the
service decides whether the monitored lease ends.
"""

from __future__ import annotations

from typing import ClassVar

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey

_MARK_BITS = 0xF
_MONITORED, _PULSE = 0x4, 0x6
_RANDOM_BITS = 40  # of an id of factstore, below the bits that name its root


@quick_dataclass(frozen=True, slots=True)
class Pulse(Record):
    """The pulse of a monitored lease, on a lease of its own.

    :param monitored: the id of the monitored lease, in hexadecimal digits.
    :param term: etcd's term in which the pulse's own lease was created.
    :param ended: True if the monitored lease is being revoked; the record is then on that lease.
    """

    monitored: str
    term: int = 0
    ended: bool = False

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RecordKey(Pulse, self.monitored)

    @property
    def monitored_lease(self) -> int:
        """The id of the monitored lease."""
        return int(self.monitored, 16)


@quick_dataclass(frozen=True, slots=True)
class Restorations(Record):
    """The writes that have restored pulses of a stack; each of them writes this record, too.

    A decision to end a lease of the stack is guarded with it.  The pulse itself cannot be a guard: it
    may have been restored and have stopped again, and is then as absent as before.

    :param count: as far as the worker knew that has written it.
    """

    silent: ClassVar[bool] = True

    count: int

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RESTORATIONS_KEY


RESTORATIONS_KEY = RecordKey(Restorations, "count")


@quick_dataclass(frozen=True, slots=True)
class Endings(Record):
    """The decisions to end leases of a stack; each of them writes this record, too.

    A write that keeps a lease is guarded with it.

    :param count: as far as the worker knew that has written it.
    """

    silent: ClassVar[bool] = True

    count: int

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return ENDINGS_KEY


ENDINGS_KEY = RecordKey(Endings, "count")


def pulse_key(lease: int) -> RecordKey:
    """Return the key of a monitored lease's pulse."""
    return RecordKey(Pulse, f"{lease:x}")


def is_monitored(lease: int) -> bool:
    """Return True if a lease is monitored, by its id."""
    return lease & _MARK_BITS == _MONITORED and lease >> _RANDOM_BITS > 0


def monitored(lease: int) -> int:
    """Return the id of a monitored lease that has the other bits of an id."""
    return lease & ~_MARK_BITS | _MONITORED


def has_pulse(lease: int) -> bool:
    """Return True if an id can be that of a monitored lease, or of the lease of a pulse."""
    return lease in (monitored(lease), pulse_lease(lease))


def pulse_lease(lease: int) -> int:
    """Return the id of the lease of a monitored lease's pulse."""
    return lease & ~_MARK_BITS | _PULSE
