"""``OS::FactStore::DataBag``: a stack's fact space, declared in a template."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from heat.common import exception
from heat.engine import constraints, properties
from heat.engine.resource import UpdateReplace
from heat.objects import stack as stack_object
from oslo_log import log as logging

from factstore.client import Fact, Put, Stack, StackRecord, errors
from factstore.heat.resources.base import Type, live_attribute
from factstore.heat.resources.fact_set import Ownership
from factstore.heat.resources.fact_set_resource import FactSetResource

LOG = logging.getLogger(__name__)

_ID = "id"
_NONE = (
    "none"  # instead of an id: the resource created no fact space, whatever a description states
)
_NAME_LENGTH = 128
_KEEP_VALUES_MAX = 10
_NAME = f"[A-Za-z0-9_][A-Za-z0-9_.:@-]{{0,{_NAME_LENGTH - 1}}}"


class DataBag(FactSetResource):
    """A fact space and the parameters that are known before the stack is created.

    When the resource is deleted, the facts, members, waiters and grants in it are deleted too,
    unless its ``deletion_policy`` is ``Retain``. The resource never takes over a fact space that
    exists already. To use an existing one, give its name as ``external_id``; then Heat neither
    changes nor deletes it.
    """

    PROPERTIES = (NAME, PARAMETERS, KEEP_VALUES) = ("name", "parameters", "keep_values")
    ATTRIBUTES = (URL, FACTS, CONTEXT, MEMBERS) = ("url", "facts", "context", "members")
    HANDED_OUT = (URL,)

    facts_property = PARAMETERS

    properties_schema = {  # noqa: RUF012 - Heat's way
        NAME: properties.Schema(
            properties.Schema.STRING,
            "The name of the fact space in the project. The default is the name of the root stack. An "
            "update with another name creates another fact space and deletes this one.",
            constraints=[
                constraints.Length(1, _NAME_LENGTH),
                constraints.AllowedPattern(_NAME),
            ],
            update_allowed=True,
        ),
        PARAMETERS: properties.Schema(
            properties.Schema.MAP,
            "Values by path, written as facts of kind parameter, which instances can read and "
            "cannot change. An update adds, changes and deletes parameters. It does not change "
            "observed facts, and fails if one exists at the path of a parameter. A null value is "
            "not written.",
            default={},
            update_allowed=True,
        ),
        KEEP_VALUES: properties.Schema(
            properties.Schema.INTEGER,
            "The number of earlier values that the fact space keeps of each fact, so that changes can "
            "be undone weeks later. Without it, the number is not changed.",
            constraints=[constraints.Range(0, _KEEP_VALUES_MAX)],
            update_allowed=True,
        ),
    }

    attributes_schema = {  # noqa: RUF012 - Heat's way
        URL: live_attribute(
            Type.STRING,
            "The URL of the fact space for instances and users, at the catalog's public endpoint.",
        ),
        FACTS: live_attribute(
            Type.MAP,
            "All current facts, nested by path, including those below results/. A path that does "
            "not exist yet is null, and so is a sensitive value.",
        ),
        CONTEXT: live_attribute(
            Type.MAP,
            "The current context: the facts, except those below results/, and the members, at one "
            "revision. Sensitive values are null.",
        ),
        MEMBERS: live_attribute(
            Type.MAP,
            "The current members, by name, with group, state and attributes.",
        ),
    }

    @property
    def bag(self) -> Stack:
        """The fact space."""
        return self.factstore.stack(self.resource_id)

    def ownership(self, properties: Mapping[str, Any]) -> Ownership:
        """The parameters are the resource's own, and no other facts."""
        return Ownership(
            put=partial(Put, kind="parameter"),
            may_overwrite=_is_parameter,
            is_ours=lambda fact, _: _is_parameter(fact),
        )

    def attribute_value(self, name: str) -> Any:
        if name == self.URL:
            return self.client_plugin().public_url(self.resource_id)
        if name == self.FACTS:
            return self.bag.context(results=True).facts
        context = self.bag.context()
        return context.members if name == self.MEMBERS else context.document

    def is_own(self) -> bool:
        return self._created(self.bag.describe())

    def remove(self) -> None:
        """Delete the fact space, unless it is another one with the same name."""
        bag = self.bag
        record = bag.describe()
        if self._created(record):
            bag.delete_stack()
        else:
            LOG.warning(
                "%s does not delete stack %s, because the resource did not create it",
                self,
                record.name,
            )

    # Heat's hooks

    def handle_create(self) -> None:
        """Create the fact space and write the parameters."""
        name = self._name(self.properties)
        stack = self.factstore.stack(name)
        if existing := _describe(stack):
            raise self._name_in_use(existing)
        self.resource_id_set(name)
        record = stack.configure(
            description=self._mark(), keep_values=self.properties[self.KEEP_VALUES]
        )
        if record.created_at != record.updated_at:  # created by another client since the check
            self.data_set(_ID, _NONE)
            raise self._name_in_use(record)
        self.data_set(_ID, record.id)
        self.apply(self.properties, {})
        self.hand_out()

    def handle_update(
        self, json_snippet: Any, tmpl_diff: Mapping[str, Any], prop_diff: Mapping[str, Any]
    ) -> None:
        """Write the changed parameters, or have the resource replaced."""
        after = json_snippet.properties(self.properties_schema, self.context)
        if self._name(after) != self.resource_id or not self.exists():
            raise UpdateReplace(self.name)
        self._set_keep_values(after[self.KEEP_VALUES])
        super().handle_update(json_snippet, tmpl_diff, prop_diff)

    def handle_adopt(self, resource_data: Mapping[str, Any] | None = None) -> None:
        """Take over the fact space of an abandoned stack, or refer to an external one."""
        super().handle_adopt(resource_data)
        if self.external_id is None:
            self.data_set(_ID, self.bag.describe().id)

    def handle_check(self) -> None:
        """Fail if the fact space does not exist, or if its own parameters or settings differ."""
        if self.external_id is not None:
            self.bag.describe()
        else:
            super().handle_check()
            wanted, kept = self.properties[self.KEEP_VALUES], self._settings().get("keep_values", 0)
            if wanted not in (None, kept):
                raise exception.Error(f"the fact space keeps {kept} values instead of {wanted}")

    def _set_keep_values(self, wanted: int | None) -> None:
        """Let the fact space keep a number of values, and keep its description."""
        if wanted is not None and self.external_id is None:
            settings = self._settings()
            if settings.get("keep_values", 0) != wanted:
                description = settings.get("description", "")
                self.bag.configure(description=description, keep_values=wanted)

    def _settings(self) -> Mapping[str, Any]:
        return self.bag.describe().settings

    # The name, and the ownership of the fact space

    def _name(self, properties: Mapping[str, Any]) -> str:
        name: str | None = properties[self.NAME]
        if name:
            return name
        root = self.stack.root_stack_id()
        name = self.stack.name.rstrip("*")  # the legacy engine's backup of a stack ends with it
        if root != self.stack.id:
            name = stack_object.Stack.get_by_id(self.context, root).name
        if len(name) > _NAME_LENGTH:
            raise exception.Error(
                f"the root stack's name has {len(name)} characters, and the name of a data bag has "
                f"{_NAME_LENGTH} at most. Set the property {self.NAME} of {self.name}."
            )
        return name

    def _mark(self) -> str:
        """Return the description of the fact space, which differs for each resource."""
        return (
            f"Declared by Heat: resource {self.name} ({self.uuid}) of stack "
            f"{self.stack.name} ({self.stack.id})"
        )

    def _created(self, record: StackRecord) -> bool:
        created: str | None = self.data().get(_ID)
        if created is not None:
            return record.id == created
        # The response was lost, or the engine died before it stored the id.
        return record.settings.get("description") == self._mark()

    def _name_in_use(self, record: StackRecord) -> exception.Error:
        description = record.settings.get("description")
        details = f" ({description})" if description not in ("", None, self._mark()) else ""
        return exception.Error(
            f"factstore already has a stack named {record.name}, created at {record.created_at}"
            f"{details}. A data bag does not share a stack with another. Choose another name, delete "
            f"that stack, or give its name as the external_id of {self.name}."
        )


def _is_parameter(fact: Fact) -> bool:
    return fact.kind == "parameter"


def _describe(stack: Stack) -> StackRecord | None:
    try:
        return stack.describe()
    except errors.NotFound:
        return None
