"""Declaring and adopting when the store fails, when others are faster, and by wishes without sense."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from factstore.core.errors import Conflict, Invalid, OutcomeUnknown, Unavailable
from factstore.core.model.member import JoinRequest, Member
from factstore.core.ports import Transaction
from factstore.core.services.members import Joined
from tests.unit.core.direct import DirectStore
from tests.unit.core.factories import SCOPE, ManualClock, author
from tests.unit.core.service import services_over

TIMEOUT = 5.0
YEARS = 40 * 366 * 24 * 3600.0


class House:
    """The service for members over a store that fails when told to."""

    def __init__(self, other: House | None = None) -> None:
        self.clock = other.clock if other else ManualClock()
        self.store = DirectStore(self.clock)
        if other:
            self.store.backend, self.store.epoch = other.store.backend, other.store.epoch
            self.store.known.epoch = other.store.epoch
        ids = iter(f"id{n}" for n in range(99))
        self.members = services_over(self.store, self.clock, lambda: next(ids)).members

    def declare(self, declared: str = "heat:1", group: str = "compute") -> Joined:
        return self.members.join(
            SCOPE,
            "c1",
            JoinRequest.of(group, declared=declared, reason="scaled_out"),
            author("heat"),
        )

    def join(self, generation: str | None = None) -> Joined:
        wish = JoinRequest.of("compute", None if generation else 30, {"rack": 1}, generation)
        return self.members.join(SCOPE, "c1", wish, author("agent"))

    def depart(self, declared: str | None = None) -> int:
        return self.members.depart(SCOPE, "c1", "left", None, author("heat"), declared)

    @property
    def living(self) -> Member | None:
        return self.store.refresh(0).member(SCOPE, "c1")

    # In the place of a commit

    def lost_answer(self, commit: Transaction, deadline: float) -> int | None:
        assert self.store.backend.commit(commit, deadline)
        raise OutcomeUnknown("the answer was lost")

    def lost_request(self, commit: Transaction, deadline: float) -> int | None:
        raise OutcomeUnknown("the request was lost")

    def after(self, act: Callable[[], object]) -> Callable[[Transaction, float], int | None]:
        """A commit that others are faster than."""

        def overtaken(commit: Transaction, deadline: float) -> int | None:
            act()
            return self.store.backend.commit(commit, deadline)

        return overtaken


@pytest.fixture
def house() -> House:
    made = House()
    made.members.join(SCOPE, "other", JoinRequest.of("compute", 86400), author())
    made.store.called.clear()
    return made


def test_declaring_needs_no_lease_and_outlasts_all_silence(house: House) -> None:
    declared = house.declare().member
    assert house.store.called == ["commit"]
    house.clock.advance(YEARS)
    assert house.living == declared


def test_the_adopted_lives_by_its_heartbeats_as_everybody(house: House) -> None:
    house.declare()
    house.join()
    house.clock.advance(29)
    house.members.heartbeat(SCOPE, "c1", None, None)
    house.clock.advance(29)
    assert house.living is not None
    house.clock.advance(2)
    assert house.living is None


@pytest.mark.parametrize("fault", ["lost_answer", "lost_request"])
def test_a_declaration_of_unknown_outcome_is_made_once(house: House, fault: str) -> None:
    house.store.faults = [getattr(house, fault)]
    declared = house.declare()
    assert (declared.outcome, declared.member) == ("created", house.living)
    assert declared.revision == house.store.backend.head(0)


@pytest.mark.parametrize("fault", ["lost_answer", "lost_request"])
def test_an_adoption_of_unknown_outcome_is_made_once(house: House, fault: str) -> None:
    house.declare()
    house.store.faults = [getattr(house, fault)]
    adopted = house.join()
    assert (adopted.outcome, adopted.member) == ("adopted", house.living)


def test_a_departure_of_unknown_outcome_is_made_once(house: House) -> None:
    house.declare()
    house.store.faults = [house.lost_answer]
    house.depart("heat:1")
    assert house.living is None
    assert house.store.called[-1] == "revoke"


def test_a_departure_that_never_is_known_leaves_nothing_that_stays(house: House) -> None:
    def down() -> None:
        house.clock.advance(1)
        raise Unavailable("it is down")

    house.declare()
    house.store.faults = [house.lost_answer]
    house.store.before_refresh = [down] * 50
    with pytest.raises(OutcomeUnknown):
        house.depart()
    house.store.before_refresh = []
    assert house.living is None
    house.clock.advance(31)
    house.store.backend.expire()
    state = house.store.refresh(0)
    assert [r.record_key.name for r in state.records(SCOPE, "member")] == ["other"]


@pytest.mark.parametrize("act", ["adopt", "depart"])
def test_the_lease_of_what_came_to_nothing_is_ended(house: House, act: str) -> None:
    def refuse(commit: Transaction, deadline: float) -> int | None:
        house.clock.advance(TIMEOUT + 1)
        return None

    house.declare()
    house.store.called.clear()
    house.store.faults = [refuse]
    with pytest.raises(Unavailable):
        house.join() if act == "adopt" else house.depart()
    assert house.store.called == ["create", "commit", "revoke"]


def test_an_adoption_that_comes_second_replaces_the_first(house: House) -> None:
    house.declare()
    other = House(house)
    house.store.faults = [house.after(other.join)]
    joined = house.join()
    assert (joined.outcome, joined.member.declared) == ("replaced", "heat:1")
    assert joined.member == house.living


def test_an_adoption_that_a_departure_overtakes_is_a_join(house: House) -> None:
    house.declare()
    other = House(house)
    other.store.refresh(0)
    house.store.faults = [house.after(other.depart)]
    joined = house.join()
    assert (joined.outcome, joined.member.declared, joined.member.reason) == (
        *("created", None),
        None,
    )


def test_a_departure_that_an_adoption_overtakes_ends_the_adopted_and_its_own_lease(
    house: House,
) -> None:
    house.declare()
    other = House(house)
    house.store.called.clear()
    house.store.faults = [house.after(other.join)]
    house.depart("heat:1")
    assert house.living is None
    assert house.store.called == ["create", "commit", "commit", "revoke", "revoke"]


def test_a_declaration_that_a_join_overtakes_is_noted(house: House) -> None:
    other = House(house)
    house.store.faults = [house.after(other.join)]
    noted = house.declare()
    assert noted.outcome == "updated"
    assert (noted.member.ttl, noted.member.declared, noted.member.reason) == (
        *(30, "heat:1"),
        "scaled_out",
    )


def test_a_declaration_that_another_overtakes_is_refused(house: House) -> None:
    other = House(house)
    house.store.faults = [house.after(lambda: other.declare("heat:2"))]
    with pytest.raises(Conflict) as refused:
        house.declare()
    assert refused.value.code == "member_declared"


def test_a_note_on_who_expires_meanwhile_declares_it(house: House) -> None:
    house.join()
    house.clock.advance(29)
    house.store.faults = [house.after(lambda: house.clock.advance(2))]
    declared = house.declare()
    assert (declared.outcome, declared.member.ttl) == ("created", None)


def test_a_declaration_that_was_decided_twice_is_one_incarnation(house: House) -> None:
    house.store.faults = [lambda commit, deadline: None]
    declared = house.declare().member
    assert house.living == declared


BAD: list[tuple[dict[str, object], str]] = [
    ({"declared": ""}, "schema"),
    ({"declared": "x" * 256}, "schema"),
    ({"declared": "h\u00e9at"}, "schema"),
    ({"declared": "heat\n"}, "schema"),
    ({"declared": "\x7f"}, "schema"),
    ({"declared": "heat:1", "ttl": 30}, "ttl_invalid"),
    ({"declared": "heat:1", "generation": "a"}, "schema"),
    ({"reason": ""}, "schema"),
    ({"reason": "Scaled"}, "schema"),
    ({"reason": "a b"}, "schema"),
    ({"reason": "a\n"}, "schema"),
    ({"reason": "x" * 65}, "schema"),
]


@pytest.mark.parametrize(("wish", "code"), BAD)
def test_a_declaration_that_makes_no_sense_is_refused(wish: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        JoinRequest.of("compute", **wish)  # type: ignore[arg-type]
    assert refused.value.code == code


@pytest.mark.parametrize("declared", [" ", "~", "x" * 255, 'heat:"\\/<&>', "a=b&c"])
def test_a_word_is_whatever_can_be_printed(house: House, declared: str) -> None:
    assert house.declare(declared).member.declared == declared
    assert house.depart(declared)
