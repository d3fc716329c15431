"""Writes on stale states, lost races and the leases of facts."""

from __future__ import annotations

import pytest

from factstore.core.errors import (
    Conflict,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    Unavailable,
)
from factstore.core.model.precondition import ABSENT, ANY, Precondition
from factstore.core.ports import Transaction
from factstore.core.state.state import State
from tests.unit.core.factories import ALICE, SCOPE, put
from tests.unit.core.service import TIMEOUT, Service

# Decisions on a stale state


def test_a_write_is_refused_only_on_a_fresh_state(service: Service) -> None:
    revision = service.others_write("new", 1)
    etag = f"{service.store.known.epoch}.{revision}"
    request = put("new", 2)
    written = service.facts.put(SCOPE, request, ALICE, Precondition(tags=frozenset({etag})))
    assert written.results[0].outcome == "updated"


def test_a_resolved_conflict_is_not_reported(service: Service) -> None:
    twin = Service(service.clock)
    twin.store.backend = service.store.backend
    twin.store.known.epoch = service.store.known.epoch
    twin.facts.delete(SCOPE, "p", ALICE, ANY)
    assert service.put("p/below", 1)


def test_a_stale_state_never_decides_that_nothing_changes(service: Service) -> None:
    service.others_write("p", 1)
    before = service.head()
    revision = service.put("p", 0)
    assert revision == before + 1
    assert service.value("p") == "0"


def test_an_unconditional_write_that_lost_a_race_is_planned_again(service: Service) -> None:
    service.others_write("p", 1)
    service.others_write("p", 2)
    service.put("p", 3)
    assert service.value("p") == "3"
    assert service.store.called[-2:] == ["commit", "commit"]


def test_a_lost_race_for_a_conditional_write_is_a_failed_precondition(service: Service) -> None:
    fact = service.facts.get(SCOPE, "p").fact
    service.others_write("p", 1)
    condition = Precondition(tags=frozenset({fact.etag(service.store.state().epoch)}))
    with pytest.raises(PreconditionFailed):
        service.facts.put(SCOPE, put("p", 2), ALICE, condition)
    service.others_write("new", 1)
    with pytest.raises(PreconditionFailed):
        service.facts.put(SCOPE, put("new", 2), ALICE, ABSENT)
    assert (service.value("p"), service.value("new")) == ("1", "1")


def test_a_lost_race_for_a_folder_is_a_conflict(service: Service) -> None:
    service.others_write("x/y", 1)
    with pytest.raises(Conflict):
        service.put("x", 1)


def test_a_write_that_loses_every_race_fails_at_the_deadline(
    service: Service,
) -> None:
    def beaten(commit: Transaction, deadline: float) -> int | None:
        service.clock.advance(1)
        return None

    service.store.faults = [beaten] * 100
    before = service.head()
    with pytest.raises(Unavailable) as refused:
        service.put("p", 1)
    assert refused.value.code == "contention"
    assert service.head() == before
    assert 0 < len(service.store.faults) < 100
    service.store.faults.clear()  # there were more than the deadline allows


# Leases


def test_a_refused_write_revokes_its_lease(service: Service) -> None:
    twin_value = service.others_write("x", 1)
    service.store.called.clear()
    with pytest.raises(Conflict):
        service.put("x/y", 1, ttl=60)
    assert twin_value == service.head()
    assert service.store.called == ["create", "commit", "revoke"]


def test_a_write_with_an_unknown_outcome_keeps_its_lease(service: Service) -> None:
    def applied_and_hidden(commit: Transaction, deadline: float) -> int | None:
        service.clock.advance(TIMEOUT)
        return service.lost_answer(commit, deadline)

    service.store.faults = [applied_and_hidden]
    with pytest.raises(OutcomeUnknown):
        service.put("leased", 1, ttl=60)
    assert service.value("leased") == "1"


def test_an_equal_write_renews_the_lease_and_writes_nothing(service: Service) -> None:
    service.put("leased", 1, ttl=10)
    before = service.head()
    for _ in range(5):
        service.clock.advance(8)
        service.put("leased", 1, ttl=10)
    assert service.head() == before
    service.clock.advance(11)
    with pytest.raises(NotFound):
        service.value("leased")


def test_a_lease_of_a_lost_race_has_its_whole_time_again_when_it_is_used(service: Service) -> None:
    def slow_and_lost(commit: Transaction, deadline: float) -> int | None:
        service.clock.advance(4)
        return None

    service.store.faults = [slow_and_lost]
    service.put("leased", 1, ttl=5)
    service.clock.advance(4)
    assert service.value("leased") == "1"


def test_a_store_that_hangs_after_the_write_is_waited_for_once(service: Service) -> None:
    def slow(commit: Transaction, deadline: float) -> int | None:
        service.clock.advance(1)
        return service.store.backend.commit(commit, deadline)

    def hang(lease: int) -> bool:
        service.clock.advance(TIMEOUT)
        raise Unavailable("etcd hangs")

    service.store.faults = [slow]
    service.store.renew_hooks = [hang] * 9
    requests = [put(f"leased/{n}", n, ttl=60) for n in range(9)]
    written = service.facts.batch(SCOPE, requests, [], ALICE)
    assert {result.outcome for result in written.results} == {"created"}
    assert service.store.called.count("renew") == 1


def test_a_ttl_counts_from_the_response_even_of_a_slow_write(service: Service) -> None:
    def slow(commit: Transaction, deadline: float) -> int | None:
        service.clock.advance(3)
        return service.store.backend.commit(commit, deadline)

    service.store.faults = [slow]
    service.put("leased", 1, ttl=10)
    service.clock.advance(9)
    assert service.value("leased") == "1"
    service.clock.advance(2)
    with pytest.raises(NotFound):
        service.value("leased")


def test_a_changed_value_renews_the_lease(service: Service) -> None:
    for n in range(5):
        service.put("leased", n, ttl=10)
        service.clock.advance(8)
    assert service.value("leased") == "4"
    service.clock.advance(3)
    with pytest.raises(NotFound):
        service.value("leased")


def test_a_fact_is_unbound_by_a_write_without_ttl_and_outlives_its_lease(service: Service) -> None:
    service.put("leased", 1, ttl=10)
    service.put("leased", 1)
    service.clock.advance(100)
    assert service.value("leased") == "1"


def test_the_ttl_of_a_fact_can_be_changed(service: Service) -> None:
    service.put("leased", 1, ttl=10)
    service.put("leased", 1, ttl=100)
    service.clock.advance(99)
    assert service.value("leased") == "1"
    service.clock.advance(2)
    with pytest.raises(NotFound):
        service.value("leased")


def test_a_fact_that_expired_unseen_is_created_again(service: Service) -> None:
    service.put("leased", 1, ttl=10)
    service.clock.advance(20)
    written = service.facts.put(SCOPE, put("leased", 1, ttl=10), ALICE, ANY)
    assert written.results[0].outcome == "created"
    service.clock.advance(9)
    assert service.value("leased") == "1"


def test_the_lease_of_a_write_that_lost_a_race_is_revoked(service: Service) -> None:
    service.put("leased", 1, ttl=10)
    service.store.known = State(0, service.store.known.epoch)  # as if it lagged far behind
    service.store.called.clear()
    service.put("leased", 1, ttl=10)  # planned as a creation at first
    assert service.store.called.count("create") == service.store.called.count("revoke")
    assert service.value("leased") == "1"


def test_a_batch_is_written_once_even_if_an_unchanged_fact_expires_meanwhile(
    service: Service,
) -> None:
    service.put("alive", 1, ttl=10)
    condition = Precondition(tags=frozenset({service.facts.get(SCOPE, "p").etag}))

    def ended(lease: int) -> bool:
        service.store.backend.revoke_lease(lease, 0)
        return False

    before = service.head()
    service.store.renew_hooks = [ended]
    requests = [put("p", "changed"), put("alive", 1, ttl=10)]
    written = service.facts.batch(SCOPE, requests, [("p", condition)], ALICE)
    assert [r.outcome for r in written.results] == ["updated", "created"]
    assert service.head() == before + 2, "one for the expiry, one for the batch"


def test_a_written_batch_is_never_reported_as_not_written(service: Service) -> None:
    service.put("alive", 1, ttl=10)

    def down(lease: int) -> bool:
        raise Unavailable("etcd is down")

    before = service.head()
    service.store.renew_hooks = [down]
    with pytest.raises(Unavailable):
        service.facts.batch(SCOPE, [put("p", "changed"), put("alive", 1, ttl=10)], [], ALICE)
    assert service.head() == before
    assert service.value("p") == "0"
