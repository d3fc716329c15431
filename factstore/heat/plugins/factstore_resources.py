"""The resource types of factstore, in the form in which Heat loads them."""

from __future__ import annotations

from typing import Any

from factstore.heat.resources.alarm import Alarm
from factstore.heat.resources.data_bag import DataBag
from factstore.heat.resources.fact import Fact
from factstore.heat.resources.facts import Facts
from factstore.heat.resources.grant import Grant
from factstore.heat.resources.ordered_config import OrderedConfig
from factstore.heat.resources.waiter import Waiter


def resource_mapping() -> dict[str, type[Any]]:
    """Return the resource types by name."""
    return {
        "OS::FactStore::Alarm": Alarm,
        "OS::FactStore::DataBag": DataBag,
        "OS::FactStore::Fact": Fact,
        "OS::FactStore::Facts": Facts,
        "OS::FactStore::Grant": Grant,
        "OS::FactStore::OrderedConfig": OrderedConfig,
        "OS::FactStore::Waiter": Waiter,
    }
