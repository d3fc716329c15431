"""The definition of a configuration, from a resource's properties and a SoftwareConfig of Heat.

The functions are pure: they know neither Heat's engine nor the client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ACTIONS = ("CREATE", "UPDATE", "DELETE", "SUSPEND", "RESUME")
DEFAULT_GROUP = "script"
_COMPONENT = "component"
_UNGROUPED = "Heat::Ungrouped"


@dataclass(frozen=True)
class Source:
    """The software to deploy: a script, or a SoftwareConfig of Heat.

    :param inputs: the declared inputs with their defaults.
    :param error_outputs: the names of outputs that report errors.
    :param parts: of an OS::Heat::SoftwareComponent: the group and the text for each action.
    """

    group: str | None
    config: str
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    error_outputs: tuple[str, ...] = ()
    parts: Mapping[str, tuple[str, str]] | None = None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Source:
        """Return the source in a SoftwareConfig, as Heat's engine returns it.

        :raises ValueError: its text is not a text.
        """
        config, group = found.get("config"), found.get("group")
        if group != _COMPONENT and not isinstance(config, str | None):
            raise ValueError(
                "it is a map, as in an OS::Heat::StructuredConfig. Give the text that the hook needs "
                "to script, such as JSON."
            )
        outputs = found.get("outputs") or ()
        return cls(
            group=None if group in (None, _UNGROUPED, _COMPONENT) else group,
            config=config if isinstance(config, str) else "",
            options=found.get("options") or {},
            # Hooks need a text for an input without a value.
            inputs={
                each["name"]: "" if each.get("default") is None else each["default"]
                for each in found.get("inputs") or ()
            },
            outputs=tuple(each["name"] for each in outputs),
            error_outputs=tuple(each["name"] for each in outputs if each.get("error_output")),
            parts=dict(_parts(config)) if group == _COMPONENT else None,
        )

    def runs(self, action: str, actions: object) -> bool:
        """Return whether an action runs something.

        :param actions: the actions of the resource.  Those of a component are its own.
        """
        if self.parts is not None:
            return action in self.parts
        return isinstance(actions, list | tuple) and action in actions


def _parts(config: Any) -> Iterator[tuple[str, tuple[str, str]]]:
    configs = config.get("configs") if isinstance(config, Mapping) else None
    for part in configs or ():
        for action in part["actions"]:
            yield action, (part["tool"], part["config"])


def definition(given: Mapping[str, Any], source: Source, action: str) -> dict[str, Any]:
    """Return the definition of a configuration, without its sensitive inputs.

    :param given: the properties of the resource.
    """
    group, config = source.group, source.config
    if source.parts is not None:
        group, config = source.parts[action]
    values = {**source.inputs, **(given["input_values"] or {})}
    facts = dict(given["input_facts"] or {})
    sensitive = given["sensitive_input_values"] or {}
    return {
        "group": given["group"] or group or DEFAULT_GROUP,
        "config": config,
        "options": {**source.options, **(given["options"] or {})},
        "inputs": {
            name: value
            for name, value in values.items()
            if name not in facts and name not in sensitive
        },
        "input_facts": facts,
        "outputs": list(dict.fromkeys((*source.outputs, *(given["outputs"] or ())))),
        "depends_on": list(dict.fromkeys(given["depends_on"] or ())),
        "action": action,
        "on_interrupt": given["on_interrupt"],
        "timeout": given["timeout"],
    }
