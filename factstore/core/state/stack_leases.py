"""The leases of a stack's members, facts and waiters: the facts bound to members, and the pulses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import NamedTuple

from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.pulse import Pulse, is_monitored
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.waiter import Timer, Waiter


class LeaseOwner(NamedTuple):
    """The path of a fact with a ttl, or the key of a member, which may have departed, or of a timer.

    :param ttl: 0 if the lease is only there to end.
    """

    key: str | RecordKey
    ttl: int


class Stop(NamedTuple):
    """The stop of a pulse, which distinguishes it from an earlier one and from one after a renewal.

    :param at: the revision at which the pulse stopped; 0 if it is not known.
    :param owner: the revision of the lease's owner, which a write may have renewed; 0 if it is missing.
    """

    at: int
    owner: int


@quick_dataclass(slots=True, eq=False)
class StackLeases:
    """The leases of the members, facts and timers of one stack.

    :param paths: the paths of facts bound to members, by the members' leases.
    :param owners: the owners of monitored leases.
    :param stopped: the monitored leases that have an owner, or bound facts, and no pulse.
    """

    paths: dict[int, set[str]] = field(default_factory=dict)
    owners: dict[int, LeaseOwner] = field(default_factory=dict)
    stopped: set[int] = field(default_factory=set)
    _terms: dict[int, int] = field(default_factory=dict)
    _stopped_at: dict[int, int] = field(default_factory=dict)
    _beating: set[int] = field(default_factory=set)

    def bind(self, fact: Fact) -> None:
        """Add a fact that may be on a lease."""
        if fact.member is not None:
            self.paths.setdefault(fact.lease, set()).add(fact.path)
            self._use(fact.lease)
        elif fact.ttl is not None:
            self._own(fact.lease, LeaseOwner(fact.path, fact.ttl))

    def unbind(self, fact: Fact) -> None:
        """Remove a fact."""
        if fact.member is not None:
            paths = self.paths[fact.lease]
            paths.discard(fact.path)
            if not paths:
                del self.paths[fact.lease]
                self._release(fact.lease)
        elif fact.ttl is not None:
            self._disown(fact.lease)

    def put_member(self, member: Member, former: Record | None) -> None:
        """Add a member, which may have departed, in place of a former incarnation."""
        if isinstance(former, Member):
            self.drop_member(former)
        ttl = 0 if member.departed else member.ttl or 0
        self._own(member.lease, LeaseOwner(member.record_key, ttl))

    def drop_member(self, member: Member) -> None:
        """Remove a member."""
        self._disown(member.lease)

    def put_waiter(self, waiter: Waiter, former: Record | None) -> None:
        """Add the timer of a pending waiter, in place of that of a former arming."""
        if isinstance(former, Waiter):
            if former.timer == waiter.timer:
                return
            self.drop_waiter(former)
        self._own(waiter.timer, LeaseOwner(RecordKey(Timer, waiter.name), waiter.timeout))

    def drop_waiter(self, waiter: Waiter) -> None:
        """Remove the timer of a waiter."""
        self._disown(waiter.timer)

    def put(self, pulse: Pulse) -> None:
        """Add a pulse, or one that has ended."""
        lease = pulse.monitored_lease
        self._terms[lease] = pulse.term
        self._stopped_at.pop(lease, None)
        if pulse.ended:
            self.drop(pulse, pulse.revision)
        else:
            self._beating.add(lease)
            self.stopped.discard(lease)

    def drop(self, pulse: Pulse, revision: int) -> None:
        """Remove a pulse."""
        lease = pulse.monitored_lease
        self._beating.discard(lease)
        if self.is_used(lease):
            self.stopped.add(lease)
            self._stopped_at[lease] = revision
        else:
            self._terms.pop(lease, None)

    def owner(self, lease: int) -> LeaseOwner:
        """Return the owner of a lease that is used.

        It is a fact, if only those are left that were bound to a former incarnation of a member.
        """
        return self.owners.get(lease) or LeaseOwner(min(self.paths[lease]), 0)

    def running(self, term: int) -> Iterator[tuple[int, int]]:
        """Yield the leases whose pulse was created in a term and has not stopped, each with its ttl."""
        for lease, owner in self.owners.items():
            if owner.ttl and lease in self._beating and self._terms.get(lease) == term:
                yield lease, owner.ttl

    def term(self, lease: int) -> int:
        """Return etcd's term in which the last pulse of a lease was created; 0 if it is not known."""
        return self._terms.get(lease, 0)

    def stopped_at(self, lease: int) -> int:
        """Return the revision at which the pulse of a lease stopped; 0 if it is not known."""
        return self._stopped_at.get(lease, 0)

    def is_used(self, lease: int) -> bool:
        """Return True if a monitored lease has an owner, or bound facts; False once it has ended."""
        return lease in self.owners or lease in self.paths

    def _own(self, lease: int, owner: LeaseOwner) -> None:
        if is_monitored(lease):
            self.owners[lease] = owner
            self._use(lease)

    def _disown(self, lease: int) -> None:
        if self.owners.pop(lease, None) is not None:
            self._release(lease)

    def _use(self, lease: int) -> None:
        if is_monitored(lease) and lease not in self._beating:
            self.stopped.add(lease)

    def _release(self, lease: int) -> None:
        if not self.is_used(lease):
            self.stopped.discard(lease)
            self._stopped_at.pop(lease, None)
            if lease not in self._beating:
                self._terms.pop(lease, None)
