"""Members that an owner declares before or after their agents join, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.errors import Conflict, FactstoreError, Forbidden
from factstore.core.model.fact import Scope
from factstore.core.model.member import JoinRequest
from factstore.core.model.quota import Quota
from tests.contract.membership import changes_by_event, changes_since, declare, join, names, refusal
from tests.contract.world import Worker, World, author, soon

# Declaring


def test_a_declared_member_does_not_expire(worker: Worker, scope: Scope) -> None:
    declared = declare(worker, scope, reason="scaled_out", by="heat", index=1)
    member = worker.members.get(scope, "c1")
    assert (declared.outcome, declared.member) == ("created", member)
    assert (member.declared, member.reason, member.ttl) == ("heat:1", "scaled_out", None)
    assert (member.group, member.state, member.attributes) == ("compute", "joining", '{"index":1}')
    assert (member.version, member.updated_by, member.lease) == (1, "heat", 0)
    assert int(member.generation, 16) > 0
    assert names(worker, scope) == ["c1"]
    assert worker.stacks.get(scope).usage.facts == 1


def test_declaring_is_a_join_event_with_its_reason(worker: Worker, scope: Scope) -> None:
    start = worker.put(scope, "p").revision
    declared = declare(worker, scope, reason="scaled_out")
    declare(worker, scope, "c2", declared="heat:2")
    ((first,), (second,)) = changes_since(worker, scope, start)
    assert (first.type, first.record, first.former) == ("member.join", declared.member, None)
    assert (first.reason, first.by) == ("scaled_out", "heat")
    assert (second.type, second.reason) == ("member.join", None)


def test_declaring_the_same_again_makes_no_revision(worker: Worker, scope: Scope) -> None:
    first = declare(worker, scope, reason="scaled_out", index=1)
    head = worker.backend.head(soon())
    for reason in ("scaled_out", "replaced", None):
        again = declare(worker, scope, reason=reason, by="bob", index=1)
        assert (again.outcome, again.member) == ("unchanged", first.member)
    assert worker.backend.head(soon()) == head


def test_the_fields_of_a_declared_member_may_change(worker: Worker, scope: Scope) -> None:
    first = declare(worker, scope, reason="scaled_out", index=1)
    second = declare(worker, scope, group="gpu", by="bob", index=2)
    member = worker.members.get(scope, "c1")
    assert (second.outcome, second.member) == ("updated", member)
    assert (member.group, member.attributes, member.version) == ("gpu", '{"index":2}', 2)
    assert (member.generation, member.reason) == (first.member.generation, "scaled_out")
    assert (member.joined_at, member.updated_by) == (first.member.joined_at, "bob")
    third = join(worker, scope, ttl=None, generation=member.generation, index=3)
    assert (third.outcome, third.member.ttl, third.member.declared) == ("updated", None, "heat:1")
    assert changes_by_event(worker, scope, first.cursor.revision) == [["member.change c1"]] * 2


def test_a_name_has_one_declaration_at_a_time(worker: Worker, scope: Scope) -> None:
    first = declare(worker, scope)
    with pytest.raises(Conflict) as refused:
        declare(worker, scope, declared="heat:2")
    assert refusal(refused) == "member_declared"
    assert refused.value.extra == {"member": "c1", "declared": "heat:1"}
    adopted = join(worker, scope).member
    with pytest.raises(Conflict):
        declare(worker, scope, declared="heat:2")
    assert worker.members.get(scope, "c1") == adopted
    worker.members.depart(scope, "c1", "replaced", None, author())
    second = declare(worker, scope, declared="heat:2")
    assert second.outcome == "created"
    assert second.member.generation not in (first.member.generation, adopted.generation)


def test_a_declared_member_is_found_by_its_declaration_alone(worker: Worker, scope: Scope) -> None:
    declare(worker, scope, "a", declared="heat:1")
    declare(worker, scope, "b", declared="heat:10")
    declare(worker, scope, "c", "head", declared="heat:1")
    join(worker, scope, "d")
    assert names(worker, scope, declared="heat:1") == ["a", "c"]
    assert names(worker, scope, declared="heat:1", group="head") == ["c"]
    assert names(worker, scope, declared="heat:") == []
    assert names(worker, scope) == ["a", "b", "c", "d"]
    first = worker.members.list(scope, declared="heat:1", limit=1)
    worker.members.depart(scope, "c", "left", None, author())
    rest = worker.members.list(
        scope, declared="heat:1", limit=1, marker=first.marker or "", at=first.cursor
    )
    assert [m.name for m in rest.items] == ["c"]


# Adopting


def test_an_agent_that_joins_adopts_the_declared_member(worker: Worker, scope: Scope) -> None:
    first = declare(worker, scope, group="x", reason="scaled_out", index=1)
    worker.members.set_state(scope, "c1", "ready", None, author())
    adopted = join(worker, scope, ttl=60, by="agent", rack="r1")
    member = worker.members.get(scope, "c1")
    assert (adopted.outcome, adopted.member) == ("adopted", member)
    assert (member.declared, member.reason) == ("heat:1", "scaled_out")
    assert member.joined_at == first.member.joined_at
    assert (member.group, member.attributes, member.ttl) == ("compute", '{"rack":"r1"}', 60)
    assert (member.state, member.version, member.updated_by) == ("joining", 3, "agent")
    assert member.lease > 0
    assert member.generation == f"{member.lease:x}" != first.member.generation
    assert changes_by_event(worker, scope, first.cursor.revision) == [["member.change c1"]] * 2
    assert worker.stacks.get(scope).usage.facts == 1
    for late in (
        lambda: join(worker, scope, generation=first.member.generation),
        lambda: worker.members.heartbeat(scope, "c1", first.member.generation, None),
    ):
        with pytest.raises(Conflict) as refused:
            late()
        assert refusal(refused) == "generation_stale"


def test_an_owner_that_joins_may_give_a_new_reason(worker: Worker, scope: Scope) -> None:
    declare(worker, scope, reason="scaled_out")
    request = JoinRequest.of("compute", 60, reason="healed")
    adopted = worker.members.join(scope, "c1", request, author())
    assert (adopted.member.reason, adopted.member.declared) == ("healed", "heat:1")


def test_declaring_an_adopted_member_again_leaves_the_member_alone(
    worker: Worker, scope: Scope
) -> None:
    declare(worker, scope)
    adopted = join(worker, scope, rack="r1")
    again = declare(worker, scope, group="other", index=9)
    assert (again.outcome, again.member) == ("unchanged", adopted.member)
    assert changes_by_event(worker, scope, adopted.cursor.revision) == []
    head = worker.backend.head(soon())
    assert declare(worker, scope, group="other", index=9).outcome == "unchanged"
    assert worker.backend.head(soon()) == head


def test_an_adopted_member_and_its_next_incarnation_stay_declared(
    worker: Worker, scope: Scope
) -> None:
    declare(worker, scope, reason="scaled_out")
    adopted = join(worker, scope)
    generation = adopted.member.generation
    assert join(worker, scope, generation=generation, rack="r2").member.declared == "heat:1"
    worker.members.set_state(scope, "c1", "ready", generation, author())
    start = worker.store.refresh(soon()).revision
    again = join(worker, scope)
    assert (again.outcome, again.member.declared) == ("replaced", "heat:1")
    assert (again.member.version, again.member.reason) == (1, None)
    assert changes_by_event(worker, scope, start) == [["member.join c1"]]


def test_of_many_concurrent_adoptions_the_last_one_lives(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    declare(worker, scope)
    joined = list(threads.map(lambda n: join((worker, other)[n % 2], scope, n=n), range(12)))
    outcomes = sorted(each.outcome for each in joined)
    assert outcomes == ["adopted", *["replaced"] * 11]
    last = max(joined, key=lambda each: each.cursor)
    for each in (worker, other):
        assert each.members.get(scope, "c1") == last.member
        assert names(each, scope, declared="heat:1") == ["c1"]


def test_of_many_declarations_of_a_name_one_succeeds(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()

    def attempt(n: int) -> str:
        try:
            return declare((worker, other)[n % 2], scope, declared=f"heat:{n % 4}").outcome
        except FactstoreError as error:
            return error.code

    outcomes = list(threads.map(attempt, range(12)))
    assert outcomes.count("created") == 1
    assert outcomes.count("unchanged") == 2
    assert outcomes.count("member_declared") == 9


def test_an_agent_and_its_owner_that_join_concurrently_become_one_declared_member(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    for n in range(8):
        name = f"c{n}"
        declaring = threads.submit(declare, worker, scope, name, declared=f"heat:{n}")
        joining = threads.submit(join, other, scope, name)
        declaring.result(60), joining.result(60)
        member = worker.members.get(scope, name)
        assert (member.declared, member.ttl) == (f"heat:{n}", 600)
        assert member.generation == joining.result().member.generation


# The agent came first


def test_declaring_a_living_member_only_adds_a_note(worker: Worker, scope: Scope) -> None:
    joined = join(worker, scope, rack="r1")
    ready = worker.members.set_state(scope, "c1", "ready", None, author()).member
    worker.put(scope, "nodes/c1/ip", 1, member="c1")
    start = worker.store.refresh(soon()).revision
    noted = declare(worker, scope, group="other", reason="scaled_out", by="heat", index=1)
    member = worker.members.get(scope, "c1")
    assert (noted.outcome, noted.member) == ("updated", member)
    assert (member.declared, member.reason, member.updated_by) == ("heat:1", "scaled_out", "heat")
    for kept in ("group", "attributes", "state", "ttl", "lease", "generation", "joined_at"):
        assert getattr(member, kept) == getattr(ready, kept)
    assert member.version == ready.version + 1
    assert changes_by_event(worker, scope, start) == [["member.change c1"]]
    worker.members.heartbeat(scope, "c1", joined.member.generation, None)
    assert worker.paths(scope) == ["nodes/c1/ip"]


def test_a_note_changes_neither_the_context_nor_the_revision_to_apply(
    world: World, worker: Worker, scope: Scope
) -> None:
    join(worker, scope)
    known = worker.context.get(scope)
    noted = declare(worker, scope)
    for each in (worker, world.worker()):  # even for an agent that has just applied everything
        each.store.refresh(soon())
        found = each.context.get(scope)
        assert (found.etag, found.target) == (known.etag, known.target)
        assert found.target < noted.cursor.revision
    changed = worker.members.set_state(scope, "c1", "ready", None, author()).member
    assert worker.context.get(scope).target == changed.revision
    assert world.worker().context.get(scope).target == changed.revision


def test_a_note_does_not_keep_a_member_alive(
    worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    join(worker, scope)
    renewed: list[int] = []
    monkeypatch.setattr(worker.store, "renew_lease", lambda lease, deadline: renewed.append(lease))
    assert declare(worker, scope).outcome == "updated"
    assert declare(worker, scope).outcome == "unchanged"
    assert renewed == []


# Facts, fences and quotas


def test_no_fact_is_bound_to_a_declared_member_before_it_joins(
    worker: Worker, scope: Scope
) -> None:
    declared = declare(worker, scope)
    with pytest.raises(Conflict) as refused:
        worker.put(scope, "nodes/c1/ip", 1, member="c1")
    assert refusal(refused) == "member_missing"
    assert "declared" in refused.value.detail
    worker.put(scope, "nodes/c1/rack", 1)
    worker.put(scope, "nodes/c1/rack", 2, generation=declared.member.generation)
    adopted = join(worker, scope)
    worker.put(scope, "nodes/c1/ip", 1, member="c1", generation=adopted.member.generation)
    assert worker.paths(scope) == ["nodes/c1/ip", "nodes/c1/rack"]
    with pytest.raises(Conflict):
        worker.put(scope, "nodes/c1/rack", 3, generation=declared.member.generation)


def test_a_declared_member_that_has_not_joined_has_no_ttl(worker: Worker, scope: Scope) -> None:
    generation = declare(worker, scope).member.generation
    with pytest.raises(Conflict) as refused:
        join(worker, scope, ttl=60, generation=generation)
    assert refusal(refused) == "member_ttl_fixed"
    assert "has no ttl" in refused.value.detail


def test_a_declaration_counts_as_bytes_and_a_declared_member_as_a_fact(
    world: World, scope: Scope
) -> None:
    worker = world.worker(quota=Quota(bytes_per_stack=300, facts_per_stack=2))
    joined = join(worker, scope)
    with pytest.raises(Forbidden):
        declare(worker, scope, "c2", declared="x" * 255, text="y" * 255)
    noted = declare(worker, scope, declared="x" * 255)
    assert worker.stacks.get(scope).usage.bytes == noted.member.size == joined.member.size + 255
    declare(worker, scope, "c2")
    more: tuple[Callable[[], object], ...] = (
        lambda: declare(worker, scope, "c3"),
        lambda: join(worker, scope, "c3"),
    )
    for each in more:
        with pytest.raises(Forbidden) as refused:
            each()
        assert refusal(refused) == "quota_exceeded"
    assert join(worker, scope, "c2").outcome == "adopted"
