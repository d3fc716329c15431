"""What becomes of the wish to be a member, or to say something else as one; decided purely.

The service that carries it through is :class:`factstore.core.services.members.Members`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from factstore.core.errors import Conflict
from factstore.core.model.fact import Author, Scope, Stack
from factstore.core.model.member import HEARTBEAT_TTL_DEFAULT, JoinRequest, Member
from factstore.core.model.path import quoted
from factstore.core.model.quota import Growth, Quota, admit
from factstore.core.model.record_key import RecordKey
from factstore.core.model.usage import Usage
from factstore.core.operations.fact_plan import NOTHING, Plan
from factstore.core.operations.fencing import stale_generation
from factstore.core.operations.transactor import Operation
from factstore.core.ports import Clock, Store, Transaction
from factstore.core.state.state import State

JoinOutcome = Literal["created", "replaced", "adopted", "updated", "unchanged"]
NEW_INCARNATION: tuple[JoinOutcome, ...] = ("created", "replaced", "adopted")
"""Outcomes that make a new incarnation."""


class JoinMember(Operation):
    """Becoming a member, or with the present generation saying something else.

    Who joins a name that is awaited *adopts* it: to all others it is the same member still.

    :ivar granted: the lease that was made for it; 0 if there is none yet.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        new_stack: Callable[[Scope, Author], Stack],
        scope: Scope,
        name: str,
        wish: JoinRequest,
        author: Author,
    ) -> None:
        self.scope = scope
        self.granted = 0
        self._store = store
        self._clock = clock
        self._new_stack = new_stack
        self._name = name
        self._wish = wish
        self._author = author

    def plan(self, state: State, quota: Quota) -> Plan:
        name = self._name
        with state.read():
            known = state.record(self.scope, RecordKey("member", name))
            assert known is None or isinstance(known, Member)  # noqa: S101 - its place says so
            stack = state.stack(self.scope)
            project = state.project_usage(self.scope.project_id)
            usage = state.usage(self.scope) or Usage(0, 0)
            planned_at = state.revision
            guards = {RecordKey("member", name): known.revision if known else 0}
            living = known if known is not None and not known.departed else None
            outcome, member = self.decide(living)
            if outcome == "unchanged":
                commit = Transaction(stack or NOTHING.stack, planned_at, state.epoch, guards=guards)
                return Plan(commit, (outcome, member, None))
            growth = Growth(
                0 if stack else 1, 0 if known else 1, member.size - (known.size if known else 0)
            )
            near = admit(quota, project, usage, growth)
        removes = (RecordKey("applied", name),) if outcome in NEW_INCARNATION else ()
        commit = Transaction(
            stack or self._new_stack(self.scope, self._author),
            planned_at,
            state.epoch,
            creates_stack=stack is None,
            guards={} if stack is None else guards,
            records=(member,),
            removes=removes if stack else (),
            gate=project.gate if growth.adds and quota != Quota() else None,
        )
        return Plan(commit, (outcome, member, living), growth, near)

    def decide(self, living: Member | None) -> tuple[JoinOutcome, Member]:
        """What becomes of the member that lives, if one does."""
        wish = self._wish
        if wish.generation is not None:
            return self._update(living, wish.generation)
        ttl = wish.ttl or HEARTBEAT_TTL_DEFAULT
        if living is None:
            return "created", self.newcomer(ttl)
        if living.awaited:
            return "adopted", self.changed(living, state="joining", ttl=ttl, number=0)
        return "replaced", self.newcomer(ttl, declared=living.declared)

    def _update(self, living: Member | None, generation: str) -> tuple[JoinOutcome, Member]:
        wish = self._wish
        if living is None or living.generation != generation:
            raise stale_generation(generation, self._name)
        if wish.ttl not in (None, living.ttl):
            lives = "without a ttl" if living.awaited else f"with a ttl of {living.ttl} seconds"
            raise Conflict(
                f"member {quoted(self._name)} lives {lives}; to have another, join without a "
                "generation.",
                code="member_ttl_fixed",
            )
        return self.unless_same(living)

    def unless_same(self, living: Member) -> tuple[JoinOutcome, Member]:
        """The member with the wish's group and attributes; itself if it has them."""
        if (living.group, living.attributes) == (self._wish.group, self._wish.attributes):
            return "unchanged", living
        return "updated", self.changed(living)

    def newcomer(self, ttl: int | None, **fields: Any) -> Member:
        """A member that has not been there."""
        wish, author, now = self._wish, self._author, self._clock.timestamp()
        return Member(
            self._name, wish.group, "joining", wish.attributes, ttl, now, now,
            author.user_id, author.request_id, wish.reason, **fields,
        )  # fmt: skip

    def changed(self, living: Member, **fields: Any) -> Member:
        """The member as it becomes; with the wish's group and attributes, if *fields* do not say."""
        wish, author = self._wish, self._author
        said: dict[str, Any] = {"group": wish.group, "attributes": wish.attributes, "told": 0}
        return replace(
            living,
            **(said | fields),
            reason=wish.reason or living.reason,
            version=living.version + 1,
            updated_at=self._clock.timestamp(),
            updated_by=author.user_id,
            request_id=author.request_id,
            memo={},
        )

    def prepare(self, plan: Plan, state: State) -> Plan:
        outcome, member, former = plan.results
        if outcome not in NEW_INCARNATION or member.awaited:
            return plan
        if not self.granted:
            self.granted = self._store.create_lease(member.ttl, self.deadline)
        member = replace(member, lease=self.granted)
        commit = replace(plan.commit, records=(member,))
        return replace(plan, commit=commit, results=(outcome, member, former))

    def confirm(self, plan: Plan) -> bool:
        outcome, member, _ = plan.results
        if outcome in NEW_INCARNATION or member.awaited:
            return True
        return self._store.renew_lease(member.lease, self.deadline)
