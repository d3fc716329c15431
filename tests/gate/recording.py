"""A recording of a run of the gate: requests, watchers, renewals, copies of contexts and turns.

The checkers read a recording and nothing else, so they can be tried on one into which a bug was seeded.
Times are of the monotonic clock of the process that recorded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from factstore.store.keyspace import Keyspace
from tests.faults.checker import History, RawChange, Scope, Segment, canonical

Kind = Literal["put", "create", "replace", "delete", "batch", "read"]
Outcome = Literal["done", "unmet", "refused", "unknown"]
Step = tuple[int, tuple[RawChange, ...]]


@dataclass(frozen=True)
class Operation:
    """One request to read or write facts.

    Values are canonical JSON, and each value is written by one request only.

    :param ended: when its response arrived; infinite if its outcome is unknown.
    :param outcome: ``unmet`` if the precondition was not met, or the fact does not exist; ``refused``
        if the service stated that nothing was written.
    :param expected: the value that a ``replace`` requires.
    :param seen: the value that a ``read`` returned; None if there was no fact.
    :param revision: the revision that the response states; 0 if it states none.
    """

    client: str
    kind: Kind
    scope: Scope
    started: float
    ended: float
    outcome: Outcome
    puts: Mapping[str, str] = field(default_factory=dict)
    deletes: tuple[str, ...] = ()
    path: str = ""
    expected: str | None = None
    seen: str | None = None
    revision: int = 0
    request_id: str | None = None

    @property
    def is_known(self) -> bool:
        """True if the outcome is known."""
        return self.ended < math.inf


@dataclass(frozen=True)
class Followed:
    """The events that a watcher received.

    :param until: the revision up to which they must be complete.
    """

    name: str
    scope: Scope
    prefix: str
    segments: Sequence[Segment]
    until: int


@dataclass(frozen=True)
class Renewal:
    """An acknowledged renewal of a member, or of a fact with a ttl; its creation is the first one."""

    started: float
    ended: float


@dataclass(frozen=True)
class Life:
    """One incarnation of a member, or a fact with a ttl, and its renewals.

    :param name: the path of a fact, or ``member:`` and the name of a member.
    :param born: the revision of its creation.
    :param left: the revision by which it had ended by request; 0 if it was not ended.
    """

    scope: Scope
    name: str
    ttl: float
    born: int
    renewals: Sequence[Renewal]
    left: int = 0


@dataclass(frozen=True)
class Copy:
    """The facts of a context at one revision, as a copy had them.

    :param started: when the request was sent that returned it.
    """

    name: str
    scope: Scope
    revision: int
    facts: Mapping[str, str]
    started: float
    ended: float


@dataclass(frozen=True)
class Hold:
    """The time for which a client certainly held the only turn of a queue."""

    queue: str
    member: str
    started: float
    ended: float


@dataclass
class Recording:
    """A whole run.

    :ivar steps: the revisions of the store, as a raw watch of one etcd member returned them.
    :ivar known: the instants at which somebody had received a revision.
    """

    keyspace: Keyspace
    steps: list[Step] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    watchers: list[Followed] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    known: list[tuple[float, int]] = field(default_factory=list)

    def history(self) -> History:
        """Return the history of the store."""
        history = History(self.keyspace)
        for revision, changes in self.steps:
            history.feed(revision, changes)
        return history

    def deliveries(self) -> int:
        """Return the number of changes that watchers received."""
        return sum(
            len(getattr(item, "changes", ()))
            for each in self.watchers
            for segment in each.segments
            for item in segment.items
        )


def flattened(document: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Return the values in a context by path, as canonical JSON.

    Values that are objects look like folders, so they are flattened too.
    """
    found: dict[str, str] = {}
    for name, child in document.items():
        path = f"{above}/{name}" if above else name
        if isinstance(child, dict):
            found |= flattened(child, path)
        else:
            found[path] = canonical(child)
    return found
