"""The result of planning: which launch configurations become data bags, and with which facts."""

from __future__ import annotations

from dataclasses import dataclass, field

from factstore.migrate.dependencies import Graph
from factstore.migrate.facts import Item
from factstore.migrate.nodes import Entry, Node
from factstore.migrate.read_paths import ReadPath
from factstore.migrate.scripts import Command
from factstore.migrate.template import Resource


@dataclass(frozen=True)
class Finding:
    """Something that the caller should know.

    :ivar line: the line in the original text, from 1.
    :ivar is_left: whether it is left for a person to rewrite.
    """

    line: int
    reason: str
    is_left: bool = True


@dataclass(eq=False)
class Bag:
    """A launch configuration that becomes a data bag, or facts in another one.

    :ivar items: its facts; None if the metadata are one function.
    :ivar dropped: entries of its metadata that only said how to read them.
    :ivar depends_late: whether what it depends on reads the bag.
    :ivar host: the resource in whose data bag the facts are; None for an own data bag.
    :ivar new_name: another name for the resource, as a merge script joins those of one name.
    :ivar facts_name: the name of the OS::FactStore::Facts, if there is one.
    :ivar grant_name: the name of the OS::FactStore::Grant, if instances read the bag.
    """

    resource: Resource
    metadata: Node
    items: list[Item] | None
    dropped: list[Entry]
    depends_late: bool
    host: str | None = None
    new_name: str | None = None
    facts_name: str | None = None
    grant_name: str | None = None

    @property
    def name(self) -> str:
        """The name of the resource."""
        return self.resource.name

    @property
    def title(self) -> str:
        """The name of the resource after the rewriting."""
        return self.new_name or self.name

    @property
    def grant(self) -> str:
        """The name of the grant of its readers."""
        return self.grant_name or ""

    @property
    def early(self) -> list[Item]:
        """The facts that are known before the bag's readers exist."""
        return [item for item in self.items or () if not item.is_late]

    @property
    def late(self) -> list[Item]:
        """The other facts."""
        return [item for item in self.items or () if item.is_late]

    @property
    def here(self) -> list[Item]:
        """The facts that the resource itself writes; a Facts in another bag may write late ones."""
        return self.early or (self.late if self.host is not None else [])

    @property
    def bag(self) -> str:
        """The name of the data bag in which its facts are."""
        return self.name if self.host is None else self.host

    @property
    def is_whole(self) -> bool:
        """True if the metadata remain one text."""
        if self.items is None:
            return True
        return (
            not self.dropped
            and all(
                item.is_late == self.items[0].is_late and len(item.path) == 1 for item in self.items
            )
            and len(self.here) == len(self.items)
        )


@dataclass(eq=False)
class Plan:
    """The parts of a template to rewrite.

    :ivar graph: the dependencies after the rewriting, as if no fact were written late.
    :ivar reads: the read paths outside the bags, which become a grant.
    :ivar left_reads: those that a person has to rewrite, as a finding states.
    :ivar commands: the cfn-init in user data that read a grant's data bag instead.
    :ivar removed: the names of users, keys and policies that nothing needs any more.
    """

    bags: dict[str, Bag] = field(default_factory=dict)
    graph: Graph = field(default_factory=dict)
    reads: list[ReadPath] = field(default_factory=list)
    left_reads: list[ReadPath] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    removed_bodies: list[Node] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    fragment: str | None = None

    @property
    def is_empty(self) -> bool:
        """True if the text stays as it is."""
        return not self.bags
