"""The memory backend: the same contract as etcd's, in one process, for tests and try-outs.

It keeps all history until told to compact, and its leases end by an injected clock.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from dataclasses import replace

from factstore.core.errors import CursorExpired, Unavailable
from factstore.core.model.event import (
    DropFact,
    DropRecord,
    DropStack,
    Mutation,
    PutFact,
    PutRecord,
    PutStack,
    Record,
    Step,
)
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.path import ancestors, covers
from factstore.core.model.record_key import RecordKindName
from factstore.core.ports import Clock, IdempotencyRecord, Snapshot, Transaction
from factstore.core.state.state import State
from tests.backends.leases import Leases


class MemoryBackend:
    """Facts in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moved = threading.Condition(threading.RLock())
        self._state = State()
        self._steps: list[Step] = []
        self._base: tuple[int, list[Mutation]] = (0, [])
        self._leases = Leases(clock)
        self._receipts: dict[tuple[str, str], IdempotencyRecord] = {}
        self._epoch = self._opened = secrets.token_hex(8)
        self._interrupted = 0
        self._closed = False

    def open(self) -> Snapshot:
        """The oldest state kept."""
        with self._moved:
            self._opened = self._epoch
            return Snapshot(self._epoch, self._base[0], list(self._base[1]))

    def follow(self, after: int) -> Iterator[Step]:
        """Yield every step after a revision; see :class:`~factstore.core.ports.Backend`."""
        seen = self._interrupted
        while True:
            with self._moved:
                self.expire()
                lost = self._opened != self._epoch
                if lost or not self._base[0] <= after <= self._state.revision:
                    raise CursorExpired("the history was compacted")
                if self._closed or self._interrupted != seen:
                    raise Unavailable("following was interrupted")
                fresh = self._steps[after - self._base[0] :]
                if not fresh:
                    self._moved.wait(self._leases.until_next())
                    continue
            for step in fresh:
                after = step.revision
                yield step

    def interrupt(self) -> None:
        """Make a running :meth:`follow` raise Unavailable."""
        with self._moved:
            self._interrupted += 1
            self._moved.notify_all()

    def head(self, deadline: float) -> int:
        """The newest revision."""
        with self._moved:
            self.expire()
            if self._opened != self._epoch:
                raise CursorExpired("this is another life of the store")
            return self._state.revision

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        """Write, and return the revision; None when a guard did not hold."""
        with self._moved:
            self.expire()
            lost = self._opened != self._epoch or commit.epoch not in ("", self._epoch)
            if lost or not self._holds(commit):
                return None
            mutations = list(self._mutations(commit))
            revision = self._state.revision + 1
            if commit.idempotency is not None:
                key = (commit.idempotency.project_id, commit.idempotency.key)
                self._receipts[key] = replace(commit.idempotency, revision=revision)
            elif not mutations:
                return self._state.revision
            self._append(mutations)
            return revision

    def _holds(self, commit: Transaction) -> bool:
        scope = commit.stack.scope
        stack = self._state.stack(scope)
        if (
            commit.idempotency
            and (commit.idempotency.project_id, commit.idempotency.key) in self._receipts
        ):
            return False
        for new in (*commit.puts, *commit.records):
            if new.lease and new.lease not in self._leases:
                return False
        if commit.creates_stack:
            return stack is None
        if stack is None or stack.created != commit.stack.created:
            return False
        if (
            not (commit.fact_revisions or commit.record_revisions)
            and stack.revision != commit.stack.revision
        ):
            return False
        for path, revision in commit.fact_revisions.items():
            fact = self._state.fact(scope, path)
            if (fact.revision if fact else 0) != revision:
                return False
        for place, revision in commit.record_revisions.items():
            record = self._state.record(scope, place)
            if (record.revision if record else 0) != revision:
                return False
        gone = set(commit.deletes)
        for path in commit.new_paths:
            if any(a not in gone and self._state.fact(scope, a) for a in ancestors(path)):
                return False
            if self._state.first_below(scope, path, gone):
                return False
        return True

    def _mutations(self, commit: Transaction) -> Iterator[Mutation]:
        stack, revision = commit.stack, self._state.revision + 1
        if commit.creates_stack or commit.updates_stack:
            created = revision if commit.creates_stack else stack.created
            yield PutStack(replace(stack, revision=revision, created=created))
        for fact in commit.puts:
            self._leases.hang((stack.id, fact.path), fact.lease)
            yield PutFact(stack.id, replace(fact, revision=revision))
        for path in commit.deletes:
            self._leases.release((stack.id, path))
            yield DropFact(stack.id, path)
        for new in commit.records:
            self._leases.hang((stack.id, new.record_key), new.lease)
            yield PutRecord(stack.id, replace(new, revision=revision))
        for waiter in commit.cleared_waiters:
            for record in self._state.records(stack.scope, "signal"):
                if record.record_key.name.startswith(f"{waiter}/"):
                    yield DropRecord(stack.id, record.record_key)
        for place in commit.removes:
            if self._state.record(stack.scope, place) is not None:
                self._leases.release((stack.id, place))
                yield DropRecord(stack.id, place)
        if commit.drops_stack:
            yield DropStack(stack.scope)
        if commit.author is not None:
            yield commit.author

    def _append(self, mutations: list[Mutation]) -> None:
        step = Step(self._state.revision + 1, tuple(mutations))
        self._state.apply(step)
        self._steps.append(step)
        self._moved.notify_all()

    def idempotency_record(
        self, project_id: str, key: str, deadline: float
    ) -> IdempotencyRecord | None:
        """What is kept under an idempotency key."""
        return self._receipts.get((project_id, key))

    # Reading the past

    def facts_at(
        self, stack: Stack, prefix: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Fact]:
        """At most *limit* facts of a stack that follow a path, as they stood at a revision."""
        contents = self._past(revision).contents(stack.scope, prefix)
        facts = contents.facts if contents else ()
        return [f for f in facts if f.path > after and covers(prefix, f.path)][:limit]

    def stacks_at(
        self, project_id: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Stack]:
        """At most *limit* stacks of a project that follow a name, as they stood at a revision."""
        return [s for s in self._past(revision).stacks(project_id) if s.name > after][:limit]

    def _past(self, revision: int) -> State:
        with self._moved:
            if revision < self._base[0]:
                raise CursorExpired("these pages show a state that is no longer kept.")
            past = State(self._base[0])
            past.load(self._base[1])
            for step in self._steps[: revision - self._base[0]]:
                past.apply(step)
            return past

    def records_at(
        self, stack: Stack, kind: RecordKindName, revision: int, deadline: float
    ) -> list[Record]:
        """All records of a kind, by name, as they stood at a revision."""
        return self._past(revision).records(stack.scope, kind)

    # Leases and upkeep

    def create_lease(self, ttl: int, deadline: float) -> int:
        """A new lease."""
        with self._moved:
            lease = self._leases.grant(ttl)
            self._moved.notify_all()
            return lease

    def renew_lease(self, lease: int, deadline: float) -> bool:
        """Start a lease's time anew; False when it has ended."""
        with self._moved:
            self.expire()
            return self._leases.renew(lease)

    def revoke_lease(self, lease: int, deadline: float) -> None:
        """End a lease and remove what hangs on it."""
        with self._moved:
            gone = self._leases.end(lease)
            if gone:
                self._append(gone)

    def expire(self) -> None:
        """End the leases whose time is over; a test that moved its clock calls this."""
        with self._moved:
            for lease in self._leases.overdue():
                self.revoke_lease(lease, 0.0)

    def bump_revision(self, deadline: float) -> int:
        """Make a step that means nothing."""
        with self._moved:
            self._append([])
            return self._state.revision

    def purge_deleted(self, deadline: float) -> None:
        """Nothing is ever left behind here."""

    def compact(self, revision: int, deadline: float) -> None:
        """Give up the history before a revision."""
        with self._moved:
            if not self._base[0] < revision <= self._state.revision:
                return
            past = self._past(revision)
            self._steps = self._steps[revision - self._base[0] :]
            self._base = (revision, list(past.mutations()))

    def wipe(self) -> None:
        """Lose everything and begin another life, as a database on a lost disk would."""
        with self._moved:
            self._state, self._steps, self._base = State(), [], (0, [])
            self._leases.clear()
            self._receipts.clear()
            self._epoch = secrets.token_hex(8)
            self._moved.notify_all()

    def close(self) -> None:
        """End all following."""
        with self._moved:
            self._closed = True
            self._moved.notify_all()
