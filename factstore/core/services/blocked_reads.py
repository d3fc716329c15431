"""The reads of facts that wait at this worker, because the fact does not exist."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from factstore.core.model.blocked_reads import BlockedRead
from factstore.core.model.fact import Scope
from factstore.core.model.permissions import Permissions
from factstore.core.model.wait import READERS, Party
from factstore.core.ports import Clock

LOOK_SECONDS = 5.0
"""Between two looks at what is blocked.  Reads that end sooner are not shared with other workers."""
REPEATED_SECONDS = 1.0
"""A read that was blocked for longer is expected to be repeated, and counts until the next look."""


class _Blocked:
    __slots__ = ("began", "count", "ended", "since")

    def __init__(self, began: float, since: str) -> None:
        self.began = began
        self.since = since
        self.count = 0
        self.ended = 0.0


class BlockedReadRegistry:
    """The blocked reads of one worker.

    :param look: seconds between two looks.
    """

    def __init__(self, clock: Clock, look: float = LOOK_SECONDS) -> None:
        self._clock = clock
        self._look = look
        self._lock = threading.Lock()
        self._stacks: dict[Scope, dict[tuple[Party, str], _Blocked]] = {}

    def begin(self, scope: Scope, path: str, reader: Party) -> Callable[[], None]:
        """Note that a read begins to wait; return a function to call once, when it ends."""
        key = reader, path
        with self._lock:
            reads = self._stacks.get(scope)
            if reads is None:
                reads = self._stacks[scope] = {}
            blocked = reads.get(key)
            if blocked is None:
                blocked = reads[key] = _Blocked(self._clock.monotonic(), self._clock.timestamp())
            blocked.count += 1

        def end() -> None:
            with self._lock:
                blocked.count -= 1
                if blocked.count:
                    return
                blocked.ended = self._clock.monotonic()
                if blocked.ended - blocked.began < REPEATED_SECONDS:
                    self._drop(scope, key, blocked)

        return end

    @contextmanager
    def reading(self, scope: Scope, path: str, reader: Party | None) -> Iterator[None]:
        """Note that a read waits in this block; with None as reader, do nothing."""
        if reader is None:
            yield
            return
        end = self.begin(scope, path, reader)
        try:
            yield
        finally:
            end()

    def scopes(self) -> list[Scope]:
        """Return the stacks that have blocked reads; forget those that have ended."""
        now = self._clock.monotonic()
        with self._lock:
            for scope, reads in list(self._stacks.items()):
                for key, blocked in list(reads.items()):
                    if not blocked.count and now - blocked.ended >= self._look:
                        self._drop(scope, key, blocked)
            return list(self._stacks)

    def has(self, scope: Scope) -> bool:
        """Return True if a stack has blocked reads."""
        return scope in self._stacks

    def of(self, scope: Scope, *, least: float = 0) -> list[BlockedRead]:
        """Return the blocked reads of a stack.

        :param least: the seconds for which they must have been blocked.
        """
        until = self._clock.monotonic() - least
        with self._lock:
            return [
                BlockedRead(reader, path, blocked.since, max(blocked.count, 1))
                for (reader, path), blocked in self._stacks.get(scope, {}).items()
                if blocked.began <= until
            ]

    def continue_from(self, scope: Scope, others: Iterable[BlockedRead]) -> None:
        """Let reads that were blocked at other workers before count since then."""
        with self._lock:
            reads = self._stacks.get(scope, {})
            for other in others:
                blocked = reads.get((other.reader, other.path))
                if blocked is not None:
                    blocked.since = min(blocked.since, other.since)

    def _drop(self, scope: Scope, key: tuple[Party, str], blocked: _Blocked) -> None:
        reads = self._stacks.get(scope, {})
        if reads.get(key) is blocked:
            del reads[key]
            if not reads:
                del self._stacks[scope]


def reader_of(user_id: str, permissions: Permissions) -> Party:
    """Return the caller of a read: an agent's member, a user, or one of the readers with a grant."""
    if permissions.unrestricted:
        return Party("user", user_id)
    if permissions.role == "agent" and permissions.member is not None:
        return Party("member", permissions.member)
    return READERS
