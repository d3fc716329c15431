"""The facts of one stack, and what is derived from them: usage, bound facts, counters of conditions.

The parts that also follow the records are here as well; see
:mod:`~factstore.core.state.stack_state`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import field

from factstore.core.model.fact import Fact, Stack
from factstore.core.model.member import Member
from factstore.core.model.path import RESULTS
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record
from factstore.core.state.action_runs import ActionRuns
from factstore.core.state.caused_paths import CausedPaths
from factstore.core.state.configuration_changes import FOLDERS, ConfigurationChanges
from factstore.core.state.context_checksum import ContextChecksum
from factstore.core.state.convergence import Convergence
from factstore.core.state.ended_members import EndedMembers
from factstore.core.state.pending_waiters import PendingWaiters
from factstore.core.state.receipt_leases import ReceiptLeases
from factstore.core.state.record_tables import RecordTables
from factstore.core.state.stack_conditions import StackConditions
from factstore.core.state.stack_leases import StackLeases
from factstore.core.state.standing_alarms import StandingAlarms
from factstore.core.state.totals import Totals
from factstore.core.state.turn_queues import TurnQueues


@quick_dataclass(slots=True, eq=False)
class StackContents:
    """The parts of one stack.

    :param project: the totals of its project.
    :param epoch: of the store.
    :param renewed_at: the revision at which the epoch was written; what is older is of another epoch.
    :param facts: the facts by path; *paths* are in order.
    :param tables: the records.
    :param live_members: members that have not departed.
    :param leases: the leases of members and facts.
    :param count: the number of facts and of records that count as facts.
    :param changed: the revision that last changed facts or members.
    :param unsettled: True if anything but a fact's value may follow from the changes since the last
        evaluation, such as the outcome of a waiter.
    :param sensitive: the number of sensitive facts.
    :param checksum: the checksum of the stack's context.
    :ivar conditions: the counters of the conditions of waiters and alarms.
    :ivar pending_waiters: the waiters that are pending.
    :ivar ended_members: why members that do not exist any more have ended, as far as it is known.
    :ivar alarms: the alarms, with what the controller has to write for them.
    """

    stack: Stack
    project: Totals
    epoch: str = ""
    renewed_at: int = 0
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
    unsettled: bool = True
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

    # Facts

    def put(self, fact: Fact) -> Fact | None:
        """Store a fact; return the fact that it replaces, or None."""
        path, previous = fact.path, self.facts.get(fact.path)
        if previous is None:
            paths = self.paths
            if paths and path < paths[-1]:
                insort(paths, path)
            else:  # as in the loading of a stack
                paths.append(path)
            self._grow(1, fact.size)
        else:
            if fact.size != previous.size:
                self._grow(0, fact.size - previous.size)
            if previous.member is not None or previous.ttl is not None:
                self.leases.unbind(previous)
            self.sensitive -= previous.sealed is not None
        if fact.sealed is not None:
            self.sensitive += 1
        self.facts[path] = fact
        if self.checksum.sums is not None:
            self.checksum.replace_fact(previous, fact, self.epoch)
        if fact.member is not None or fact.ttl is not None:
            self.leases.bind(fact)
        self.changed = fact.revision
        if self.conditions.patterns:
            self.unsettled = True
            self.conditions.fact(path, fact)
        if fact.cause:
            self.caused_paths.note(path)
        if path.startswith(FOLDERS):
            self.unsettled = True
            self.configuration_changes.note()
            if path.startswith(RESULTS):
                return previous
        if self.convergence.change(path, fact.revision, fact.created):
            self.unsettled = True
        return previous

    def load(self, facts: Sequence[Fact]) -> None:
        """Store facts as :meth:`put` does one by one, in half of the time if they are plain."""
        if not facts or not self._has_plain(facts):
            for fact in facts:
                self.put(fact)
            return
        paths = [fact.path for fact in facts]
        self.paths += paths
        self.facts.update(zip(paths, facts, strict=True))
        self._grow(len(facts), sum([fact.size for fact in facts]))
        self.changed = facts[-1].revision
        self.convergence.change("", max([fact.revision for fact in facts]), 0)

    def _has_plain(self, facts: Sequence[Fact]) -> bool:
        """Return True if facts follow those that exist, and nothing else follows from them."""
        if self.conditions.patterns or self.checksum.sums is not None:
            return False
        if self.convergence.concerns_members or (self.paths and facts[0].path <= self.paths[-1]):
            return False
        last = ""
        for fact in facts:
            path = fact.path
            if (
                path <= last
                or fact.sealed is not None
                or fact.member is not None
                or fact.ttl is not None
                or fact.cause
                or path.startswith(FOLDERS)
            ):
                return False
            last = path
        return True

    def drop(self, path: str, revision: int) -> Fact | None:
        """Delete a fact and return it; None if it did not exist."""
        previous = self.facts.pop(path, None)
        if previous is None:
            return None
        self.unsettled = True
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

    def complete(self, past: StackContents, revision: int) -> None:
        """Take over what the contents at a revision do not show.

        :param past: the stack at that revision, after some of its history.
        """
        if self.changed == revision:  # it was loaded then, and nothing has changed it since
            self.changed = past.changed
        self.ended_members.put_before(past.ended_members, self.live_members)
        self.caused_paths.add(past.caused_paths)
        self.convergence.complete(past.convergence)
        self.unsettled = True

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

    def is_empty_below(self, folder: str) -> bool:
        """Return True if there is no path below a folder."""
        start, paths = f"{folder}/", self.paths
        at = bisect_left(paths, start)
        return at == len(paths) or not paths[at].startswith(start)

    def count_below(self, folder: str) -> int:
        """Return the number of facts below a folder."""
        after = f"{folder}0"  # the character after the slash
        return bisect_left(self.paths, after) - bisect_left(self.paths, f"{folder}/")

    # Totals

    def _count(self, record: Record | None, times: int) -> None:
        if record is not None and record.size is not None:
            self._grow(times * record.is_item, times * record.size)

    def _grow(self, facts: int, size: int) -> None:
        self.count += facts
        self.bytes += size
        self.project.facts += facts
        self.project.bytes += size
