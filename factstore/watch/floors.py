"""The revisions after which the history of each stack is complete."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import field

from factstore.core.model.fact import Scope
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.stack_selection import StackSelection

STACKS = 10_000  # of a project, whose dropped history is recorded separately
PROJECTS = 10_000


@quick_dataclass(slots=True)
class _Project:
    """The floors of a project's stacks; *floor* is that of those which are not recorded."""

    floor: int = 0
    stacks: dict[str, int] = field(default_factory=dict)


class Floors:
    """The revision of the newest event that was dropped, for each stack.

    The number of floors is bounded.  If a project has more, its oldest one counts for all its stacks.

    :param revision: the floor of all stacks.
    """

    def __init__(self, revision: int = 0) -> None:
        self._floor = self._start = revision
        self._projects: dict[str, _Project] = {}  # the one that changed last comes last

    def of(self, scope: Scope) -> int:
        """Return the floor of a stack."""
        project = self._projects.get(scope.project_id)
        if project is None:
            return self._floor
        return max(self._floor, project.floor, project.stacks.get(scope.stack, 0))

    def of_selection(self, selection: StackSelection) -> int:
        """Return the highest floor of the stacks of a selection."""
        found: Collection[_Project] = self._projects.values()
        if selection.project_id is not None:
            found = (self._projects.get(selection.project_id, _Project()),)
        matches = selection.patterns.matches
        floors = [
            revision
            for project in found
            for stack, revision in project.stacks.items()
            if matches(stack)
        ]
        return max([self._floor, *(project.floor for project in found), *floors])

    def raise_all(self, later: Floors) -> None:
        """Record what was dropped of the history that follows, which had floors of its own."""
        for name, found in later._projects.items():
            for stack, revision in found.stacks.items():
                self.raise_to(Scope(name, stack), revision)
            if found.floor:
                self._projects.setdefault(name, _Project()).floor = found.floor
        if later._floor > later._start:
            self._floor = later._floor

    def raise_to(self, scope: Scope, revision: int) -> None:
        """Record the revision of an event that was dropped, which is newer than the floor."""
        project = self._projects.pop(scope.project_id, None) or _Project()
        self._projects[scope.project_id] = project
        project.stacks.pop(scope.stack, None)
        project.stacks[scope.stack] = revision
        if len(project.stacks) > STACKS:
            oldest = next(iter(project.stacks))
            project.floor = max(project.floor, project.stacks.pop(oldest))
        if len(self._projects) > PROJECTS:
            oldest = next(iter(self._projects))
            dropped = self._projects.pop(oldest)
            self._floor = max(self._floor, dropped.floor, *dropped.stacks.values())
