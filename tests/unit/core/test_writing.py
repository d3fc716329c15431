"""Carrying writes through: stale decisions, races, leases, and outcomes that nobody knows."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from factstore.core.errors import (
    Conflict,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    Unavailable,
)
from factstore.core.facts import Facts
from factstore.core.fact import Delete
from factstore.core.ports import Commit
from factstore.core.precondition import ABSENT, ANY, EXISTS, Precondition
from factstore.core.receipts import Idempotency
from factstore.core.stacks import Stacks
from factstore.watch.hub import Hub
from tests.unit.core.direct import DirectStore
from tests.unit.core.making import ALICE, SCOPE, ManualClock, author, put

TIMEOUT = 5.0
KEY = Idempotency("key", "print")


@dataclass
class Service:
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.store = DirectStore(self.clock)
        ids = iter(f"id{n}" for n in range(1000))
        self.stacks = Stacks(self.store, self.clock, lambda: next(ids), TIMEOUT)
        self.facts = Facts(
            self.store, Hub(9, 9999), self.clock, self.stacks.new, TIMEOUT
        )

    def put(self, path: str, value: object, **fields: object) -> int:
        wish = put(path, value, **fields)  # type: ignore[arg-type]
        return self.facts.put(SCOPE, wish, author(), ANY).revision

    def others_write(self, path: str, value: object) -> int:
        """A write that the known state does not show yet."""
        wish = put(path, value)
        there = DirectStore(self.clock)
        there.backend, there.epoch = self.store.backend, self.store.epoch
        there.facts_at, there.stacks_at = self.store.facts_at, self.store.stacks_at
        there.receipt = self.store.receipt
        stacks = Stacks(there, self.clock, lambda: f"other-{path}-{value}", TIMEOUT)
        facts = Facts(there, Hub(9, 9999), self.clock, stacks.new, TIMEOUT)
        return facts.put(SCOPE, wish, author("others"), ANY).revision

    def head(self) -> int:
        return self.store.backend.head(0)

    def value(self, path: str) -> str:
        return self.facts.get(SCOPE, path).text

    # Faults, in the place of a commit

    def lost_answer(self, commit: Commit, deadline: float) -> int | None:
        assert self.store.backend.commit(commit, deadline)
        raise OutcomeUnknown("the answer was lost")

    def lost_request(self, commit: Commit, deadline: float) -> int | None:
        raise OutcomeUnknown("the request was lost")


@pytest.fixture
def service() -> Service:
    made = Service()
    made.put("p", 0)
    return made


# Decisions on a stale state


def test_a_refusal_is_told_only_after_a_look_at_the_present(service: Service) -> None:
    revision = service.others_write("new", 1)
    etag = f"{service.store.epoch}.{revision}"
    wish = put("new", 2)
    written = service.facts.put(SCOPE, wish, ALICE, Precondition(tags=frozenset({etag})))
    assert written.results[0].outcome == "updated"


def test_a_conflict_that_is_over_is_not_told(service: Service) -> None:
    twin = Service(service.clock)
    twin.store.backend, twin.store.epoch = service.store.backend, service.store.epoch
    twin.facts.delete(SCOPE, "p", ALICE, ANY)
    assert service.put("p/below", 1)


def test_a_stale_state_never_decides_that_nothing_changes(service: Service) -> None:
    service.others_write("p", 1)
    before = service.head()
    revision = service.put("p", 0)
    assert revision == before + 1
    assert service.value("p") == "0"


def test_a_lost_race_for_an_unconditional_write_is_decided_again(service: Service) -> None:
    service.others_write("p", 1)
    service.others_write("p", 2)
    service.put("p", 3)
    assert service.value("p") == "3"
    assert service.store.called[-2:] == ["commit", "commit"]


def test_a_lost_race_for_a_conditional_write_is_a_failed_precondition(service: Service) -> None:
    fact = service.facts.get(SCOPE, "p")
    service.others_write("p", 1)
    condition = Precondition(tags=frozenset({service.facts.etag(fact)}))
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


def test_whoever_keeps_losing_is_told_at_the_deadline_that_nothing_was_written(
    service: Service,
) -> None:
    def beaten(commit: Commit, deadline: float) -> int | None:
        service.clock.advance(1)
        return None

    service.store.faults = [beaten] * 100
    before = service.head()
    with pytest.raises(Unavailable) as refused:
        service.put("p", 1)
    assert refused.value.code == "contention"
    assert service.head() == before


# Outcomes that nobody knows


def test_a_write_whose_answer_was_lost_is_found_and_not_repeated(service: Service) -> None:
    before = service.head()
    service.store.faults = [service.lost_answer]
    assert service.put("p", 1) == before + 1 == service.head()
    assert service.put("q", 1) == before + 2


def test_a_write_whose_request_was_lost_is_made_once(service: Service) -> None:
    before = service.head()
    service.store.faults = [service.lost_request, service.lost_request]
    assert service.put("p", 1) == before + 1 == service.head()


def test_a_write_that_arrives_late_makes_its_own_retry_fail_and_is_found(service: Service) -> None:
    late: list[Commit] = []

    def delayed(commit: Commit, deadline: float) -> int | None:
        late.append(commit)
        raise OutcomeUnknown("it is on its way")

    def overtaken(commit: Commit, deadline: float) -> int | None:
        assert service.store.backend.commit(late[0], deadline)
        return service.store.backend.commit(commit, deadline)

    before = service.head()
    service.store.faults = [delayed, overtaken]
    assert service.put("p", 1) == before + 1 == service.head()


def test_an_outcome_that_others_have_covered_up_stays_unknown(service: Service) -> None:
    def overwritten(commit: Commit, deadline: float) -> int | None:
        assert service.store.backend.commit(commit, deadline)
        service.others_write("p", "later")
        raise OutcomeUnknown("the answer was lost")

    service.store.faults = [overwritten]
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


def test_a_batch_of_unknown_outcome_is_settled_whole(service: Service) -> None:
    before = service.head()
    service.store.faults = [service.lost_answer]
    wishes = [put("a", 1), Delete("p"), put("b", 2)]
    written = service.facts.batch(SCOPE, wishes, [], ALICE)
    assert written.revision == before + 1 == service.head()
    assert [r.outcome for r in written.results] == ["created", "deleted", "created"]


def test_a_deletion_of_unknown_outcome_is_never_reported_as_a_fact_that_was_missing(
    service: Service,
) -> None:
    service.store.faults = [service.lost_answer]
    with pytest.raises(OutcomeUnknown):
        service.facts.delete(SCOPE, "p", ALICE, ANY)


def test_with_an_idempotency_key_an_unknown_outcome_is_settled_by_the_retry(
    service: Service,
) -> None:
    service.store.faults = [service.lost_answer]
    try:
        service.facts.delete(SCOPE, "p", ALICE, ANY, KEY)
    except OutcomeUnknown:
        before = service.head()
        written = service.facts.delete(SCOPE, "p", ALICE, ANY, KEY)
        assert written.results[0].outcome == "deleted"
        assert written.revision == before == service.head()


def test_the_first_write_of_a_stack_is_settled_too() -> None:
    for fault in ("lost_answer", "lost_request"):
        service = Service()
        service.store.faults = [getattr(service, fault)]
        assert service.put("p", 1) == 1 == service.head()


# Leases


def test_a_refused_write_gives_back_the_lease_it_took(service: Service) -> None:
    twin_value = service.others_write("x", 1)
    service.store.called.clear()
    with pytest.raises(Conflict):
        service.put("x/y", 1, ttl=60)
    assert twin_value == service.head()
    assert service.store.called == ["grant", "commit", "revoke"]


def test_a_write_of_unknown_outcome_keeps_its_lease(service: Service) -> None:
    def applied_and_hidden(commit: Commit, deadline: float) -> int | None:
        service.clock.advance(TIMEOUT)
        return service.lost_answer(commit, deadline)

    service.store.faults = [applied_and_hidden]
    with pytest.raises(OutcomeUnknown):
        service.put("leased", 1, ttl=60)
    assert service.value("leased") == "1"


def test_an_equal_write_starts_the_time_anew_and_writes_nothing(service: Service) -> None:
    service.put("leased", 1, ttl=10)
    before = service.head()
    for _ in range(5):
        service.clock.advance(8)
        service.put("leased", 1, ttl=10)
    assert service.head() == before
    service.clock.advance(11)
    with pytest.raises(NotFound):
        service.value("leased")


def test_a_changed_value_starts_the_time_anew(service: Service) -> None:
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


def test_a_fact_moves_to_another_ttl(service: Service) -> None:
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


def test_a_lease_granted_for_a_race_that_was_lost_does_not_stay_behind(service: Service) -> None:
    service.put("leased", 1, ttl=10)
    service.store.known = DirectStore(service.clock).known  # as if it lagged far behind
    service.store.called.clear()
    service.put("leased", 1, ttl=10)  # planned as a creation at first
    assert service.store.called.count("grant") == service.store.called.count("revoke")
    assert service.value("leased") == "1"


def test_a_batch_is_written_once_although_a_fact_it_left_alone_expires_meanwhile(
    service: Service,
) -> None:
    service.put("alive", 1, ttl=10)
    condition = Precondition(tags=frozenset({service.facts.etag(service.facts.get(SCOPE, "p"))}))

    def ended(lease: int) -> bool:
        service.store.backend.revoke(lease, 0)
        return False

    before = service.head()
    service.store.renew_hooks = [ended]
    wishes = [put("p", "changed"), put("alive", 1, ttl=10)]
    written = service.facts.batch(SCOPE, wishes, [("p", condition)], ALICE)
    assert [r.outcome for r in written.results] == ["updated", "created"]
    assert service.head() == before + 2, "one for the expiry, one for the batch"


def test_nobody_is_told_that_nothing_was_written_when_a_batch_was(service: Service) -> None:
    service.put("alive", 1, ttl=10)

    def down(lease: int) -> bool:
        raise Unavailable("etcd is down")

    before = service.head()
    service.store.renew_hooks = [down]
    with pytest.raises(Unavailable):
        service.facts.batch(SCOPE, [put("p", "changed"), put("alive", 1, ttl=10)], [], ALICE)
    assert service.head() == before
    assert service.value("p") == "0"


# Stacks


def test_creating_a_stack_of_unknown_outcome_makes_one_stack() -> None:
    for fault in ("lost_answer", "lost_request"):
        service = Service()
        service.store.faults = [getattr(service, fault)]
        stack, _ = service.stacks.put(SCOPE, "text", author())
        assert stack.revision == stack.created == 1 == service.head()
        assert service.stacks.get(SCOPE)[0] == stack


def test_deleting_a_stack_of_unknown_outcome_succeeds_once(service: Service) -> None:
    for fault in ("lost_answer", "lost_request"):
        service.put("p", 1)
        before = service.head()
        service.store.faults = [getattr(service, fault)]
        service.stacks.delete(SCOPE, author())
        assert service.head() == before + 1
        with pytest.raises(NotFound):
            service.stacks.get(SCOPE)


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


def test_a_guard_on_a_fact_that_is_missing_beats_the_missing_stack() -> None:
    service = Service()
    with pytest.raises(PreconditionFailed):
        service.facts.delete(SCOPE, "p", ALICE, EXISTS)
    with pytest.raises(NotFound):
        service.facts.delete(SCOPE, "p", ALICE, ANY)
