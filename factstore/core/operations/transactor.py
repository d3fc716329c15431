"""Carrying a planned write through: fresh decisions, races, quotas' gates, unknown outcomes.

Every noun's writes go this way.  What is to be written is an :class:`Operation`'s to decide, purely, on
whatever state it is shown.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace

from factstore.core.errors import (
    FactstoreError,
    Forbidden,
    OutcomeUnknown,
    StorageFull,
    Unavailable,
)
from factstore.core.model.event import Record
from factstore.core.model.fact import Author, Scope
from factstore.core.model.grant import Grant
from factstore.core.model.member import Applied
from factstore.core.model.quota import Gates, Quota, Quotas, Reservation
from factstore.core.model.record_key import RecordKey
from factstore.core.operations.fact_plan import Plan
from factstore.core.ports import Clock, Store, Transaction
from factstore.core.state.state import State


class Operation(ABC):
    """One request to write.

    :param scope: the stack that it is about.
    :param deadline: when to give up.
    """

    scope: Scope
    deadline: float

    def earlier(self) -> tuple[Plan, int] | None:
        """What came of the very same request before, if that is known."""
        return None

    @abstractmethod
    def plan(self, state: State, quota: Quota) -> Plan:
        """Decide.

        :raises FactstoreError: a refusal; it is decided again if the state was not fresh.
        """

    def prepare(self, plan: Plan, state: State) -> Plan:
        """Get what the plan needs from outside, such as leases."""
        return plan

    def confirm(self, plan: Plan) -> bool:
        """Whether what is to stay as it is does; asked before a write, or after a mere confirmation."""
        return True


class Transactor:
    """Makes writes happen exactly once, or says honestly that it cannot tell.  One for a process."""

    def __init__(self, store: Store, clock: Clock, quotas: Quotas) -> None:
        self._store = store
        self._clock = clock
        self._quotas = quotas
        self._gates = Gates()

    def run(self, attempt: Operation, author: Author | None = None) -> tuple[Plan, int]:
        """Carry a write out; the plan that holds, and the revision at which it does.

        A decision made on the state known here may be stale.  If it is to write, the database's
        guards find out, and the write is decided again; if it is to refuse, it is decided again on a
        fresh state before anybody is told.

        :param author: whose write it is; if a grant lets it in, that must still be there.
        :raises FactstoreError: what the plan refuses.
        :raises Unavailable: the store cannot be asked, or others kept winning until the deadline.
        :raises OutcomeUnknown: it may have been written, and the store does not say.
        """
        with ExitStack() as gate:
            return self._run(attempt, author.grant if author else "", gate)

    def _run(self, attempt: Operation, grant: str, gate: ExitStack) -> tuple[Plan, int]:
        state, fresh, passing = self._store.state(), False, False
        project_id = attempt.scope.project_id
        while True:
            earlier = attempt.earlier()
            if earlier is not None:
                return earlier
            try:
                plan = attempt.plan(state, self._quotas(project_id))
                if grant:
                    plan = _let_in(plan, state, attempt.scope, grant)
            except FactstoreError:
                if fresh:
                    raise
                state, fresh = self._store.refresh(attempt.deadline), True
                continue
            limited = plan.commit.gate is not None
            with self._beside_gate(plan, state, project_id, limited and not passing) as reservation:
                if limited and not passing and reservation is None:
                    left = attempt.deadline - self._clock.monotonic()
                    gate.enter_context(self._gates.passing(project_id, left))
                    state, fresh, passing = self._store.refresh(attempt.deadline), True, True
                    continue
                if limited and passing:
                    plan = replace(plan, commit=replace(plan.commit, passes_gate=True))
                plan = attempt.prepare(plan, state)
                writes = plan.commit.writes
                if not writes or attempt.confirm(plan):  # nothing may fail after a write
                    revision = self._commit(plan.commit, attempt.deadline)
                    if reservation is not None:
                        reservation.revision = revision or 0
                    if revision is not None and (writes or attempt.confirm(plan)):
                        return plan, revision
            if self._clock.monotonic() >= attempt.deadline:
                raise Unavailable(
                    "others kept changing the same; nothing was written. Try again.",
                    code="contention",
                )
            state, fresh = self._store.refresh(attempt.deadline), True

    def _beside_gate(
        self, plan: Plan, state: State, project_id: str, wanted: bool
    ) -> AbstractContextManager[Reservation | None]:
        """Leave to add what is far from every quota; None for what must go through the gate."""
        if not wanted or plan.near:
            return nullcontext()
        share = self._quotas(project_id).share
        return self._gates.beside(project_id, plan.growth, share, state.revision)

    def _commit(self, commit: Transaction, deadline: float) -> int | None:
        """Commit; settle an unknown outcome by what the state shows, else by trying the same again.

        The very same guards make the retry safe: if the lost attempt was, or will be, applied, the
        retry fails them.  The one thing that they cannot tell is a path that was created and is gone
        again from one that never was.
        """
        try:
            return self._store.commit(commit, deadline)
        except StorageFull as full:
            try:
                found = _find_written(self._store.refresh(deadline), commit)
            except Unavailable:
                raise OutcomeUnknown("the store is full, and does not say what got in") from full
            if found is not None:
                return found
            raise
        except OutcomeUnknown as unknown:
            while self._clock.monotonic() < deadline:
                try:
                    state = self._store.refresh(deadline)
                    found = _find_written(state, commit)
                    if found is not None:
                        return found
                    if not _still_expected(state, commit):
                        break
                    return self._retry(commit, deadline)
                except (Unavailable, OutcomeUnknown):
                    continue
            raise OutcomeUnknown(unknown.detail) from unknown

    def _retry(self, commit: Transaction, deadline: float) -> int:
        revision = self._store.commit(commit, deadline)
        if revision is None:
            raise OutcomeUnknown("the write was retried and its guards failed")
        return revision


def _let_in(plan: Plan, state: State, scope: Scope, grant: str) -> Plan:
    """The plan, for as long as a grant is there, and that which it was got with: nothing is written for
    who has lost it, and a stack that was deleted is not brought back by one of its own instances.

    :raises Forbidden: one of them is there no more.
    """
    place = RecordKey("grant", grant)
    record = state.record(scope, place)
    above = (
        RecordKey("grant", record.parent) if isinstance(record, Grant) and record.parent else place
    )
    parent = state.record(scope, above)
    if record is None or parent is None:
        raise Forbidden("the grant was revoked, or its stack deleted, before anything was written.")
    guards = {place: record.revision, above: parent.revision, **plan.commit.guards}
    return replace(plan, commit=replace(plan.commit, guards=guards))


def _find_written(state: State, commit: Transaction) -> int | None:
    """The revision at which a commit was applied, when something of it still tells."""
    scope = commit.stack.scope
    for put in commit.puts:
        fact = state.fact(scope, put.path)
        if fact and (fact.request_id, fact.updated_at) == (put.request_id, put.updated_at):
            return fact.revision
    for record in commit.records:
        known = state.record(scope, record.record_key)
        if known is not None and _same(known, record):
            return known.revision
    return None


def _same(known: Record, written: Record) -> bool:
    """Whether a record is the one that was to be written, and not a like one of somebody else."""
    if isinstance(written, Applied):
        return isinstance(known, Applied) and known.seen == written.seen
    request_id = getattr(written, "request_id", None)
    return request_id is not None and known == replace(
        written,
        revision=known.revision,
        lease=known.lease,
    )


def _still_expected(state: State, commit: Transaction) -> bool:
    """Whether everything is as it was planned on, and certainly was so all the time."""
    contents = state.contents(commit.stack.scope)
    nothing_went = state.dropped <= commit.planned_at  # so what is missing never was there
    if contents is None:
        return commit.creates_stack and nothing_went
    if contents.stack.id != commit.stack.id:
        return False
    missing = 0 in commit.expected.values() or 0 in commit.guards.values()
    if missing and not (nothing_went or contents.changed <= commit.planned_at):
        return False
    # Neither waiters nor signals nor what was applied move `changed`.
    unseen = any(known == 0 and place.kind != "member" for place, known in commit.guards.items())
    if unseen and not nothing_went:
        return False
    now = {fact.path: fact.revision for fact in contents.facts}
    if any(now.get(path, 0) != known for path, known in commit.expected.items()):
        return False
    records = {place: state.record(commit.stack.scope, place) for place in commit.guards}
    return all(
        (record.revision if record else 0) == commit.guards[place]
        for place, record in records.items()
    )
