"""``OS::FactStore::Facts``: facts written into a data bag, apart from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heat.engine import attributes, constraints, properties

from factstore.client import Fact, Put, Stack, errors
from factstore.heat.resources.fact_set import Keeping, digest
from factstore.heat.resources.fact_set_resource import KeptFacts


class Facts(KeptFacts):
    """Facts that a template knows once other resources exist.

    A server's address is such a fact.  The data bag's URL can go into that server's user data, since
    the bag waits for nothing; what is written here is written after the server.  Facts that an
    instance has changed since are the instance's, and stay when this resource goes; with the
    ``deletion_policy`` ``Retain`` all stay.
    """

    PROPERTIES = (BAG, FACTS, KIND, SENSITIVE, READERS) = (
        "bag",
        "facts",
        "kind",
        "sensitive",
        "readers",
    )
    ATTRIBUTES = (FACTS_ATTR,) = ("facts",)

    mapping = FACTS

    properties_schema = {  # noqa: RUF012 - Heat's way
        BAG: properties.Schema(
            properties.Schema.STRING,
            "The data bag, or the name of a stack in factstore.",
            required=True,
            constraints=[constraints.CustomConstraint("factstore.stack")],
        ),
        FACTS: properties.Schema(
            properties.Schema.MAP,
            "Values by path. A fact that stands there already is overwritten. What is null is not "
            "written.",
            required=True,
            update_allowed=True,
        ),
        KIND: properties.Schema(
            properties.Schema.STRING,
            "Facts of kind parameter are read by instances, and changed by nobody but the owner. A "
            "parameter never takes the place of an observed fact.",
            default="observed",
            constraints=[constraints.AllowedValues(["observed", "parameter"])],
            update_allowed=True,
        ),
        SENSITIVE: properties.Schema(
            properties.Schema.BOOLEAN,
            "Whether the values are secrets: sealed by factstore, shown to few, and null in "
            "attributes. Heat keeps them in its database with the other properties.",
            default=False,
            update_allowed=True,
        ),
        READERS: properties.Schema(
            properties.Schema.LIST,
            "Who may see secrets beside those whom factstore's policy lets: group/NAME, member/NAME.",
            schema=properties.Schema(properties.Schema.STRING),
            default=[],
            update_allowed=True,
        ),
    }

    attributes_schema = {  # noqa: RUF012 - Heat's way
        FACTS_ATTR: attributes.Schema(
            "All facts of the data bag as they are now, nested by their paths; what uses them waits "
            "until these here are written. Sensitive facts are null.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.MAP,
        ),
    }

    def space(self) -> Stack:
        """The data bag."""
        return self.factstore.stack(self.properties[self.BAG])

    def keeping(self, properties: Mapping[str, Any]) -> Keeping:
        """What still is as it was written here is its own."""
        kind = properties[self.KIND]
        sensitive = properties[self.SENSITIVE]
        readers = tuple(properties[self.READERS])
        return Keeping(
            put=lambda path, value: Put(
                path, value, kind=kind, sensitive=sensitive, readers=readers
            ),
            yields=lambda fact: kind == "observed" or fact.kind == kind,
            owns=_is_as_written,
        )

    def live(self, name: str) -> Any:
        """An attribute."""
        return self.space().context(results=True).facts

    def exists(self) -> bool:
        """Whether the data bag is there."""
        try:
            self.space().describe()
        except errors.NotFound:
            return False
        return True

    def remove(self) -> None:
        """Delete what still is as it was written."""
        self.keep({**dict(self.properties), self.FACTS: {}}, self.written())

    # Heat's hooks

    def handle_create(self) -> None:
        """Write the facts into a stack that exists: a write of its own would make one."""
        self.space().describe()
        self.resource_id_set(self.physical_resource_name())
        self.keep(self.properties, {})


def _is_as_written(fact: Fact, known: str) -> bool:
    """One that is bound to a member has become that member's."""
    return fact.member is None and digest(fact.value) == known
