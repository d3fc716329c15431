"""Chains of changes, each of which woke the author of the next one.

A chain is found backwards, from the change that woke a member.  A change follows from another if its
author stated the cursor on which it acted; which of the changes up to there woke the author depends on
the read set that it has now.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, get_args

from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Change, Event
from factstore.core.model.fact import Scope
from factstore.core.model.grant import Grant
from factstore.core.model.member import Member
from factstore.core.model.path import RESULTS, quoted
from factstore.core.model.permissions import Permissions
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.read_set import ReadSet, member_path
from factstore.core.model.record import RecordKey
from factstore.core.state.state import State

EndKind = Literal[
    "none",
    "join",
    "declaration",
    "departure",
    "expiry",
    "user",
    "agent",
    "flapping",
    "limit",
    "history",
]
END_KINDS: tuple[EndKind, ...] = get_args(EndKind)

STEPS = 50
FLAPPING_TIMES = 5
"""The default for how often a chain may return to a path before it is called flapping."""

_GRANT = "grant:"
HIDDEN = "the caller may not read this change."


@quick_dataclass(frozen=True, slots=True)
class CauseStep:
    """A change that woke a member.

    :param change: the change; None if the caller may not read it.
    :param others: the number of further changes of the same revision that concern the member.
    :param writer: the member that wrote it; None if it was another caller, or nobody.
    :param cause: the cursor on which the author acted; None if it stated none.
    """

    cursor: Cursor
    change: Change | None
    others: int
    writer: str | None
    cause: Cursor | None

    @property
    def subject(self) -> str:
        """The path of the fact, or that of the member."""
        change = self.change
        if change is None:
            return ""
        return change.path if change.path is not None else f"members/{_member(change).name}"


@quick_dataclass(frozen=True, slots=True)
class Flapping:
    """A path that the changes of a chain change again and again.

    :param paths: all paths of the chain, and *writers* its members, each once.
    """

    path: str
    times: int
    paths: tuple[str, ...]
    writers: tuple[str, ...]


class CauseChain:
    """The changes that led to one, found backwards."""

    def __init__(
        self,
        state: State,
        scope: Scope,
        events: Sequence[Event],
        floor: int,
        permissions: Permissions,
        flapping_times: int,
    ) -> None:
        self.steps: list[CauseStep] = []
        self.flapping: Flapping | None = None
        self._state = state
        self._scope = scope
        self._events = events
        self._floor = floor
        self._permissions = permissions
        self._flapping_times = flapping_times

    def follow(self, reader: str | None, upto: int, path: str | None = None) -> tuple[EndKind, str]:
        """Add the steps, and return the reason for their end.

        :param reader: the member that was woken by the first one; None for any.
        :param upto: the revision that the member had applied.
        :param path: of the first change, if it is known.
        """
        times: Counter[str] = Counter()
        while True:
            found = self._newest(reader, upto, path)
            if found is None:
                return self._missing(upto)
            path = None
            event, changes = found
            step = self._step(event, changes)
            self.steps.append(step)
            change = changes[0]
            if step.subject:
                times[step.subject] += 1
                if times[step.subject] > self._flapping_times:
                    self.flapping = self._flapping(step.subject, times[step.subject])
                    return "flapping", (
                        f"{quoted(step.subject)} is changed again and again: each change follows from "
                        "the one before, by the members named."
                    )
            if step.cause is None:
                kind, detail = _end(change, step.writer)
                return kind, detail if step.change is not None else HIDDEN
            if len(self.steps) == max(STEPS, 4 * self._flapping_times):
                return (
                    "limit",
                    f"these are the last {len(self.steps)} changes.",
                )
            reader, upto = self._writer(change), step.cause.revision

    def _missing(self, upto: int) -> tuple[EndKind, str]:
        floor = Cursor(self._state.epoch, self._floor)
        if self.steps or upto < self._floor:
            return "history", (
                f"the change before is older than {floor}, from which on "
                "the service knows all changes."
            )
        if self._floor > 0 and not self.steps:
            return "history", (
                f"no change since {floor}, from which on the service knows "
                "all changes, concerns the member."
            )
        return "none", "no change concerns the member."

    def _newest(
        self, reader: str | None, upto: int, path: str | None
    ) -> tuple[Event, list[Change]] | None:
        """Return the newest event up to a revision that concerns a member, and the changes that do."""
        concerns = self._test(reader)
        count = bisect_right(self._events, upto, key=lambda event: event.revision)
        for number in range(count - 1, -1, -1):
            event = self._events[number]
            changes = [
                each
                for each in event.changes
                if (path in (None, each.path)) and concerns(each, event.revision)
            ]
            if changes:
                changes.sort(key=lambda each: (not self._may_read(each), not each.cause))
                return event, changes
        return None

    def _test(self, reader: str | None) -> Callable[[Change, int], bool]:
        key = RecordKey(ReadSet, reader or "")
        record = self._state.record(self._scope, key) if reader is not None else None
        patterns = record.patterns() if isinstance(record, ReadSet) else None

        def concerns(change: Change, revision: int) -> bool:
            record = change.record
            if (
                change.type == "member.join"
                and isinstance(record, Member)
                and record.name == reader
            ):
                return True
            return any(
                patterns is None or any(p.is_concerned(at, value_only=only) for p in patterns)
                for at, only in _places(change, revision)
            )

        return concerns

    def _step(self, event: Event, changes: Sequence[Change]) -> CauseStep:
        change = changes[0]
        shown = change if self._may_read(change) else None
        cause = change.cause
        known = 0 < cause < event.revision
        return CauseStep(
            Cursor(self._state.epoch, event.revision),
            shown,
            len(changes) - 1,
            self._writer(change) if shown is not None else None,
            Cursor(self._state.epoch, cause) if known else None,
        )

    def _may_read(self, change: Change) -> bool:
        return change.path is None or self._permissions.can_read(change.path)

    def _writer(self, change: Change) -> str | None:
        """Return the member that has written a change, as far as its grant or the fact names it."""
        by = change.by
        if by is None:
            return None
        if by.startswith(_GRANT):
            grant = self._state.record(self._scope, RecordKey(Grant, by.removeprefix(_GRANT)))
            if isinstance(grant, Grant) and grant.member is not None:
                return grant.member
        if change.path is None:
            return _member(change).name if change.cause else None
        fact = change.fact or change.previous
        if fact is not None and fact.member is not None:
            return fact.member
        folder, _, rest = change.path.partition("/")
        name = rest.partition("/")[0]
        if change.cause and folder == "nodes" and self._state.member(self._scope, name):
            return name
        return None

    def _flapping(self, path: str, times: int) -> Flapping:
        paths = sorted({step.subject for step in self.steps if step.subject})
        writers = sorted({step.writer for step in self.steps if step.writer is not None})
        return Flapping(path, times, tuple(paths), tuple(writers))


def _places(change: Change, revision: int) -> Iterator[tuple[list[str], bool]]:
    """Yield the paths that a change concerns, and True if it changes only a value there."""
    if change.path is not None:
        if not change.path.startswith(RESULTS):
            yield change.path.split("/"), change.fact is not None and change.previous is not None
        return
    record, former = change.record, change.former
    present = record if isinstance(record, Member) and not record.departed else None
    if present is not None and present.visible_revision == revision:
        only_state = former is not None and present.listed_revision != revision
        yield member_path(present.group, present.name).split("/"), only_state
    if former is not None and (
        present is None
        or present.group != former.group
        or (present.declared_only and not former.declared_only)
    ):
        yield member_path(former.group, former.name).split("/"), False


def _member(change: Change) -> Member:
    found = change.record if isinstance(change.record, Member) else change.former
    assert found is not None  # noqa: S101 - other changes concern no member
    return found


def _end(change: Change, writer: str | None) -> tuple[EndKind, str]:
    """Return why a change follows from no other, in words."""
    if change.path is None:
        member = _member(change)
        reason = f" ({change.reason or member.reason})" if change.reason or member.reason else ""
        if change.type == "member.expire" or change.reason == "expired":
            return "expiry", f"{quoted(member.name)} sent no more heartbeats."
        if change.type == "member.depart":
            return "departure", f"{quoted(member.name)} departed{reason}."
        if change.type == "member.join" or member.declared_only:
            if member.declared is not None:
                return "declaration", (
                    f"the owner of the stack declared {quoted(member.name)} as "
                    f"{quoted(member.declared)}{reason}."
                )
            return "join", f"{quoted(member.name)} joined{reason}."
    elif change.type == "fact.expire":
        return "expiry", f"{quoted(change.path)} expired, or its member ended."
    if writer is not None or (change.by or "").startswith(_GRANT):
        return (
            "agent",
            f"{writer or 'the holder of a grant'} did not state on which change it acted.",
        )
    return "user", f"{change.by or 'somebody'} changed it, and stated no other change as the cause."
