"""``OS::FactStore::OrderedConfig``: software that a member deploys once, in order."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from heat.common import exception
from heat.engine import attributes, function, properties
from oslo_log import log as logging

from factstore.client import Configuration, ConfigurationRecord, DeletePrefix, Put, errors
from factstore.heat.resources.bag_scoped import (
    NAME_PATTERN,
    BagScoped,
    bag_schema,
)
from factstore.heat.resources.base import FactstoreResource
from factstore.heat.resources.configuration_poll import ConfigurationPoll, is_joined
from factstore.heat.resources.configuration_properties import (
    BAG,
    PROPERTIES,
    attribute_schemas,
    property_schemas,
)
from factstore.heat.resources.deployment import Source, definition

LOG = logging.getLogger(__name__)

_NAME_LENGTH = 128
_RUN = "run"
_TRAVERSALS = ("CREATE", "UPDATE", "DELETE")
"""The actions for which the convergence engine has an id of the operation."""
_SEALED = "sealed"
"""The key of resource data that is set once the resource has written sensitive facts."""


class OrderedConfig(BagScoped):
    """Software that a member deploys once, in order, with a hook of heat-agents.

    The resource is complete when the hook has succeeded, and fails with the end of the hook's stderr.
    It waits until the member has joined and the configurations in depends_on are complete, also those
    of other members. While others run, it has all the time they need; it fails if nothing happens for
    as long as timeout and a minute. If the member departs or expires during the run, or has not joined
    when this time has passed, the error states that the configuration is lost.

    An update of a property runs the hook again. With DELETE among the actions, the deletion runs the
    hook first; if the member does not exist any more, the resource is deleted at once. The agent of the
    member needs the option hooks in its section [deploy].
    """

    physical_resource_name_limit = _NAME_LENGTH

    PROPERTIES = PROPERTIES
    ATTRIBUTES = (STATE, OUTPUTS, STDOUT, STDERR, STATUS_CODE) = (
        "state",
        "outputs",
        "deploy_stdout",
        "deploy_stderr",
        "deploy_status_code",
    )

    properties_schema = {BAG: bag_schema(), **property_schemas()}  # noqa: RUF012 - Heat's way
    attributes_schema = attribute_schemas()

    def attribute_value(self, name: str) -> Any:
        try:
            record = self._show()
        except errors.NotFound:
            if self.data().get(_RUN) is not None:
                raise
            return None  # no action has run yet
        if name == self.STATE:
            return record.state
        result = record.result
        if result is None:
            return None
        if name == self.OUTPUTS:
            return dict(result.outputs)
        return {
            self.STDOUT: result.stdout,
            self.STDERR: result.stderr,
            self.STATUS_CODE: result.status_code,
        }[name]

    def get_attribute(self, key: str, *path: str | int) -> Any:
        """Return an attribute, or an output of that name."""
        if key in self.attributes:
            return super().get_attribute(key, *path)
        outputs = self._resolve_attribute(self.OUTPUTS) or {}
        if key in outputs:
            return attributes.select_from_attribute(outputs[key], path)
        with self.frozen_properties():
            if key in self._source(self.properties).outputs or key in self.properties["outputs"]:
                return None
        raise exception.InvalidTemplateAttribute(resource=self.name, key=key)

    def referenced_attrs(self, *args: Any, **kwargs: Any) -> set[Any]:
        """Return the attributes that the template references, outputs included."""
        found: set[Any] = super(FactstoreResource, self).referenced_attrs(*args, **kwargs)
        return found

    def is_own(self) -> bool:
        try:
            self._show()
        except errors.NotFound:
            return self.data().get(_RUN) is None  # no action has run yet
        return True

    def remove(self) -> None:
        self._configuration.delete()
        if self.data().get(_SEALED) is not None:
            self.bag.batch([DeletePrefix(self._inputs_folder)])

    # Heat's hooks

    def validate(self) -> None:
        """Refuse contradictory properties."""
        super().validate()
        data = self.properties.data
        wrong = ""
        if ("script" in data) == ("config" in data):
            wrong = "give either script, or config with an OS::Heat::SoftwareConfig."
        elif not any(function.dependencies(data.get("sensitive_input_values"))):
            names = self.properties["sensitive_input_values"] or {}
            for name in names:
                if not re.fullmatch(NAME_PATTERN, name):
                    wrong = f"{name!r} in sensitive_input_values cannot be part of a path."
                elif name in (self.properties["input_values"] or {}):
                    wrong = f"input {name} is both in input_values and in sensitive_input_values."
        if wrong:
            raise exception.StackValidationFailed(message=wrong)

    def handle_create(self) -> ConfigurationPoll | None:
        """Write the configuration; it runs when it is due."""
        name = self.properties["name"] or re.sub(
            r"[^A-Za-z0-9_.:@-]", "_", self.physical_resource_name()
        )
        member = self.properties["member"]
        self.bag.describe()  # a configuration would create a missing stack
        try:
            self.bag.configuration(member, name).show()
        except errors.NotFound:
            self.resource_id_set(f"{member}/{name}")
        else:
            raise exception.Error(
                f"the data bag already has a configuration {member}/{name}, and two resources cannot "
                "share one. Choose another name or delete that configuration."
            )
        return self._run("CREATE", self.properties, create_only=True)

    def check_create_complete(self, poll: ConfigurationPoll | None) -> bool:
        """Return whether the hook has succeeded, without blocking."""
        return poll is None or poll.is_done()

    def handle_update(
        self, json_snippet: Any, tmpl_diff: Mapping[str, Any], prop_diff: Mapping[str, Any]
    ) -> ConfigurationPoll | None:
        """Run the hook again, with a new id."""
        after = json_snippet.properties(self.properties_schema, self.context)
        return self._run("UPDATE", after)

    def check_update_complete(self, poll: ConfigurationPoll | None) -> bool:
        """Return whether the hook has succeeded, without blocking."""
        return poll is None or poll.is_done()

    def handle_suspend(self) -> ConfigurationPoll | None:
        """Run the hook, if SUSPEND is among the actions."""
        return self._run("SUSPEND", self.properties)

    def check_suspend_complete(self, poll: ConfigurationPoll | None) -> bool:
        """Return whether the hook has succeeded, without blocking."""
        return poll is None or poll.is_done()

    def handle_resume(self) -> ConfigurationPoll | None:
        """Run the hook, if RESUME is among the actions."""
        return self._run("RESUME", self.properties)

    def check_resume_complete(self, poll: ConfigurationPoll | None) -> bool:
        """Return whether the hook has succeeded, without blocking."""
        return poll is None or poll.is_done()

    def handle_check(self) -> None:
        """Fail if the configuration does not exist, failed or is lost."""
        super().handle_check()
        state = self.attribute_value(self.STATE)
        if state in ("failed", "lost"):
            raise exception.Error(f"configuration {self.resource_id} is {state}.")

    def handle_delete(self) -> ConfigurationPoll | None:
        """Undeploy the software, if DELETE is among the actions and the member exists."""
        if self.resource_id is None:
            return None
        poll = None
        with self.client_plugin().ignore_not_found:
            if self._show().deployed and is_joined(self.bag, self.resource_id.partition("/")[0]):
                poll = self._run("DELETE", self.properties)
        return poll

    def check_delete_complete(self, poll: ConfigurationPoll | None) -> bool:
        """Return whether the configuration was undeployed and deleted, without blocking."""
        if poll is not None and not poll.is_undeployed():
            return False
        if self.resource_id is not None:
            with self.client_plugin().ignore_not_found:
                self.remove()
        return True

    def handle_create_cancel(self, poll: ConfigurationPoll | None) -> None:
        """End at once if another resource fails or the stack is deleted."""

    def handle_update_cancel(self, poll: ConfigurationPoll | None) -> None:
        """End at once, as during the creation."""

    def needs_replace_failed(self) -> bool:
        """Return False once the configuration was written: an update runs it again."""
        return self.resource_id is None

    # The configuration

    @property
    def _configuration(self) -> Configuration:
        member, _, name = self.resource_id.partition("/")
        return self.bag.configuration(member, name)

    def _show(self) -> ConfigurationRecord:
        found = self._configuration.show()
        assert found is not None  # noqa: S101 - no etag was given
        return found

    @property
    def _inputs_folder(self) -> str:
        return f"inputs/{self.resource_id}"

    def _run(
        self, action: str, given: properties.Properties, *, create_only: bool = False
    ) -> ConfigurationPoll | None:
        """Write the definition for an action; return None if the action runs nothing."""
        source = self._source(given)
        if not source.runs(action, given["actions"]):
            return None
        wanted = definition(given, source, action)
        wanted["input_facts"] |= self._seal(given["sensitive_input_values"] or {})
        # The same operation of Heat must not run the hook twice, and another one must run it again.
        traversal = self.stack.current_traversal if action in _TRAVERSALS else None
        operation = traversal or uuid.uuid4().hex
        wanted["trigger"] = f"{action} {operation}"
        # Set first, because the write may succeed although its response is lost.
        self.data_set(_RUN, action)
        try:
            self._configuration.put(wanted.pop("group"), if_absent=create_only, **wanted)
        except errors.PreconditionFailed as error:
            raise exception.Error(
                f"configuration {self.resource_id} was created by somebody else meanwhile. Choose "
                "another name or delete that configuration."
            ) from error
        return ConfigurationPoll(
            self.stack,
            given[BAG],
            self.resource_id,
            given["timeout"],
            source.error_outputs,
        )

    def _seal(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Write the sensitive inputs as facts that only the member may read; return their paths."""
        if not values and self.data().get(_SEALED) is None:
            return {}
        folder, member = self._inputs_folder, self.resource_id.partition("/")[0]
        self.data_set(_SEALED, "yes")
        self.bag.batch(
            [
                DeletePrefix(folder),
                *(
                    Put(
                        f"{folder}/{name}",
                        value,
                        kind="parameter",
                        sensitive=True,
                        readers=(f"member/{member}",),
                    )
                    for name, value in values.items()
                ),
            ]
        )
        return {name: f"{folder}/{name}" for name in values}

    def _source(self, given: properties.Properties) -> Source:
        """Return what is deployed."""
        if given["config"] is None:
            return Source(None, given["script"] or "")
        found = self.rpc_client().show_software_config(self.context, given["config"])
        try:
            return Source.of(found)
        except ValueError as error:
            raise exception.Error(f"config of {self.name}: {error}") from error
