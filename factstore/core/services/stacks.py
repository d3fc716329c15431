"""Stacks: creating, reading, listing and deleting them."""

from __future__ import annotations

from dataclasses import replace

from factstore.core.errors import Invalid
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import DESCRIPTION_LENGTH, Author, Scope, Stack
from factstore.core.model.kept_value import KEEP_VALUES_MAX
from factstore.core.model.path import check_stack_name
from factstore.core.model.precondition import ANY, Precondition
from factstore.core.model.usage import ProjectUsage, Usage
from factstore.core.operations.kept_values import TrimKeptValues
from factstore.core.operations.operation import stack_missing
from factstore.core.operations.stacks import DeleteStack, SetStack
from factstore.core.services.base import Page, Service, check_page_cursor, paginate
from factstore.core.services.views import StackView


class StackService(Service):
    """The service for stacks."""

    def get(self, scope: Scope, *, stale: bool = False) -> StackView:
        """Return a stack and its usage.

        :raises NotFound: there is no such stack.
        """
        check_stack_name(scope.stack)
        state = self._state(stale=stale)
        with state.read():
            stack, usage = state.stack(scope), state.usage(scope)
        if stack is None or usage is None:
            raise stack_missing(scope)
        return StackView(stack, usage, state.epoch)

    def usage(self, project_id: str) -> ProjectUsage:
        """Return the usage of a project."""
        return self._state().project_usage(project_id)

    def list(
        self, project_id: str, *, limit: int, marker: str = "", at: Cursor | None = None
    ) -> Page[Stack]:
        """Return a page of a project's stacks, ordered by name.

        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted; list again from the first page.
        """
        if marker:
            check_stack_name(marker)
        state = self._state()
        with state.read():
            now, found = state.cursor, state.stacks(project_id, marker, limit + 1)
        if at is not None and at != now:
            check_page_cursor(at, now)
            now, deadline = at, self._deadline()
            found = self._store.stacks_at(project_id, marker, limit + 1, at.revision, deadline)
            self._check_same_store(at)
        return paginate(found, limit, lambda stack: stack.name, now)

    def put(
        self,
        scope: Scope,
        description: str,
        author: Author,
        precondition: Precondition = ANY,
        keep_values: int | None = None,
    ) -> tuple[StackView, bool]:
        """Create a stack or change its settings; return it, and True if it was created.

        Equal settings change nothing.  If fewer values are to be kept, the surplus is deleted.

        :param precondition: on the settings.
        :param keep_values: how many earlier values of each fact are kept; None for as many as before.
        :raises PreconditionFailed: it is not met.
        :raises Invalid: ``schema``: the description is too long, or the number too large.
        :raises Forbidden: ``quota_exceeded``: the project has as many stacks as its quota allows.
        """
        check_stack_name(scope.stack)
        if len(description) > DESCRIPTION_LENGTH:
            raise Invalid(
                f"Field 'description' has {len(description)} characters; "
                f"at most {DESCRIPTION_LENGTH} are allowed.",
                code="schema",
            )
        if keep_values is not None and not 0 <= keep_values <= KEEP_VALUES_MAX:
            raise Invalid(
                f"Field 'keep_values' is {keep_values}; it must be from 0 to {KEEP_VALUES_MAX}.",
                code="schema",
            )
        done = self._transactor.run(SetStack(scope, description, author, precondition, keep_values))
        result, revision = done.outcome, done.cursor.revision
        stack, usage = result.stack, Usage(0, 0)
        if result.created:
            stack = replace(stack, created=revision, revision=revision)
        elif result.changed:
            stack = replace(stack, revision=revision)
        if keep_values is not None and not result.created:
            while self._transactor.run(TrimKeptValues(scope)).outcome:
                pass
        if not result.created:
            self._store.refresh(self._deadline())
            state = self._state_after(done.cursor)
            usage = (state.usage(scope) if state is not None else None) or usage
        return StackView(stack, usage, done.cursor.epoch), result.created

    def delete(self, scope: Scope, author: Author, precondition: Precondition = ANY) -> None:
        """Delete a stack and everything in it, as one change.

        :param precondition: on the settings.
        :raises NotFound: there is no such stack.
        :raises PreconditionFailed: *precondition* is not met.
        """
        check_stack_name(scope.stack)
        self._transactor.run(DeleteStack(scope, author, precondition))
