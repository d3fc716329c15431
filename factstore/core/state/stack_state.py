"""The state of one stack: its contents, and what its records change.

It applies one mutation at a time, under the lock of its
:class:`~factstore.core.state.state.State`.  Each kind of record is passed on here to the parts that
follow it, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from factstore.core.model.action import Action, ActionResult, ActionTimer
from factstore.core.model.alarm import Alarm, AlarmTimer
from factstore.core.model.event import (
    Change,
    ChangeType,
    DeletionMarker,
    Mutation,
    PutFact,
    PutRecord,
    PutStack,
    flapping_change,
    stuck_change,
)
from factstore.core.model.fact import Scope
from factstore.core.model.flapping_report import FlappingReport
from factstore.core.model.member import Applied, Declaration, Member
from factstore.core.model.pulse import Pulse, is_monitored, pulse_key
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.read_set import ReadSet, member_path
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import R, Record, RecordKey
from factstore.core.model.stuck_report import StuckReport
from factstore.core.model.turn import Turn
from factstore.core.model.usage import Contents
from factstore.core.model.waiter import Signal, Timer, Waiter
from factstore.core.state.pending_waiters import ConditionView
from factstore.core.state.stack_contents import StackContents
from factstore.core.state.stack_leases import Stop


@quick_dataclass(slots=True, eq=False)
class StackState(StackContents):
    """One stack, to which changes are applied."""

    @property
    def target(self) -> int:
        """The newest revision that changed members, or facts outside ``results/``."""
        return self.convergence.target

    def contents(self, prefix: str, revision: int) -> Contents:
        """Return the members, and the facts at and below a path, at the state's revision."""
        facts = tuple([self.facts[path] for path in self.covered(prefix)])
        members = tuple([self.live_members[name] for name in sorted(self.live_members)])
        return Contents(
            self.stack, facts, members, revision, self.changed, self.target, self.sensitive > 0
        )

    def mutations(self) -> Iterator[Mutation]:
        """Yield the mutations that make the stack as it is."""
        if self.stack.name:
            yield PutStack(self.stack)
        for path in self.paths:
            yield PutFact(self.stack.id, self.facts[path])
        for record in self.tables:
            yield PutRecord(self.stack.id, record)

    # Records

    def records(self, kind: type[R]) -> Mapping[str, R]:
        """Return the records of a kind, by name."""
        return self.tables.table(kind)

    def record(self, key: RecordKey) -> Record | None:
        """Return a record, which may be a departed member; None if it does not exist."""
        return self.tables.find(key)

    def stop(self, lease: int) -> Stop:
        """Return the stop of a lease's pulse."""
        owner = self.leases.owner(lease).key
        owned = self.facts.get(owner) if isinstance(owner, str) else self.record(owner)
        return Stop(self.leases.stopped_at(lease), owned.revision if owned else 0)

    def has_ended(self, lease: int) -> bool:
        """Return True if a monitored lease has ended, or has been chosen to end."""
        if not is_monitored(lease):
            return False
        pulse = self.record(pulse_key(lease))
        return not self.leases.is_used(lease) or (isinstance(pulse, Pulse) and pulse.ended)

    def put_record(self, record: Record) -> Change | None:
        """Store a record; return the change for watchers, or None."""
        self.unsettled = True
        former = self.tables.put(record)
        self._count(former, -1)
        self._count(record, 1)
        match record:
            case Member():
                return self._put_member(record, former)
            case Applied(member, seen):
                # Since a backup was made, the member may have applied what is not in this store.
                known = seen if record.revision >= self.renewed_at else None
                self.convergence.set_applied(member, known)
            case ReadSet(member):
                self.convergence.set_read_set(member, record, self)
            case Signal():
                self.pending_waiters.note_signal(record, record.record_key.name, exists=True)
            case Waiter():
                self.leases.put_waiter(record, former)
                return self.pending_waiters.put(record, former)
            case Alarm():
                return self.alarms.put(record, former)
            case AlarmTimer(name):
                self.alarms.schedule(name)
            case Turn():
                self.turn_queues.put(record)
            case Action():
                self.actions.put(record)
            case ActionResult():
                self.actions.note_result(record)
            case ActionTimer(action):
                self.actions.set_timer(action)
            case Receipt():
                self.receipt_leases.put(record)
            case Pulse():
                self.leases.put(record)
            case DeletionMarker():
                self.convergence.restore(record)
            case StuckReport():
                return stuck_change("stack.stuck", record)
            case FlappingReport() if former is None:
                return flapping_change(record)
        return None

    def drop_record(self, key: RecordKey, revision: int) -> Change | None:
        """Delete a record; return the change for watchers, or None."""
        record = self.tables.drop(key)
        if record is None:
            return None
        self.unsettled = True
        self._count(record, -1)
        match record:
            case Member():
                return self._drop_member(record, revision)
            case Applied(member):
                self.convergence.set_applied(member, None)
            case ReadSet(member):
                self.convergence.set_read_set(member, None, self)
            case Signal():
                self.pending_waiters.note_signal(record, key.name, exists=False)
            case Turn(queue, member):
                self.turn_queues.drop(queue, member)
            case Action():
                self.actions.drop(record)
            case ActionTimer(action):
                self.actions.set_timer(action)
            case Receipt():
                self.receipt_leases.drop(record)
            case Pulse():
                self.leases.drop(record, revision)
            case Waiter(name):
                self.leases.drop_waiter(record)
                self.pending_waiters.forget(name)
            case Timer(waiter):
                self.pending_waiters.schedule(waiter)
            case Alarm(name):
                self.alarms.forget(name)
            case AlarmTimer(name):
                self.alarms.schedule(name)
            case StuckReport():
                return stuck_change("stack.unstuck", record)
        return None

    def _put_member(self, member: Member, former: Record | None) -> Change | None:
        known = former if isinstance(former, Member) and not former.departed else None
        self.leases.put_member(member, former)
        self.configuration_changes.note()
        self._unlist(member.name)
        ended = (member.reason or member.state) if member.departed else None
        self.ended_members.note(member.name, ended)
        if not member.departed:
            self.live_members[member.name] = self.generations[member.generation] = member
            self.checksum.add_member(member)
        self.actions.note_member(member.name)
        self.conditions.member(member.name, None if member.departed else member)
        self.convergence.set_live(member.name, not member.departed)
        if known is None and member.departed:
            return None
        self.changed = max(self.changed, member.visible_revision)
        if known is not None and (member.departed or known.group != member.group):
            self.convergence.delete(member_path(known.group, known.name), member.revision)
        author = (member.updated_by, member.request_id)
        if member.departed:
            return Change("member.depart", None, None, None, *author, member, known, member.reason)
        path = member_path(member.group, member.name)
        self.convergence.change(path, member.visible_revision, member.listed_revision)
        if known is not None and member.continues(known):
            left = "departed" if member.declared_only and not known.declared_only else None
            return Change("member.change", None, None, None, *author, member, known, left)
        return Change("member.join", None, None, None, *author, member, known, member.reason)

    def _drop_member(self, member: Member, revision: int) -> Change | None:
        self.leases.drop_member(member)
        if member.departed:
            return None
        kind: ChangeType = "member.expire"
        declaration, awaited = self.records(Declaration).get(member.name), None
        if declaration is not None:
            kind, awaited = "member.change", declaration.awaited()
            self.put_record(awaited)
        else:
            self.ended_members.note(member.name, "expired")
            self._unlist(member.name)
            self.configuration_changes.note()
            self.actions.note_member(member.name)
            self.conditions.member(member.name, None)
            self.convergence.set_live(member.name, False)
        self.changed = revision
        self.convergence.delete(member_path(member.group, member.name), revision)
        return Change(kind, None, None, None, None, None, awaited, member, "expired")

    def end_load(self, revision: int, lost_at: int) -> None:
        """Restore what the contents at a revision do not show; no worker has seen *lost_at*."""
        self._restore_awaited()
        self.changed = revision  # deletions leave no other revision
        self.conditions.lost_at = lost_at
        self.take_changed()  # nobody has waited for what was loaded
        self.convergence.take_concerned()

    def _restore_awaited(self) -> None:
        """List the declared members that have no record: no write told that they expired."""
        for name, declaration in self.records(Declaration).items():
            if name not in self.records(Member):
                self.put_record(declaration.awaited())

    def _unlist(self, name: str) -> None:
        known = self.live_members.pop(name, None)
        if known is None:
            return
        self.checksum.remove_member(known)
        if self.generations.get(known.generation) is known:  # else its lease was lost
            del self.generations[known.generation]

    def signals(self, waiter: str) -> dict[str, Signal]:
        """Return the signals to a waiter, by the names of their records."""
        return {each.record_key.name: each for each in self.tables.below(Signal, waiter)}

    def evaluate(self, revision: int) -> None:
        """Find the outcomes of waiters, and the decisions of alarms, at the end of a revision."""
        self.actions.evaluate()
        self.pending_waiters.track_new(self)
        self.alarms.track_new()
        if self.conditions.has_new:
            self.conditions.load(ConditionView(self))
        changed = self.conditions.take_changed()
        self.pending_waiters.evaluate(self, changed, revision)
        self.alarms.evaluate(self, changed, revision)

    def take_changed(self) -> list[Scope]:
        """Return the scopes of queues, actions and configurations that changed since the last call."""
        return [
            *self.turn_queues.take_changed(self.stack),
            *self.actions.take_changed(self.stack),
            *self.configuration_changes.take_changed(self.stack),
        ]

    def end(self) -> None:
        """Count everything that readers wait for as changed, because the stack is deleted."""
        self.unsettled = True
        for part in (self.turn_queues, self.actions, self.convergence):
            part.end()
        self.configuration_changes.note()

    @property
    def needs_write(self) -> bool:
        """True if the waiter controller has to write something for the stack."""
        waiters, decisions = self.pending_waiters, self.alarms.decisions
        unrecorded = self.convergence.has_unrecorded_deletion or self.conditions.lost_at
        written = waiters.outcomes or waiters.advanced or unrecorded or decisions
        return bool(written or self.actions.lost)
