"""The inventory: stacks and resources as Heat's database has them now.

It reads rows and writes none.  It does not use the engine's own objects, which cache rows and belong to
other threads.  The name of a server is the only property that it reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Any

from heat.common import context as heat_context
from heat.common import exception, short_id
from heat.engine import resource as heat_resource
from heat.objects import raw_template as template_objects
from heat.objects import resource as resource_objects
from heat.objects import stack as stack_objects

from factstore.heat.autoscaling.instances import (
    DECLARED_PREFIX,
    GROUPS,
    SERVERS,
    Resource,
    Stack,
)
from factstore.heat.autoscaling.stored_template import StoredTemplate

DATA_BAG = "OS::FactStore::DataBag"
_SINK = "factstore"

Row = Any  # Heat's objects have no types


class PartOfUnit(Exception):
    """A stack is inside a unit of a group, so its resources are not members."""


class HeatInventory:
    """Stacks and resources, read once each.  Create another inventory to read them again."""

    def __init__(self) -> None:
        # Heat has checked the caller's access to the stack that the request names.
        self._context = heat_context.get_admin_context()
        self._templates: dict[int, StoredTemplate | None] = {}
        self._nested: dict[str, dict[str, Row]] = {}
        self._rows: dict[str, list[tuple[Row, Row]]] = {}

    def ancestry(self, stack_id: str) -> list[Row]:
        """Return a stack and the stacks that it is nested in, root last; empty if it never existed.

        For a backup stack, in which the legacy engine keeps resources until they are replaced, return
        the stack that it belongs to.
        """
        found: list[Row] = []
        at: str | None = stack_id
        while at is not None:
            stack = stack_objects.Stack.get_by_id(
                self._context, at, show_deleted=True, eager_load=False
            )
            if stack is None:
                return []
            self._context.project_id = stack.tenant  # Heat finds stacks by name within a project
            if not stack.backup:
                found.append(stack)
            at = stack.owner_id
        return found

    def group_of(self, ancestry: list[Row]) -> str | None:
        """Return the group whose units the stack's resources are, or None if they are no units.

        :raises PartOfUnit: the stack is inside a unit.
        """
        group: str | None = None
        for nested, owner in reversed(list(pairwise(ancestry))):
            if group is not None:
                raise PartOfUnit(nested.name)
            types = self._types_in(owner, nested.parent_resource_name or "")
            if not GROUPS.isdisjoint(types):
                group = nested.parent_resource_name
            elif not SERVERS.isdisjoint(types):
                raise PartOfUnit(nested.name)
        return group

    def tree(self, stack: Row, group: str | None = None) -> Stack:
        """Return a stack and its nested stacks, except those inside units."""
        return Stack(stack.name, tuple(self._resources(stack, group, deep=True)), group)

    def partial_tree(self, stack: Row, group: str | None, names: Collection[str]) -> Stack:
        """Return the named resources of a stack, without nested stacks."""
        found = self._resources(stack, group, names, deep=False)
        return Stack(stack.name, tuple(found), group)

    def has_resource(self, stack: Row, name: str) -> bool:
        """Return whether a stack has a resource of that name that is not being deleted."""
        return any(
            row.name == name and row.action != "DELETE" and not holder.backup
            for row, holder in self._all_rows(stack)
        )

    def resource_types(self, stack: Row, name: str, default: str) -> Collection[str]:
        """Return a resource's types from its template, or the default if no template has it."""
        return self._types_in(stack, name) or (default,)

    def in_other_trees(self, declared_ids: Collection[str], root_id: str) -> set[str]:
        """Return those declared ids that belong to resources of other trees."""
        found = set()
        for declared in declared_ids:
            rows = resource_objects.Resource.get_all_by_physical_resource_id(
                self._context, declared.removeprefix(DECLARED_PREFIX)
            )
            if any(row.root_stack_id != root_id for row in rows):
                found.add(declared)
        return found

    def data_bag(self, root: Row) -> tuple[str | None, bool] | None:
        """Return the name of the tree's data bag and whether the bag remains.

        The name is None until the bag is created.  If several are declared, the one nearest to the root
        counts.  Return None if the tree declares no data bag.
        """
        level = [root]
        while level:
            for stack in level:
                if (found := self._data_bag_in(stack)) is not None:
                    return found
            level = [nested for stack in level for nested in self._plain_nested(stack)]
        return None

    def sink_option(self, root: Row, name: str) -> Any:
        """Return an option of the event sink from the root stack's environment, or None."""
        template = self._template(root.raw_template_id)
        for sink in template.sinks if template else ():
            if sink.get("type") == _SINK and sink.get(name):
                return sink[name]
        return None

    def _data_bag_in(self, stack: Row) -> tuple[str | None, bool] | None:
        template = self._template(stack.raw_template_id)
        if template is None or not template.mentions(DATA_BAG):
            return None
        names = {name for name in template.definitions if DATA_BAG in template.types(name)}
        rows = [row for row, _ in self._all_rows(stack) if row.name in names]
        created = [row for row in rows if row.physical_resource_id]
        if not created:
            return (None, False) if names else None
        row = min(created, key=lambda row: (row.action == "DELETE", row.name, -row.id))
        return row.physical_resource_id, row.action != "DELETE"

    def _plain_nested(self, stack: Row) -> Iterator[Row]:
        for nested in self._children(stack).values():
            types = self._types_in(stack, nested.parent_resource_name or "")
            if GROUPS.isdisjoint(types) and SERVERS.isdisjoint(types):
                yield nested

    def _resources(
        self, stack: Row, group: str | None, names: Collection[str] | None = None, *, deep: bool
    ) -> Iterator[Resource]:
        rows = self._all_rows(stack)
        present = {row.name for row, holder in rows if not holder.backup}
        backed_up = {row.name for row, holder in rows if holder.backup}
        for row, holder in rows:
            if names is not None and row.name not in names:
                continue
            types = self._types(holder, row) or ("unknown",)
            nested = self._children(stack).get(row.physical_resource_id or "")
            descends = deep and group is None and SERVERS.isdisjoint(types)
            nested_group = row.name if not GROUPS.isdisjoint(types) else None
            yield Resource(
                name=row.name,
                id=row.physical_resource_id or self._physical_name(holder, row),
                types=types,
                state=(row.action, row.status),
                own_name=self._own_name(holder, row, types, nested),
                replaced=row.name in present if holder.backup else row.replaced_by is not None,
                replaces=not holder.backup and (row.replaces is not None or row.name in backed_up),
                nested=self.tree(nested, nested_group) if nested is not None and descends else None,
            )

    def _own_name(self, stack: Row, row: Row, types: Collection[str], nested: Row | None) -> str:
        if not SERVERS.isdisjoint(types):
            name = (row.properties_data or {}).get("name")
            if isinstance(name, str) and name:
                return name
        return str(nested.name) if nested is not None else self._physical_name(stack, row)

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

    def _templates_of(self, stack: Row, row: Row) -> Iterator[StoredTemplate]:
        """Yield the templates that define a resource, beginning with its current one."""
        candidates = (row.current_template_id, stack.raw_template_id, stack.prev_raw_template_id)
        for template in map(self._template, candidates):
            if template is not None and row.name in template.definitions:
                yield template

    def _template(self, template_id: int | None) -> StoredTemplate | None:
        if template_id is None:
            return None
        if template_id not in self._templates:
            try:
                found = template_objects.RawTemplate.get_by_id(self._context, template_id)
            except exception.NotFound:
                self._templates[template_id] = None
            else:
                self._templates[template_id] = StoredTemplate(found)
        return self._templates[template_id]

    def _children(self, stack: Row) -> dict[str, Row]:
        if stack.id not in self._nested:
            found = stack_objects.Stack.get_all_by_owner_id(self._context, stack.id)
            self._nested[stack.id] = {nested.id: nested for nested in found}
        return self._nested[stack.id]

    def _all_rows(self, stack: Row) -> list[tuple[Row, Row]]:
        """Return the resources of a stack and of its backup stack, each with the stack it is in."""
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
