"""Stacks: the fact spaces themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from factstore.core.errors import (
    Forbidden,
    Invalid,
    NotFound,
    OutcomeUnknown,
    Unavailable,
)
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import DeletionAuthor
from factstore.core.model.fact import DESCRIPTION_LENGTH, Author, Scope, Stack
from factstore.core.model.path import check_stack_name, quoted
from factstore.core.model.quota import UNLIMITED, Growth, Quotas, admit, no_quotas
from factstore.core.model.usage import ProjectUsage, Usage
from factstore.core.ports import Clock, Store, Transaction
from factstore.core.services.blocking_query import check_age
from factstore.core.state.state import State


@dataclass(frozen=True, slots=True)
class StackPage:
    """Stacks in order of their names, as all stood at one revision.

    :param marker: the name to continue after; None on the last page.
    """

    stacks: tuple[Stack, ...]
    cursor: Cursor
    marker: str | None


class StackService:
    """The service for stacks.

    :param new_id: makes an id that was never used.
    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        new_id: Callable[[], str],
        timeout: float,
        quotas: Quotas = no_quotas,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._timeout = timeout
        self._quotas = quotas

    def new(self, scope: Scope, author: Author, description: str = "") -> Stack:
        """The record of a stack that is yet to be created."""
        now = self._clock.timestamp()
        return Stack(
            project_id=scope.project_id,
            name=scope.stack,
            id=self._new_id(),
            description=description,
            created_at=now,
            updated_at=now,
            updated_by=author.user_id,
            request_id=author.request_id,
        )

    def get(self, scope: Scope, *, stale: bool = False) -> tuple[Stack, Usage]:
        """A stack and how much it holds.

        :raises NotFound: there is none.
        """
        check_stack_name(scope.stack)
        state = self._store.state() if stale else self._store.refresh(self._deadline())
        with state.read():
            stack, usage = state.stack(scope), state.usage(scope)
        if stack is None or usage is None:
            raise _missing(scope)
        return stack, usage

    def usage(self, project_id: str) -> ProjectUsage:
        """How much a project holds in all."""
        return self._store.refresh(self._deadline()).project_usage(project_id)

    def list(
        self, project_id: str, *, limit: int, marker: str = "", at: Cursor | None = None
    ) -> StackPage:
        """A page of a project's stacks by name.

        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted: begin anew.
        """
        if marker:
            check_stack_name(marker)
        state = self._store.refresh(self._deadline())
        with state.read():
            revision, known = state.revision, state.stacks(project_id)
        if at is None or at == (self._store.epoch, revision):
            found = [stack for stack in known if stack.name > marker][: limit + 1]
        else:
            check_age(at, self._store.epoch, revision)
            revision = at.revision
            found = self._store.stacks_at(project_id, marker, limit + 1, revision, self._deadline())
        rest = found[limit - 1].name if len(found) > limit else None
        return StackPage(tuple(found[:limit]), Cursor(self._store.epoch, revision), rest)

    def put(self, scope: Scope, description: str, author: Author) -> tuple[Stack, bool]:
        """Create a stack, or change its settings; whether it was created comes second.

        Settings that are already so change nothing.

        :raises Invalid: ``schema``: the description is too long.
        :raises Forbidden: ``quota_exceeded``: the project has all the stacks that it may have.
        """
        check_stack_name(scope.stack)
        if len(description) > DESCRIPTION_LENGTH:
            raise Invalid(
                f"description is {len(description)} characters long; "
                f"at most {DESCRIPTION_LENGTH} are allowed.",
                code="schema",
            )

        def decide(known: Stack | None, at: int, epoch: str, usage: ProjectUsage) -> Transaction:
            if known is None:
                new = self.new(scope, author, description)
                quota = self._quotas(scope.project_id)
                admit(quota, usage, Usage(0, 0), Growth(stacks=1))
                limited = quota.stacks != UNLIMITED
                gate = usage.gate if limited else None
                return Transaction(
                    new, at, epoch, creates_stack=True, gate=gate, passes_gate=limited
                )
            if known.description == description:
                return Transaction(known, at, epoch)
            changed = replace(
                known,
                description=description,
                updated_at=self._clock.timestamp(),
                updated_by=author.user_id,
                request_id=author.request_id,
            )
            return Transaction(changed, at, epoch, updates_stack=True)

        commit, revision = self._run(scope, decide)
        stack = commit.stack
        if commit.creates_stack:
            stack = replace(stack, created=revision, revision=revision)
        elif commit.updates_stack:
            stack = replace(stack, revision=revision)
        return stack, commit.creates_stack

    def delete(self, scope: Scope, author: Author) -> None:
        """Remove a stack and everything in it, as one change.

        :raises NotFound: there is none.
        """
        check_stack_name(scope.stack)

        def decide(known: Stack | None, at: int, epoch: str, usage: ProjectUsage) -> Transaction:
            if known is None:
                raise _missing(scope)
            act = DeletionAuthor(known.id, author.user_id, author.request_id, whole_stack=True)
            return Transaction(known, at, epoch, drops_stack=True, act=act)

        self._run(scope, decide)

    def _run(
        self, scope: Scope, decide: Callable[[Stack | None, int, str, ProjectUsage], Transaction]
    ) -> tuple[Transaction, int]:
        """Decide, commit, and again on a fresh state until it holds; see the writer of facts."""
        deadline = self._deadline()
        state: State = self._store.state()
        fresh = False
        while True:
            with state.read():
                known, at = state.stack(scope), state.revision
                usage = state.project_usage(scope.project_id)
            try:
                commit = decide(known, at, state.epoch, usage)
            except (NotFound, Forbidden):
                if fresh:
                    raise
                state, fresh = self._store.refresh(deadline), True
                continue
            try:
                revision = self._store.commit(commit, deadline)
            except OutcomeUnknown:
                revision = self._settle(commit, deadline)
            if revision is not None:
                return commit, revision
            if self._clock.monotonic() >= deadline:
                raise Unavailable("others kept changing the stack; try again.", code="contention")
            state, fresh = self._store.refresh(deadline), True

    def _settle(self, commit: Transaction, deadline: float) -> int | None:
        """What an unknown outcome was, if the state tells; None when the guards still hold."""
        unknown = OutcomeUnknown("the store did not say whether the stack was written")
        try:
            state = self._store.refresh(deadline)
        except Unavailable as error:
            raise unknown from error
        now = state.stack(commit.stack.scope)
        if commit.drops_stack:
            if now is None or now.id != commit.stack.id:
                return state.revision
            return None
        if now is not None and now.request_id == commit.stack.request_id:
            return now.revision
        if now is None and state.dropped > commit.planned_at:
            raise unknown  # it may have been created, and gone again
        if (now.revision if now else 0) == commit.stack.revision:
            return None
        raise unknown

    def _deadline(self) -> float:
        return self._clock.monotonic() + self._timeout


def _missing(scope: Scope) -> NotFound:
    return NotFound(f"there is no stack named {quoted(scope.stack)}.")
