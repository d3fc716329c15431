"""The waits in a stack, found in what is stored and in the reads that are blocked now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain, groupby, islice

from factstore.core.errors import Unavailable
from factstore.core.model.blocked_reads import BlockedRead
from factstore.core.model.comparison import Test
from factstore.core.model.fact import Fact
from factstore.core.model.path import RESULTS
from factstore.core.model.permissions import CONFIGS
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.template_report import lacking, lacks_path
from factstore.core.model.wait import Goal, Need, Obstacle, Party, Wait, WaitKind, owner_of
from factstore.core.state.configuration_view import ConfigurationView
from factstore.core.state.configurations import view_all
from factstore.core.state.stack_state import StackState
from factstore.core.state.waiter_waits import waiter_need

WAITS_PER_STACK = 5000
"""The waits that are compared; others are not found."""
EXISTS = Test()


@quick_dataclass(frozen=True, slots=True)
class StackWaits:
    """The waits in a stack.

    :param waits: of members, configurations, actions and readers.
    :param needs: those of pending waiters.
    """

    waits: tuple[Wait, ...]
    needs: dict[Party, Need]

    def all(self) -> Iterator[Wait]:
        """Yield all waits."""
        yield from self.waits
        for need in self.needs.values():
            yield from need.waits()


def find_waits(
    stack_state: StackState, reads: Iterable[BlockedRead], settled_before: str
) -> StackWaits:
    """Return the waits in a stack.

    :param reads: the reads that are blocked at all workers.
    :param settled_before: a value that was put before this instant is not expected to change.
    """
    finder = _Finder(stack_state, settled_before)
    found = chain(
        finder.reads(reads),
        finder.templates(),
        finder.turns(),
        finder.configurations(),
        finder.actions(),
    )
    return StackWaits(tuple(islice(found, WAITS_PER_STACK)), dict(finder.waiters()))


class _Finder:
    def __init__(self, stack_state: StackState, settled_before: str) -> None:
        self._stack = stack_state
        self._settled_before = settled_before
        self._configurations: dict[str, ConfigurationView] = {}
        if next(stack_state.below(CONFIGS.rstrip("/")), None) is not None:
            views = view_all(stack_state)
            self._configurations = {view.configuration.key: view for view in views}

    def reads(self, reads: Iterable[BlockedRead]) -> Iterator[Wait]:
        """Yield the reads that wait for a fact that does not exist."""
        found: dict[tuple[Party, str], Wait] = {}
        for reader, path, since, requests in reads:
            if path in self._stack.facts:
                continue
            known = found.get((reader, path))
            if known is None:
                found[reader, path] = replace(
                    self._path_wait("read", reader, since, path, EXISTS), count=requests
                )
            else:  # at another worker, too
                found[reader, path] = replace(
                    known, since=min(known.since, since), count=known.count + requests
                )
        yield from found.values()

    def templates(self) -> Iterator[Wait]:
        """Yield the names that templates of agents lack, as the agents report them."""
        for name in self._stack.live_members:
            report = self._stack.facts.get(lacks_path(name))
            if report is None:
                continue
            for path in lacking(report):
                if path not in self._stack.facts and not self._stack.count_below(path):
                    who = Party("member", name)
                    yield self._folder_wait(who, report.updated_at, path)

    def turns(self) -> Iterator[Wait]:
        """Yield the turns that are not held yet."""
        with suppress(Unavailable):  # its computation has failed, which is reported elsewhere
            for queue, turns in groupby(
                self._stack.turn_queues.queued(), lambda queued: queued.turn.queue
            ):
                holders: list[Party] = []
                for queued in turns:
                    member = Party("member", queued.turn.member)
                    if queued.holds:
                        holders.append(member)
                        continue
                    since = queued.turn.created_at
                    yield Wait("turn", member, Goal("turn", queue), tuple(holders), since)

    def configurations(self) -> Iterator[Wait]:
        """Yield what configurations wait for: each other, or that their member runs them."""
        for view in self._configurations.values():
            configuration = view.configuration
            who = Party("configuration", configuration.key)
            since = configuration.fact.updated_at
            if view.state in ("due", "in_progress"):
                member = configuration.member
                goal, obstacle = Goal("member", member), self._absence(member)
                runner = (Party("member", member),)
                yield Wait("configuration", who, goal, runner, since, obstacle=obstacle)
            for key in view.waits_for:
                goal, owners = Goal("configuration", key), self._open_configuration(key)
                obstacle = self._failure(key)
                yield Wait("configuration", who, goal, owners, since, obstacle=obstacle)

    def actions(self) -> Iterator[Wait]:
        """Yield the members for which actions wait."""
        with suppress(Unavailable):
            for view in self._stack.actions.views():
                who, since = Party("action", view.action.id), view.action.created_at
                for run in view.runs:
                    if run.state in ("due", "in_progress"):
                        owners = (Party("member", run.member),)
                        yield Wait("action", who, Goal("member", run.member), owners, since)

    def waiters(self) -> Iterator[tuple[Party, Need]]:
        """Yield the pending waiters with what they need."""
        pending, left = self._stack.pending_waiters, WAITS_PER_STACK
        members = self._stack.live_members.keys()
        for waiter in pending.waiters():
            tracker = pending.tracker(waiter.name)
            if tracker is not None and not pending.fault(waiter) and left > 0:
                need = waiter_need(waiter, tracker, members, self._waiter_wait)
                left -= sum(1 for _ in need.waits())
                yield Party("waiter", waiter.name), need

    def _waiter_wait(self, who: Party, since: str, path: str, test: Test) -> Wait:
        return self._path_wait("waiter", who, since, path, test)

    def _path_wait(self, kind: WaitKind, who: Party, since: str, path: str, test: Test) -> Wait:
        member = owner_of(path)
        owners: tuple[Party, ...] = ()
        if member is not None:
            owners = (self._owner(path, member),)
        absence = None if member is None else self._absence(member)
        obstacle = self._difference(self._stack.facts.get(path), test)
        if obstacle is None:
            obstacle = absence
        elif member is not None and absence is None:  # it may only be slow
            obstacle = obstacle._replace(final=False)
        return Wait(kind, who, Goal("path", path), owners, since, obstacle=obstacle)

    def _folder_wait(self, who: Party, since: str, path: str) -> Wait:
        """Return the wait of a template, which needs a fact at a path or any below it."""
        found = self._path_wait("template", who, since, f"{path}/*", EXISTS)
        return replace(found, goal=Goal("path", path))

    def _owner(self, path: str, member: str) -> Party:
        """Return the configuration whose result a path is, if it has not ended; else the member."""
        if path.startswith(RESULTS):
            for found in self._open_configuration(path.removeprefix(RESULTS)):
                return found
        return Party("member", member)

    def _difference(self, fact: Fact | None, test: Test) -> Obstacle | None:
        """Return the obstacle of a value that differs from the awaited one for some time.

        Numbers that are compared with a bound grow and shrink, so they are no obstacle.
        """
        definite = test.equals is not None or test.values or test.match is not None
        if fact is None or not definite or fact.updated_at >= self._settled_before:
            return None
        return Obstacle("value_differs")

    def _absence(self, member: str) -> Obstacle | None:
        if member in self._stack.live_members:
            return None
        reason = self._stack.ended_members.get(member)
        return Obstacle("owner_missing") if reason is None else Obstacle("owner_departed", reason)

    def _open_configuration(self, key: str) -> tuple[Party, ...]:
        """Return a configuration that has not ended; nothing if it has, or does not exist."""
        view = self._configurations.get(key)
        return () if view is None or view.ended else (Party("configuration", key),)

    def _failure(self, key: str) -> Obstacle | None:
        """Return the obstacle of a dependency that has ended without being complete."""
        view = self._configurations.get(key)
        if view is None or view.state not in ("failed", "lost"):
            return None
        return Obstacle("dependency_failed", view.state)
