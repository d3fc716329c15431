"""A stack as it was: its context at an earlier cursor, and what differs between two cursors.

The answers come from the recent events of this worker: its present contents without the changes since
then.  If the events do not reach back far enough, the database's own history is read.  If that has been
compacted, too, the caller gets CursorExpired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Generic, TypeVar

from factstore.core.errors import CursorExpired, Invalid, NotFound
from factstore.core.model.checksum import checksum_text, fact_hash, member_hash
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Change
from factstore.core.model.fact import Fact, Scope, Stack
from factstore.core.model.member import Declaration, Member
from factstore.core.model.path import check_stack_name, quoted
from factstore.core.model.permissions import OWNER, Permissions
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.usage import Contents
from factstore.core.services.compiled_context import Context
from factstore.core.services.context_document import Rendered
from factstore.core.services.context_view import ContextView
from factstore.core.services.event_service import EventService
from factstore.core.services.time_slice import TimeSlice

T = TypeVar("T", Fact, Member)
Versions = dict[str, tuple[T | None, T | None]]
"""Facts by path, or members by name: before the changes, and after them; None if it did not exist."""

_READ_EVENTS, _READ_BYTES = 1000, 16 * 1024 * 1024  # at once
_PAGE = 500  # facts that are read at once
_BEHIND_SECONDS = 0.02  # between looks while the events are behind the state


@quick_dataclass(frozen=True, slots=True)
class Difference(Generic[T]):
    """A fact or a member at two cursors.

    :param before: None if it did not exist at the first cursor.
    :param after: None if it did not exist at the second one.
    """

    name: str
    before: T | None
    after: T | None


@quick_dataclass(frozen=True, slots=True)
class Differences:
    """The facts and members that are not the same at two cursors, ordered by path and name."""

    since: Cursor
    until: Cursor
    facts: tuple[Difference[Fact], ...]
    members: tuple[Difference[Member], ...]


class PastService(EventService):
    """The service for a stack at earlier cursors."""

    def context(self, scope: Scope, at: Cursor, view: ContextView) -> Context:
        """Return the context that a stack had at a cursor.

        :raises NotFound: the stack does not exist, or the stack or the member did not exist then.
        :raises CursorExpired: the contents at this cursor are not known any more.
        """
        view.check()
        epoch, contents = self._contents(scope)
        self._check(at, epoch, contents)
        facts, members = self._at(contents, at)
        if view.member and view.member not in {member.name for member in members}:
            raise NotFound(f"There was no member {quoted(view.member)} at {at}.")
        shown = view.shown(facts)
        tags = {fact.path: fact.etag(epoch) for fact in shown if fact.sensitive}
        total = sum(map(member_hash, members))
        total += sum(fact_hash(fact, epoch) for fact in TimeSlice(self._clock).each(shown))
        rendered, parts = Rendered(scope.stack, shown, members, tags), view.shown_parts
        texts = rendered.seen_by(view.member, parts) if parts else rendered.texts
        etag = rendered.etag_for(view.member, parts)
        return Context(texts, etag, at, at.revision, checksum_text(total))

    def differences(
        self,
        scope: Scope,
        since: Cursor | None = None,
        until: Cursor | None = None,
        permissions: Permissions = OWNER,
    ) -> Differences:
        """Return what differs in a stack between two cursors.

        A fact that was changed and has the same value again does not differ.  A sensitive fact differs
        after each change, because its values cannot be compared.

        :param since: None for the oldest cursor from which all changes are in memory.
        :param until: None for the present.
        :param permissions: of the caller; facts that it may not read are left out.
        :raises NotFound: the stack does not exist, or did not exist at one of the cursors.
        :raises CursorExpired: the contents at *since* are not known any more.
        """
        epoch, contents = self._contents(scope)
        oldest = self._known_since(contents.stack, epoch)
        given, since = since, since or oldest
        until = until or Cursor(epoch, contents.revision)
        for cursor in (since, until):
            self._check(cursor, epoch, contents)
        if given is None and since.revision > until.revision:
            raise Invalid(
                f"The parameter until is older than {oldest}, from which on all changes are in memory. "
                "Give since, too: an older cursor is read from the history of the database.",
                code="query_invalid",
            )
        if since.revision > until.revision:
            raise Invalid(
                f"The parameter since is newer than until: {since} and {until}. Exchange them.",
                code="query_invalid",
            )
        try:
            facts, members = self._changed(contents.stack, since, until.revision)
        except CursorExpired:
            after = self._at(contents, until)
            before = self._stored(contents.stack, since)
            facts, members = (
                _paired(before[0], after[0], _path),
                _paired(before[1], after[1], _name),
            )
        pauses = TimeSlice(self._clock)
        return Differences(
            since,
            until,
            tuple(
                Difference(path, *pair)
                for path, pair in pauses.each(sorted(facts.items()))
                if _shown(pair[0]) != _shown(pair[1]) and permissions.can_read(path)
            ),
            tuple(
                Difference(name, *pair)
                for name, pair in pauses.each(sorted(members.items()))
                if _seen(pair[0]) != _seen(pair[1])
            ),
        )

    def _contents(self, scope: Scope) -> tuple[str, Contents]:
        """Return the present contents, and the epoch of the store."""
        check_stack_name(scope.stack)
        state = self._state()
        contents = state.contents(scope)
        if contents is None:
            raise NotFound(f"There is no stack named {quoted(scope.stack)}.")
        return state.epoch, contents

    @staticmethod
    def _check(at: Cursor, epoch: str, contents: Contents) -> None:
        """Raise an error if the stack never was at a cursor."""
        if at.epoch != epoch:
            raise CursorExpired(
                f"The cursor {at} is from another epoch of the store; request a new one."
            )
        if at.revision > contents.revision:
            raise CursorExpired(f"The store never reached the cursor {at}; request a new one.")
        if at.revision < contents.stack.created:
            raise NotFound(
                f"The stack {quoted(contents.stack.name)} did not exist at {at}; it was created at "
                f"{Cursor(epoch, contents.stack.created)}."
            )

    def _at(self, contents: Contents, at: Cursor) -> tuple[Sequence[Fact], Sequence[Member]]:
        """Return the facts by path, and the living members by name, at a cursor."""
        if contents.changed <= at.revision:
            return contents.facts, contents.members
        try:
            facts, members = self._changed(contents.stack, at, contents.revision)
        except CursorExpired:
            return self._stored(contents.stack, at)
        return (
            _taken_back(contents.facts, facts, _path),
            _taken_back(contents.members, members, _name),
        )

    def _changed(
        self, stack: Stack, after: Cursor, upto: int
    ) -> tuple[Versions[Fact], Versions[Member]]:
        """Return the facts and members that changed between a cursor and a revision.

        :raises CursorExpired: the events after the cursor are not in memory.
        """
        facts: Versions[Fact] = {}
        members: Versions[Member] = {}
        for change in self._changes(stack, after, upto):
            if change.path is not None:
                before, _ = facts.get(change.path, (change.previous, None))
                facts[change.path] = (before, change.fact)
                continue
            former, record = change.former, change.record
            member = former or record
            if isinstance(member, Member):
                joined, _ = members.get(member.name, (_living(former), None))
                members[member.name] = (joined, _living(record))
        return facts, members

    def _changes(self, stack: Stack, start: Cursor, upto: int) -> Iterator[Change]:
        deadline, pauses = self._deadline(), TimeSlice(self._clock)
        epoch, after = start
        while after < upto:
            at = Cursor(epoch, after)
            batch = self._read_events(stack.scope, at, _READ_EVENTS, _READ_BYTES)
            for event in pauses.each(batch.events):
                if event.stack_id == stack.id and event.revision <= upto:
                    yield from event.changes
            after = batch.upto
            if not batch.more and after < upto:  # events are published after the state has moved
                left = deadline - self._clock.monotonic()
                if left <= 0 or self._events.closing:
                    raise CursorExpired("The events up to the present are not in memory.")
                self._events.wait(stack.scope, Cursor(epoch, after), min(left, _BEHIND_SECONDS))

    def _known_since(self, stack: Stack, epoch: str) -> Cursor:
        return Cursor(epoch, max(self._floor(stack.scope, epoch), stack.created))

    def _stored(self, stack: Stack, at: Cursor) -> tuple[Sequence[Fact], Sequence[Member]]:
        """Return the facts and living members at a cursor, from the database's history."""
        facts: list[Fact] = []
        read = partial(self._store.facts_at, stack, "")
        try:
            while True:
                after = facts[-1].path if facts else ""
                page = read(after, _PAGE, at.revision, self._deadline())
                facts += page
                if len(page) < _PAGE:
                    break
            tables = self._tables_at(stack, (Member, Declaration), at.revision)
            self._check_same_store(at)
        except CursorExpired:
            raise CursorExpired(
                f"The contents at {at} are not known any more; those since "
                f"{self._known_since(stack, at.epoch)} are."
            ) from None
        return facts, [member for member in tables.after(Member) if not member.departed]


def _path(fact: Fact) -> str:
    return fact.path


def _name(member: Member) -> str:
    return member.name


def _living(record: object) -> Member | None:
    return record if isinstance(record, Member) and not record.departed else None


def _shown(fact: Fact | None) -> object:
    """Return what has to be equal for the fact to be the same."""
    if fact is None:
        return None
    # A value that is sealed again differs each time.
    secret = fact.revision if fact.sensitive else 0
    return fact.text, fact.kind, fact.ttl, fact.member, fact.sensitive, fact.readers, secret


def _seen(member: Member | None) -> object:
    """Return what has to be equal for the member to be the same."""
    return member and (member.group, member.state, member.attributes)


def _taken_back(present: Iterable[T], changed: Versions[T], name: Callable[[T], str]) -> list[T]:
    """Return what there was before the changes, ordered by name."""
    found: list[T] = [each for each in present if name(each) not in changed]
    found += [before for before, _ in changed.values() if before is not None]
    return sorted(found, key=name)


def _paired(before: Iterable[T], after: Iterable[T], name: Callable[[T], str]) -> Versions[T]:
    pairs: Versions[T] = {name(each): (each, None) for each in before}
    for each in after:
        former, _ = pairs.get(name(each), (None, None))
        pairs[name(each)] = (former, each)
    return pairs
