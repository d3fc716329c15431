"""Compares a rewritten template with the original, so that no value is ever lost silently."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from factstore.migrate.dependencies import circle, dependencies
from factstore.migrate.facts import nested
from factstore.migrate.nodes import Mapping, Node, plain, target
from factstore.migrate.plan import Bag, Plan
from factstore.migrate.template import Template

_NONE = object()


class Mismatch(Exception):
    """The rewritten template does not have the same contents.

    :param name: the launch configuration that should be left alone.
    """

    def __init__(self, reason: str, name: str | None = None) -> None:
        super().__init__(reason)
        self.name = name


def verify(before: Template, plan: Plan, text: str, changed: Collection[str]) -> None:
    """Raise an exception unless the new text is a faithful template.

    :param changed: the resources whose own text may differ.
    :raises Mismatch: a value is lost, something else has changed, a reference leads nowhere, or
        resources depend on each other.
    :raises NotATemplate: the text is no template.
    """
    if plan.is_empty:
        return
    after = Template(text)
    for bag in plan.bags.values():
        if contents(after, bag) != expected(bag):
            raise Mismatch("a value of the metadata would be lost", bag.name)
    for name, resource in before.resources.items():
        if name in plan.removed:
            if name in after.resources:
                raise Mismatch(f"{name} would still be there")
        elif name in plan.bags:
            if plan.bags[name].title not in after.resources:
                raise Mismatch(f"{name} would be lost")
        elif name not in after.resources:
            raise Mismatch(f"{name} would be lost")
        elif name not in changed and plain(resource.body) != plain(after.resources[name].body):
            raise Mismatch(f"{name} would change")
    for entry in before.root.entries:
        if target(entry.value) is not before.section:
            found = after.root.get(str(entry.key.value))
            if entry.key.value == before.words.outputs and "" in changed:
                continue
            if found is None or plain(found) != plain(entry.value):
                raise Mismatch(f"{entry.key.value} would change")
    elsewhere = {
        bag.host for bag in plan.bags.values() if bag.host not in plan.bags or bag.new_name
    }
    missing = after.dangling() - before.dangling() - elsewhere
    if missing:
        raise Mismatch(f"nothing would be named {min(missing)}, which is referred to")
    if not circle(dependencies(before)):
        loop = circle(dependencies(after))
        if loop:
            raise Mismatch(f"{', '.join(loop)} would depend on each other")


def contents(template: Template, bag: Bag) -> Any:
    """Return the facts that a rewritten launch configuration and its Facts write, like a context."""
    facts: dict[tuple[str, ...], Any] = {}
    names = [bag.title] + ([bag.facts_name] if bag.facts_name else [])
    for name in names:
        resource = template.resources.get(name)
        for key in ("parameters", "facts"):
            found = resource.given(key) if resource else None
            if found is None:
                continue
            if bag.items is None:
                return plain(found)
            for entry in found.entries if isinstance(found, Mapping) else []:
                facts[tuple(str(entry.key.value).split("/"))] = plain(entry.value)
    return nested(facts)


def expected(bag: Bag) -> Any:
    """Return the metadata without what only said how to read them."""
    if bag.items is None:
        return plain(bag.metadata)
    gone = {id(entry) for entry in bag.dropped}
    found = _without(target(bag.metadata), gone)
    return {} if found is _NONE else found


def _without(node: Node, gone: set[int]) -> Any:
    """Return a value without the entries *gone*, and without mappings that become empty by that."""
    value = target(node)
    if not isinstance(value, Mapping) or not any(
        id(entry) in gone
        for each in value.walk()
        if isinstance(each, Mapping)
        for entry in each.entries
    ):
        return plain(value)
    kept = {}
    for entry in value.entries:
        if id(entry) not in gone:
            inner = _without(entry.value, gone)
            if inner is not _NONE:
                kept[entry.key.value] = inner
    return kept or _NONE
