"""A path is a fact or a folder: the check of a plan, and the guards that keep it true until the write.

Only the creation of a fact can break the rule.  So the guards concern the creations of a write alone,
and fail only if another write creates a fact above a new path, at it, or below it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from factstore.core.errors import Conflict
from factstore.core.model.path import ancestors, quoted
from factstore.core.model.transaction import TreeGuards
from factstore.core.operations.operation import View


def check_tree(view: View, created: Sequence[str], deleted: Collection[str]) -> None:
    """Refuse a path that would be both a fact and a folder.

    :raises Conflict: ``path_below_fact`` or ``path_is_folder``.
    """
    new = set(created)
    for path in created:
        above = [a for a in ancestors(path) if a not in deleted and (view.fact(a) or a in new)]
        if above:
            raise Conflict(
                f"{quoted(path)} cannot be a fact: {quoted(above[0])} is a fact, and a path is "
                "a fact or a folder, never both. "
                f"Delete {quoted(above[0])} first, or choose another path.",
                code="path_below_fact",
                extra={"path": path, "conflicts_with": above[0]},
            )
        below = view.state.first_below(view.scope, path, deleted)
        if below is not None:
            raise Conflict(
                f"{quoted(path)} cannot be a fact: it is the folder of {quoted(below)}. "
                "Choose another path, or delete the facts below.",
                code="path_is_folder",
                extra={"path": path, "conflicts_with": below},
            )


def tree_guards(
    created: Collection[str],
    deleted: Collection[str],
    fact_revisions: Mapping[str, int],
    room: int,
    emptied: Collection[str] = (),
) -> TreeGuards:
    """Return the guards of new paths, so exact that no write elsewhere breaks them, if they fit.

    If they do not fit, whole subtrees are guarded, the smallest that fit: the new paths, then the
    folders in which they are, and so on upwards.

    :param room: the number of guards that fit, those of *fact_revisions* included.
    :param emptied: subtrees that are guarded in any case.
    """
    guards = _of_created(created, deleted, fact_revisions, room - len(emptied))
    return replace(guards, subtrees=guards.subtrees.union(emptied))


def _of_created(
    created: Collection[str],
    deleted: Collection[str],
    fact_revisions: Mapping[str, int],
    room: int,
) -> TreeGuards:
    if not created:
        return TreeGuards()
    room -= len(fact_revisions)
    # Facts below these are deleted by the same write, so "nothing is below" would be wrong there.
    replaced = {above for path in deleted for above in ancestors(path)}.intersection(created)
    guards = TreeGuards(
        _above(created, fact_revisions), frozenset(created) - replaced, frozenset(replaced)
    )
    depth = max([path.count("/") for path in created])
    while _size(guards, fact_revisions) > room:
        if depth < 0:
            return TreeGuards(subtrees=frozenset({""}))
        subtrees = frozenset(["/".join(path.split("/")[: depth + 1]) for path in created])
        guards = TreeGuards(_above(subtrees, fact_revisions), subtrees=subtrees)
        depth -= 1
    return guards


def _above(paths: Collection[str], fact_revisions: Mapping[str, int]) -> frozenset[str]:
    """Return the folders above the paths, except for those whose revision is guarded anyway."""
    above = {folder for path in paths for folder in ancestors(path)}
    return frozenset([folder for folder in above if folder not in fact_revisions])


def _size(guards: TreeGuards, fact_revisions: Mapping[str, int]) -> int:
    """Return the number of guards that are added to those of *fact_revisions*."""
    implied = 0
    if guards.subtrees:
        implied = sum([known == 0 and guards.cover(path) for path, known in fact_revisions.items()])
    return len(guards.absent) + len(guards.empty) + len(guards.subtrees) - implied
