"""The state of the watched stacks at one revision, with which a stream can begin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from factstore.core.model.alarm import Alarm
from factstore.core.model.fact import Fact, Scope
from factstore.core.model.member import Member
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.stack_selection import Watched
from factstore.core.model.waiter import Progress, Waiter
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import SnapshotFrame
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State

SNAPSHOT_ITEMS = 256  # in one frame
SNAPSHOT_BYTES = 64 * 1024  # in one frame, which has at least one item

_Item = Fact | Member | tuple[Waiter, Progress] | Alarm


@quick_dataclass(frozen=True, slots=True)
class _Contents:
    """The parts of one stack that a reader wants, in no order."""

    scope: Scope
    facts: tuple[Fact, ...]
    members: tuple[Member, ...]
    waiters: tuple[tuple[Waiter, Progress], ...]
    alarms: tuple[Alarm, ...]


@quick_dataclass(frozen=True, slots=True)
class WatchSnapshot:
    """The watched stacks at one revision."""

    epoch: str
    revision: int
    _stacks: tuple[_Contents, ...]
    _wanted: Filter

    def frames(self) -> Iterator[SnapshotFrame]:
        """Yield the frames of each stack, ordered by name; at least one for each of many stacks."""
        for stack in self._stacks:
            items: tuple[_Item, ...] = (
                *sorted(self._wanted.facts(stack.facts), key=lambda fact: fact.path),
                *sorted(self._wanted.members(stack.members), key=lambda member: member.name),
                *sorted(stack.waiters, key=lambda each: each[0].name),
                *sorted(stack.alarms, key=lambda alarm: alarm.name),
            )
            if not items and self._wanted.many:
                yield SnapshotFrame(stack.scope, self.epoch)
            for part in _parts(items):
                yield SnapshotFrame(
                    stack.scope,
                    self.epoch,
                    tuple(item for item in part if isinstance(item, Fact)),
                    tuple(item for item in part if isinstance(item, Member)),
                    tuple(item for item in part if isinstance(item, tuple)),
                    tuple(item for item in part if isinstance(item, Alarm)),
                )


def snapshot(state: State, of: Watched, wanted: Filter) -> WatchSnapshot | None:
    """Return a snapshot of the watched stacks; None if the stack does not exist.

    References to all contents are collected at once, and everything else is done later, because nothing
    can be written to the state meanwhile.
    """
    with state.read():
        found = list(_stacks(state, of))
        if not found and isinstance(of, Scope):
            return None
        stacks = tuple([_contents(stack_state, wanted) for stack_state in found])
        return WatchSnapshot(state.epoch, state.revision, stacks, wanted)


def _stacks(state: State, of: Watched) -> Iterator[StackState]:
    """Yield the watched stacks, ordered by project and name."""
    if isinstance(of, Scope):
        scopes = [of]
    elif of.project_id is not None:
        scopes = [stack.scope for stack in state.stacks(of.project_id)]
    else:
        scopes = sorted(stack_state.stack.scope for stack_state in state.all_stacks())
    for scope in scopes:
        stack_state = state.stack_state(scope)
        if stack_state is not None and (isinstance(of, Scope) or of.includes(scope)):
            yield stack_state


def _contents(stack_state: StackState, wanted: Filter) -> _Contents:
    if len(wanted.prefixes) == 1:
        paths = stack_state.covered(wanted.prefixes[0])
        facts = tuple([stack_state.facts[path] for path in paths])
    else:
        facts = tuple(stack_state.facts.values())
    waiters: tuple[tuple[Waiter, Progress], ...] = ()
    if wanted.includes_waiters:
        progress = stack_state.pending_waiters.progress
        waiters = tuple((each, progress(each)) for each in stack_state.records(Waiter).values())
    alarms = wanted.alarms_of(stack_state.records(Alarm).values())
    members = tuple(stack_state.live_members.values())
    return _Contents(stack_state.stack.scope, facts, members, waiters, alarms)


def _parts(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Yield the items of each frame."""
    frame: list[_Item] = []
    size = 0
    for item in items:
        added = item[0].size if isinstance(item, tuple) else item.size
        if frame and (len(frame) >= SNAPSHOT_ITEMS or size + added > SNAPSHOT_BYTES):
            yield frame
            frame, size = [], 0
        frame.append(item)
        size += added
    if frame:
        yield frame
