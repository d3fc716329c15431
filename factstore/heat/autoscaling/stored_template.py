"""A template as Heat's database has it, with the environment that it was sent with."""

from __future__ import annotations

from typing import Any

from heat.common import exception
from heat.engine import environment
from heat.engine.resources import server_base


class StoredTemplate:
    """A stored template with its environment: the types of resources, and the event sinks."""

    def __init__(self, raw: Any) -> None:
        document = raw.template or {}
        self.definitions: dict[str, Any] = (
            document.get("resources") or document.get("Resources") or {}
        )
        self._environment = raw.environment or {}
        self._registry: Any = None

    @property
    def sinks(self) -> list[dict[str, Any]]:
        """The event sinks in the environment."""
        return list(self._environment.get("event_sinks") or ())

    def mentions(self, kind: str) -> bool:
        """Return whether a resource may be of a type, directly or by the environment's mapping."""
        declared = {self._declared_type(name) for name in self.definitions}
        return kind in declared or kind in str(self._environment.get("resource_registry"))

    def types(self, name: str) -> tuple[str, ...]:
        """Return a resource's type in the template and its resolved type; empty if unknown."""
        declared = self._declared_type(name)
        if not declared:
            return ()
        resolved, resource_class = self._resolve(declared, name)
        types = dict.fromkeys((declared, resolved))
        if resource_class is not None and issubclass(resource_class, server_base.BaseServer):
            types["OS::Nova::Server"] = None
        return tuple(types)

    def name_limit(self, name: str) -> int | None:
        """Return the greatest length of a resource's physical name, or None if there is no limit."""
        _, resource_class = self._resolve(self._declared_type(name), name)
        return getattr(resource_class, "physical_resource_name_limit", None)

    def _declared_type(self, name: str) -> str:
        definition = self.definitions.get(name)
        if not isinstance(definition, dict):
            return ""
        return str(definition.get("type") or definition.get("Type") or "")

    def _resolve(self, declared: str, name: str) -> tuple[str, type | None]:
        """Return the type that the environment maps a type to, and its class if there is one."""
        if self._registry is None:
            self._registry = environment.Environment(self._environment).registry
        try:
            info = self._registry.get_resource_info(declared, name)
        except exception.EntityNotFound:
            return declared, None
        if isinstance(info, environment.ClassResourceInfo):
            return info.name, info.get_class()
        return declared, None
