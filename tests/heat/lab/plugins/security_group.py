"""``Lab::SecurityGroup``: a substitute for ``OS::Neutron::SecurityGroup`` without Neutron."""

from __future__ import annotations

from typing import Any

from heat.engine import attributes, properties, resource


class SecurityGroup(resource.Resource):
    """Rules without effect."""

    properties_schema = {  # noqa: RUF012 - Heat's way
        "rules": properties.Schema(
            properties.Schema.LIST,
            schema=properties.Schema(
                properties.Schema.MAP,
                schema={
                    "protocol": properties.Schema(properties.Schema.STRING),
                    "port_range_min": properties.Schema(properties.Schema.INTEGER),
                    "port_range_max": properties.Schema(properties.Schema.INTEGER),
                },
            ),
            update_allowed=True,
        )
    }
    attributes_schema = {"rules": attributes.Schema(type=attributes.Schema.LIST)}  # noqa: RUF012

    def handle_create(self) -> None:
        """Set the physical resource id."""
        self.resource_id_set(self.physical_resource_name())

    def _resolve_attribute(self, name: str) -> Any:
        frozen = self.frozen_definition().properties(self.properties_schema, self.context)
        return frozen["rules"]


def resource_mapping() -> dict[str, type]:
    """Return the resource types by name."""
    return {"Lab::SecurityGroup": SecurityGroup}
