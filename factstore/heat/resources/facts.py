"""``OS::FactStore::Facts``: facts that a template writes into a data bag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heat.engine import properties

from factstore.client import Fact
from factstore.heat.resources.bag_scoped import BagScoped, bag_schema
from factstore.heat.resources.base import Type, live_attribute
from factstore.heat.resources.fact_set import Ownership, digest
from factstore.heat.resources.fact_set_resource import (
    KIND,
    READERS,
    SENSITIVE,
    FactSetResource,
    fact_schemas,
    writer,
)


class Facts(BagScoped, FactSetResource):
    """Facts whose values are known once other resources exist, such as a server's address.

    The data bag depends on no server, so a server's user data can contain the bag's URL, and the facts
    are written after the server is created. If an instance has changed a fact, the fact belongs to the
    instance and stays when this resource is deleted. A fact that another resource of the stack declares
    stays too, so a declaration can move to another resource. With the ``deletion_policy`` ``Retain``
    all facts stay.
    """

    BAG, FACTS = "bag", "facts"
    PROPERTIES = (BAG, FACTS, KIND, SENSITIVE, READERS)
    ATTRIBUTES = (FACTS_ATTR,) = ("facts",)

    facts_property = FACTS

    properties_schema = {  # noqa: RUF012 - Heat's way
        BAG: bag_schema(),
        FACTS: properties.Schema(
            properties.Schema.MAP,
            "Values by path. They overwrite existing facts, but a parameter never overwrites an "
            "observed fact. A null value is not written.",
            required=True,
            update_allowed=True,
        ),
        **fact_schemas(),
    }

    attributes_schema = {  # noqa: RUF012 - Heat's way
        FACTS_ATTR: live_attribute(
            Type.MAP,
            "All current facts of the data bag, nested by path. A resource that uses this attribute "
            "is created after these facts are written. Sensitive values are null.",
        ),
    }

    def ownership(self, properties: Mapping[str, Any]) -> Ownership:
        """A fact is the resource's own as long as it is as written."""
        kind = properties[KIND]
        return Ownership(
            put=writer(properties),
            may_overwrite=lambda fact: kind == "observed" or fact.kind == kind,
            is_ours=_is_as_written,
        )

    def attribute_value(self, name: str) -> Any:
        return self.bag.context(results=True).facts

    def is_own(self) -> bool:
        self.bag.describe()
        return True

    def remove(self) -> None:
        """Delete the facts that are still as written."""
        self.discard(self.written())

    # Heat's hooks

    def handle_create(self) -> None:
        """Write the facts into an existing data bag."""
        self.bag.describe()  # a write would create a missing stack
        self.resource_id_set(self.physical_resource_name())
        self.apply(self.properties, {})


def _is_as_written(fact: Fact, known: str) -> bool:
    # A fact that is bound to a member belongs to that member.
    return fact.member is None and digest(fact.value) == known
