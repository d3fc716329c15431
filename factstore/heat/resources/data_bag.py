"""``OS::FactStore::DataBag``: a stack's fact space, declared in a template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heat.common import exception
from heat.engine import attributes, constraints, properties
from heat.engine.resource import UpdateReplace
from heat.objects import stack as stack_object
from oslo_log import log as logging

from factstore.client import Fact, Put, Stack, StackRecord, errors
from factstore.heat.resources.fact_set import Keeping
from factstore.heat.resources.fact_set_resource import KeptFacts

LOG = logging.getLogger(__name__)

_ID = "id"
_NONE = "none"  # for an id: it made no fact space, whatever a description says
_NAME_LENGTH = 128
_NAME = f"[A-Za-z0-9_][A-Za-z0-9_.:@-]{{0,{_NAME_LENGTH - 1}}}"


class DataBag(KeptFacts):
    """A fact space, with what is known of it ahead.

    Its facts, members, waiters and grants are removed with it, unless its ``deletion_policy`` is
    ``Retain``.  A fact space that exists already is somebody else's, and never taken over: name it as
    the resource's ``external_id`` to refer to it, and Heat neither changes nor deletes it.
    """

    PROPERTIES = (NAME, PARAMETERS) = ("name", "parameters")
    ATTRIBUTES = (URL, FACTS, CONTEXT, MEMBERS) = ("url", "facts", "context", "members")

    mapping = PARAMETERS

    properties_schema = {  # noqa: RUF012 - Heat's way
        NAME: properties.Schema(
            properties.Schema.STRING,
            "What the fact space is called, within the project. The default is the name of the root "
            "stack. Another name makes another fact space, and removes this one.",
            constraints=[
                constraints.Length(1, _NAME_LENGTH),
                constraints.AllowedPattern(_NAME),
            ],
            update_allowed=True,
        ),
        PARAMETERS: properties.Schema(
            properties.Schema.MAP,
            "Values known ahead, by the paths of the facts that tell them. They are of kind "
            "parameter, which instances read and cannot change. An update adds, changes and removes "
            "them; observed facts it leaves alone, and fails where one is in the way. What is null "
            "is not written.",
            default={},
            update_allowed=True,
        ),
    }

    attributes_schema = {  # noqa: RUF012 - Heat's way
        URL: attributes.Schema(
            "Where the fact space is, for instances and users: the catalogue's public endpoint.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.STRING,
        ),
        FACTS: attributes.Schema(
            "All facts as they are now, nested by their paths, those below results/ too. A path "
            "that does not exist yet is null. So is a sensitive fact, always.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.MAP,
        ),
        CONTEXT: attributes.Schema(
            "The context as it is now: facts, without those below results/, and members of one "
            "moment. Sensitive facts are null.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.MAP,
        ),
        MEMBERS: attributes.Schema(
            "The members that live now, by name, with group, state and attributes.",
            cache_mode=attributes.Schema.CACHE_NONE,
            type=attributes.Schema.MAP,
        ),
    }

    def space(self) -> Stack:
        """The fact space."""
        return self.factstore.stack(self.resource_id)

    def keeping(self, properties: Mapping[str, Any]) -> Keeping:
        """Parameters are its own, and nothing else is."""
        return Keeping(
            put=lambda path, value: Put(path, value, kind="parameter"),
            yields=_is_parameter,
            owns=lambda fact, _: _is_parameter(fact),
        )

    def live(self, name: str) -> Any:
        """An attribute."""
        if name == self.URL:
            return self.client_plugin().public_url(self.resource_id)
        if name == self.FACTS:
            return self.space().context(results=True).facts
        context = self.space().context()
        return context.members if name == self.MEMBERS else context.document

    def exists(self) -> bool:
        """Whether the fact space is there, and the one that was made for this resource."""
        try:
            return self._owns(self.space().describe())
        except errors.NotFound:
            return False

    def remove(self) -> None:
        """Remove the fact space, unless another one has taken its name."""
        space = self.space()
        record = space.describe()
        if self._owns(record):
            space.delete_stack()
        else:
            LOG.warning("%s leaves stack %s alone: it is not the one it made", self, record.name)

    # Heat's hooks

    def handle_create(self) -> None:
        """Make the fact space and write the parameters."""
        name = self._name(self.properties)
        space = self.factstore.stack(name)
        if known := _found(space):
            raise self._taken(known)
        self.resource_id_set(name)
        record = space.configure(description=self._mark())
        if record.created_at != record.updated_at:  # somebody made it after the look
            self.data_set(_ID, _NONE)
            raise self._taken(record)
        self.data_set(_ID, record.id)
        self.keep(self.properties, {})

    def handle_update(
        self, json_snippet: Any, tmpl_diff: Mapping[str, Any], prop_diff: Mapping[str, Any]
    ) -> None:
        """Reconcile the parameters, or have another fact space made."""
        after = json_snippet.properties(self.properties_schema, self.context)
        if self._name(after) != self.resource_id or not self.exists():
            raise UpdateReplace(self.name)
        super().handle_update(json_snippet, tmpl_diff, prop_diff)

    def handle_adopt(self, resource_data: Mapping[str, Any] | None = None) -> None:
        """Take over what an abandoned stack has left, or refer to what is named."""
        super().handle_adopt(resource_data)
        if self.external_id is None:
            self.data_set(_ID, self.space().describe().id)

    def handle_check(self) -> None:
        """Of what is another's it is enough that it exists."""
        if self.external_id is not None:
            self.space().describe()
        else:
            super().handle_check()

    # The name, and whose it is

    def _name(self, properties: Mapping[str, Any]) -> str:
        name: str | None = properties[self.NAME]
        if name:
            return name
        root = self.stack.root_stack_id()
        name = self.stack.name.rstrip("*")  # which Heat's backup of a stack ends with
        if root != self.stack.id:
            name = stack_object.Stack.get_by_id(self.context, root).name
        if len(name) > _NAME_LENGTH:
            raise exception.Error(
                f"the root stack's name has {len(name)} characters, and a data bag's {_NAME_LENGTH} "
                f"at most: give {self.name} a {self.NAME}."
            )
        return name

    def _mark(self) -> str:
        """What the fact space is described as; no other resource has the same."""
        return (
            f"Declared by Heat: resource {self.name} ({self.uuid}) of stack "
            f"{self.stack.name} ({self.stack.id})"
        )

    def _owns(self, record: StackRecord) -> bool:
        made: str | None = self.data().get(_ID)
        if made is not None:
            return record.id == made
        # Heat, or the answer, was lost between making it and noting so.
        return record.settings.get("description") == self._mark()

    def _taken(self, record: StackRecord) -> exception.Error:
        description = record.settings.get("description")
        said = f" ({description})" if description not in ("", None, self._mark()) else ""
        return exception.Error(
            f"factstore has a stack named {record.name} already, made {record.created_at}"
            f"{said}. Two data bags never share one: choose another name, delete that stack, or refer "
            f"to it by {self.name}'s external_id."
        )


def _is_parameter(fact: Fact) -> bool:
    return fact.kind == "parameter"


def _found(space: Stack) -> StackRecord | None:
    try:
        return space.describe()
    except errors.NotFound:
        return None
