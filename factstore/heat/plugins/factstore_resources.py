"""The resource types of factstore, as Heat finds them."""

from __future__ import annotations

from factstore.heat.resources.data_bag import DataBag
from factstore.heat.resources.facts import Facts


def resource_mapping() -> dict[str, type]:
    """Resource types by name."""
    return {
        "OS::FactStore::DataBag": DataBag,
        "OS::FactStore::Facts": Facts,
    }
