"""The recent events that a worker keeps, from which watches resume, and the history of facts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from factstore.core.errors import CursorExpired, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Change
from factstore.core.model.fact import Fact, Scope, Stack
from factstore.core.model.kept_value import KeptValue, kept_values
from factstore.core.model.path import check_path, check_stack_name, quoted
from factstore.core.model.permissions import OWNER, Permissions
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.ports import Kept
from factstore.core.services.event_service import EventReadService
from factstore.core.services.readable_facts import fact_missing

_READ_EVENTS, _READ_BYTES = 200, 1024 * 1024  # at once
_PAGE_BYTES = 1024 * 1024
_BEHIND_SECONDS = 0.02  # between looks while the events are behind the state
_ATTEMPTS = 5  # of reading, while the oldest events are discarded


@quick_dataclass(frozen=True, slots=True)
class PastChange:
    """A change of a fact, and the cursor of its revision."""

    cursor: Cursor
    change: Change


@quick_dataclass(frozen=True, slots=True)
class FactHistory:
    """The changes of a fact, the newest first.

    :param since: the cursor from which they are complete; the last ones may be older.
    :param more: True if there are older changes since then; read on before the last cursor.
    """

    changes: tuple[PastChange, ...]
    since: Cursor
    more: bool


class HistoryService(EventReadService):
    """The service for questions about the history of stacks in this worker.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    @property
    def limits(self) -> Kept:
        """The maximum of events, of all projects."""
        return self._events.limits

    def kept(self, project_id: str) -> dict[Scope, Kept]:
        """Return the events that are kept of a project, by stack."""
        return self._events.kept(project_id)

    def since(self, scope: Scope) -> Cursor:
        """Return the oldest cursor from which a watch of a stack is resumed.

        :raises NotFound: there is no such stack.
        """
        check_stack_name(scope.stack)
        state = self._store.state()
        stack = state.stack(scope)
        if stack is None:
            raise NotFound(f"There is no stack named {quoted(scope.stack)}.")
        return Cursor(state.epoch, max(self._floor(scope, state.epoch), stack.created))

    def changes(
        self,
        scope: Scope,
        path: str,
        limit: int,
        before: Cursor | None = None,
        permissions: Permissions = OWNER,
    ) -> FactHistory:
        """Return the newest changes of a fact, about 1 MiB at most.

        The last one is the change that made the oldest value, if it is older than the recent events.
        If the stack keeps values, the changes that made and deleted these follow.  A put without a fact
        shows where a value was not kept.

        :param before: return only changes before this cursor.
        :param permissions: of the caller; the error counts no facts that it may not read.
        :raises NotFound: there is no such stack, or neither the fact nor a change of it.
        :raises CursorExpired: *before* is a cursor of another store.
        """
        check_stack_name(scope.stack)
        check_path(path)
        deadline = self._clock.monotonic() + self._timeout
        state = self._store.refresh(deadline)
        with state.read():
            stack, fact, now = state.stack(scope), state.fact(scope, path), state.cursor
            kept = kept_values(lambda key: state.record(scope, key), path)
        if stack is None:
            raise NotFound(f"There is no stack named {quoted(scope.stack)}.")
        floor, found = self._kept_changes(stack, path, now, deadline)
        first = found[0][1].previous if found else fact
        if first is not None:
            found.insert(0, (first.revision, _made(first)))
        oldest = found[0][0] if found else now.revision + 1
        found = [*_kept_changes(kept, oldest), *found]
        if not found:
            raise fact_missing(state, scope, path, permissions)
        if before is not None:
            if before.epoch != state.epoch:
                raise CursorExpired("The cursor is from another epoch of the store; leave it out.")
            found = [(at, each) for at, each in found if at < before.revision]
        newest: list[PastChange] = []
        size = 0
        for at, change in reversed(found):
            size += change.fact.size if change.fact is not None else 0
            if newest and (len(newest) >= limit or size > _PAGE_BYTES):
                break
            newest.append(PastChange(Cursor(state.epoch, at), change))
        since = Cursor(state.epoch, floor)
        return FactHistory(tuple(newest), since, more=len(newest) < len(found))

    def _kept_changes(
        self, stack: Stack, path: str, upto: Cursor, deadline: float
    ) -> tuple[int, list[tuple[int, Change]]]:
        """Return the revision from which the changes are complete, and the changes with theirs."""
        for attempt in range(1, _ATTEMPTS + 1):
            floor = self._floor(stack.scope, upto.epoch)
            # A stack is created by its first fact, in the same revision.
            start = max(floor, stack.created - 1)
            try:
                found = self._read(stack, path, start, upto, deadline)
                return max(floor, stack.created), found
            except CursorExpired:
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _read(
        self, stack: Stack, path: str, at: int, upto: Cursor, deadline: float
    ) -> list[tuple[int, Change]]:
        found: list[tuple[int, Change]] = []
        while True:
            start = Cursor(upto.epoch, at)
            batch = self._read_events(stack.scope, start, _READ_EVENTS, _READ_BYTES)
            for event in batch.events:
                if event.stack_id == stack.id:
                    found += [(event.revision, each) for each in event.changes if each.path == path]
            at = batch.upto
            left = deadline - self._clock.monotonic()
            if batch.more:
                time.sleep(0)  # a long history must not delay the other requests of the worker
            if not batch.more and (at >= upto.revision or left <= 0):
                return found
            if not batch.more:  # the state is ahead of the events
                self._events.wait(stack.scope, Cursor(upto.epoch, at), min(left, _BEHIND_SECONDS))


def _kept_changes(kept: Iterable[KeptValue], before: int) -> Iterator[tuple[int, Change]]:
    """Yield the changes before a revision that kept values show, and their revisions, in order.

    :param kept: the kept values, the oldest first.
    """
    older = [each for each in kept if each.at < before]
    ends = (*(each.at for each in older[1:]), before)
    for each, end in zip(older, ends, strict=False):  # there may be none
        fact = each.fact
        yield each.at, Change("fact.put", each.path, fact, None, each.updated_by, each.request_id)
        if each.revision < end and each.deleted_by is not None:
            author = each.deleted_by, each.delete_request
            yield each.revision, Change("fact.delete", each.path, None, fact, *author)
        elif each.revision < end:  # it was replaced by a value that was not kept
            yield each.revision, Change("fact.put", each.path, None, fact, None, None)


def _made(fact: Fact) -> Change:
    """Return the change that made a fact, as far as the fact shows it."""
    return Change("fact.put", fact.path, fact, None, fact.updated_by, None)
