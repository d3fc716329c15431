"""Lets resources that depended on metadata also wait for the facts that are written late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from factstore.migrate.edits import Edit, Lines
from factstore.migrate.functions import Functions
from factstore.migrate.nodes import Node, Scalar, Sequence
from factstore.migrate.plan import Bag, Plan
from factstore.migrate.template import Template, referred


@dataclass(frozen=True)
class Order:
    """A change of a resource's dependencies."""

    owner: str
    edit: Edit


def order_edits(
    template: Template, plan: Plan, lines: Lines, functions: Functions
) -> Iterator[Order]:
    """Yield the edits that name the late facts wherever their launch configuration was named."""
    for resource in template.resources.values():
        entry = resource.body.entry(template.words.depends_on)
        if entry is None or resource.name in plan.removed:
            continue
        given = entry.value
        is_list = isinstance(given, Sequence)
        for item in given.items if isinstance(given, Sequence) else [given]:
            bag = plan.bags.get(str(item.value)) if isinstance(item, Scalar) else None
            if bag is None or bag.facts_name is None or _leads_to(bag, resource.name, plan):
                continue
            more = functions.text(bag.facts_name)
            if isinstance(given, Sequence) and not given.flow:
                edit = _line(item, more, lines, template.newline)
            else:
                pair = f"{template.text[item.start : item.end]}, {more}"
                edit = Edit(item.start, item.end, pair if is_list else f"[{pair}]")
            yield Order(resource.name, edit)


def _line(item: Node, more: str, lines: Lines, newline: str) -> Edit:
    """Return the edit that adds an item to a list in block style."""
    line = lines.line(item.start)
    head = lines.content(line)[: item.start - lines.start(line)]
    at = lines.start(line + 1)
    if not lines.text[:at].endswith("\n"):
        return Edit(at, at, f"{newline}{head}{more}")
    return Edit(at, at, f"{head}{more}{newline}")


def _leads_to(bag: Bag, name: str, plan: Plan) -> bool:
    """Return whether the late facts of a bag depend on a resource."""
    new = [each for item in bag.late for each in referred(item.entry.value)]
    seen: set[str] = set()
    while new:
        each = new.pop()
        if each not in seen:
            seen.add(each)
            new += plan.graph.get(each, ())
    return name in seen
