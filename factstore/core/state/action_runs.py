"""The actions of one stack: which members run, which of them may start, and which have ended.

Results and the ends of members arrive one by one, so the runs that have not ended are kept in a list,
of which the first ones may run.  A run never loses its place in it to another one.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from factstore.core.model.action import Action, ActionResult, ActionTimer, action_result_key
from factstore.core.model.fact import Scope, Stack
from factstore.core.model.record import RecordKey
from factstore.core.state.action_view import ActionView, MemberRun, Run, RunState
from factstore.core.state.containment import Contained, contained
from factstore.core.state.record_tables import RecordTables

_ALL = "actions"


class _OpenRuns:
    """The members of an action whose runs have not ended.

    :param names: in their order.
    :param limit: the number of them that may run at the same time.
    :ivar startable: those that run or may start.
    """

    __slots__ = ("_limit", "_names", "startable")

    def __init__(self, names: list[str], limit: int) -> None:
        self._names = names
        self._limit = limit
        self.startable = set(names[:limit])

    def remove(self, name: str) -> str | None:
        """Remove a member; return the one that may start instead of it, if any."""
        if name not in self._names:
            return None
        self._names.remove(name)
        if name not in self.startable:
            return None
        self.startable.discard(name)
        if len(self._names) < self._limit:
            return None
        following = self._names[self._limit - 1]
        self.startable.add(following)
        return following


class ActionRuns(Contained):
    """The actions of a stack.

    :param tables: the records of the stack.
    :param generations: the live members of the stack, by generation.
    :ivar lost: the actions and the members of runs that were lost, and of which that is not stored; the
        waiter controller does it.
    """

    part = "actions"

    def __init__(self, stack_id: str, tables: RecordTables, generations: Container[str]) -> None:
        super().__init__(stack_id)
        self.lost: dict[RecordKey, tuple[str, str]] = {}
        self._tables = tables
        self._generations = generations
        self._of_member: dict[str, dict[str, str]] = {}  # generations, by member and action
        self._open: dict[str, _OpenRuns] = {}
        self._restarted: dict[str, Action] = {}
        self._changed: set[str] = set()

    @contained
    def put(self, action: Action) -> None:
        """Note that an action was created or has changed."""
        for name, generation in action.members:
            self._of_member.setdefault(name, {})[action.id] = generation
        self._restart(action)

    @contained
    def drop(self, action: Action) -> None:
        """Note that an action was deleted, or has expired."""
        for name, _ in action.members:
            of_member = self._of_member.get(name, {})
            of_member.pop(action.id, None)
            if not of_member:
                self._of_member.pop(name, None)
            self.lost.pop(action_result_key(action.id, name), None)
        self._restart(action)
        self._restarted.pop(action.id)
        self._open.pop(action.id, None)

    @contained
    def set_timer(self, action: str) -> None:
        """Note that the timer of an action has started or expired."""
        if (found := self.find(action)) is not None:
            self._restart(found)

    @contained
    def note_result(self, result: ActionResult) -> None:
        """Note that a member has reported."""
        if (found := self.find(result.action)) is not None:
            self._note(found, result.member, ended=result.ended)

    @contained
    def note_member(self, name: str) -> None:
        """Note that an incarnation of a member has begun or ended."""
        for identifier, generation in self._of_member.get(name, {}).items():
            found = self.find(identifier)
            if found is not None and generation not in self._generations:
                self._lose(found, name)
                self._note(found, name, ended=True)

    @contained
    def evaluate(self) -> None:
        """Find the runs that have not ended, of actions that changed as a whole."""
        if self.lost:  # a run that was cancelled or timed out meanwhile is not lost
            self.lost = {
                key: run for key, run in self.lost.items() if run[0] not in self._restarted
            }
        for action in self._restarted.values():
            names = []
            for name, generation in action.members:
                result = self._result(action, name)
                if result is not None and result.ended:
                    continue
                if generation in self._generations:
                    names.append(name)
                else:
                    self._lose(action, name)
            limit = action.max_parallel or len(action.members)
            self._open[action.id] = _OpenRuns(names, limit)
        self._restarted.clear()

    # Reading

    @property
    def member_count(self) -> int:
        """The number of members of all actions together."""
        return sum(len(each.members) for each in self._tables.table(Action).values())

    def find(self, action: str) -> Action | None:
        """Return an action, or None if it does not exist."""
        return self._tables.table(Action).get(action)

    def of_member(self, name: str) -> Iterator[MemberRun]:
        """Yield the runs of a member that have not ended, in the order of their actions."""
        self.check()
        for action in sorted(
            filter(None, map(self.find, self._of_member.get(name, ()))), key=_order
        ):
            run = self.run(action, name)
            if run is not None and not run.ended:
                yield MemberRun(action, run)

    def run(self, action: Action, member: str) -> Run | None:
        """Return the run of a member; None if it is not one of the action's members."""
        self.check()
        generation = self._of_member.get(member, {}).get(action.id)
        return None if generation is None else self._run(action, member, generation)

    def view(self, action: Action) -> ActionView:
        """Return an action with all runs."""
        self.check()
        runs = tuple([self._run(action, name, generation) for name, generation in action.members])
        return ActionView(action, runs)

    def views(self) -> Iterator[ActionView]:
        """Yield the actions in the order in which they were created."""
        for action in sorted(self._tables.table(Action).values(), key=_order):
            yield self.view(action)

    def take_changed(self, stack: Stack) -> list[Scope]:
        """Return the scopes of what has changed since the last call."""
        if not self._changed:
            return []
        changed, self._changed = self._changed, set()
        return [Scope(stack.project_id, f"{stack.name}//{name}") for name in changed]

    def end(self) -> None:
        """Count everything as changed, because the stack is deleted."""
        for action in self._tables.table(Action).values():
            self._restart(action)
        self._changed.add(_ALL)
        self._changed.update(f"member/{name}" for name in self._of_member)

    # Deriving

    def _restart(self, action: Action) -> None:
        self._restarted[action.id] = action
        self._changed.update((_ALL, f"action/{action.id}"))
        self._changed.update(f"member/{name}" for name, _ in action.members)

    def _note(self, action: Action, member: str, *, ended: bool) -> None:
        """Note a change of one run, which may let another one start."""
        self._changed.update((_ALL, f"action/{action.id}", f"member/{member}"))
        if not ended:
            return
        result = self._result(action, member)
        if result is not None and result.ended:
            self.lost.pop(result.record_key, None)
        open_runs = self._open.get(action.id)
        following = open_runs.remove(member) if open_runs is not None else None
        if following is not None:
            self._changed.add(f"member/{following}")

    def _lose(self, action: Action, member: str) -> None:
        if self._run(action, member, "").state == "lost":
            key = action_result_key(action.id, member)
            result = self._result(action, member)
            if result is None or not result.ended:
                self.lost[key] = (action.id, member)

    def _run(self, action: Action, member: str, generation: str) -> Run:
        result = self._result(action, member)
        return Run(member, self._state(action, member, generation, result), result)

    def _state(
        self, action: Action, member: str, generation: str, result: ActionResult | None
    ) -> RunState:
        if result is not None and result.ended:
            return result.state
        if result is None and action.cancelled_at is not None:
            return "cancelled"
        if self._tables.find(RecordKey(ActionTimer, action.id)) is None:
            return "timed_out"
        if generation not in self._generations:
            return "lost"
        if result is not None:
            return "in_progress"
        open_runs = self._open.get(action.id)
        return "due" if open_runs is not None and member in open_runs.startable else "waiting"

    def _result(self, action: Action, member: str) -> ActionResult | None:
        return self._tables.table(ActionResult).get(f"{action.id}/{member}")


def action_scope(scope: Scope, action: str) -> Scope:
    """Return the scope that wakes only the readers of one action; no stack has such a name."""
    return Scope(scope.project_id, f"{scope.stack}//action/{action}")


def member_actions_scope(scope: Scope, member: str) -> Scope:
    """Return the scope that wakes only the readers of one member's runs."""
    return Scope(scope.project_id, f"{scope.stack}//member/{member}")


def all_actions_scope(scope: Scope) -> Scope:
    """Return the scope that wakes the readers of all actions."""
    return Scope(scope.project_id, f"{scope.stack}//{_ALL}")


def _order(action: Action) -> tuple[str, str]:
    return action.created_at, action.id
