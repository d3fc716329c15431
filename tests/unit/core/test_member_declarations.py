"""Declaring and adopting members: failures of the store, concurrent writes, invalid requests."""

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


class MemberWorld:
    """The service for members on a store that can be made to fail."""

    def __init__(self, other: MemberWorld | None = None) -> None:
        self.clock = other.clock if other else ManualClock()
        self.store = DirectStore(self.clock)
        if other:
            self.store.backend = other.store.backend
            self.store.known.epoch = other.store.state().epoch
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
        request = JoinRequest.of("compute", None if generation else 30, {"rack": 1}, generation)
        return self.members.join(SCOPE, "c1", request, author("agent"))

    def depart(self, declared: str | None = None) -> int:
        return self.members.depart(SCOPE, "c1", "left", None, author("heat"), declared)

    @property
    def living(self) -> Member | None:
        return self.store.refresh(0).member(SCOPE, "c1")

    # Functions that replace a commit

    def lost_answer(self, commit: Transaction, deadline: float) -> int | None:
        assert self.store.backend.commit(commit, deadline)
        raise OutcomeUnknown("the answer was lost")

    def lost_request(self, commit: Transaction, deadline: float) -> int | None:
        raise OutcomeUnknown("the request was lost")

    def after(self, act: Callable[[], object]) -> Callable[[Transaction, float], int | None]:
        """Return a commit that calls *act* first."""

        def overtaken(commit: Transaction, deadline: float) -> int | None:
            act()
            return self.store.backend.commit(commit, deadline)

        return overtaken


@pytest.fixture
def world() -> MemberWorld:
    made = MemberWorld()
    made.members.join(SCOPE, "other", JoinRequest.of("compute", 86400), author())
    made.store.called.clear()
    return made


def test_a_declared_member_has_no_lease_and_does_not_expire(world: MemberWorld) -> None:
    declared = world.declare().member
    assert world.store.called == ["commit"]
    world.clock.advance(YEARS)
    assert world.living == declared


def test_an_adopted_member_is_awaited_again_without_heartbeats(world: MemberWorld) -> None:
    world.declare()
    adopted = world.join().member
    world.clock.advance(29)
    world.members.heartbeat(SCOPE, "c1", None, None)
    world.clock.advance(29)
    assert world.living == adopted
    world.clock.advance(2)
    assert world.living is not None
    assert world.living.declared_only


@pytest.mark.parametrize("fault", ["lost_answer", "lost_request"])
def test_a_declaration_with_an_unknown_outcome_is_written_once(
    world: MemberWorld, fault: str
) -> None:
    world.store.faults = [getattr(world, fault)]
    declared = world.declare()
    assert (declared.outcome, declared.member) == ("created", world.living)
    assert declared.cursor.revision == world.store.backend.head(0)


@pytest.mark.parametrize("fault", ["lost_answer", "lost_request"])
def test_an_adoption_with_an_unknown_outcome_is_written_once(
    world: MemberWorld, fault: str
) -> None:
    world.declare()
    world.store.faults = [getattr(world, fault)]
    adopted = world.join()
    assert (adopted.outcome, adopted.member) == ("adopted", world.living)


def test_a_departure_with_an_unknown_outcome_is_written_once(world: MemberWorld) -> None:
    world.declare()
    world.store.faults = [world.lost_answer]
    world.depart("heat:1")
    assert world.living is None
    assert world.store.called[-1] == "revoke"


def test_a_departure_whose_outcome_stays_unknown_leaves_no_permanent_record(
    world: MemberWorld,
) -> None:
    def down() -> None:
        world.clock.advance(1)
        raise Unavailable("it is down")

    world.declare()
    world.store.faults = [world.lost_answer]
    world.store.before_refresh = [down] * 50
    with pytest.raises(OutcomeUnknown):
        world.depart()
    world.store.before_refresh = []
    assert world.living is None
    world.clock.advance(31)
    world.store.backend.expire()
    state = world.store.refresh(0)
    assert [r.record_key.name for r in state.records(SCOPE, Member)] == ["other"]


@pytest.mark.parametrize("act", ["adopt", "depart"])
def test_the_lease_of_a_failed_write_is_revoked(world: MemberWorld, act: str) -> None:
    def refuse(commit: Transaction, deadline: float) -> int | None:
        world.clock.advance(TIMEOUT + 1)
        return None

    world.declare()
    world.store.called.clear()
    world.store.faults = [refuse]
    with pytest.raises(Unavailable):
        world.join() if act == "adopt" else world.depart()
    assert world.store.called == ["create", "commit", "revoke"]


def test_a_second_adoption_replaces_the_first(world: MemberWorld) -> None:
    world.declare()
    other = MemberWorld(world)
    world.store.faults = [world.after(other.join)]
    joined = world.join()
    assert (joined.outcome, joined.member.declared) == ("replaced", "heat:1")
    assert joined.member == world.living


def test_an_adoption_after_a_concurrent_departure_is_a_join(world: MemberWorld) -> None:
    world.declare()
    other = MemberWorld(world)
    other.store.refresh(0)
    world.store.faults = [world.after(other.depart)]
    joined = world.join()
    assert (joined.outcome, joined.member.declared, joined.member.reason) == (
        *("created", None),
        None,
    )


def test_a_departure_after_a_concurrent_adoption_ends_the_adopted_member(
    world: MemberWorld,
) -> None:
    world.declare()
    other = MemberWorld(world)
    world.store.called.clear()
    world.store.faults = [world.after(other.join)]
    world.depart("heat:1")
    assert world.living is None
    assert world.store.called == ["create", "commit", "commit", "revoke", "revoke"]


def test_a_declaration_after_a_concurrent_join_is_recorded(world: MemberWorld) -> None:
    other = MemberWorld(world)
    world.store.faults = [world.after(other.join)]
    noted = world.declare()
    assert noted.outcome == "updated"
    assert (noted.member.ttl, noted.member.declared, noted.member.reason) == (
        *(30, "heat:1"),
        "scaled_out",
    )


def test_a_declaration_after_a_concurrent_one_is_refused(world: MemberWorld) -> None:
    other = MemberWorld(world)
    world.store.faults = [world.after(lambda: other.declare("heat:2"))]
    with pytest.raises(Conflict) as refused:
        world.declare()
    assert refused.value.code == "member_declared"


def test_a_declaration_of_a_member_that_expires_meanwhile_creates_it(world: MemberWorld) -> None:
    world.join()
    world.clock.advance(29)
    world.store.faults = [world.after(lambda: world.clock.advance(2))]
    declared = world.declare()
    assert (declared.outcome, declared.member.ttl) == ("created", None)


def test_a_declaration_that_is_planned_twice_is_one_incarnation(world: MemberWorld) -> None:
    world.store.faults = [lambda commit, deadline: None]
    declared = world.declare().member
    assert world.living == declared


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


@pytest.mark.parametrize(("fields", "code"), BAD)
def test_an_invalid_declaration_is_refused(fields: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        JoinRequest.of("compute", **fields)  # type: ignore[arg-type]
    assert refused.value.code == code


@pytest.mark.parametrize("declared", [" ", "~", "x" * 255, 'heat:"\\/<&>', "a=b&c"])
def test_a_declaration_is_any_printable_text(world: MemberWorld, declared: str) -> None:
    assert world.declare(declared).member.declared == declared
    assert world.depart(declared)
