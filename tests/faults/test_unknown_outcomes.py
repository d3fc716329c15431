"""If the store does not report an outcome, a write happens at most once, with a true answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from factstore.core.errors import NotFound, OutcomeUnknown, StorageFull, Unavailable
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.ports import Backend, Transaction
from factstore.core.services.written_facts import WrittenFacts
from tests.backends.memory import MemoryBackend
from tests.contract.world import CLOCK, Worker, author, new_scope, publish_all

Meanwhile = Callable[[Worker, Scope], None]


class Mumbling:
    """A backend that once does not report whether it wrote.

    :param written: whether it did.
    :param meanwhile: what others do before anybody looks again.
    """

    def __init__(self, backend: Backend, written: bool, meanwhile: Callable[[], None]) -> None:
        self._backend = backend
        self._written = written
        self._meanwhile = meanwhile
        self.mumbles = False
        self.error: Exception = OutcomeUnknown("nobody knows")
        self.forget: Callable[[], object] = lambda: None

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        if not (self.mumbles and commit.writes):
            return self._backend.commit(commit, deadline)
        if self._written and self._backend.commit(commit, deadline) is None:
            return None  # planned on an old state; it will be planned again
        self.mumbles = False
        self._meanwhile()
        raise self.error

    def raise_fence(self, deadline: float) -> int:
        revision = self._backend.raise_fence(deadline)
        self.forget()
        return revision

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


class Service:
    """One worker whose database mumbles, one whose does not, and all events."""

    def __init__(self, written: bool, meanwhile: Meanwhile) -> None:
        backend = MemoryBackend(CLOCK)
        self.other = Worker(backend).start()
        self.scope = new_scope()
        self.mumbling = Mumbling(backend, written, lambda: meanwhile(self.other, self.scope))
        self.worker = Worker(self.mumbling).start()  # type: ignore[arg-type]

    def mumble(self) -> None:
        """From now on, all that came before being known."""
        publish_all(self.worker)
        self.mumbling.mumbles = True

    def revisions(self, kind: str, text: str | None) -> list[int]:
        """The revisions at which this happened to ``a``."""
        publish_all(self.other)
        told = self.other.hub.read(self.scope, self.other.cursor(0), events=10_000, size=10**8)
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
        assert not self.mumbling.mumbles, "the write whose outcome was to be unknown was not made"


@pytest.fixture(params=[True, False], ids=["written", "not-written"])
def written(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=MEANWHILE, ids=lambda meanwhile: meanwhile.__name__.strip("_"))
def meanwhile(request: pytest.FixtureRequest) -> Meanwhile:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def service(written: bool, meanwhile: Meanwhile) -> Iterator[Service]:
    made = Service(written, meanwhile)
    try:
        yield made
    finally:
        made.stop()


def _judge(written: WrittenFacts | None, happened: list[int]) -> None:
    """Check an outcome, which events show although the state does not any more."""
    assert happened == ([written.revision] if written is not None else [])


def _try(write: Callable[[], WrittenFacts]) -> WrittenFacts | None:
    try:
        return write()
    except NotFound:
        return None


@pytest.mark.parametrize("before", ["missing", "empty", "there"])
def test_a_put_happens_once_or_not_at_all(service: Service, before: str) -> None:
    if before != "missing":
        service.other.put(service.scope, "first", "other")
    if before == "there":
        service.other.put(service.scope, "a", "before")
    service.mumble()
    answer = _try(lambda: service.worker.put(service.scope, "a", "mine"))
    _judge(answer, service.revisions("fact.put", '"mine"'))


def test_a_batch_happens_once_or_not_at_all(service: Service) -> None:
    service.other.put(service.scope, "old", "other")
    service.mumble()
    wishes = [Put.of("a", "mine"), Put.of("b", "mine"), Delete("old")]
    answer = _try(lambda: service.worker.facts.batch(service.scope, wishes, [], author()))
    _judge(answer, service.revisions("fact.put", '"mine"'))


def test_a_delete_that_is_acknowledged_happened_once(service: Service) -> None:
    service.other.put(service.scope, "a", "before")
    service.mumble()
    answer = _try(lambda: service.worker.delete(service.scope, "a"))
    if answer is not None:
        assert answer.revision in service.revisions("fact.delete", None)


def test_a_full_store_refuses_only_what_it_has_not_applied(written: bool) -> None:
    service = Service(written, _overwrite)
    try:
        service.other.put(service.scope, "a", "before")
        service.mumble()
        service.mumbling.error = StorageFull("full")
        try:
            answer = service.worker.put(service.scope, "a", "mine")
        except StorageFull:
            answer = None
        _judge(answer, service.revisions("fact.put", '"mine"'))
    finally:
        service.stop()


def test_an_outcome_stays_unknown_if_its_events_are_not_kept(written: bool) -> None:
    service = Service(written, _overwrite)

    def forget() -> None:
        """Forget all events before the fence, which the worker follows a moment later."""
        publish_all(service.worker)
        service.worker.hub.reset(service.worker.hub.cursor)

    try:
        service.other.put(service.scope, "a", "before")
        service.mumble()
        service.mumbling.forget = forget
        with pytest.raises(OutcomeUnknown):
            service.worker.put(service.scope, "a", "mine")
        assert len(service.revisions("fact.put", '"mine"')) == written
    finally:
        service.stop()


@pytest.mark.parametrize("written", [True, False], ids=["written", "not-written"])
def test_a_stack_that_was_created_and_deleted_is_not_created_again(written: bool) -> None:
    service = Service(written, _end_stack)
    try:
        service.mumble()
        if written:
            with pytest.raises(OutcomeUnknown):
                service.worker.stacks.put(service.scope, "mine", author())
            with pytest.raises(NotFound):
                service.other.stacks.get(service.scope)
        else:
            stack, created = service.worker.stacks.put(service.scope, "mine", author())
            assert created
            assert service.other.stacks.get(service.scope) == stack
    finally:
        service.stop()


@pytest.mark.parametrize("written", [True, False], ids=["written", "not-written"])
@pytest.mark.parametrize("before", ["missing", "empty", "there"])
def test_an_undisturbed_write_with_an_unknown_outcome_succeeds(written: bool, before: str) -> None:
    service = Service(written, _nothing)
    try:
        if before != "missing":
            service.other.put(service.scope, "first", "other")
        if before == "there":
            service.other.put(service.scope, "a", "before")
        service.mumble()
        answer = service.worker.put(service.scope, "a", "mine")
        assert service.revisions("fact.put", '"mine"') == [answer.revision]
    finally:
        service.stop()


def test_a_batch_that_was_written_is_not_refused_when_a_lease_cannot_be_renewed() -> None:
    """The facts that it left as they were are renewed, too; their leases must not undo the rest."""
    service = Service(False, _nothing)
    try:
        service.other.put(service.scope, "leased", 1, ttl=60)
        renew = service.mumbling.renew_lease
        done: list[int] = []

        def failing(lease: int, deadline: float) -> bool:
            if service.revisions("fact.put", '"mine"'):
                done.append(lease)
                raise Unavailable("gone")
            return bool(renew(lease, deadline))

        service.mumbling.renew_lease = failing
        wishes = [Put.of("leased", 1, ttl=60), Put.of("a", "mine", ttl=60)]
        answer = _try(lambda: service.worker.facts.batch(service.scope, wishes, [], author()))
        assert answer is not None
        assert done == []
        assert service.other.value(service.scope, "a") == '"mine"'
    finally:
        service.stop()
