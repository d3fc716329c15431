"""Prints the reference of the resource types from their schemas: ``python -m factstore.heat.docgen``.

The output is checked in as ``doc/source/reference/heat-resources.rst``, because the documentation is
built without Heat.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from heat.engine import constraints

from factstore.heat.plugins.factstore_resources import resource_mapping

_INTRODUCTION = """\
..  Written by ``python -m factstore.heat.docgen``: change the schemas, and run it again.

====================
Heat: resource types
====================

The resource types for templates once :doc:`factstore is installed in Heat </install/heat>`. A
resource acts as the user who creates or updates the stack. When Heat itself scales a group or acts
on a signal, the resource acts by the trust that Heat stores for the stack. Attributes are read from
factstore each time. If an attribute cannot be read, the operation that uses it fails with
factstore's reason. When Heat only shows a resource, the attribute is null instead, and the engine's
log has the reason. The log also has a line for each attribute whose value is null.
"""

_WRAPPED = textwrap.TextWrapper(
    100,
    initial_indent="   ",
    subsequent_indent="   ",
    break_long_words=False,
    break_on_hyphens=False,
)


def main() -> None:
    """Print the reference."""
    print(page(), end="")


def page() -> str:
    """Return the reference, with the types sorted by name."""
    return "\n".join(_parts()).rstrip() + "\n"


def _parts() -> Iterator[str]:
    yield _INTRODUCTION
    for name, kind in sorted(resource_mapping().items()):
        yield from _titled(name, "=")
        yield f"{inspect.cleandoc(kind.__doc__ or '')}\n"
        yield f"Since {kind.support_status.version}.\n"
        yield from _titled("Properties", "-", within=name)
        for item in _in_order(kind.properties_schema):
            yield from _property(*item)
        yield from _titled("Attributes", "-", within=name)
        for attribute, schema in _in_order(kind.attributes_schema):
            if attribute != "show":  # which Heat adds to all of them
                yield from _entry(attribute, [_kind(schema)], schema.description)


def _titled(title: str, line: str, within: str = "") -> Iterator[str]:
    shown = f"{title} of {within.rpartition(':')[2]}" if within else title
    yield f"{shown}\n{line * len(shown)}\n"


def _in_order(schema: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Return the items, required ones first."""
    return sorted(schema.items(), key=lambda item: not getattr(item[1], "required", False))


def _property(name: str, schema: Any) -> Iterator[str]:
    marks = [_kind(schema)]
    if schema.required:
        marks.append("required")
    elif schema.default not in (None, "", [], {}):
        marks.append(f"default ``{_shown(schema.default)}``")
    marks.append("can be updated" if schema.update_allowed else "an update replaces the resource")
    yield from _entry(name, marks, schema.description, map(_constraint, schema.constraints))
    for inner, nested in _in_order(_nested(schema)):
        yield from (textwrap.indent(line, "   ") for line in _property(inner, nested))


def _nested(schema: Any) -> Mapping[str, Any]:
    """Return the schemas of a map's keys, or of the keys of a list of maps."""
    below = schema.schema
    if schema.type == "List" and below is not None:
        below = below[next(iter(below))].schema
    return below or {}


def _entry(
    name: str, marks: Iterable[str], description: str, more: Iterable[str] = ()
) -> Iterator[str]:
    yield f"``{name}`` ({', '.join(marks)})"
    text = " ".join(filter(None, (" ".join(description.split()), *more)))
    yield _WRAPPED.fill(text) + "\n"


def _kind(schema: Any) -> str:
    return (schema.type or "any").lower()


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _constraint(constraint: Any) -> str:
    """Return a constraint as a sentence, or its own description if it has one."""
    match constraint:
        case constraints.AllowedValues():
            return f"One of {', '.join(f'``{value}``' for value in constraint.allowed)}."
        case constraints.Length():
            return f"{_bounds(constraint.min, constraint.max)} characters."
        case constraints.Range():
            return f"{_bounds(constraint.min, constraint.max)}."
        case constraints.AllowedPattern():
            return constraint.description or f"The value matches ``{constraint.pattern}``."
        case constraints.CustomConstraint():
            return f"The constraint ``{constraint.name}`` applies."
    return str(constraint.description or "")


def _bounds(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"At least {low}" if high is None else f"At most {high}"
    return f"{low} to {high}"


if __name__ == "__main__":
    main()
