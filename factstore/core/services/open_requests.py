"""The requests and streams of a worker that wait: how many are open, within their bounds."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from factstore.core.errors import Throttled
from factstore.core.model.counts import counted
from factstore.core.model.quota import UNLIMITED
from factstore.core.short_lock import ShortLock

# The name of each new stack is compared with all patterns of the streams and waiting requests.
STACK_PATTERNS = 4000  # with '*' or '?', of a project

Key = tuple[str, ...]
"""The key of a count: kind; kind and project; or kind, project and stack."""
Keys = tuple[Key, ...]

DELAYED: Keys = (("delayed_requests",),)


class OpenRequests:
    """Counts what is open.

    :param blocking: the number of all of them together.
    """

    def __init__(self, blocking: int) -> None:
        self._blocking = blocking
        self._blocked = 0
        self._counts: dict[Key, int] = {}
        self._lock = ShortLock()

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, key: Key) -> int:
        """Return the number of open ones."""
        with self._lock:
            return self._counts.get(key, 0)

    def enter(
        self,
        keys: Keys,
        limits: tuple[int, ...],
        *,
        code: str | None = None,
        project_id: str = "",
        patterns: int = 0,
    ) -> Callable[[], None]:
        """Count one more at each key; return a function to call once when it ends.

        :param limits: of the keys.
        :param patterns: the number of the project's patterns that select stacks.
        :raises Throttled: with *code*, or ``worker_busy``.
        """
        counts = self._counts
        with self._lock:
            if patterns and counts.get(_of_patterns(project_id), 0) + patterns > STACK_PATTERNS:
                raise Throttled(
                    f"The streams and waiting requests of the project would have more than "
                    f"{STACK_PATTERNS} patterns of stacks in this worker; use fewer, or share one "
                    "stream among several readers.",
                    code=code,
                    retry_after=5,
                )
            for key, limit in zip(keys, limits, strict=True):
                if limit != UNLIMITED and counts.get(key, 0) >= limit:
                    raise _too_many(key, limit, code)
            if UNLIMITED != self._blocking <= self._blocked:
                raise Throttled(
                    f"This worker already serves {counted(self._blocked, 'request')} with wait, settle "
                    "or a stream, and keeps the rest of its capacity for other requests; try again, or "
                    "send the request without wait and settle.",
                    code="worker_busy",
                    retry_after=5,
                )
            self._blocked += 1
            for key in keys:
                counts[key] = counts.get(key, 0) + 1
            if not patterns:
                return partial(self._leave, keys)
            key = _of_patterns(project_id)
            counts[key] = counts.get(key, 0) + patterns
        return partial(self._leave, keys, key, patterns)

    def _leave(self, keys: Keys, of_patterns: Key = (), patterns: int = 0) -> None:
        with self._lock:
            self._blocked -= 1
            for key in keys:
                self._subtract(key, 1)
            if patterns:
                self._subtract(of_patterns, patterns)

    def _subtract(self, key: Key, number: int) -> None:
        left = self._counts[key] - number
        if left:
            self._counts[key] = left
        else:
            del self._counts[key]


@lru_cache(1024)  # those of the same stack share them, because there are many
def stream_keys(project_id: str, stack: str | None) -> Keys:
    """Return the keys of a stream; None for one of many stacks."""
    of_project = "streams", project_id
    return ("streams",), of_project, *([] if stack is None else [(*of_project, stack)])


@lru_cache(1024)
def wait_keys(project_id: str) -> Keys:
    """Return the keys of a request that waits."""
    return ("waiting_requests",), ("waiting_requests", project_id)


def _of_patterns(project_id: str) -> Key:
    return "stack_patterns", project_id


def _too_many(key: Key, limit: int, code: str | None) -> Throttled:
    noun = "stack" if len(key) > 2 else "project"
    open_already = counted(limit, key[0].replace("_", " ").removesuffix("s"))
    return Throttled(
        f"The {noun} has {open_already} open in this worker, which is its limit; "
        "close some, or share one among several readers.",
        code=code,
        retry_after=5,
    )
