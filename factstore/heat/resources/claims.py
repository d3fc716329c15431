"""The paths that resources declare, noted so that no resource deletes a fact that another one declares.

When a declaration moves from one resource to another, Heat changes both at the same time or deletes
the old one last.  The notes are in Heat's resource data; a resource writes its own before it reads or
writes facts.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from heat.engine.resource import Resource
from heat.objects import resource as resource_objects

_CLAIM = "claim-"
_PATHS = 50  # of one note: a column of Heat's database holds 64 KiB, and a path has 512 characters


def claim(resource: Resource, bag: str, paths: Collection[str]) -> None:
    """Note the paths that a resource declares, instead of those it declared before."""
    for key in [each for each in resource.data() if each.startswith(_CLAIM)]:
        resource.data_delete(key)
    ordered = sorted(paths)
    for start in range(0, len(ordered), _PATHS):
        note = json.dumps([bag, ordered[start : start + _PATHS]])
        resource.data_set(f"{_CLAIM}{start // _PATHS:06}", note)


def claimed_by_others(resource: Resource, bag: str) -> set[str]:
    """Return the paths of a bag that other resources of the stack declare, in nested stacks too.

    Resources that Heat is deleting declare nothing.
    """
    root = resource.stack.root_stack_id()
    rows = resource_objects.Resource.get_all_by_root_stack(resource.context, root, None)
    notes = (
        json.loads(each.value)
        for row in rows.values()
        if row.id != resource.id and row.action != resource.DELETE
        for each in row.data
        if each.key.startswith(_CLAIM)
    )
    return {path for name, paths in notes if name == bag for path in paths}
