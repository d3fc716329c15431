"""The properties and attributes of ``OS::FactStore::OrderedConfig``."""

from __future__ import annotations

from typing import Any

from heat.engine import attributes, constraints, properties

from factstore.heat.resources.bag_scoped import name_constraint
from factstore.heat.resources.base import Type, live_attribute
from factstore.heat.resources.deployment import ACTIONS, DEFAULT_GROUP

BAG = "bag"
PROPERTIES = (
    BAG,
    "member",
    "name",
    "script",
    "config",
    "group",
    "options",
    "input_values",
    "sensitive_input_values",
    "input_facts",
    "outputs",
    "depends_on",
    "actions",
    "on_interrupt",
    "timeout",
)


def property_schemas() -> dict[str, properties.Schema]:
    """Return the schemas of all properties but the bag."""
    text, mapping, sequence = (
        properties.Schema.STRING,
        properties.Schema.MAP,
        properties.Schema.LIST,
    )

    def names(description: str, **options: Any) -> properties.Schema:
        return properties.Schema(
            sequence, description, schema=properties.Schema(text), update_allowed=True, **options
        )

    def values(description: str) -> properties.Schema:
        return properties.Schema(mapping, description, default={}, update_allowed=True)

    return {
        "member": properties.Schema(
            text,
            "The name of the member that deploys the software. The member may join later.",
            required=True,
            constraints=[name_constraint("A member's name")],
        ),
        "name": properties.Schema(
            text,
            "The configuration's name, unique for the member. The default is built from the names of "
            "the stack and the resource.",
            constraints=[name_constraint("A configuration's name")],
        ),
        "script": properties.Schema(
            text,
            "The text that is given to the hook. Give either script or config.",
            update_allowed=True,
        ),
        "config": properties.Schema(
            text,
            "An OS::Heat::SoftwareConfig or OS::Heat::SoftwareComponent, as for "
            "OS::Heat::SoftwareDeployment: its text, group, options, inputs and outputs. The parts "
            "of a component decide by themselves on which actions they run.",
            update_allowed=True,
        ),
        "group": properties.Schema(
            text,
            "The hook that deploys the software, such as ansible. The default is the group of config, "
            f"or {DEFAULT_GROUP}.",
            constraints=[name_constraint("A group's name")],
            update_allowed=True,
        ),
        "options": values("Options of the hook, in addition to those of config."),
        "input_values": values(
            "The values of inputs by name. They take the place of the defaults that config declares, "
            "and inputs that it does not declare are added."
        ),
        "sensitive_input_values": values(
            "Secrets among the inputs, by name. factstore seals each as the fact "
            "inputs/MEMBER/NAME/INPUT, which only the member and users whom the policy allows may "
            "read; agents hide them in what they report. Heat stores them in its "
            "database with the other properties."
        ),
        "input_facts": values(
            "The paths of existing facts whose values are inputs, by the names of the inputs."
        ),
        "outputs": names(
            "The names of outputs that the hook reports, in addition to those of config.",
            default=[],
        ),
        "depends_on": names(
            "The configurations that must be complete first, also those of other members: resources of "
            "this type, or MEMBER/NAME as text. Heat creates a resource only after those that it "
            "references with get_resource, but resources with names as text all at once.",
            default=[],
        ),
        "actions": names(
            "The actions of Heat on which the hook runs. With DELETE it also runs to undeploy the "
            "software, after the configurations that depend on it. It gets the action as the input "
            "deploy_action.",
            default=["CREATE", "UPDATE"],
            constraints=[constraints.AllowedValues(list(ACTIONS))],
        ),
        "on_interrupt": properties.Schema(
            text,
            "Whether a run that is interrupted, such as by a reboot, has failed or is repeated.",
            default="fail",
            constraints=[constraints.AllowedValues(["fail", "retry"])],
            update_allowed=True,
        ),
        "timeout": properties.Schema(
            properties.Schema.INTEGER,
            "Seconds after which the hook is ended and has failed. Choose less than the stack's own "
            "timeout, usually an hour: if the stack times out first, Heat's error does not state why.",
            default=1800,
            constraints=[constraints.Range(1, 24 * 3600)],
            update_allowed=True,
        ),
    }


def attribute_schemas() -> dict[str, attributes.Schema]:
    """Return the schemas of all attributes."""
    return {
        "state": live_attribute(
            Type.STRING,
            "The current state: waiting, due, in_progress, complete, failed or lost. Null if no action "
            "has run yet.",
        ),
        "outputs": live_attribute(
            Type.MAP,
            "The outputs by name. Each output that was declared is also an attribute of its own name, "
            "as with OS::Heat::SoftwareDeployment.",
        ),
        "deploy_stdout": live_attribute(Type.STRING, "The end of the hook's standard output."),
        "deploy_stderr": live_attribute(Type.STRING, "The end of the hook's standard error."),
        "deploy_status_code": live_attribute(Type.INTEGER, "The status of the hook."),
    }
