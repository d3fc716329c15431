"""Creating a stack, changing its settings, and deleting it with everything in it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from factstore.core.model.fact import Author, Scope, Stack
from factstore.core.model.path import quoted
from factstore.core.model.precondition import ANY, Precondition
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.operations.operation import Draft, Operation, View


@quick_dataclass(frozen=True, slots=True)
class StackResult:
    """The stack's record, and whether it was created or changed."""

    stack: Stack
    created: bool
    changed: bool


@quick_dataclass(slots=True)
class SetStack(Operation[StackResult]):
    """Create a stack, or change its settings; equal ones are left alone.

    :param precondition: on the settings.
    :param keep_values: None for those of the stack.
    """

    may_create_stack: ClassVar[bool] = True

    scope: Scope
    description: str
    author: Author
    precondition: Precondition = ANY
    keep_values: int | None = None

    def plan(self, view: View) -> Draft[StackResult]:
        """Return the draft.

        :raises PreconditionFailed: *precondition* is not met.
        """
        if view.stack_state is None:
            _check(self.precondition, view, None)
            created = replace(
                view.stack, description=self.description, keep_values=self.keep_values or 0
            )
            return Draft(StackResult(created, created=True, changed=True), stack=created)
        known = view.stack
        _check(self.precondition, view, known)
        keep_values = known.keep_values if self.keep_values is None else self.keep_values
        if (known.description, known.keep_values) == (self.description, keep_values):
            return Draft(StackResult(known, created=False, changed=False), confirms_stack=True)
        changed = replace(
            known,
            description=self.description,
            keep_values=keep_values,
            updated_at=view.now,
            updated_by=self.author.user_id,
            request_id=self.author.request_id,
        )
        return Draft(StackResult(changed, created=False, changed=True), stack=changed)


@quick_dataclass(slots=True)
class DeleteStack(Operation[None]):
    """Delete a stack and everything in it, as one change.

    :param precondition: on the settings.
    """

    scope: Scope
    author: Author
    precondition: Precondition = ANY

    def plan(self, view: View) -> Draft[None]:
        """Return the draft.

        :raises NotFound: there is no such stack.
        :raises PreconditionFailed: *precondition* is not met.
        """
        _check(self.precondition, view, view.stack)
        return Draft(None, stack=view.stack, drops_stack=True)


def _check(precondition: Precondition, view: View, stack: Stack | None) -> None:
    etag = stack.etag(view.state.epoch) if stack is not None else None
    precondition.check(f"stack {quoted(view.scope.stack)}", etag)
