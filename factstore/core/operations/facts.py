"""Writing facts: their leases, and what is kept of a request with an idempotency key."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from factstore.core.errors import FactstoreError, OutcomeUnknown
from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.event import Record
from factstore.core.model.fact import Author, Delete, Fact, Put, Scope, Stack
from factstore.core.model.precondition import Precondition
from factstore.core.model.quota import Quota
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.fact_plan import NOTHING, Plan, Result, plan_writes, with_leases
from factstore.core.operations.idempotency import (
    Idempotency,
    keying_stack,
    make_receipt,
    replay,
    reused,
)
from factstore.core.operations.transactor import Operation, Transactor
from factstore.core.ports import Clock, IdempotencyRecord, Store, Transaction
from factstore.core.state.state import State

PROMPT_SECONDS = 0.5  # a store's leases last somewhat longer than was asked


@dataclass(frozen=True, slots=True)
class Written:
    """A write that is durable.

    :param revision: at which it holds; where nothing changed, one at which it was confirmed.
    """

    results: tuple[Result, ...]
    revision: int


@dataclass(slots=True)
class Write:
    """One request to change facts of a stack.

    :param new_stack: makes the stack's record if it is missing and may be created.
    :param deadline: when to give up.
    :param fences: generations of members; all must live.
    """

    scope: Scope
    wishes: Sequence[Put | Delete]
    guards: Sequence[tuple[str, Precondition]]
    author: Author
    new_stack: Callable[[], Stack] | None
    idempotency: Idempotency | None
    deadline: float
    fences: Collection[str] = ()


class Writer:
    """Writes facts."""

    def __init__(
        self, store: Store, clock: Clock, carrier: Transactor, sealing: Encryption
    ) -> None:
        self._store = store
        self._clock = clock
        self._carrier = carrier
        self._sealing = sealing

    def run(self, write: Write) -> Written:
        """Carry out a write; see :meth:`Transactor.run`."""
        leases = _Leases(self._store, self._clock, write.deadline)
        try:
            attempt = _FactWriting(self._store, self._clock, write, leases, self._sealing)
            plan, revision = self._carrier.run(attempt, write.author)
        except OutcomeUnknown:
            raise  # the facts may hang on the leases
        except BaseException:
            leases.give_back()
            raise
        leases.settle()
        return Written(_stamped(plan.results, plan.commit, revision), revision)


class _FactWriting(Operation):
    """One :class:`Write`, with its leases."""

    def __init__(
        self, store: Store, clock: Clock, write: Write, leases: _Leases, sealing: Encryption
    ) -> None:
        self.scope, self.deadline = write.scope, write.deadline
        self._store = store
        self._clock = clock
        self._write = write
        self._leases = leases
        self._sealing = sealing
        self._seals = any(isinstance(wish, Put) and wish.sensitive for wish in write.wishes)

    def earlier(self) -> tuple[Plan, int] | None:
        write = self._write
        if write.idempotency is None:
            return None
        receipt = self._store.receipt(self.scope.project_id, write.idempotency.key, self.deadline)
        if receipt is None:
            return None
        results = replay(receipt, self._as_it_was_kept(receipt, write.idempotency), write.wishes)
        self._leases.give_back()
        return Plan(NOTHING, results), receipt.revision

    def plan(self, state: State, quota: Quota) -> Plan:
        idempotency = self._write.idempotency
        if idempotency is None:
            return self._planned(state, quota)
        keyed_by = None
        with state.read():
            plan = self._planned(state, quota)
            stack = plan.commit.stack
            if self._seals:
                keyed_by = stack.id
                (seal,) = plan.commit.records or [state.record(self.scope, DATA_KEY)]
                idempotency = self._keyed(stack, seal, idempotency)
        receipt = make_receipt(stack.project_id, idempotency, plan.results, keyed_by)
        return replace(plan, commit=replace(plan.commit, receipt=receipt))

    def _planned(self, state: State, quota: Quota) -> Plan:
        write = self._write
        return plan_writes(
            state,
            write.scope,
            state.epoch,
            write.wishes,
            write.guards,
            write.author,
            now=self._clock.timestamp(),
            new_stack=write.new_stack,
            quota=quota,
            fences=write.fences,
            sealing=self._sealing if self._seals else None,
        )

    def _as_it_was_kept(self, receipt: IdempotencyRecord, idempotency: Idempotency) -> Idempotency:
        """The present request, as it would have been kept when the receipt was made.

        :raises Conflict: ``idempotency_key_reused``: it was about a stack that is gone.
        """
        stack_id = keying_stack(receipt)
        if stack_id is None:
            return idempotency
        # The receipt may be newer than what is known here.
        state = self._store.refresh(self.deadline)
        with state.read():
            stack, seal = state.stack(self.scope), state.record(self.scope, DATA_KEY)
        if stack is None or stack.id != stack_id:
            raise reused()
        return self._keyed(stack, seal, idempotency)

    def _keyed(self, stack: Stack, seal: Record | None, idempotency: Idempotency) -> Idempotency:
        if not isinstance(seal, DataKey):
            raise reused()  # somebody removed the stack's data key meanwhile
        fingerprint = self._sealing.fingerprint(stack, seal, idempotency.fingerprint)
        return replace(idempotency, fingerprint=fingerprint)

    def prepare(self, plan: Plan, state: State) -> Plan:
        return with_leases(plan, self._leases.choose(plan, state, self.scope))

    def confirm(self, plan: Plan) -> bool:
        return self._leases.renew_unchanged(plan)


class _Leases:
    """The leases of one write's facts with a ttl: chosen before, released after, as it turns out.

    A fact that goes with a member hangs on the member's lease, which is none of ours to end.
    """

    def __init__(self, store: Store, clock: Clock, deadline: float) -> None:
        self._store = store
        self._clock = clock
        self._deadline = deadline
        self._chosen_at = 0.0
        self._granted: dict[str, int] = {}
        self._chosen: dict[str, int] = {}
        self._replaced: set[int] = set()

    def choose(self, plan: Plan, state: State, scope: Scope) -> dict[str, int]:
        """A lease by path for each fact that is written with a ttl."""
        chosen = self._chosen = {}
        self._chosen_at = self._clock.monotonic()
        self._replaced.clear()
        for fact in plan.commit.puts:
            known = state.fact(scope, fact.path)
            if fact.ttl is not None:
                if (
                    known
                    and known.ttl == fact.ttl
                    and self._store.renew_lease(known.lease, self._deadline)
                ):
                    chosen[fact.path] = known.lease
                    continue
                if fact.path not in self._granted:
                    self._granted[fact.path] = self._store.create_lease(fact.ttl, self._deadline)
                chosen[fact.path] = self._granted[fact.path]
            if known and known.ttl is not None:
                self._replaced.add(known.lease)
        return chosen

    def renew_unchanged(self, plan: Plan) -> bool:
        """Start the time of confirmed facts anew; False if one has just ended after all."""
        return all(
            self._store.renew_lease(r.fact.lease, self._deadline)
            for r in plan.results
            if r.outcome == "unchanged" and r.fact and r.fact.ttl is not None
        )

    def settle(self) -> None:
        """The write holds: leases that its facts left, or did not take, are of no use.

        A time to live counts from the answer, not from before a write that took long.
        """
        if self._clock.monotonic() - self._chosen_at > PROMPT_SECONDS:
            for lease in self._chosen.values():
                with suppress(FactstoreError):
                    self._store.renew_lease(lease, self._deadline)
        self._revoke(self._replaced | set(self._granted.values()) - set(self._chosen.values()))

    def give_back(self) -> None:
        """The write does not hold: what was granted for it is of no use."""
        self._revoke(set(self._granted.values()))

    def _revoke(self, leases: set[int]) -> None:
        for lease in leases:
            try:
                self._store.revoke_lease(lease, self._deadline)
            except FactstoreError:
                return  # an empty lease ends by itself


def _stamped(results: tuple[Result, ...], commit: Transaction, revision: int) -> tuple[Result, ...]:
    written: dict[str, Fact] = {fact.path: replace(fact, revision=revision) for fact in commit.puts}
    return tuple(replace(r, fact=written[r.path]) if r.path in written else r for r in results)
