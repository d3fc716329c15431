"""Arming a waiter and removing it: what is to be written, decided on whatever state there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from factstore.core.errors import Forbidden, NotFound, PreconditionFailed
from factstore.core.model.condition import Definition
from factstore.core.model.fact import Author, Scope, Stack
from factstore.core.model.path import quoted
from factstore.core.model.quota import Growth, Quota, admit
from factstore.core.model.record_key import RecordKey
from factstore.core.model.usage import Usage
from factstore.core.model.waiter import WAITERS_PER_STACK, Timer, Waiter
from factstore.core.operations.fact_plan import Plan
from factstore.core.operations.transactor import Operation
from factstore.core.ports import Store, Transaction
from factstore.core.state.state import State


class ArmWaiter(Operation):
    """One request to arm a waiter.

    The results of its plan are what becomes of it, and the waiter as it was.

    :ivar granted: the lease that was got for its timer; 0 if none was needed so far.
    """

    def __init__(
        self,
        store: Store,
        new_stack: Callable[[Scope, Author], Stack],
        scope: Scope,
        name: str,
        definition: Definition,
        author: Author,
        *,
        create_only: bool,
        now: str,
        deadline: float,
    ) -> None:
        self.scope, self.deadline = scope, deadline
        self.granted = 0
        self._now = now
        self._store = store
        self._new_stack = new_stack
        self._name = name
        self._definition = definition
        self._author = author
        self._create_only = create_only

    def plan(self, state: State, quota: Quota) -> Plan:
        name, place = self._name, RecordKey("waiter", self._name)
        with state.read():
            known = state.record(self.scope, place)
            assert known is None or isinstance(known, Waiter)  # noqa: S101 - its place says so
            stack, planned_at = state.stack(self.scope), state.revision
            project = state.project_usage(self.scope.project_id)
            usage = state.usage(self.scope) or Usage(0, 0)
            held = len(state.records(self.scope, "waiter"))
        if known is not None and self._create_only:
            raise PreconditionFailed(f"there is a waiter named {quoted(name)} already.")
        text = self._definition.text
        guards = {place: known.revision if known else 0}
        if known is not None and known.state == "pending" and known.definition == text:
            assert stack is not None  # noqa: S101 - it has a waiter
            return Plan(
                Transaction(stack, planned_at, state.epoch, guards=guards), ("unchanged", known)
            )
        if known is None and held >= WAITERS_PER_STACK:
            raise Forbidden(
                f"the stack has {held} waiters; at most {WAITERS_PER_STACK} are allowed. "
                "Delete some.",
                code="quota_exceeded",
                extra={"quota": "waiters_per_stack", "limit": WAITERS_PER_STACK, "used": held},
            )
        waiter = Waiter(
            name=name,
            definition=text,
            timeout=self._definition.timeout,
            extends=self._definition.extend_on_progress,
            state="pending",
            armed_at=self._now,
            updated_by=self._author.user_id,
            request_id=self._author.request_id,
        )
        more = waiter.size - (known.size if known else 0)
        growth = Growth(0 if stack else 1, 0 if known else 1, more)
        near = admit(quota, project, usage, growth)
        commit = Transaction(
            stack or self._new_stack(self.scope, self._author),
            planned_at,
            state.epoch,
            creates_stack=stack is None,
            guards={} if stack is None else guards,
            records=(waiter,),
            clears=(name,) if known else (),
            gate=project.gate if growth.adds and quota != Quota() else None,
        )
        return Plan(commit, ("armed" if known else "created", known), growth, near)

    def prepare(self, plan: Plan, state: State) -> Plan:
        if not plan.commit.records:
            return plan
        if not self.granted:
            self.granted = self._store.create_lease(self._definition.timeout, self.deadline)
        waiter = plan.commit.records[0]
        assert isinstance(waiter, Waiter)  # noqa: S101 - plan() put it there
        waiter = replace(waiter, timer=self.granted)
        timer = Timer(self._name, lease=self.granted)
        return replace(plan, commit=replace(plan.commit, records=(waiter, timer)))


class DeleteWaiter(Operation):
    """One request to remove a waiter; the result of its plan is the waiter as it was."""

    def __init__(self, scope: Scope, name: str, deadline: float) -> None:
        self.scope, self.deadline = scope, deadline
        self._name = name

    def plan(self, state: State, quota: Quota) -> Plan:
        place = RecordKey("waiter", self._name)
        with state.read():
            known = state.record(self.scope, place)
            stack, planned_at = state.stack(self.scope), state.revision
        if known is None or stack is None:
            raise missing(self.scope, self._name)
        commit = Transaction(
            stack,
            planned_at,
            state.epoch,
            guards={place: known.revision},
            removes=(place, RecordKey("timer", self._name)),
            clears=(self._name,),
        )
        return Plan(commit, (known,))


def missing(scope: Scope, name: str) -> NotFound:
    """The refusal of who asks for a waiter that is not there."""
    return NotFound(f"there is no waiter {quoted(name)} in a stack named {quoted(scope.stack)}.")
