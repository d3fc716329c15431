"""Many writes in one transaction: what arrives while one is on its way goes together in the next.

Nobody waits longer for it: a write that finds nothing on its way goes alone and at once.  Inside a
group every write keeps its own guards and succeeds or fails for itself.

All guards of a group see the store as it was *before* the group.  So writes that touch what another
one's guards look at must not go together: each of two creations, ``a`` and ``a/b``, would find nothing
in its way.  What clashes waits for the next group.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field

from factstore.core.errors import FactstoreError, OutcomeUnknown, TooLarge, Unavailable
from factstore.core.ports import Clock, WakeUp
from factstore.store.types import Compare, DeleteKeys, GetKey, LeaseGone, Operation, PutKey

# etcd allows 128 compares or operations on the way from the outer transaction down to any inner one.
MEMBERS = 96
MEMBER_SIZE = 24
GROUP_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Guarded:
    """Operations that happen if all compares hold."""

    compares: Sequence[Compare]
    operations: Sequence[Operation]

    @property
    def size(self) -> int:
        """How much of etcd's limit for one transaction it takes."""
        return max(len(self.compares), len(self.operations))

    @property
    def bytes(self) -> int:
        """About how large it is on the wire."""
        keys = sum(len(compare.key) + len(compare.end) + 24 for compare in self.compares)
        puts = (len(o.key) + len(o.value) for o in self.operations if isinstance(o, PutKey))
        return keys + sum(puts) + 64


Transact = Callable[[Guarded, float], tuple[bool, int]]
TransactAll = Callable[[Sequence[Guarded], float], tuple[list[bool], int]]


class Grouping:
    """Sends guarded transactions from a thread of its own, grouped when several wait.

    :param alone: carries out one.
    :param together: carries out several as one, and tells which succeeded.
    """

    def __init__(
        self,
        alone: Transact,
        together: TransactAll,
        clock: Clock,
        new_signal: Callable[[], WakeUp],
    ) -> None:
        self._alone = alone
        self._together = together
        self._clock = clock
        self._new_signal = new_signal
        self._lock = threading.Lock()
        self._waiting: deque[_Entry] = deque()
        self._wanted = new_signal()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="grouping", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread once nothing waits."""
        self._stopping = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(5)

    @property
    def alive(self) -> bool:
        """Whether the thread runs, or need not yet."""
        return self._thread is None or self._thread.is_alive()

    def transact(self, guarded: Guarded, deadline: float) -> tuple[bool, int]:
        """Carry out one transaction; whether its compares held, and the revision.

        :raises Unavailable: it was not sent.
        :raises OutcomeUnknown: it may have been carried out.
        :raises LeaseGone: a put names a lease that has ended; nothing was written.
        """
        entry = _Entry(guarded, deadline, self._new_signal())
        with self._lock:
            if self._stopping:
                raise Unavailable("the service is stopping.")
            self._waiting.append(entry)
            self._wanted.set()
        entry.done.wait(max(0.0, deadline - self._clock.monotonic()))
        if not entry.done.is_set():
            with self._lock:
                if entry in self._waiting:
                    self._waiting.remove(entry)
                    raise Unavailable("the store did not answer in time.")
            raise OutcomeUnknown(
                "the store did not say in time whether it wrote. Read to find out, "
                "or send the same request again with an Idempotency-Key."
            )
        if entry.error is not None:
            raise entry.error
        return entry.succeeded, entry.revision

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            with self._lock:
                group = _take(self._waiting)
                if not self._waiting:
                    if self._stopping and not group:
                        return
                    self._wanted = self._new_signal()
                    if self._stopping:
                        self._wanted.set()
            if group:
                self._send(group)

    def _send(self, group: list[_Entry]) -> None:
        if len(group) == 1:
            self._send_alone(group[0])
            return
        try:
            succeeded, revision = self._together(
                [entry.guarded for entry in group], max(entry.deadline for entry in group)
            )
        except (LeaseGone, TooLarge):
            # One of them spoils the whole group; nothing of it was written.
            for entry in group:
                self._send_alone(entry)
        except FactstoreError as error:
            for entry in group:
                entry.fail(copy(error))
        except Exception as error:  # noqa: BLE001 - those who wait must hear of it
            for entry in group:
                entry.fail(error)
        else:
            for entry, held in zip(group, succeeded, strict=True):
                entry.succeed(held, revision)

    def _send_alone(self, entry: _Entry) -> None:
        try:
            entry.succeed(*self._alone(entry.guarded, entry.deadline))
        except Exception as error:  # noqa: BLE001 - the one who waits must hear of it
            entry.fail(error)


@dataclass(eq=False, slots=True)
class _Entry:
    guarded: Guarded
    deadline: float
    done: WakeUp
    succeeded: bool = False
    revision: int = 0
    error: Exception | None = None

    def succeed(self, held: bool, revision: int) -> None:
        self.succeeded, self.revision = held, revision
        self.done.set()

    def fail(self, error: Exception) -> None:
        self.error = error
        self.done.set()


@dataclass(slots=True)
class Footprint:
    """What the members of a group write, and what their guards look at."""

    written: list[bytes] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)
    seen_ranges: list[tuple[bytes, bytes]] = field(default_factory=list)

    def clashes(self, guarded: Guarded) -> bool:
        """Whether a transaction must not go together with the members so far."""
        for operation in guarded.operations:
            if isinstance(operation, GetKey):
                continue
            if isinstance(operation, DeleteKeys) and operation.end:
                return True  # a whole range: simply alone
            key = operation.key
            if self._wrote(key, key + b"\0") or key in self.seen:
                return True
            if any(start <= key < end for start, end in self.seen_ranges):
                return True
        return any(
            self._wrote(compare.key, compare.end or compare.key + b"\0")
            for compare in guarded.compares
        )

    def add(self, guarded: Guarded) -> None:
        """Note a new member."""
        for operation in guarded.operations:
            if not isinstance(operation, GetKey):
                insort(self.written, operation.key)
        for compare in guarded.compares:
            if compare.end:
                self.seen_ranges.append((compare.key, compare.end))
            else:
                self.seen.add(compare.key)

    def _wrote(self, start: bytes, end: bytes) -> bool:
        at = bisect_left(self.written, start)
        return at < len(self.written) and self.written[at] < end


def _take(waiting: deque[_Entry]) -> list[_Entry]:
    """The next group, in order of arrival; what clashes with it, or does not fit, stays."""
    group: list[_Entry] = []
    left: list[_Entry] = []
    footprint = Footprint()
    room = GROUP_BYTES
    while waiting and len(group) < MEMBERS:
        entry = waiting.popleft()
        guarded, size = entry.guarded, entry.guarded.bytes
        large = guarded.size > MEMBER_SIZE or size > room
        if group and (large or footprint.clashes(guarded)):
            left.append(entry)  # it leads the next group
            continue
        group.append(entry)
        if large:
            break
        footprint.add(guarded)
        room -= size
    waiting.extendleft(reversed(left))
    return group
