"""The stacks that exist, by scope, by id and by project.

Their contents, and the lock under which all of this is read and changed, are left to the
:class:`~factstore.core.state.state.State`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from factstore.core.model.fact import Scope, Stack
from factstore.core.model.usage import ProjectUsage
from factstore.core.state.project_totals import ProjectTotals
from factstore.core.state.stack_state import StackState
from factstore.core.state.unnamed_stacks import UnnamedStacks


class StackIndex:
    """The stacks that exist.

    :param epoch: the epoch of the store.
    :param revision: the revision at which it begins.
    :param renewed_at: the revision at which the epoch was written; what is older is of another epoch.
    :ivar last_deletion: the revision of the last deletion of a stack, a fact or a record.
    :ivar last_grant_change: the revision that last changed or deleted a grant.
    :ivar by_scope: the stacks that have a name.
    :ivar by_id: the same ones.
    :ivar unnamed: those that always exist, and have no name.
    """

    __slots__ = (
        "_epoch",
        "_projects",
        "_renewed_at",
        "by_id",
        "by_scope",
        "last_deletion",
        "last_grant_change",
        "unnamed",
    )

    def __init__(self, epoch: str, revision: int, renewed_at: int = 0) -> None:
        self._epoch, self._renewed_at = epoch, renewed_at
        self.last_deletion = self.last_grant_change = revision
        self._projects: dict[str, ProjectTotals] = {}
        self.by_scope: dict[Scope, StackState] = {}
        self.by_id: dict[str, StackState] = {}
        self.unnamed = UnnamedStacks()

    def put(self, stack: Stack) -> None:
        """Add an empty stack, or replace the record of one that exists."""
        known = self.by_id.get(stack.id)
        if known is not None:
            known.stack = stack
            return
        project = self._projects.setdefault(stack.project_id, ProjectTotals())
        life = self._epoch, self._renewed_at
        stack_state = StackState(stack, project, *life, changed=stack.revision)
        self.by_scope[stack.scope] = self.by_id[stack.id] = stack_state
        project.add(stack_state)

    def drop(self, scope: Scope) -> StackState | None:
        """Remove a stack and return it, or None if it does not exist."""
        stack_state = self.by_scope.pop(scope, None)
        if stack_state is None:
            return None
        del self.by_id[stack_state.stack.id]
        project = self._projects[scope.project_id]
        project.remove(scope.stack, stack_state)
        if not project.stacks:
            del self._projects[scope.project_id]
        return stack_state

    def to_change(self, stack_id: str) -> StackState | None:
        """Return the stack whose records are to be changed; None if it does not exist."""
        return self.by_id.get(stack_id) or self.unnamed.to_change(stack_id)

    def of_project(self, project_id: str, after: str) -> Iterable[Stack]:
        """Return the records of a project's stacks after a name, ordered by name."""
        project = self._projects.get(project_id)
        return () if project is None else project.after(after)

    def project_usage(self, project_id: str) -> ProjectUsage:
        """Return the usage of a project; zero if it has no stack."""
        project = self._projects.get(project_id, ProjectTotals())
        return ProjectUsage(len(project.stacks), project.facts, project.bytes)

    def total(self) -> ProjectUsage:
        """Return the usage of all projects."""
        projects = self._projects.values()
        facts = sum(project.facts for project in projects)
        size = sum(project.bytes for project in projects)
        return ProjectUsage(len(self.by_scope), facts, size)

    def __iter__(self) -> Iterator[StackState]:
        """Yield all stacks, those without a name last."""
        return chain(self.by_scope.values(), self.unnamed.stacks.values())
