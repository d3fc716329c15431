"""Heat's stacks as its database has them now, for :mod:`factstore.heat.autoscaling.plan`.

Rows are read and never written, past the engine's own objects: those keep what they read once, and are
other threads'.  Of a resource's properties nothing is read but the name of a server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Any

from heat.common import context as heat_context
from heat.common import exception, short_id
from heat.engine import environment
from heat.engine import resource as heat_resource
from heat.engine.resources import server_base
from heat.objects import raw_template as template_objects
from heat.objects import resource as resource_objects
from heat.objects import stack as stack_objects

from factstore.heat.autoscaling.plan import GROUPS, SERVERS, WORD, Resource, Stack

DATA_BAG = "OS::FactStore::DataBag"
_SINK = "factstore"

Row = Any  # Heat's objects have no types


class Stacks:
    """What there is at the moment.  It reads nothing twice: make another one to look again."""

    def __init__(self) -> None:
        # Whose stacks they are was checked when Heat was asked for them; here they are found by id.
        self._context = heat_context.get_admin_context()
        self._templates: dict[int, _Template | None] = {}
        self._nested: dict[str, dict[str, Row]] = {}
        self._rows: dict[str, list[tuple[Row, Row]]] = {}

    def lineage(self, identifier: str) -> list[Row]:
        """A stack and those that it is nested in, up to the root; empty if there never was one.

        A backup stack, in which the older engine keeps what is to be replaced, counts as the stack
        that it belongs to.
        """
        found: list[Row] = []
        at: str | None = identifier
        while at is not None:
            stack = stack_objects.Stack.get_by_id(
                self._context, at, show_deleted=True, eager_load=False
            )
            if stack is None:
                return []
            self._context.project_id = stack.tenant  # by name, stacks are found in a project
            if not stack.backup:
                found.append(stack)
            at = stack.owner_id
        return found

    def unit_of(self, lineage: list[Row]) -> str | None:
        """The group whose units a stack's resources are; None if it is no group's.

        :raises LookupError: it is a part of a unit.
        """
        group: str | None = None
        for nested, owner in reversed(list(pairwise(lineage))):
            if group is not None:
                raise LookupError(nested.name)
            types = self._types_in(owner, nested.parent_resource_name or "")
            if not GROUPS.isdisjoint(types):
                group = nested.parent_resource_name
            elif not SERVERS.isdisjoint(types):
                raise LookupError(nested.name)
        return group

    def tree(self, stack: Row, unit_of: str | None = None) -> Stack:
        """A stack with all that is behind it, except what is a part of a unit."""
        return Stack(stack.name, tuple(self._resources(stack, unit_of, deep=True)), unit_of)

    def part(self, stack: Row, unit_of: str | None, names: Collection[str]) -> Stack:
        """Some resources of a stack, without what is behind them."""
        found = self._resources(stack, unit_of, names, deep=False)
        return Stack(stack.name, tuple(found), unit_of)

    def has(self, stack: Row, name: str) -> bool:
        """Whether a stack has a resource of that name that is not on its way out."""
        return any(
            row.name == name and row.action != "DELETE" and not holder.backup
            for row, holder in self._all_rows(stack)
        )

    def types(self, stack: Row, name: str, said: str) -> Collection[str]:
        """What a resource is, as far as its templates tell; else as it was said to be."""
        return self._types_in(stack, name) or (said,)

    def elsewhere(self, words: Collection[str], root: str) -> set[str]:
        """Those words that stand for resources of other trees."""
        found = set()
        for each in words:
            rows = resource_objects.Resource.get_all_by_physical_resource_id(
                self._context, each.removeprefix(WORD)
            )
            if any(row.root_stack_id != root for row in rows):
                found.add(each)
        return found

    def bag(self, root: Row) -> tuple[str | None, bool] | None:
        """The fact space that a tree declares: root first, then level by level.

        :return: its name, None as long as it is not there; and whether it is to stay.  None if the
            tree declares none.
        """
        level = [root]
        while level:
            for stack in level:
                if (found := self._bag_in(stack)) is not None:
                    return found
            level = [nested for stack in level for nested in self._plain_nested(stack)]
        return None

    def option(self, root: Row, name: str) -> Any:
        """An option of the event sink, from the root stack's environment."""
        template = self._template(root.raw_template_id)
        for sink in template.sinks if template else ():
            if sink.get("type") == _SINK and sink.get(name):
                return sink[name]
        return None

    def _bag_in(self, stack: Row) -> tuple[str | None, bool] | None:
        template = self._template(stack.raw_template_id)
        if template is None or not template.mentions(DATA_BAG):
            return None
        names = {name for name in template.definitions if DATA_BAG in template.types(name)}
        rows = [row for row, _ in self._all_rows(stack) if row.name in names]
        made = [row for row in rows if row.physical_resource_id]
        if not made:
            return (None, False) if names else None
        row = min(made, key=lambda row: (row.action == "DELETE", row.name, -row.id))
        return row.physical_resource_id, row.action != "DELETE"

    def _plain_nested(self, stack: Row) -> Iterator[Row]:
        for nested in self._children(stack).values():
            types = self._types_in(stack, nested.parent_resource_name or "")
            if GROUPS.isdisjoint(types) and SERVERS.isdisjoint(types):
                yield nested

    def _resources(
        self, stack: Row, unit_of: str | None, names: Collection[str] | None = None, *, deep: bool
    ) -> Iterator[Resource]:
        rows = self._all_rows(stack)
        present = {row.name for row, holder in rows if not holder.backup}
        kept = {row.name for row, holder in rows if holder.backup}
        for row, holder in rows:
            if names is not None and row.name not in names:
                continue
            types = self._types(holder, row) or ("unknown",)
            behind = self._children(stack).get(row.physical_resource_id or "")
            descends = deep and unit_of is None and SERVERS.isdisjoint(types)
            grouping = row.name if not GROUPS.isdisjoint(types) else None
            yield Resource(
                name=row.name,
                id=row.physical_resource_id or self._physical_name(holder, row),
                types=types,
                state=(row.action, row.status),
                known_as=self._known_as(holder, row, types, behind),
                replaced=row.name in present if holder.backup else row.replaced_by is not None,
                replaces=not holder.backup and (row.replaces is not None or row.name in kept),
                nested=self.tree(behind, grouping) if behind is not None and descends else None,
            )

    def _known_as(self, stack: Row, row: Row, types: Collection[str], behind: Row | None) -> str:
        if not SERVERS.isdisjoint(types):
            name = (row.properties_data or {}).get("name")
            if isinstance(name, str) and name:
                return name
        return str(behind.name) if behind is not None else self._physical_name(stack, row)

    def _physical_name(self, stack: Row, row: Row) -> str:
        name = f"{stack.name.rstrip('*')}-{row.name}-{short_id.get_id(row.uuid)}"
        template = next(self._templates_of(stack, row), None)
        limit = template.name_limit(row.name) if template else None
        reduced: str = heat_resource.Resource.reduce_physical_resource_name(name, limit or 255)
        return reduced

    def _types_in(self, stack: Row, name: str) -> tuple[str, ...]:
        for row, holder in self._all_rows(stack):
            if row.name == name and (types := self._types(holder, row)):
                return types
        template = self._template(stack.raw_template_id)
        return template.types(name) if template else ()

    def _types(self, stack: Row, row: Row) -> tuple[str, ...]:
        for template in self._templates_of(stack, row):
            return template.types(row.name)
        return ()

    def _templates_of(self, stack: Row, row: Row) -> Iterator[_Template]:
        """The templates that know a resource, the one it was last made from first."""
        for number in (row.current_template_id, stack.raw_template_id, stack.prev_raw_template_id):
            template = self._template(number)
            if template is not None and row.name in template.definitions:
                yield template

    def _template(self, number: int | None) -> _Template | None:
        if number is None:
            return None
        if number not in self._templates:
            try:
                found = template_objects.RawTemplate.get_by_id(self._context, number)
            except exception.NotFound:
                self._templates[number] = None
            else:
                self._templates[number] = _Template(found)
        return self._templates[number]

    def _children(self, stack: Row) -> dict[str, Row]:
        if stack.id not in self._nested:
            found = stack_objects.Stack.get_all_by_owner_id(self._context, stack.id)
            self._nested[stack.id] = {nested.id: nested for nested in found}
        return self._nested[stack.id]

    def _all_rows(self, stack: Row) -> list[tuple[Row, Row]]:
        """Its resources and those that its backup stack keeps, each with the stack that has it."""
        if stack.id not in self._rows:
            holders = [stack]
            if not stack.convergence:
                backup = stack_objects.Stack.get_by_name_and_owner_id(
                    self._context, f"{stack.name}*", owner_id=stack.id
                )
                holders += [backup] if backup is not None else []
            self._rows[stack.id] = [
                (row, holder) for holder in holders for row in self._rows_of(holder.id)
            ]
        return self._rows[stack.id]

    def _rows_of(self, stack: str) -> Collection[Row]:
        found: dict[int, Row] = resource_objects.Resource.get_all_active_by_stack(
            self._context, stack
        )
        return found.values()


class _Template:
    """A stored template, of which types alone matter."""

    def __init__(self, raw: Row) -> None:
        document = raw.template or {}
        self.definitions: dict[str, Any] = (
            document.get("resources") or document.get("Resources") or {}
        )
        self._environment = raw.environment or {}
        self._registry: Any = None

    @property
    def sinks(self) -> list[dict[str, Any]]:
        """The event sinks that the environment names."""
        return list(self._environment.get("event_sinks") or ())

    def mentions(self, kind: str) -> bool:
        """Whether any resource may be of a type, by its own name or by what names stand for."""
        said = {self._said(name) for name in self.definitions}
        return kind in said or kind in str(self._environment.get("resource_registry"))

    def types(self, name: str) -> tuple[str, ...]:
        """What the template calls a resource's type, and what that is in the end; empty if unknown."""
        said = self._said(name)
        if not said:
            return ()
        meant, made_by = self._meant(said, name)
        types = dict.fromkeys((said, meant))
        if made_by is not None and issubclass(made_by, server_base.BaseServer):
            types["OS::Nova::Server"] = None
        return tuple(types)

    def name_limit(self, name: str) -> int | None:
        """How long the physical name of a resource may be."""
        _, made_by = self._meant(self._said(name), name)
        return getattr(made_by, "physical_resource_name_limit", None)

    def _said(self, name: str) -> str:
        definition = self.definitions.get(name)
        if not isinstance(definition, dict):
            return ""
        return str(definition.get("type") or definition.get("Type") or "")

    def _meant(self, said: str, name: str) -> tuple[str, type | None]:
        if self._registry is None:
            self._registry = environment.Environment(self._environment).registry
        try:
            info = self._registry.get_resource_info(said, name)
        except exception.EntityNotFound:
            return said, None
        if isinstance(info, environment.ClassResourceInfo):
            return info.name, info.get_class()
        return said, None
