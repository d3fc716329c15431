"""The history of a database, as the domain follows it.

Deadlines are those of :mod:`factstore.core.ports`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from typing import Protocol

from factstore.core.model.event import Loaded, Step, StepResult
from factstore.core.model.fact import Fact
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.state.state import State

KnownFact = Callable[[str, str], Fact | None]
"""Returns the present fact of a stack, by the stack's id and the path."""
Enter = Callable[[Callable[[], None]], None]
"""Calls a function at a moment of its choice, before it returns."""


def at_once(place: Callable[[], None]) -> None:
    """Call a function now."""
    place()


def _nothing() -> None:
    pass


@quick_dataclass(frozen=True, slots=True)
class Snapshot:
    """The contents of a store at one revision, and the store's epoch.

    :param mutations: what puts the contents, which are read while this is iterated, once.  That raises
        CursorExpired if they were compacted, or may be those of another store, and Unavailable if the
        connection is lost.
    :param renewed_at: the revision at which the epoch was written; what is older is of another epoch.
    :param use: lets the newest revision and writes be those of this store, from the moment at which the
        state of its contents is in use.
    :param lost_at: the newest revision that can no longer be read, and that no worker is known to have
        followed; 0 if all were followed.
    :param signing_key: known to the workers of this store alone.
    :param since: the revision after which the history before the snapshot can be read; None if the
        snapshot is the oldest one that can be followed.
    """

    epoch: str
    revision: int
    mutations: Iterable[Loaded]
    lost_at: int = 0
    signing_key: bytes = field(default=b"", repr=False)
    since: int | None = None
    renewed_at: int = 0
    use: Callable[[], None] = _nothing


@quick_dataclass(frozen=True, slots=True)
class PastSteps:
    """A part of the history: the contents at a revision, and the steps after it, each read once."""

    contents: Iterator[Loaded]
    steps: Iterator[Step]


class HistoryStore(Protocol):
    """The part of a backend that reads its contents and follows its changes."""

    def open(self, *, recent: bool = False) -> Snapshot:
        """Return a snapshot after which no history has been compacted.

        It is the oldest one that belongs to the history of the service.

        :param recent: True for the newest one instead, after which is all that no worker is known to
            have followed.
        """

    def follow(self, after: int) -> Iterator[Step]:
        """Return all steps after a revision in order; the iterator waits indefinitely for the next.

        :raises CursorExpired: the history was compacted or belongs to another epoch; open again.
        :raises Unavailable: the connection was lost; follow again.
        """

    def read_past(self, after: int, upto: int, known: KnownFact) -> PastSteps:
        """Return the history between two revisions; its iterators have these errors, too.

        A step after *upto* must have been followed already.

        :param known: facts that need not be decoded again, if they have not changed since.
        :raises CursorExpired: the history was compacted.
        :raises Unavailable: the connection was lost; read again.
        """

    def interrupt(self) -> None:
        """Make a running :meth:`follow` or :meth:`read_past` raise Unavailable."""


class StateMachine(Protocol):
    """A state that is loaded from a snapshot and then moved forward step by step."""

    def load(self, snapshot: Snapshot, enter: Enter = at_once) -> None:
        """Start again from a snapshot.

        :param enter: calls the function that puts the new state in the place of the former one; what
            belongs to a state changes at the same moment.
        """

    def state(self) -> State: ...

    def apply(self, step: Step) -> StepResult: ...
