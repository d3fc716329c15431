"""Members that an owner declares before or after their agents join, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from factstore.core.errors import Conflict, FactstoreError, Forbidden, NotFound, Unavailable
from factstore.core.model.fact import Scope
from factstore.core.model.member import JoinRequest, Member
from factstore.core.model.quota import Quota
from factstore.core.model.record import RecordKey
from factstore.core.services.watch_filter import Filter
from tests.contract.membership import changes_by_event, changes_since, declare, join, names, refusal
from tests.contract.waiting import arm
from tests.contract.world import Worker, World, author, new_scope, soon

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
    assert worker.stacks.get(scope)[1].facts == 1


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
    assert changes_by_event(worker, scope, first.revision) == [["member.change c1"]] * 2


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
    assert changes_by_event(worker, scope, first.revision) == [["member.change c1"]] * 2
    assert worker.stacks.get(scope)[1].facts == 1
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
    assert changes_by_event(worker, scope, adopted.revision) == []
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
    last = max(joined, key=lambda each: each.revision)
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
    ready = worker.members.set_state(scope, "c1", "ready", None, author())
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
        assert found.target < noted.revision
    changed = worker.members.set_state(scope, "c1", "ready", None, author())
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


# Staying and departing


def test_a_heartbeat_of_a_declared_member_is_accepted_and_may_state_an_applied_revision(
    worker: Worker, scope: Scope
) -> None:
    declared = declare(worker, scope)
    head = worker.backend.head(soon())
    worker.members.heartbeat(scope, "c1", None, None)
    worker.members.heartbeat(scope, "c1", declared.member.generation, None)
    assert worker.backend.head(soon()) == head
    with pytest.raises(Conflict):
        worker.members.heartbeat(scope, "c1", "abc", None)
    worker.members.heartbeat(scope, "c1", None, worker.facts.cursor(declared.revision))
    worker.store.refresh(soon())
    assert worker.convergence.get(scope).reached
    join(worker, scope)
    assert not worker.convergence.get(scope).reached


def test_a_stale_worker_does_not_accept_a_heartbeat_of_a_departed_member(
    world: World, worker: Worker, scope: Scope
) -> None:
    other = world.worker()
    declare(worker, scope)
    other.members.get(scope, "c1")
    worker.members.depart(scope, "c1", "left", None, author())
    with pytest.raises(NotFound):
        other.members.heartbeat(scope, "c1", None, None)


def test_a_declared_member_that_has_not_joined_holds_back_convergence(
    worker: Worker, scope: Scope
) -> None:
    join(worker, scope, "c0")
    declare(worker, scope)
    (lagging,) = [f for f in worker.convergence.get(scope).members if f.member.name == "c1"]
    assert (lagging.applied, lagging.lags) == (None, True)
    assert not worker.convergence.get(scope).reached


def departs(worker: Worker, scope: Scope, member: Member, declared: str | None) -> None:
    start = worker.store.refresh(soon()).revision
    revision = worker.members.depart(scope, "c1", "scaled_in", None, author("heat"), declared)
    worker.store.refresh(soon())
    ((change,),) = changes_since(worker, scope, start)
    assert isinstance(change.record, Member)
    assert (change.type, change.reason, change.by) == ("member.depart", "scaled_in", "heat")
    assert (change.former, change.record.revision) == (member, revision)
    assert change.record.generation == member.generation
    with pytest.raises(NotFound):
        worker.members.get(scope, "c1")
    assert worker.stacks.get(scope)[1].facts == 0


@pytest.mark.parametrize("word", [None, "heat:1"])
def test_a_declared_member_departs_on_request_and_leaves_no_keys(
    worker: Worker, scope: Scope, word: str | None
) -> None:
    declared = declare(worker, scope)
    worker.members.heartbeat(scope, "c1", None, worker.facts.cursor(declared.revision))
    departs(worker, scope, declared.member, word)
    assert worker.store.state().stack_state(scope).convergence.applied == {}  # type: ignore[union-attr]


def test_adopted_and_noted_members_depart_by_their_declaration(
    worker: Worker, scope: Scope
) -> None:
    declare(worker, scope)
    departs(worker, scope, join(worker, scope).member, "heat:1")
    join(worker, scope)
    departs(worker, scope, declare(worker, scope).member, "heat:1")


def test_departing_with_another_declaration_is_refused(worker: Worker, scope: Scope) -> None:
    def by(word: str) -> None:
        worker.members.depart(scope, "c1", "left", None, author(), word)

    worker.put(scope, "p")
    with pytest.raises(NotFound):
        by("heat:1")
    for living in (lambda: declare(worker, scope), lambda: join(worker, scope)):
        member = living().member
        with pytest.raises(Conflict) as refused:
            by("heat:2")
        assert refusal(refused) == "member_declared"
        assert worker.members.get(scope, "c1") == member
    worker.members.depart(scope, "c1", "left", None, author())
    join(worker, scope)
    with pytest.raises(Conflict) as refused:
        by("heat:1")
    assert refusal(refused) == "member_declared"


def test_a_departed_member_whose_removal_failed_expires_and_blocks_no_other(
    worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    def revoke(lease: int, deadline: float) -> None:
        raise Unavailable("not now")

    declare(worker, scope)
    with monkeypatch.context() as patched:
        patched.setattr(worker.store, "revoke_lease", revoke)
        worker.members.depart(scope, "c1", "left", None, author())
    record = worker.store.refresh(soon()).record(scope, RecordKey(Member, "c1"))
    assert isinstance(record, Member)
    assert record.departed
    assert record.lease  # it expires
    assert names(worker, scope) == []
    again = declare(worker, scope, declared="heat:2")
    assert (again.outcome, again.member.lease) == ("created", 0)
    assert worker.members.get(scope, "c1") == again.member


def test_joining_during_a_departure_leaves_a_consistent_state(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    for n in range(8):
        name = f"c{n}"
        declare(worker, scope, name)
        joining = threads.submit(join, other, scope, name)
        departing = threads.submit(worker.members.depart, scope, name, "left", None, author())
        joined, departed = joining.result(60), departing.result(60)
        if joined.revision < departed:
            assert joined.outcome == "adopted"
            assert name not in names(worker, scope)
        else:
            assert joined.outcome == "created"
            assert worker.members.get(scope, name) == joined.member
            assert joined.member.declared is None


def test_adopting_during_a_stack_deletion_happens_before_it_or_in_a_new_stack(
    world: World, worker: Worker, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    for _ in range(6):
        scope = new_scope()
        declare(worker, scope)
        deleting = threads.submit(worker.stacks.delete, scope, author())
        joined = threads.submit(join, other, scope).result(60)
        deleting.result(60)
        worker.store.refresh(soon())
        if joined.outcome == "adopted":
            with pytest.raises(NotFound):
                worker.members.get(scope, "c1")
        else:
            assert worker.members.get(scope, "c1").declared is None


def test_declaring_a_member_creates_no_stack(worker: Worker, scope: Scope) -> None:
    request = JoinRequest.of("compute", None, {}, declared="heat:1")
    with pytest.raises(NotFound, match="There is no stack named"):
        worker.members.join(scope, "c1", request, author())
    with pytest.raises(NotFound):
        worker.stacks.get(scope)


def test_declaring_during_a_stack_deletion_never_restores_the_stack(
    world: World, worker: Worker, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    request = JoinRequest.of("compute", None, {}, declared="heat:2")
    for _ in range(6):
        scope = new_scope()
        declare(worker, scope)
        deleting = threads.submit(worker.stacks.delete, scope, author())
        with suppress(NotFound):
            other.members.join(scope, "c2", request, author())
        deleting.result(60)
        worker.store.refresh(soon())
        with pytest.raises(NotFound):
            worker.stacks.get(scope)


def test_a_stack_that_was_deleted_leaves_no_declared_member(worker: Worker, scope: Scope) -> None:
    declare(worker, scope)
    worker.stacks.delete(scope, author())
    worker.put(scope, "p")
    assert names(worker, scope) == []
    assert declare(worker, scope).outcome == "created"


# Awaited again


def test_a_declared_member_whose_agent_fell_silent_is_awaited_again_on_every_worker(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    declared = declare(worker, scope, index=1, reason="scaled_out")
    join(worker, scope, ttl=5, rack="r1")
    worker.put(scope, "nodes/c1/ip", 1, member="c1")
    ready = worker.members.set_state(scope, "c1", "ready", None, author())
    worker.members.heartbeat(scope, "c1", None, worker.facts.cursor(ready.revision))
    assert worker.convergence.get(scope).reached
    cursor = worker.facts.cursor(worker.store.refresh(soon()).revision)
    (event,) = threads.submit(other.watch.poll, scope, cursor, 100, Filter()).result(60).events
    assert [(c.type, c.path, c.reason) for c in event.changes] == [
        ("fact.expire", "nodes/c1/ip", None),
        ("member.change", None, "expired"),
    ]
    (change,) = event.changes[1:]
    assert change.former == ready
    awaited = change.record
    assert isinstance(awaited, Member)
    assert (awaited.declared, awaited.ttl, awaited.state) == ("heat:1", None, "joining")
    assert (awaited.group, awaited.attributes, awaited.reason) == (
        *("compute", '{"index":1}'),
        "scaled_out",
    )
    assert awaited.generation == declared.member.generation
    for each in (worker, other, world.worker()):
        each.store.refresh(soon())
        assert each.members.get(scope, "c1") == awaited
        assert names(each, scope, declared="heat:1") == ["c1"]
        found = each.convergence.get(scope)
        assert [(f.member.name, f.applied, f.lags) for f in found.members] == [("c1", None, True)]
        assert each.paths(scope) == []
        assert each.stacks.get(scope)[1].facts == 1
    adopted = join(other, scope)
    assert (adopted.outcome, adopted.member.reason) == ("adopted", "scaled_out")
    assert changes_by_event(worker, scope, event.revision) == [["member.change c1"]]


def test_a_declared_member_that_departs_by_itself_is_awaited_again(
    worker: Worker, scope: Scope
) -> None:
    declared = declare(worker, scope)
    joined = join(worker, scope)
    worker.put(scope, "nodes/c1/ip", 1, member="c1")
    arm(worker, scope, success={"every_member": {"fact": "x", "present": True, "at_least": 0}})
    before = worker.store.refresh(soon()).revision
    revision = worker.members.depart(
        scope, "c1", "stopped", joined.member.generation, author(), keeps_declaration=True
    )
    awaited = worker.members.get(scope, "c1")
    assert (awaited.declared_only, awaited.generation) == (True, declared.member.generation)
    (first, second) = changes_since(worker, scope, before)
    assert [(c.type, c.reason) for c in first] == [("member.change", "departed")]
    assert [c.type for c in second] == ["fact.expire"]
    assert worker.waiters.get(scope, "w").waiter.state == "pending"  # it still awaits the member
    with pytest.raises(Conflict):
        worker.members.heartbeat(scope, "c1", joined.member.generation, None)
    assert join(worker, scope).outcome == "adopted"
    assert worker.members.get(scope, "c1").revision > revision


def test_an_owner_removes_a_declared_member_with_its_declaration(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    declare(worker, scope)
    join(worker, scope)
    worker.members.depart(scope, "c1", "scaled_in", None, author(), "heat:1")
    assert names(worker, scope) == names(world.worker(), scope) == []
    declare(worker, scope, "c2", declared="heat:2")
    join(worker, scope, "c2", ttl=5)
    cursor = worker.facts.cursor(worker.store.refresh(soon()).revision)
    threads.submit(worker.watch.poll, scope, cursor, 100, Filter()).result(60)
    worker.members.depart(scope, "c2", "scaled_in", None, author(), "heat:2")  # it is awaited
    assert names(worker, scope) == names(world.worker(), scope) == []


def test_an_awaited_member_may_be_changed_by_its_owner(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    declare(worker, scope)
    join(worker, scope, ttl=5)
    cursor = worker.facts.cursor(worker.store.refresh(soon()).revision)
    threads.submit(worker.watch.poll, scope, cursor, 100, Filter()).result(60)
    assert declare(worker, scope).outcome == "unchanged"
    changed = declare(worker, scope, group="gpu")
    assert (changed.outcome, changed.member.group) == ("updated", "gpu")
    first = worker.members.list(scope, limit=1)
    join(worker, scope, "c0")
    pages = worker.members.list(scope, limit=9, at=first.cursor)
    assert [member.name for member in pages.items] == ["c1"]
    drained = worker.members.set_state(scope, "c1", "draining", None, author())
    assert (drained.state, drained.declared_only) == ("draining", True)


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
    assert worker.stacks.get(scope)[1].bytes == noted.member.size == joined.member.size + 255
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
