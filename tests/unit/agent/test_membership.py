"""Joining, heartbeats and departing, with a service that answers from a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from factstore.agent.errors import StackDeleted, Superseded
from factstore.agent.session.membership import Membership
from factstore.client import errors
from tests.unit.agent.factories import STACK, member, settings, state
from tests.unit.client.stub import FakeClock, Service, answer, hang_up, refusal

UNCHANGED = {"Factstore-Unchanged": "true"}


def membership(directory: Path, service: Service, clock: FakeClock, boot: str = "b1") -> Membership:
    stack = service.stack(clock, retry_for=0.0)
    return Membership(stack, settings(directory).agent, state(directory), lambda: boot)


def kept(directory: Path) -> object:
    return (state(directory).read("member") or {}).get("generation")


def bodies(service: Service) -> list[object]:
    return [call.body for call in service.calls if call.method == "PUT"]


def test_a_restarted_agent_is_the_same_member(
    tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    service.will(answer(201, member("1a")), answer(200, member("1a"), UNCHANGED))
    first = membership(tmp_path, service, clock)
    assert not first.joined
    assert not first.join().unchanged
    assert first.joined
    assert kept(tmp_path) == "1a"
    assert membership(tmp_path, service, clock).join().unchanged
    base = {"group": "node", "ttl": 30, "attributes": {}}
    assert bodies(service) == [base, {**base, "generation": "1a"}]


def test_an_agent_is_another_incarnation_after_a_boot(
    tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    """Else a copy of the whole machine would be the same member as the original."""
    service.will(answer(201, member("1a")), answer(200, STACK), answer(201, member("2b")))
    membership(tmp_path, service, clock).join()
    assert membership(tmp_path, service, clock, boot="b2").join().generation == "2b"
    assert "generation" not in bodies(service)[-1]  # type: ignore[operator]


def test_an_expired_member_joins_again(tmp_path: Path, service: Service, clock: FakeClock) -> None:
    service.will(
        answer(201, member("1a")),
        refusal(409, "generation_stale"),
        answer(200, STACK),
        refusal(404, "not_found"),  # no member has this name
        answer(200, STACK),
        answer(201, member("2b")),
    )
    living = membership(tmp_path, service, clock)
    living.join()
    assert not living.heartbeat("e.5")
    assert not living.joined
    assert kept(tmp_path) == "1a"
    living.join()
    assert kept(tmp_path) == "2b"
    assert "generation" not in bodies(service)[-1]  # type: ignore[operator]


def test_a_member_that_expired_while_the_agent_was_stopped_joins_again(
    tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    state(tmp_path).write("member", {"generation": "1a"})
    service.will(
        refusal(409, "generation_stale"),
        refusal(404, "not_found"),
        answer(200, STACK),
        answer(201, member("2b")),
    )
    assert membership(tmp_path, service, clock).join().generation == "2b"


def test_a_superseded_agent_gives_way_also_after_a_restart(
    tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    service.will(
        answer(201, member("1a")),
        refusal(409, "generation_stale"),
        answer(200, STACK),
        answer(200, member("2b")),
        refusal(409, "generation_stale"),
        answer(200, member("2b")),
    )
    old = membership(tmp_path, service, clock)
    old.join()
    with pytest.raises(
        Superseded, match="Another agent has been member c1 of stack slurm since 2026"
    ):
        old.heartbeat(None)
    with pytest.raises(Superseded):  # also after a restart
        membership(tmp_path, service, clock).join()
    assert [call.method for call in service.calls].count("DELETE") == 0


def test_a_declared_member_does_not_supersede_the_agent(
    tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    """The member has expired, and then an owner has declared it: the agent may join."""
    awaited = {**member("9f"), "ttl": None, "declared": "heat:1", "reason": None}
    service.will(
        answer(201, member("1a")),
        refusal(409, "generation_stale"),
        answer(200, STACK),
        answer(200, awaited),
        answer(200, STACK),
        answer(201, member("2b")),
    )
    living = membership(tmp_path, service, clock)
    living.join()
    assert not living.heartbeat(None)
    assert living.join().generation == "2b"
    assert "generation" not in bodies(service)[-1]  # type: ignore[operator]


def test_the_former_generation_is_deleted_before_a_new_one_is_requested(
    tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    """Otherwise an agent killed here would mistake its own new incarnation for another agent."""
    state(tmp_path).write("member", {"generation": "1a"})
    service.will(
        refusal(409, "generation_stale"),
        refusal(404, "not_found"),
        answer(200, STACK),
        hang_up,  # it may have joined
        answer(201, member("3c")),
    )
    with pytest.raises(errors.OutcomeUnknown):
        membership(tmp_path, service, clock).join()
    assert kept(tmp_path) is None
    assert membership(tmp_path, service, clock).join().generation == "3c"


def test_a_join_with_a_lost_answer_is_repeated_as_the_same_incarnation(
    tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    service.will(hang_up, answer(200, member("1a"), UNCHANGED))
    joining = membership(tmp_path, service, clock)
    with pytest.raises(errors.OutcomeUnknown):
        joining.join()
    assert joining.join().generation == "1a"
    assert len({call.headers["Idempotency-Key"] for call in service.calls}) == 1


def test_a_changed_ttl_results_in_a_new_incarnation(
    tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    state(tmp_path).write("member", {"generation": "1a"})
    service.will(refusal(409, "member_ttl_fixed"), answer(200, STACK), answer(201, member("2b")))
    assert membership(tmp_path, service, clock).join().generation == "2b"


def test_a_deleted_stack_is_not_created_again(
    tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    service.will(
        answer(201, member("1a")),
        refusal(404, "not_found"),
        refusal(404, "not_found"),  # the stack
        refusal(404, "not_found"),
        answer(200, STACK),
        answer(201, member("2b")),
    )
    living = membership(tmp_path, service, clock)
    living.join()
    for step in (lambda: living.heartbeat(None), living.join):
        with pytest.raises(StackDeleted, match="slurm has been deleted"):
            step()
    assert living.join().generation == "2b"  # an owner has created it again


def test_a_conflict_without_a_generation_is_raised(
    tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    service.will(refusal(409, "something"))
    with pytest.raises(errors.Conflict):
        membership(tmp_path, service, clock).join()


def test_a_departed_or_expired_member_is_deleted_from_disk(
    tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    service.will(answer(201, member("1a")), refusal(409, "generation_stale"))
    living = membership(tmp_path, service, clock)
    living.depart("stopped")  # it has not joined: no request is sent
    living.join()
    living.depart("stopped")
    assert kept(tmp_path) is None
    assert not living.joined
    assert service.calls[-1].query == {"reason": "stopped"}
