"""Restoring the pulse of a lease that was renewed, and ending a lease that was not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from typing import ClassVar, NamedTuple

from factstore.core.model.fact import Scope
from factstore.core.model.pulse import (
    ENDINGS_KEY,
    RESTORATIONS_KEY,
    Endings,
    Pulse,
    Restorations,
    pulse_key,
)
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey
from factstore.core.operations.operation import Draft, LeaseRequest, Operation, View
from factstore.core.state.stack_leases import Stop


@quick_dataclass(slots=True)
class Revival:
    """The parts of a draft that restore pulses.

    :ivar restored: the leases.
    """

    restored: set[int] = field(default_factory=set)
    records: tuple[Record, ...] = ()
    leases: dict[str | RecordKey, LeaseRequest] = field(default_factory=dict)
    record_revisions: dict[RecordKey, int] = field(default_factory=dict)


def revive(view: View, leases: Collection[int]) -> Revival:
    """Return what restores the pulses of those leases that have stopped and not ended.

    Its guards are only that they still have no pulse, so that the writes of many owners cannot make it
    fail until it is too late.  The pulse of a lease whose owner has gone meanwhile stops by itself.
    """
    revival = Revival()
    for each in _stopped(view, leases):
        if not each.ttl:
            continue
        pulse = Pulse(f"{each.lease:x}")
        revival.record_revisions[pulse.record_key] = 0
        revival.restored.add(each.lease)
        revival.records += (pulse,)
        revival.leases[pulse.record_key] = LeaseRequest(each.ttl, pulse_of=each.lease)
    if revival.restored:
        known = view.record(RESTORATIONS_KEY)
        count = known.count if isinstance(known, Restorations) else 0
        revival.records += (Restorations(count + 1),)
    return revival


def is_ending(view: View, lease: int) -> bool:
    """Return True if a lease is being revoked, because its pulse had stopped."""
    pulse = view.record(pulse_key(lease))
    return isinstance(pulse, Pulse) and pulse.ended


def guard_on_endings(view: View) -> dict[RecordKey, int]:
    """Return the guard of a write that keeps leases: none of the stack is chosen to end meanwhile.

    The renewal of a pulse does not prove that, because others may have created a lease for the pulse
    and be about to find that they cannot restore it any more.
    """
    known = view.record(ENDINGS_KEY)
    return {ENDINGS_KEY: known.revision if known else 0}


@quick_dataclass(slots=True)
class RestorePulses(Operation[bool]):
    """Restore the pulses of leases that were renewed in time, although etcd revoked their leases.

    The outcome is False if one of the leases had ended, or had been chosen to, when this was planned.
    A lease may also end just before its pulse is written.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    leases: Collection[int]
    author: None = None

    def plan(self, view: View) -> Draft[bool]:
        """Return the draft; leases that have a pulse, or have ended, are left out."""
        revival = revive(view, self.leases)
        found = view.stack_state
        return Draft(
            found is not None and not any(map(found.has_ended, self.leases)),
            records=revival.records,
            record_revisions=revival.record_revisions,
            leases=revival.leases,
        )


@quick_dataclass(slots=True)
class EndPulses(Operation[tuple[int, ...]]):
    """Let leases end whose pulse has stopped; the outcome are those that can be revoked.

    The record of an ended pulse is on the monitored lease, so it is deleted with all else.

    :param stops: the stop of each lease's pulse.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    stops: Mapping[int, Stop]
    author: None = None

    def plan(self, view: View) -> Draft[tuple[int, ...]]:
        """Return the draft; leases that have ended, or were renewed since, are left out.

        A pulse that was restored may have stopped again, while this was tried repeatedly, or before
        this worker has noticed it.
        """
        records: dict[RecordKey, int] = {}
        facts: dict[str, int] = {}
        ended: list[Pulse] = []
        for each in _stopped(view, self.stops):
            if each.stop != self.stops[each.lease]:
                continue
            if isinstance(each.owner, str):
                facts[each.owner] = each.stop.owner
            else:
                records[each.owner] = each.stop.owner
            records[pulse_key(each.lease)] = 0
            ended.append(Pulse(f"{each.lease:x}", ended=True, lease=each.lease))
        written: tuple[Record, ...] = ()
        if ended:
            restored = view.record(RESTORATIONS_KEY)
            records[RESTORATIONS_KEY] = restored.revision if restored else 0
            known = view.record(ENDINGS_KEY)
            count = known.count if isinstance(known, Endings) else 0
            # Without a guard, so that decisions about several leases do not fail one another.
            written = (*ended, Endings(count + 1))
        return Draft(
            tuple([pulse.monitored_lease for pulse in ended]),
            records=written,
            record_revisions=records,
            fact_revisions=facts,
        )


class _StoppedLease(NamedTuple):
    """A lease without a pulse, with its owner and its ttl."""

    lease: int
    owner: str | RecordKey
    ttl: int
    stop: Stop


def _stopped(view: View, leases: Collection[int]) -> Iterator[_StoppedLease]:
    """Yield those leases that have no pulse and have not been chosen to end."""
    if view.stack_state is None:
        return
    used = view.stack_state.leases
    for lease in leases:
        if lease not in used.stopped or is_ending(view, lease):
            continue
        stop = view.stack_state.stop(lease)
        if stop.owner:
            yield _StoppedLease(lease, *used.owner(lease), stop)
