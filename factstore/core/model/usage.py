"""The contents of a stack, and the usage of stacks and projects."""

from __future__ import annotations

from factstore.core.model.fact import Fact, Stack
from factstore.core.model.member import Member
from factstore.core.model.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class Contents:
    """The facts and members of one stack at one revision.

    :param members: the living members, ordered by name.
    :param revision: the revision of the store.
    :param changed: the revision that last changed the stack's facts or members.
    :param target: the revision that members have to apply.
    :param sensitive: True if any fact of the stack is sensitive, including facts not in *facts*.
    """

    stack: Stack
    facts: tuple[Fact, ...]
    members: tuple[Member, ...]
    revision: int
    changed: int
    target: int
    sensitive: bool = False


@quick_dataclass(frozen=True, slots=True)
class Usage:
    """The usage of a stack; a member, read set, waiter, signal, grant and turn each count as a fact."""

    facts: int
    bytes: int


@quick_dataclass(frozen=True, slots=True)
class ProjectUsage:
    """The usage of all stacks of a project."""

    stacks: int = 0
    facts: int = 0
    bytes: int = 0
