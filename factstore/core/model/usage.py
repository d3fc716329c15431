"""What a state tells of stacks and projects: their contents, and how much they hold."""

from __future__ import annotations

from dataclasses import dataclass

from factstore.core.model.fact import Fact, Stack
from factstore.core.model.member import Member


@dataclass(frozen=True, slots=True)
class Contents:
    """One stack whole, at one revision.

    :param revision: of the whole store; *changed*: the last that touched its facts or members;
        *target*: the one that members have to apply.
    :param members: living ones, by name.
    :param sensitive: whether any of its facts is sensitive, those not shown here included.
    """

    stack: Stack
    facts: tuple[Fact, ...]
    members: tuple[Member, ...]
    revision: int
    changed: int
    target: int
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a stack holds; a member, a waiter and a signal each count as a fact."""

    facts: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ProjectUsage:
    """How much all stacks of a project hold."""

    stacks: int = 0
    facts: int = 0
    bytes: int = 0
