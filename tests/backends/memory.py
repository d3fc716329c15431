"""A backend in memory, with the same contract as that of etcd, for tests.

It keeps the whole history until it is compacted.  Its leases expire by an injected clock.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

from factstore.core.errors import CursorExpired, Unavailable
from factstore.core.history_store import KnownFact, PastSteps, Snapshot
from factstore.core.lease_store import OtherWorker
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import (
    DeletionAuthor,
    DropFact,
    DropRecord,
    DropStack,
    Mutation,
    PutFact,
    PutRecord,
    PutStack,
    Step,
)
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.path import covers
from factstore.core.model.pulse import Pulse
from factstore.core.model.record import R
from factstore.core.model.waiter import Signal
from factstore.core.ports import Clock, CommitEnded, Started, Transaction, Visibility
from factstore.core.state.state import State
from tests.backends.leases import MemoryLeases


class Followed:
    """The revision up to which some worker has seen all changes."""

    def __init__(self) -> None:
        self.revision = 0

    def note(self, at: Cursor, deadline: float, *, at_once: bool = False) -> None:
        self.revision = max(self.revision, at.revision)


class MemoryBackend:
    """A backend that stores facts and records in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition(threading.RLock())
        self._state = State()
        self._created: dict[str, dict[str, int]] = {}  # the revisions of facts' creations, by stack
        self._steps: list[Step] = []
        self._base: tuple[int, list[Mutation]] = (0, [])
        self._leases = MemoryLeases(clock)
        self._epoch = self._opened = secrets.token_hex(8)
        self._signing_key = secrets.token_bytes(32)
        self._renewed_at = 0
        self._interrupted = 0
        self._closed = False
        self.followed = Followed()

    def open(self, *, recent: bool = False) -> Snapshot:
        """Return the oldest state that has not been compacted, or the newest one."""
        with self._changed:
            oldest, newest = self._base[0], min(self.followed.revision, self._state.revision)
            key = self._signing_key
            if recent and newest > oldest:
                found = self._past(newest).mutations()
                since: int | None = oldest
            else:
                newest, found, since = oldest, list(self._base[1]), None
            use = partial(self._use, self._epoch)
            return Snapshot(
                self._epoch,
                newest,
                found,
                signing_key=key,
                since=since,
                renewed_at=self._renewed_at,
                use=use,
            )

    def _use(self, epoch: str) -> None:
        self._opened = epoch

    def read_past(self, after: int, upto: int, known: KnownFact) -> PastSteps:
        """Return the history between two revisions."""
        with self._changed:
            if after < self._base[0]:
                raise CursorExpired("the history was compacted")
            if self._closed:
                raise Unavailable("the backend was closed")
            found = self._steps[after - self._base[0] : upto - self._base[0]]
            return PastSteps(iter(list(self._past(after).mutations())), iter(found))

    def follow(self, after: int) -> Iterator[Step]:
        """Yield every step after a revision; see :class:`~factstore.core.ports.Backend`."""
        seen = self._interrupted
        while True:
            with self._changed:
                self.expire()
                lost = self._opened != self._epoch
                if lost or not self._base[0] <= after <= self._state.revision:
                    raise CursorExpired("the history was compacted")
                if self._closed or self._interrupted != seen:
                    raise Unavailable("following was interrupted")
                fresh = self._steps[after - self._base[0] :]
                if not fresh:
                    self._changed.wait(self._leases.seconds_to_next_expiry())
                    continue
            for step in fresh:
                after = step.revision
                yield step

    def interrupt(self) -> None:
        """Make a running :meth:`follow` raise Unavailable."""
        with self._changed:
            self._interrupted += 1
            self._changed.notify_all()

    def head(self, deadline: float) -> int:
        """Return the newest revision."""
        with self._changed:
            self.expire()
            if self._opened != self._epoch:
                raise CursorExpired("The store was replaced")
            return self._state.revision

    def start_head(self, ended: Callable[[int | None], object]) -> bool:
        """Return False: no call here can be made without waiting."""
        return False

    def defer(self, call: Callable[[], object]) -> None:
        """Call a function at once."""
        call()

    def start_commit(
        self, transaction: Transaction, deadline: float, ended: CommitEnded, visibility: Visibility
    ) -> Started | None:
        """Return None: no call here can be made without waiting."""
        return None

    def start_renewal(self, lease: int, ended: Callable[[bool | None], object]) -> bool:
        """Return False: no call here can be made without waiting."""
        return False

    def commit(self, transaction: Transaction, deadline: float) -> int | None:
        """Write, and return the revision, or None if a compare failed."""
        with self._changed:
            self.expire()
            lost = self._opened != self._epoch or transaction.epoch not in ("", self._epoch)
            if lost or not self._compares_succeed(transaction):
                return None
            mutations = list(self._mutations(transaction))
            revision = self._state.revision + 1
            if not mutations:
                return self._state.revision
            self._append(mutations)
            return revision

    def _compares_succeed(self, transaction: Transaction) -> bool:
        scope = transaction.stack.scope
        stack = self._state.stack(scope)
        for new in (*transaction.puts, *transaction.records):
            if new.lease and new.lease not in self._leases:
                return False
        if transaction.creates_stack:
            return stack is None
        if stack is None or stack.revision != transaction.stack.revision:
            return False
        for path, revision in transaction.fact_revisions.items():
            fact = self._state.fact(scope, path)
            if (fact.revision if fact else 0) != revision:
                return False
        for key, revision in transaction.record_revisions.items():
            record = self._state.record(scope, key)
            if (record.revision if record else 0) != revision:
                return False
        return self._tree_guards_hold(transaction)

    def _tree_guards_hold(self, transaction: Transaction) -> bool:
        scope, tree = transaction.stack.scope, transaction.tree
        if any(self._state.fact(scope, path) for path in tree.absent):
            return False
        if any(self._state.first_below(scope, path, ()) for path in tree.empty):
            return False
        return not any(
            created > transaction.base_revision and tree.cover(path)
            for path, created in self._created.get(transaction.stack.id, {}).items()
        )

    def _mutations(self, transaction: Transaction) -> Iterator[Mutation]:
        stack, revision = transaction.stack, self._state.revision + 1
        if transaction.creates_stack or transaction.updates_stack:
            created = revision if transaction.creates_stack else stack.created
            yield PutStack(replace(stack, revision=revision, created=created))
        for fact in transaction.puts:
            self._leases.attach((stack.id, fact.path), fact.lease)
            known = self._state.fact(stack.scope, fact.path)
            created = known.created if known else revision
            yield PutFact(stack.id, replace(fact, revision=revision, created=created))
        for path in transaction.deletes:
            self._leases.detach((stack.id, path))
            yield DropFact(stack.id, path)
        for new in transaction.records:
            self._leases.attach((stack.id, new.record_key), new.lease)
            yield PutRecord(stack.id, replace(new, revision=revision))
        for waiter in transaction.cleared_waiters:
            for record in self._state.records(stack.scope, Signal):
                if record.record_key.name.startswith(f"{waiter}/"):
                    yield DropRecord(stack.id, record.record_key)
        for key in transaction.removes:
            if self._state.record(stack.scope, key) is not None:
                self._leases.detach((stack.id, key))
                yield DropRecord(stack.id, key)
        if transaction.drops_stack:
            yield DropStack(stack.scope)
        if transaction.author is not None:
            yield transaction.author

    def _append(self, mutations: list[Mutation]) -> None:
        step = Step(self._state.revision + 1, tuple(mutations))
        for mutation in mutations:
            match mutation:
                case PutFact(stack_id, fact):
                    self._created.setdefault(stack_id, {}).setdefault(fact.path, step.revision)
                case DropFact(stack_id, path):
                    self._created.get(stack_id, {}).pop(path, None)
        self._state.apply(step)
        self._steps.append(step)
        self._changed.notify_all()

    def earlier_receipt(self, project_id: str, key: str, epoch: str, deadline: float) -> None:
        """Return None: this backend has no earlier version."""

    def deletion_revision(self, author: DeletionAuthor, after: int, deadline: float) -> int | None:
        """Return the revision of a deletion after a revision, if its step is kept."""
        revisions = (step.revision for step in self._steps if author in step.mutations)
        return max((revision for revision in revisions if revision > after), default=None)

    # Reading the past

    def facts_at(
        self, stack: Stack, prefix: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Fact]:
        """Return at most *limit* facts of a stack after a path, at a revision."""
        contents = self._past(revision).contents(stack.scope, prefix)
        facts = contents.facts if contents else ()
        return [f for f in facts if f.path > after and covers(prefix, f.path)][:limit]

    def stacks_at(
        self, project_id: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Stack]:
        """Return at most *limit* stacks of a project after a name, at a revision."""
        return [s for s in self._past(revision).stacks(project_id) if s.name > after][:limit]

    def _past(self, revision: int) -> State:
        with self._changed:
            if revision < self._base[0]:
                raise CursorExpired("The revision of these pages is no longer available.")
            past = State(self._base[0])
            past.load(self._base[1])
            for step in self._steps[: revision - self._base[0]]:
                past.apply(step)
            return past

    def records_at(self, stack: Stack, kind: type[R], revision: int, deadline: float) -> list[R]:
        """Return all records of a kind at a revision, ordered by name."""
        return self._past(revision).records(stack.scope, kind)

    # Leases and maintenance

    def create_lease(self, ttl: int, deadline: float) -> int:
        """Create a lease and return its id."""
        with self._changed:
            lease = self._leases.create(ttl)
            self._changed.notify_all()
            return lease

    def create_monitored_lease(self, ttl: int, deadline: float) -> tuple[int, Pulse | None]:
        """Create a lease like any other: none ends early here."""
        return self.create_lease(ttl, deadline), None

    def create_pulse(self, lease: int, ttl: int, deadline: float) -> Pulse:
        raise NotImplementedError

    def last_renewal(self, lease: int) -> float:
        raise NotImplementedError

    def renewals_under_way(self) -> Collection[int]:
        """Return nothing: a renewal is made at once."""
        return ()

    def sign_roll(self, deadline: float) -> None:
        """Do nothing: no other worker asks for this one."""

    def answer_roll(self, at: Cursor, deadline: float) -> None:
        raise NotImplementedError

    def other_workers(self, deadline: float) -> list[OtherWorker]:
        raise NotImplementedError

    def seconds_since_renewal(self, lease: int, deadline: float) -> float:
        """Return the seconds since a lease was created or renewed; infinity if it has expired."""
        with self._changed:
            return self._leases.age(lease)

    def seconds_since_renewals(self, leases: Sequence[int], deadline: float) -> list[float]:
        """Return the seconds since each lease was created or renewed."""
        return [self.seconds_since_renewal(lease, deadline) for lease in leases]

    def forget_renewals(self, used: Collection[int]) -> None:
        """Do nothing: no renewal is noted."""

    def term(self, deadline: float) -> int:
        """Return the only term."""
        return 1

    def renew_lease(self, lease: int, deadline: float) -> bool:
        """Renew a lease; return False if it has expired."""
        with self._changed:
            self.expire()
            return self._leases.renew(lease)

    def revoke_lease(self, lease: int, deadline: float) -> None:
        """Revoke a lease, and delete the keys that are attached to it."""
        with self._changed:
            deleted = self._leases.revoke(lease)
            if deleted:
                self._append(deleted)

    def revoke_leases(self, leases: Sequence[int], deadline: float) -> None:
        """Revoke leases, one after the other."""
        for lease in leases:
            self.revoke_lease(lease, deadline)

    def revoke_expired(self, leases: Sequence[int], deadline: float) -> int:
        """Return 0: there are no pulses here."""
        return 0

    def expire(self) -> None:
        """Revoke expired leases; tests call this after they have moved the clock."""
        with self._changed:
            for lease in self._leases.expired():
                self.revoke_lease(lease, 0.0)

    def raise_fence(self, deadline: float) -> int:
        """Return the newest revision; every attempt has ended when its call returns."""
        return self.head(deadline)

    def bump_revision(self, deadline: float) -> int:
        """Append an empty step, and return its revision."""
        self.head(deadline)
        with self._changed:
            self._append([])
            return self._state.revision

    def purge_deleted(self, deadline: float) -> None:
        """Do nothing: a deletion leaves no data here."""

    def compact(self, revision: int, deadline: float) -> None:
        """Compact the history before a revision."""
        with self._changed:
            if not self._base[0] < revision <= self._state.revision:
                return
            past = self._past(revision)
            self._steps = self._steps[revision - self._base[0] :]
            self._base = (revision, past.mutations())

    def wipe(self) -> None:
        """Lose everything and get a new epoch, as an etcd that has lost its disk."""
        with self._changed:
            self._state, self._steps, self._base = State(), [], (0, [])
            self.followed = Followed()
            self._created.clear()
            self._leases.clear()
            self._epoch = secrets.token_hex(8)
            self._changed.notify_all()

    @property
    def epoch(self) -> str:
        """The present epoch, which a worker may not have noticed yet."""
        return self._epoch

    def restore(self, revision: int) -> None:
        """Get the contents of a revision and a new epoch, as an etcd whose backup was restored."""
        with self._changed:
            past = self._past(revision)
            self._state, self._steps, self._base = past, [], (revision, past.mutations())
            self._renewed_at = revision + 1
            self.followed = Followed()
            for stack, created in self._created.items():
                kept = {path: at for path, at in created.items() if at <= revision}
                self._created[stack] = kept
            self._epoch = secrets.token_hex(8)
            self._changed.notify_all()

    def close(self) -> None:
        """Make every :meth:`follow` raise Unavailable."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
