"""Waits: who waits in a stack, for what, and who can end that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

from factstore.core.model.path import RESULTS
from factstore.core.model.permissions import CONFIGS
from factstore.core.model.quick_dataclass import quick_dataclass

PartyKind = Literal["member", "configuration", "waiter", "action", "user", "readers"]
PARTY_KINDS: tuple[PartyKind, ...] = get_args(PartyKind)
WaitKind = Literal["read", "template", "waiter", "configuration", "turn", "action"]
WAIT_KINDS: tuple[WaitKind, ...] = get_args(WaitKind)
GoalKind = Literal["path", "member", "group", "turn", "configuration", "action", "signals"]
NeverReason = Literal["owner_missing", "owner_departed", "value_differs", "dependency_failed"]
NEVER_REASONS: tuple[NeverReason, ...] = get_args(NeverReason)

_NODES = "nodes/"
ANY_GROUP = "*"


class Party(NamedTuple):
    """One that waits, or is waited for.

    The name is that of a member, a waiter or an action, the key of a configuration, or a user's id.
    The ``readers`` are all holders of grants that are not a member's, or all users.
    """

    kind: PartyKind
    name: str

    @property
    def member(self) -> str | None:
        """The member, also that of a configuration; None for others."""
        if self.kind == "configuration":
            return self.name.partition("/")[0]
        return self.name if self.kind == "member" else None


READERS = Party("readers", "grant")
USERS = Party("readers", "user")
"""Users as they are shown to callers that may not see who they are."""


class Goal(NamedTuple):
    """The thing that is waited for.

    The name is a path, which can have ``*`` as segments, the name of a member, a queue or a group, the
    key of a configuration, or the waiter whose signals are missing.
    """

    kind: GoalKind
    name: str


class Obstacle(NamedTuple):
    """The reason why a wait cannot end by itself.

    :param note: why the owner departed, or the state of the dependency; empty for other reasons.
    :param final: False if an owner is alive that can still remove it.
    """

    reason: NeverReason
    note: str = ""
    final: bool = True


@quick_dataclass(frozen=True, slots=True)
class Wait:
    """One that waits for one thing.

    :param owners: those that can provide it; empty if that is nobody in particular.
    :param needs: the number of owners that have to act.
    :param since: ISO 8601 in UTC.
    :param count: the number of requests, if they are equal.
    """

    kind: WaitKind
    who: Party
    goal: Goal
    owners: tuple[Party, ...]
    since: str
    needs: int = 1
    count: int = 1
    obstacle: Obstacle | None = None

    @property
    def is_blocked(self) -> bool:
        """True if an obstacle keeps the wait from ending, whatever its owners do."""
        return self.obstacle is not None and self.obstacle.final

    @property
    def id(self) -> str:
        """The same in all workers, as long as the wait exists."""
        text = "\n".join((self.kind, *self.who, *self.goal))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def order(self) -> tuple[str, ...]:
        """The sort key of a list of waits."""
        return (*self.who, *self.goal, self.kind)


@quick_dataclass(frozen=True, slots=True)
class Need:
    """A combination of waits, of which some have to end.

    :param count: the number of parts that have to end.
    """

    parts: tuple[Wait | Need, ...]
    count: int

    def waits(self) -> Iterator[Wait]:
        """Yield the waits of all parts."""
        for part in self.parts:
            if isinstance(part, Wait):
                yield part
            else:
                yield from part.waits()


def owner_of(path: str) -> str | None:
    """Return the member that alone writes a path, beside the stack's owners; None for no member."""
    if not path.startswith((_NODES, RESULTS)) or path.count("/") < 2:
        return None
    member = path.split("/", 2)[1]
    return None if member == "*" else member


def is_private(path: str) -> bool:
    """Return True if only one member, and the stack's owners, may read a path."""
    return path.startswith(CONFIGS)
