"""Carrying a planned write through: fresh decisions, races, leases, retries, unknown outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace

from factstore.core.errors import FactstoreError, OutcomeUnknown, StorageFull, Unavailable
from factstore.core.fact import Author, Delete, Fact, Put, Scope, Stack
from factstore.core.plan import Plan, Result, plan_writes, with_leases
from factstore.core.ports import Clock, Commit, Store
from factstore.core.precondition import Precondition
from factstore.core.quota import Gates, Quotas, Reservation
from factstore.core.receipts import Idempotency, make_receipt, replay
from factstore.core.state import State

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
    """

    scope: Scope
    wishes: Sequence[Put | Delete]
    guards: Sequence[tuple[str, Precondition]]
    author: Author
    new_stack: Callable[[], Stack] | None
    idempotency: Idempotency | None
    deadline: float


class Writer:
    """Makes writes happen exactly once, or says honestly that it cannot tell."""

    def __init__(self, store: Store, clock: Clock, quotas: Quotas) -> None:
        self._store = store
        self._clock = clock
        self._quotas = quotas
        self._gates = Gates()

    def run(self, write: Write) -> Written:
        """Carry out a write.

        A decision made on the state known here may be stale.  If it is to write, the database's
        guards find out, and the write is decided again; if it is to refuse, it is decided again on a
        fresh state before anybody is told.

        :raises FactstoreError: what the plan refuses.
        :raises Unavailable: the store cannot be asked, or others kept winning until the deadline.
        :raises OutcomeUnknown: it may have been written, and the store does not say.
        """
        leases = _Leases(self._store, self._clock, write.deadline)
        try:
            with ExitStack() as gate:
                written = self._run(write, leases, gate)
        except OutcomeUnknown:
            raise  # the facts may hang on the leases
        except BaseException:
            leases.give_back()
            raise
        leases.settle()
        return written

    def _run(self, write: Write, leases: _Leases, gate: ExitStack) -> Written:
        state, fresh, passing = self._store.state(), False, False
        while True:
            if write.idempotency is not None:
                receipt = self._store.receipt(
                    write.scope.project_id, write.idempotency.key, write.deadline
                )
                if receipt is not None:
                    results = replay(receipt, write.idempotency, write.wishes)
                    leases.give_back()
                    return Written(results, receipt.revision)
            try:
                plan = self._plan(state, write)
            except FactstoreError:
                if fresh:
                    raise
                state, fresh = self._store.refresh(write.deadline), True
                continue
            limited = plan.commit.gate is not None
            with self._beside_gate(plan, state, write, limited and not passing) as reservation:
                if limited and not passing and reservation is None:
                    left = write.deadline - self._clock.monotonic()
                    gate.enter_context(self._gates.passing(write.scope.project_id, left))
                    state, fresh, passing = self._store.refresh(write.deadline), True, True
                    continue
                if limited and passing:
                    plan = replace(plan, commit=replace(plan.commit, passes_gate=True))
                plan = with_leases(plan, leases.choose(plan, state, write.scope))
                writes = plan.commit.writes
                if not writes or leases.renew_unchanged(plan):  # nothing may fail after a write
                    revision = self._commit(plan.commit, write)
                    if reservation is not None:
                        reservation.revision = revision or 0
                    if revision is not None and (writes or leases.renew_unchanged(plan)):
                        return Written(_stamped(plan.results, plan.commit, revision), revision)
            if self._clock.monotonic() >= write.deadline:
                raise Unavailable(
                    "others kept changing the same paths; nothing was written. Try again.",
                    code="contention",
                )
            state, fresh = self._store.refresh(write.deadline), True

    def _plan(self, state: State, write: Write) -> Plan:
        plan = plan_writes(
            state,
            write.scope,
            state.epoch,
            write.wishes,
            write.guards,
            write.author,
            now=self._clock.timestamp(),
            new_stack=write.new_stack,
            quota=self._quotas(write.scope.project_id),
        )
        if write.idempotency is None:
            return plan
        receipt = make_receipt(write.scope.project_id, write.idempotency, plan.results)
        return replace(plan, commit=replace(plan.commit, receipt=receipt))

    def _beside_gate(
        self, plan: Plan, state: State, write: Write, wanted: bool
    ) -> AbstractContextManager[Reservation | None]:
        """Leave to add what is far from every quota; None for what must go through the gate."""
        if not wanted or plan.near:
            return nullcontext()
        project_id = write.scope.project_id
        share = self._quotas(project_id).share
        return self._gates.beside(project_id, plan.growth, share, state.revision)

    def _commit(self, commit: Commit, write: Write) -> int | None:
        """Commit; settle an unknown outcome by what the state shows, else by trying the same again.

        The very same guards make the retry safe: if the lost attempt was, or will be, applied, the
        retry fails them.  The one thing that they cannot tell is a path that was created and is gone
        again from one that never was.
        """
        try:
            return self._store.commit(commit, write.deadline)
        except StorageFull as full:
            try:
                found = _find_written(self._store.refresh(write.deadline), commit)
            except Unavailable:
                raise OutcomeUnknown("the store is full, and does not say what got in") from full
            if found is not None:
                return found
            raise
        except OutcomeUnknown as unknown:
            while self._clock.monotonic() < write.deadline:
                try:
                    state = self._store.refresh(write.deadline)
                    found = _find_written(state, commit)
                    if found is not None:
                        return found
                    if not _still_expected(state, commit):
                        break
                    return self._retry(commit, write.deadline)
                except (Unavailable, OutcomeUnknown):
                    continue
            raise OutcomeUnknown(unknown.detail) from unknown

    def _retry(self, commit: Commit, deadline: float) -> int:
        revision = self._store.commit(commit, deadline)
        if revision is None:
            raise OutcomeUnknown("the write was retried and its guards failed")
        return revision


class _Leases:
    """The leases of one write: chosen before, released after, as it turns out."""

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
                    and self._store.renew(known.lease, self._deadline)
                ):
                    chosen[fact.path] = known.lease
                    continue
                if fact.path not in self._granted:
                    self._granted[fact.path] = self._store.grant(fact.ttl, self._deadline)
                chosen[fact.path] = self._granted[fact.path]
            if known and known.lease:
                self._replaced.add(known.lease)
        return chosen

    def renew_unchanged(self, plan: Plan) -> bool:
        """Start the time of confirmed facts anew; False if one has just ended after all."""
        return all(
            self._store.renew(r.fact.lease, self._deadline)
            for r in plan.results
            if r.outcome == "unchanged" and r.fact and r.fact.lease
        )

    def settle(self) -> None:
        """The write holds: leases that its facts left, or did not take, are of no use.

        A time to live counts from the answer, not from before a write that took long.
        """
        if self._clock.monotonic() - self._chosen_at > PROMPT_SECONDS:
            for lease in self._chosen.values():
                with suppress(FactstoreError):
                    self._store.renew(lease, self._deadline)
        self._revoke(self._replaced | set(self._granted.values()) - set(self._chosen.values()))

    def give_back(self) -> None:
        """The write does not hold: what was granted for it is of no use."""
        self._revoke(set(self._granted.values()))

    def _revoke(self, leases: set[int]) -> None:
        for lease in leases:
            try:
                self._store.revoke(lease, self._deadline)
            except FactstoreError:
                return  # an empty lease ends by itself


def _stamped(results: tuple[Result, ...], commit: Commit, revision: int) -> tuple[Result, ...]:
    written: dict[str, Fact] = {fact.path: replace(fact, revision=revision) for fact in commit.puts}
    return tuple(replace(r, fact=written[r.path]) if r.path in written else r for r in results)


def _find_written(state: State, commit: Commit) -> int | None:
    """The revision at which a commit was applied, when a fact of it still tells."""
    for put in commit.puts:
        fact = state.fact(commit.stack.scope, put.path)
        if fact and (fact.request_id, fact.updated_at) == (put.request_id, put.updated_at):
            return fact.revision
    return None


def _still_expected(state: State, commit: Commit) -> bool:
    """Whether everything is as it was planned on, and certainly was so all the time."""
    contents = state.contents(commit.stack.scope)
    nothing_went = state.dropped <= commit.planned_at  # so what is missing never was there
    if contents is None:
        return commit.creates_stack and nothing_went
    if contents.stack.id != commit.stack.id:
        return False
    unchanged = nothing_went or contents.changed <= commit.planned_at
    if 0 in commit.expected.values() and not unchanged:
        return False
    now = {fact.path: fact.revision for fact in contents.facts}
    return all(now.get(path, 0) == known for path, known in commit.expected.items())
