"""Writes with unknown outcomes are resolved exactly once, or reported as unknown."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from factstore.core.errors import (
    FactstoreError,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    StorageFull,
    Unavailable,
)
from factstore.core.model.fact import Delete
from factstore.core.model.precondition import ANY, EXISTS
from factstore.core.ports import Transaction
from tests.unit.core.factories import ALICE, SCOPE, author, put
from tests.unit.core.service import KEY, Service

# Facts


def test_a_write_whose_response_was_lost_is_found_and_not_repeated(service: Service) -> None:
    before = service.head()
    service.store.faults = [service.lost_answer]
    assert service.put("p", 1) == before + 1 == service.head()
    assert service.put("q", 1) == before + 2


def test_a_write_whose_request_was_lost_is_repeated_once(service: Service) -> None:
    before = service.head()
    service.store.faults = [service.lost_request, service.lost_request]
    assert service.put("p", 1) == before + 1 == service.head()


def test_a_write_that_arrives_late_makes_its_own_retry_fail_and_is_found(service: Service) -> None:
    late: list[Transaction] = []

    def delayed(commit: Transaction, deadline: float) -> int | None:
        late.append(commit)
        raise OutcomeUnknown("it is on its way")

    def overtaken(commit: Transaction, deadline: float) -> int | None:
        assert service.store.backend.commit(late[0], deadline)
        return service.store.backend.commit(commit, deadline)

    before = service.head()
    service.store.faults = [delayed, overtaken]
    assert service.put("p", 1) == before + 1 == service.head()


def test_an_outcome_that_was_overwritten_by_others_stays_unknown(service: Service) -> None:
    def overwritten(commit: Transaction, deadline: float) -> int | None:
        assert service.store.backend.commit(commit, deadline)
        service.others_write("p", "later")
        raise OutcomeUnknown("the answer was lost")

    service.store.faults = [overwritten]
    with pytest.raises(OutcomeUnknown):
        service.put("p", 1)
    assert service.value("p") == '"later"'


def test_a_lost_write_is_not_found_by_the_value_that_another_write_keeps(service: Service) -> None:
    service.stacks.put(SCOPE, "", author(), keep_values=2)
    service.put("p", 0)

    def overtaken(commit: Transaction, deadline: float) -> int | None:
        other = service.another_worker()
        other.facts.put(SCOPE, put("p", "later"), author("others"), ANY)
        raise OutcomeUnknown("the request was lost")

    service.store.faults = [overtaken]
    with pytest.raises(OutcomeUnknown):
        service.put("p", 1)
    assert service.value("p") == '"later"'


def test_an_outcome_that_cannot_be_looked_up_by_the_deadline_stays_unknown(
    service: Service,
) -> None:
    def down() -> None:
        service.clock.advance(1)
        raise Unavailable("etcd is down")

    service.store.faults = [service.lost_answer]
    service.store.before_refresh = [down] * 100
    with pytest.raises(OutcomeUnknown):
        service.put("p", 1)


def test_the_lookup_of_an_outcome_outlasts_a_short_outage(service: Service) -> None:
    def down() -> None:
        service.clock.advance(1)
        raise Unavailable("etcd is down")

    before = service.head()
    service.store.faults = [service.lost_answer]
    service.store.before_refresh = [down] * 3
    assert service.put("p", 1) == before + 1


def test_a_batch_with_an_unknown_outcome_is_resolved_as_a_whole(service: Service) -> None:
    before = service.head()
    service.store.faults = [service.lost_answer]
    wishes = [put("a", 1), Delete("p"), put("b", 2)]
    written = service.facts.batch(SCOPE, wishes, [], ALICE)
    assert written.revision == before + 1 == service.head()
    assert [r.outcome for r in written.results] == ["created", "deleted", "created"]


@pytest.mark.parametrize("error", [OutcomeUnknown, StorageFull])
def test_a_deletion_whose_response_was_lost_is_found_by_its_authors_note(
    service: Service, error: type[FactstoreError]
) -> None:
    def recreated(commit: Transaction, deadline: float) -> int | None:
        assert service.store.backend.commit(commit, deadline)
        service.others_write("p", "later")
        raise error("the answer was lost")

    before = service.head()
    service.store.faults = [recreated]
    assert service.facts.delete(SCOPE, "p", ALICE, ANY).revision == before + 1
    assert service.value("p") == '"later"'


def test_a_deletion_of_the_same_author_before_is_not_taken_for_this_one(service: Service) -> None:
    service.facts.delete(SCOPE, "p", ALICE, ANY)
    service.put("p", 1)
    before = service.head()
    service.store.faults = [service.lost_request]
    assert service.facts.delete(SCOPE, "p", ALICE, ANY).revision == before + 1 == service.head()


def test_a_deletion_whose_note_was_overwritten_is_never_reported_as_missing(
    service: Service,
) -> None:
    service.store.faults = [service.lost_answer]
    service.store.deletion_revision = lambda author, after, deadline: None
    with pytest.raises(OutcomeUnknown):
        service.facts.delete(SCOPE, "p", ALICE, ANY)


def test_an_unknown_outcome_with_an_idempotency_key_is_resolved_by_the_retry(
    service: Service,
) -> None:
    before = service.head()
    service.store.faults = [service.lost_answer]
    service.store.deletion_revision = lambda author, after, deadline: None
    with contextlib.suppress(OutcomeUnknown):
        service.facts.delete(SCOPE, "p", ALICE, ANY, KEY)
    written = service.facts.delete(SCOPE, "p", ALICE, ANY, KEY)
    assert written.results[0].outcome == "deleted"
    assert written.revision == before + 1 == service.head()


def test_the_unknown_outcome_of_the_first_write_of_a_stack_is_resolved() -> None:
    for fault in ("lost_answer", "lost_request"):
        service = Service()
        service.store.faults = [getattr(service, fault)]
        assert service.put("p", 1) == 1 == service.head()


# Stacks


def test_creating_a_stack_with_an_unknown_outcome_creates_one_stack() -> None:
    for fault in ("lost_answer", "lost_request"):
        service = Service()
        service.store.faults = [getattr(service, fault)]
        stack = service.stacks.put(SCOPE, "text", author())[0].stack
        assert stack.revision == stack.created == 1 == service.head()
        assert service.stacks.get(SCOPE).stack == stack


def test_deleting_a_stack_with_an_unknown_outcome_succeeds_once(service: Service) -> None:
    for fault in ("lost_answer", "lost_request"):
        service.put("p", 1)
        before = service.head()
        service.store.faults = [getattr(service, fault)]
        service.stacks.delete(SCOPE, author())
        assert service.head() == before + 1
        with pytest.raises(NotFound):
            service.stacks.get(SCOPE)


def test_a_lost_deletion_of_a_stack_that_others_changed_is_made(service: Service) -> None:
    def lost(commit: Transaction, deadline: float) -> int | None:
        service.another_worker().stacks.put(SCOPE, "changed meanwhile", author("others"))
        raise OutcomeUnknown("the request was lost")

    service.store.faults = [lost]
    service.stacks.delete(SCOPE, author())
    assert service.store.refresh(0).stack(SCOPE) is None


def test_a_stack_that_cannot_be_looked_up_after_an_unknown_outcome_stays_unknown(
    service: Service,
) -> None:
    def down() -> None:
        service.clock.advance(1)
        raise Unavailable("etcd is down")

    for act in (
        lambda: service.stacks.delete(SCOPE, author()),
        lambda: service.stacks.put(SCOPE, "changed", author()),
    ):
        service.store.faults = [service.lost_answer]
        service.store.before_refresh = [down] * 100
        with pytest.raises(OutcomeUnknown):
            act()
        service.store.before_refresh = []
        service.store.refresh(0)
        service.put("p", 1)


def test_equal_settings_change_nothing(service: Service) -> None:
    first, created = service.stacks.put(SCOPE, "text", author())
    before = service.head()
    again, _ = service.stacks.put(SCOPE, "text", author())
    assert not created
    assert again == first
    assert service.head() == before


def test_a_failed_precondition_precedes_the_missing_stack() -> None:
    service = Service()
    with pytest.raises(PreconditionFailed):
        service.facts.delete(SCOPE, "p", ALICE, EXISTS)
    with pytest.raises(NotFound):
        service.facts.delete(SCOPE, "p", ALICE, ANY)


def test_a_write_that_filled_the_store_is_acknowledged_if_it_was_applied(service: Service) -> None:
    def filled(commit: Transaction, deadline: float) -> int | None:
        assert service.store.backend.commit(commit, deadline)
        raise StorageFull("the store is full")

    before = service.head()
    service.store.faults = [filled]
    assert service.put("p", 1) == before + 1 == service.head()


def test_a_write_to_a_full_store_fails_and_writes_nothing(service: Service) -> None:
    def full(commit: Transaction, deadline: float) -> int | None:
        raise StorageFull("the store is full")

    before = service.head()
    service.store.faults = [full]
    with pytest.raises(StorageFull):
        service.put("p", 1)
    assert service.head() == before


def test_a_full_store_that_cannot_be_read_leaves_the_outcome_unknown(
    service: Service,
) -> None:
    def full(commit: Transaction, deadline: float) -> int | None:
        raise StorageFull("the store is full")

    def down() -> None:
        raise Unavailable("etcd is down")

    service.store.faults = [full]
    service.store.before_refresh = [down]
    with pytest.raises(OutcomeUnknown):
        service.put("p", 1)


@pytest.mark.parametrize("author_note", [True, False])
def test_a_write_that_filled_the_store_and_was_overwritten_is_never_denied(
    service: Service, author_note: bool
) -> None:
    def overwritten(commit: Transaction, deadline: float) -> int | None:
        assert service.store.backend.commit(commit, deadline)
        service.others_write("p", "later")
        raise StorageFull("the store is full")

    if not author_note:
        service.store.deletion_revision = lambda author, after, deadline: None
    writes: list[Callable[[], object]] = [
        lambda: service.put("p", 1),
        lambda: service.facts.batch(SCOPE, [put("p", 2)], [], ALICE),
        lambda: service.facts.batch(SCOPE, [put("p", 3), Delete("q")], [], ALICE),
    ]
    service.put("q", 1)
    for write in writes[: 3 - author_note]:
        service.store.faults = [overwritten]
        with pytest.raises(OutcomeUnknown):
            write()
        assert service.value("p") == '"later"'
