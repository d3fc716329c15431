"""An attempt that etcd applies late, after others have written, never makes a write happen twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factstore.core.errors import NotFound, OutcomeUnknown, StorageFull
from factstore.core.ports import Transaction
from tests.backends.memory import MemoryBackend
from tests.contract.world import CLOCK, TIMEOUT, Worker, new_scope, publish_all

MINE = '"mine"'
"""The value whose attempts can be lost."""

LOST, LATE_ANSWER, DONE = "lost", "late answer", "done"


class LateBackend(MemoryBackend):
    """A backend that forwards attempts late, as a member of etcd does that was frozen.

    :param has_fence: False for a backend that would apply a late attempt in any case.
    :ivar outcome: returns what happens to an attempt: lost, applied without an answer, or done.
    :ivar is_full: True if the fence cannot be raised.
    :ivar meanwhile: called before and after each step of the worker.
    """

    def __init__(self, *, has_fence: bool = True) -> None:
        super().__init__(CLOCK)
        self.outcome: Callable[[], str] = lambda: DONE
        self.meanwhile: Callable[[], None] = lambda: None
        self.is_full = False
        self._has_fence = has_fence
        self._fence = 0
        self._under_way: list[tuple[int, Transaction]] = []

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        if all(put.text != MINE for put in commit.puts):
            return super().commit(commit, deadline)
        self.meanwhile()
        outcome = self.outcome()
        if outcome == LOST:
            self._under_way.append((self._fence, commit))
            raise OutcomeUnknown("no answer")
        revision = super().commit(commit, deadline)
        self.meanwhile()
        if outcome == LATE_ANSWER:
            raise OutcomeUnknown("no answer")
        return revision

    def raise_fence(self, deadline: float) -> int:
        if self.is_full:
            raise StorageFull("no room")
        self.meanwhile()
        self._fence += self._has_fence
        found = self.head(deadline)
        self.meanwhile()
        return found

    def deliver(self, number: int = 0) -> None:
        """Apply an attempt that is still under way, unless its fence was raised."""
        if number < len(self._under_way):
            fence, commit = self._under_way.pop(number)
            if fence == self._fence:
                super().commit(commit, CLOCK.monotonic() + TIMEOUT)


class Service:
    """A worker on such a backend, and another worker, whose attempts are never lost."""

    def __init__(self, backend: LateBackend) -> None:
        self.backend = backend
        self.scope = new_scope()
        self.worker, self.other = Worker(backend).start(), Worker(backend).start()
        self.other.put(self.scope, "first", 1)
        self.worker.store.refresh(CLOCK.monotonic() + TIMEOUT)

    def create(self) -> None:
        self.other.put(self.scope, "a", "other")

    def delete(self) -> None:
        with suppress(NotFound):
            self.other.delete(self.scope, "a")

    def own_puts(self) -> list[int]:
        """The revisions at which the worker's write was applied."""
        publish_all(self.other)
        told = self.other.hub.read(self.scope, self.other.cursor(0), events=10_000, size=10**8)
        return [
            event.revision
            for event in told.events
            for change in event.changes
            if change.fact and (change.path, change.fact.text) == ("a", MINE)
        ]


@contextmanager
def running(backend: LateBackend) -> Iterator[Service]:
    service = Service(backend)
    try:
        yield service
    finally:
        service.worker.stop()
        service.other.stop()


@pytest.mark.parametrize("has_fence", [True, False])
def test_a_late_attempt_is_not_applied_after_a_retry_although_its_guards_succeed(
    has_fence: bool,
) -> None:
    with running(LateBackend(has_fence=has_fence)) as service:
        outcomes = iter([LOST, DONE])
        service.backend.outcome = lambda: next(outcomes)
        answer = service.worker.put(service.scope, "a", "mine")
        service.delete()
        service.backend.deliver()
        # Without a fence, the fact appears again that somebody has deleted.
        assert (service.own_puts() == [answer.revision]) == has_fence


ACTIONS = ["create", "delete", "deliver the first", "deliver the second"]


@settings(max_examples=40)
@given(
    st.booleans(),
    st.lists(st.sampled_from([LOST, LATE_ANSWER]), max_size=2),
    st.lists(st.lists(st.sampled_from(ACTIONS), max_size=2), max_size=8),
)
def test_whatever_is_late_a_write_happens_once_or_not_at_all(
    exists: bool, lost: list[str], script: list[list[str]]
) -> None:
    """The steps of the script are carried out around those of the worker."""
    with running(LateBackend()) as service:
        actions: dict[str, Callable[[], object]] = {
            "create": service.create,
            "delete": service.delete,
            "deliver the first": service.backend.deliver,
            "deliver the second": lambda: service.backend.deliver(1),
        }
        steps = iter(script)

        def meanwhile() -> None:
            for name in next(steps, ()):
                actions[name]()

        outcomes = iter(lost)
        service.backend.outcome = lambda: next(outcomes, DONE)
        if exists:
            service.create()
        service.backend.meanwhile = meanwhile
        answer = None
        with suppress(OutcomeUnknown):
            answer = service.worker.put(service.scope, "a", "mine")
        for _ in script:
            meanwhile()
        service.backend.meanwhile = lambda: None
        for _ in range(3):
            service.backend.deliver()
        happened = service.own_puts()
        assert len(happened) <= 1
        assert answer is None or happened == [answer.revision]


def test_a_lost_write_is_unknown_if_a_full_store_cannot_be_fenced() -> None:
    with running(LateBackend()) as service:
        outcomes = iter([LOST])
        service.backend.outcome = lambda: next(outcomes)
        service.backend.is_full = True
        with pytest.raises(OutcomeUnknown):
            service.worker.put(service.scope, "a", "mine")
        service.backend.deliver()
        assert len(service.own_puts()) == 1
