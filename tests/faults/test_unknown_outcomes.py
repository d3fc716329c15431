"""A database that does not say whether it wrote: the write happens once, or not at all, and the answer
is true or that nothing is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from factstore.core.errors import NotFound, OutcomeUnknown, Unavailable
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.operations.facts import Written
from factstore.core.ports import Backend, Transaction
from tests.backends.memory import MemoryBackend
from tests.contract.world import CLOCK, TIMEOUT, Worker, author, new_scope

Meanwhile = Callable[[Worker, Scope], None]


class Mumbling:
    """A backend that once does not say whether it wrote.

    :param written: whether it did.
    :param meanwhile: what others do before anybody looks again.
    """

    def __init__(self, backend: Backend, written: bool, meanwhile: Callable[[], None]) -> None:
        self._backend = backend
        self._written = written
        self._meanwhile = meanwhile
        self.mumbles = False

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        if not (self.mumbles and commit.writes):
            return self._backend.commit(commit, deadline)
        if self._written and self._backend.commit(commit, deadline) is None:
            return None  # planned on an old state; it will be planned again
        self.mumbles = False
        self._meanwhile()
        raise OutcomeUnknown("nobody knows")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def _nothing(other: Worker, scope: Scope) -> None:
    pass


def _elsewhere(other: Worker, scope: Scope) -> None:
    other.put(scope, "elsewhere", "other")


def _delete(other: Worker, scope: Scope) -> None:
    with suppress(NotFound):
        other.delete(scope, "a")


def _overwrite(other: Worker, scope: Scope) -> None:
    other.put(scope, "a", "other")


def _overwrite_and_delete(other: Worker, scope: Scope) -> None:
    _overwrite(other, scope)
    _delete(other, scope)


def _end_stack(other: Worker, scope: Scope) -> None:
    with suppress(NotFound):
        other.stacks.delete(scope, author())


def _renew_stack(other: Worker, scope: Scope) -> None:
    _end_stack(other, scope)
    other.put(scope, "elsewhere", "other")


MEANWHILE = [
    _nothing,
    _elsewhere,
    _delete,
    _overwrite,
    _overwrite_and_delete,
    _end_stack,
    _renew_stack,
]


class Stage:
    """One worker whose database mumbles, one whose does not, and all events."""

    def __init__(self, written: bool, meanwhile: Meanwhile) -> None:
        backend = MemoryBackend(CLOCK)
        self.other = Worker(backend).start()
        self.scope = new_scope()
        self.mumbling = Mumbling(backend, written, lambda: meanwhile(self.other, self.scope))
        self.worker = Worker(self.mumbling).start()  # type: ignore[arg-type]

    def mumble(self) -> None:
        """From now on, all that came before being known."""
        self.worker.store.refresh(CLOCK.monotonic() + TIMEOUT)
        self.mumbling.mumbles = True

    def revisions(self, kind: str, text: str | None) -> list[int]:
        """The revisions at which this happened to ``a``."""
        self.other.store.refresh(CLOCK.monotonic() + TIMEOUT)
        told = self.other.hub.read(self.scope, 0, events=10_000, size=10**8)
        return [
            event.revision
            for event in told.events
            for change in event.changes
            if (change.type, change.path) == (kind, "a")
            and (change.fact.text if change.fact else None) == text
            and change.by == "alice"
        ]

    def stop(self) -> None:
        self.worker.stop()
        self.other.stop()


@pytest.fixture(params=[True, False], ids=["written", "not-written"])
def written(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=MEANWHILE, ids=lambda meanwhile: meanwhile.__name__.strip("_"))
def meanwhile(request: pytest.FixtureRequest) -> Meanwhile:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def stage(written: bool, meanwhile: Meanwhile) -> Iterator[Stage]:
    made = Stage(written, meanwhile)
    try:
        yield made
    finally:
        made.stop()


def _judge(stage: Stage, written: Written | None, happened: list[int]) -> None:
    assert len(happened) <= 1, "it was carried out twice"
    if written is not None:
        assert happened == [written.revision]


def _try(write: Callable[[], Written]) -> Written | None:
    try:
        return write()
    except (OutcomeUnknown, NotFound):
        return None


@pytest.mark.parametrize("before", ["missing", "empty", "there"])
def test_a_put_happens_once_or_not_at_all(stage: Stage, before: str) -> None:
    if before != "missing":
        stage.other.put(stage.scope, "first", "other")
    if before == "there":
        stage.other.put(stage.scope, "a", "before")
    stage.mumble()
    answer = _try(lambda: stage.worker.put(stage.scope, "a", "mine"))
    _judge(stage, answer, stage.revisions("fact.put", '"mine"'))


def test_a_batch_happens_once_or_not_at_all(stage: Stage) -> None:
    stage.other.put(stage.scope, "old", "other")
    stage.mumble()
    wishes = [Put.of("a", "mine"), Put.of("b", "mine"), Delete("old")]
    answer = _try(lambda: stage.worker.facts.batch(stage.scope, wishes, [], author()))
    _judge(stage, answer, stage.revisions("fact.put", '"mine"'))


def test_a_delete_that_is_acknowledged_happened_once(stage: Stage) -> None:
    stage.other.put(stage.scope, "a", "before")
    stage.mumble()
    answer = _try(lambda: stage.worker.delete(stage.scope, "a"))
    happened = stage.revisions("fact.delete", None)
    if answer is not None:
        assert answer.revision in happened


@pytest.mark.parametrize("written", [True, False], ids=["written", "not-written"])
def test_a_stack_that_was_created_and_deleted_does_not_come_back(written: bool) -> None:
    stage = Stage(written, _end_stack)
    try:
        stage.mumble()
        if written:
            with pytest.raises(OutcomeUnknown):
                stage.worker.stacks.put(stage.scope, "mine", author())
            with pytest.raises(NotFound):
                stage.other.stacks.get(stage.scope)
        else:
            stack, created = stage.worker.stacks.put(stage.scope, "mine", author())
            assert created
            assert stage.other.stacks.get(stage.scope)[0] == stack
    finally:
        stage.stop()


@pytest.mark.parametrize("written", [True, False], ids=["written", "not-written"])
@pytest.mark.parametrize("before", ["missing", "empty", "there"])
def test_what_nobody_disturbed_is_answered_as_if_nothing_had_been(
    written: bool, before: str
) -> None:
    stage = Stage(written, _nothing)
    try:
        if before != "missing":
            stage.other.put(stage.scope, "first", "other")
        if before == "there":
            stage.other.put(stage.scope, "a", "before")
        stage.mumble()
        answer = stage.worker.put(stage.scope, "a", "mine")
        assert stage.revisions("fact.put", '"mine"') == [answer.revision]
    finally:
        stage.stop()


def test_a_batch_that_was_written_is_not_refused_when_a_lease_cannot_be_renewed() -> None:
    """The facts that it left as they were are renewed, too; their leases must not undo the rest."""
    stage = Stage(False, _nothing)
    try:
        stage.other.put(stage.scope, "leased", 1, ttl=60)
        renew = stage.mumbling.renew
        done: list[int] = []

        def failing(lease: int, deadline: float) -> bool:
            if stage.revisions("fact.put", '"mine"'):
                done.append(lease)
                raise Unavailable("gone")
            return bool(renew(lease, deadline))

        stage.mumbling.renew = failing
        wishes = [Put.of("leased", 1, ttl=60), Put.of("a", "mine", ttl=60)]
        answer = _try(lambda: stage.worker.facts.batch(stage.scope, wishes, [], author()))
        assert answer is not None
        assert done == []
        assert stage.other.value(stage.scope, "a") == '"mine"'
    finally:
        stage.stop()
