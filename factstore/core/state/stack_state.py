"""The contents of one stack, and what is derived: usage, bound facts, convergence, waiters' outcomes.

It applies one mutation at a time, under the lock of its
:class:`~factstore.core.state.state.State`.  It is longer than 300 lines because each kind of change is
passed on here, and nowhere else.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from factstore.core.model.action import Action, ActionResult, ActionTimer
from factstore.core.model.alarm import Alarm, AlarmTimer
from factstore.core.model.event import (
    Change,
    ChangeType,
    DeletionMarker,
    flapping_change,
    stuck_change,
)
from factstore.core.model.fact import Fact, Scope, Stack
from factstore.core.model.flapping_report import FlappingReport
from factstore.core.model.member import Applied, Declaration, Member
from factstore.core.model.path import RESULTS
from factstore.core.model.pulse import Pulse
from factstore.core.model.read_set import ReadSet, member_path
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import R, Record, RecordKey
from factstore.core.model.stuck_report import StuckReport
from factstore.core.model.turn import Turn
from factstore.core.model.waiter import Signal, Timer, Waiter
from factstore.core.state.action_runs import ActionRuns
from factstore.core.state.caused_paths import CausedPaths
from factstore.core.state.configuration_changes import FOLDERS, ConfigurationChanges
from factstore.core.state.context_checksum import ContextChecksum
from factstore.core.state.convergence import Convergence
from factstore.core.state.ended_members import EndedMembers
from factstore.core.state.pending_waiters import ConditionView, PendingWaiters
from factstore.core.state.project_totals import ProjectTotals
from factstore.core.state.receipt_leases import ReceiptLeases
from factstore.core.state.record_tables import RecordTables
from factstore.core.state.stack_conditions import StackConditions
from factstore.core.state.stack_leases import StackLeases
from factstore.core.state.standing_alarms import StandingAlarms
from factstore.core.state.turn_queues import TurnQueues


@dataclass(slots=True, eq=False)
class StackState:
    """One stack.

    :param epoch: of the store.
    :param facts: the facts by path; *paths* are in order.
    :param tables: the records.
    :param live_members: members that have not departed.
    :param leases: the leases of members and facts.
    :param count: the number of facts and of records that count as facts.
    :param changed: the revision that last changed facts or members.
    :param sensitive: the number of sensitive facts.
    :param checksum: the checksum of the stack's context.
    :ivar conditions: the counters of the conditions of waiters and alarms.
    :ivar pending_waiters: the waiters that are pending.
    :ivar ended_members: why members that do not exist any more have ended, as far as it is known.
    :ivar alarms: the alarms, with what the controller has to write for them.
    """

    stack: Stack
    project: ProjectTotals
    epoch: str = ""
    facts: dict[str, Fact] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    tables: RecordTables = field(default_factory=RecordTables)
    live_members: dict[str, Member] = field(default_factory=dict)
    generations: dict[str, Member] = field(default_factory=dict)
    ended_members: EndedMembers = field(default_factory=EndedMembers)
    leases: StackLeases = field(default_factory=StackLeases)
    count: int = 0
    bytes: int = 0
    changed: int = 0
    sensitive: int = 0
    checksum: ContextChecksum = field(default_factory=ContextChecksum)
    receipt_leases: ReceiptLeases = field(default_factory=ReceiptLeases)
    caused_paths: CausedPaths = field(default_factory=CausedPaths)
    turn_queues: TurnQueues = field(init=False)
    actions: ActionRuns = field(init=False)
    configuration_changes: ConfigurationChanges = field(default_factory=ConfigurationChanges)
    convergence: Convergence = field(init=False)
    conditions: StackConditions = field(init=False)
    pending_waiters: PendingWaiters = field(init=False)
    alarms: StandingAlarms = field(init=False)

    def __post_init__(self) -> None:
        self.conditions = StackConditions(self.stack.id)
        self.turn_queues = TurnQueues(self.stack.id)
        self.actions = ActionRuns(self.stack.id, self.tables, self.generations)
        self.convergence = Convergence(self.stack.id, self.conditions.lagging)
        self.pending_waiters = PendingWaiters(self.conditions)
        self.alarms = StandingAlarms(self.conditions)

    @property
    def target(self) -> int:
        """The newest revision that changed members, or facts outside ``results/``."""
        return self.convergence.target

    # Facts

    def put(self, fact: Fact) -> Fact | None:
        """Store a fact; return the fact that it replaces, or None."""
        path, paths = fact.path, self.paths
        previous = self.facts.get(path)
        if previous is None:
            if paths and path < paths[-1]:
                insort(paths, path)
            else:  # as in the loading of a stack
                paths.append(path)
            self._grow(1, fact.size)
        else:
            self._grow(0, fact.size - previous.size)
            self.leases.unbind(previous)
            self.sensitive -= previous.sensitive
        if fact.sealed is not None:
            self.sensitive += 1
        self.facts[path] = fact
        self.checksum.replace_fact(previous, fact, self.epoch)
        if fact.member is not None or fact.ttl is not None:
            self.leases.bind(fact)
        self.changed = fact.revision
        self.conditions.fact(path, fact)
        if fact.cause:
            self.caused_paths.note(path)
        if path.startswith(FOLDERS):
            self.configuration_changes.note()
        if not path.startswith(RESULTS):
            self.convergence.change(path, fact.revision, fact.created)
        return previous

    def drop(self, path: str, revision: int) -> Fact | None:
        """Delete a fact and return it; None if it did not exist."""
        previous = self.facts.pop(path, None)
        if previous is None:
            return None
        del self.paths[bisect_left(self.paths, path)]
        self._grow(-1, -previous.size)
        self.leases.unbind(previous)
        self.sensitive -= previous.sensitive
        self.checksum.replace_fact(previous, None, self.epoch)
        self.changed = revision
        self.conditions.fact(path, None)
        if path.startswith(FOLDERS):
            self.configuration_changes.note()
        if not path.startswith(RESULTS):
            self.convergence.delete(path, revision)
        return previous

    def below(self, folder: str, after: str = "") -> Iterator[str]:
        """Yield the paths below a folder, or all if it is empty, after a path, in order."""
        start, paths = f"{folder}/" if folder else "", self.paths
        for at in range(max(bisect_left(paths, start), bisect_right(paths, after)), len(paths)):
            if not paths[at].startswith(start):
                return
            yield paths[at]

    def covered(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the paths at and below a path, or all if it is empty, after a path, in order."""
        if prefix > after and prefix in self.facts:
            yield prefix
        yield from self.below(prefix, after)

    def count_below(self, folder: str) -> int:
        """Return the number of facts below a folder."""
        after = f"{folder}0"  # the character after the slash
        return bisect_left(self.paths, after) - bisect_left(self.paths, f"{folder}/")

    # Records

    def records(self, kind: type[R]) -> Mapping[str, R]:
        """Return the records of a kind, by name."""
        return self.tables.table(kind)

    def record(self, key: RecordKey) -> Record | None:
        """Return a record, which may be a departed member; None if it does not exist."""
        return self.tables.find(key)

    def put_record(self, record: Record) -> Change | None:
        """Store a record; return the change for watchers, or None."""
        former = self.tables.put(record)
        self._count(former, -1)
        self._count(record, 1)
        match record:
            case Member():
                return self._put_member(record, former)
            case Applied(member, seen):
                self.convergence.set_applied(member, seen)
            case ReadSet(member):
                self.convergence.set_read_set(member, record, self)
            case Signal():
                self.pending_waiters.note_signal(record, record.record_key.name, exists=True)
            case Waiter():
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

    def restore_awaited(self) -> None:
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

    # Totals

    def _count(self, record: Record | None, times: int) -> None:
        if record is not None and record.size is not None:
            self._grow(times * record.is_item, times * record.size)

    def _grow(self, facts: int, size: int) -> None:
        self.count += facts
        self.bytes += size
        self.project.facts += facts
        self.project.bytes += size
