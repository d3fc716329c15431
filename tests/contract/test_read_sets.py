"""Read sets: the changes that wake a member, and that it has to apply, on every backend."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from factstore.core.errors import Conflict, Forbidden, NotFound
from factstore.core.model.fact import Scope
from factstore.core.model.quota import Quota
from factstore.core.model.read_set import ReadSet
from factstore.core.services.compiled_context import Context
from factstore.core.services.context_delta import ContextDelta
from factstore.core.services.context_view import ContextView
from factstore.core.services.debounce import AT_ONCE, Debounce
from factstore.core.services.read_sets import StoredReadSet
from tests.contract.membership import changes_by_event, declare, join
from tests.contract.waiting import arm, decided, state_of
from tests.contract.world import Worker, World, author, soon


def reads(
    worker: Worker,
    scope: Scope,
    *facts: str,
    name: str = "c1",
    generation: str | None = None,
    **more: list[str],
) -> StoredReadSet:
    """Store the read set of a member."""
    read_set = ReadSet.of(name, facts, **more)
    return worker.read_sets.put(scope, read_set, generation, author())


def lagging(worker: Worker, scope: Scope) -> list[str]:
    return [each.member.name for each in worker.convergence.get(scope).members if each.lags]


def apply_all(worker: Worker, scope: Scope, *names: str) -> None:
    target = worker.convergence.get(scope).target
    for name in names:
        worker.members.heartbeat(scope, name, None, target)


# The record


def test_a_read_set_is_stored_once_without_an_event(
    world: World, worker: Worker, scope: Scope
) -> None:
    joined = join(worker, scope)
    target = worker.convergence.get(scope).target
    stored = reads(worker, scope, "b", "a", groups=["head"])
    assert (stored.created, stored.unchanged) == (True, False)
    head = worker.backend.head(soon())
    again = reads(worker, scope, "a", "b", groups=["head"])
    assert (again.created, again.unchanged) == (False, True)
    assert worker.backend.head(soon()) == head
    assert world.worker().read_sets.get(scope, "c1") == stored.read_set
    found = worker.members.get_with_read_set(scope, "c1")
    assert found[:2] == (joined.member, stored.read_set)
    assert changes_by_event(worker, scope, joined.cursor.revision) == []
    assert worker.convergence.get(scope).target == target
    other = reads(worker, scope, "c")
    assert (other.created, other.unchanged) == (False, False)


def test_the_read_set_ends_with_the_incarnation(worker: Worker, scope: Scope) -> None:
    first = join(worker, scope)
    reads(worker, scope, "a", generation=first.member.generation)
    second = join(worker, scope)
    with pytest.raises(NotFound, match="no read set"):
        worker.read_sets.get(scope, "c1")
    with pytest.raises(Conflict):
        reads(worker, scope, "a", generation=first.member.generation)
    reads(worker, scope, "a")
    worker.members.depart(scope, "c1", "left", second.member.generation, author())
    with pytest.raises(NotFound, match="no member"):
        worker.read_sets.get(scope, "c1")
    with pytest.raises(NotFound, match="no member"):
        reads(worker, scope, "a")
    assert worker.stacks.get(scope).usage.facts == 0


def test_without_its_read_set_a_member_reads_everything(worker: Worker, scope: Scope) -> None:
    join(worker, scope)
    reads(worker, scope, "a")
    apply_all(worker, scope, "c1")
    worker.put(scope, "b")
    assert lagging(worker, scope) == []
    worker.read_sets.delete(scope, "c1", None, author())
    assert lagging(worker, scope) == ["c1"]
    with pytest.raises(NotFound, match="no read set"):
        worker.read_sets.delete(scope, "c1", None, author())


def test_read_sets_count_towards_quotas(world: World, scope: Scope) -> None:
    worker = world.worker(quota=Quota(facts=2))
    join(worker, scope)
    reads(worker, scope, "a")
    join(worker, scope, "c1")  # the read set ends, and makes room
    worker.put(scope, "x")
    with pytest.raises(Forbidden):
        reads(worker, scope, "a")


# Convergence


def test_a_member_that_does_not_read_a_change_has_applied_it(
    world: World, worker: Worker, scope: Scope
) -> None:
    other = world.worker()
    for name in ("c1", "c2", "c3"):
        join(worker, scope, name)
    reads(worker, scope, "nodes/", "nodes/*/ip")
    reads(worker, scope, "nodes/", "nodes/*/ip", name="c2")
    worker.put(scope, "nodes/c1/ip", 1)
    worker.put(scope, "nodes/c1/load", 1)
    apply_all(worker, scope, "c1", "c2", "c3")
    target = worker.convergence.get(scope).target
    arm(worker, scope, success={"converged": {}}, create_only=True)
    assert decided(worker, scope).state == "met"
    worker.put(scope, "nodes/c1/load", 2)
    for each in (worker, other, world.worker()):  # the last one has not seen the changes
        found = each.convergence.get(scope)
        assert found.concerned == 1
        assert [m.member.name for m in found.members if m.lags] == ["c3"]
        assert [m.target for m in found.members] == [target, target, found.target]
    arm(worker, scope, success={"converged": {"group": "compute"}})
    assert state_of(other, scope) == "pending"
    worker.members.heartbeat(scope, "c3", None, worker.convergence.get(scope).target)
    assert decided(other, scope).state == "met"
    worker.put(scope, "nodes/c1/ip", 2)
    assert lagging(other, scope) == ["c1", "c2", "c3"]
    assert other.convergence.get(scope).concerned == 3


def test_a_deletion_concerns_its_readers_also_on_a_worker_that_starts_later(
    world: World, worker: Worker, scope: Scope
) -> None:
    for name in ("c1", "c2"):
        join(worker, scope, name)
    reads(worker, scope, "a")
    reads(worker, scope, "b", name="c2")
    for path in ("a", "b"):
        worker.put(scope, path)
    apply_all(worker, scope, "c1", "c2")
    worker.delete(scope, "a")
    assert lagging(worker, scope) == ["c1"]
    marked = worker.store.refresh(soon()).stack_state(scope)
    assert marked is not None
    while marked.convergence.has_unrecorded_deletion:  # the waiter controller records it
        worker.waiter_controller.wake()
        worker.hub.wait_change(scope, worker.store.state().cursor, 0.1)
    assert lagging(world.worker(), scope) == ["c1"]


def test_a_wider_read_set_makes_a_member_lag_that_has_not_applied_it(
    worker: Worker, scope: Scope
) -> None:
    join(worker, scope)
    reads(worker, scope, "a")
    worker.put(scope, "a")
    apply_all(worker, scope, "c1")
    worker.put(scope, "b")
    assert lagging(worker, scope) == []
    reads(worker, scope, "a", "b")
    assert lagging(worker, scope) == ["c1"]
    apply_all(worker, scope, "c1")
    assert lagging(worker, scope) == []


def test_a_member_that_has_reported_nothing_lags(worker: Worker, scope: Scope) -> None:
    join(worker, scope)
    reads(worker, scope)
    (found,) = worker.convergence.get(scope).members
    assert (found.target, found.applied, found.lags) == (None, None, True)
    apply_all(worker, scope, "c1")
    assert worker.convergence.get(scope).reached


def test_the_state_of_a_listed_member_concerns_nobody(
    world: World, worker: Worker, scope: Scope
) -> None:
    groups = {"c1": {"members": ["*/"]}, "c2": {"groups": ["gpu/"]}, "c3": {"members": ["*"]}}
    for name, group in (*dict.fromkeys(groups, "compute").items(), ("c4", "gpu")):
        join(worker, scope, name, group)
    for name, read in groups.items():
        reads(worker, scope, name=name, **read)
    reads(worker, scope, name="c4")

    def concerned() -> list[str]:
        found = lagging(worker, scope)
        assert lagging(world.worker(), scope) == found, "all workers come to the same result"
        apply_all(worker, scope, *groups, "c4")
        return found

    assert concerned() == ["c1", "c2", "c3", "c4"]
    joined = worker.members.get(scope, "c4")
    for state in ("ready", "draining", "ready"):
        worker.members.set_state(scope, "c4", state, joined.generation, author())  # type: ignore[arg-type]
        assert concerned() == ["c3"]
    join(worker, scope, "c4", "gpu", generation=joined.generation, rack=1)
    assert concerned() == ["c1", "c2", "c3"]
    worker.members.set_state(scope, "c4", "draining", None, author())
    declare(worker, scope, "c4", "gpu")  # it changes nothing that readers see
    assert concerned() == ["c3"]
    join(worker, scope, "c4", "other", generation=joined.generation)
    assert concerned() == ["c1", "c2", "c3"]
    join(worker, scope, "c4", "gpu")
    assert concerned() == ["c1", "c2", "c3", "c4"]


# The readers of a fact


def test_the_members_that_read_a_fact_are_listed(worker: Worker, scope: Scope) -> None:
    for name in ("c1", "c2", "c3"):
        join(worker, scope, name)
    reads(worker, scope, "nodes/*/ip")
    reads(worker, scope, "other", name="c2")

    def readers(path: str, **more: object) -> list[str]:
        page = worker.members.list(scope, reads=path, limit=10, **more)  # type: ignore[arg-type]
        return [member.name for member in page.items]

    assert readers("nodes/c9/ip") == ["c1", "c3"]
    assert readers("other") == ["c2", "c3"]
    page = worker.members.list(scope, reads="other", limit=1)
    reads(worker, scope, "new", name="c2")
    assert readers("other", marker="c1", at=page.cursor) == ["c2", "c3"]
    assert readers("other") == ["c3"]


# Waiting for the context


class Copy:
    """A member's copy of the context."""

    def __init__(self, worker: Worker, scope: Scope, read_set: ReadSet) -> None:
        self.worker = worker
        self.scope = scope
        self.view = ContextView(member=read_set.member, read_set=read_set.digest)
        self.cursor = worker.context.get(scope, self.view).cursor

    def poll(self, wait: float = 0, settle: Debounce = AT_ONCE) -> ContextDelta | Context:
        return self.worker.context.since(
            self.scope, self.cursor, self.view, wait=wait, settle=settle
        )

    def waiting(self, threads: ThreadPoolExecutor) -> Future[ContextDelta | Context]:
        return self.worker.waiting(threads, self.poll, 30)


def test_only_changes_that_concern_the_read_set_wake_a_member(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    join(worker, scope)
    copy = Copy(other, scope, reads(worker, scope, "a", "late").read_set)
    waiting = copy.waiting(threads)
    for value in range(3):
        worker.put(scope, "kpi", value)
    other.store.refresh(soon())
    assert not waiting.done()
    at = worker.put(scope, "late", 1).revision
    found = waiting.result(60)
    assert found.cursor.revision >= at
    assert '"kpi":2' in found.text, "the copy stays exact"


def test_a_settled_member_is_not_kept_waiting_by_other_changes(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    join(worker, scope)
    copy = Copy(worker, scope, reads(worker, scope, "a").read_set)
    worker.put(scope, "a", 1)
    settled = threads.submit(copy.poll, 100, Debounce(0.5, 30))
    for value in range(1000):
        if settled.done():
            break
        worker.put(scope, "kpi", value)
    assert '"a":1' in settled.result(60).text


def test_a_read_set_that_is_not_current_wakes_its_member_for_everything(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    join(worker, scope)
    copy = Copy(worker, scope, reads(worker, scope, "a").read_set)
    waiting = copy.waiting(threads)
    reads(worker, scope, "a", "b")
    worker.put(scope, "b")
    assert '"b":1' in waiting.result(60).text
    worker.put(scope, "c")
    assert '"c":1' in copy.poll(30).text


@pytest.mark.parametrize("end", ["depart", "delete"])
def test_the_end_of_the_member_or_its_stack_wakes_it(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor, end: str
) -> None:
    joined = join(worker, scope)
    copy = Copy(worker, scope, reads(worker, scope, "a").read_set)
    waiting = copy.waiting(threads)
    if end == "depart":
        worker.members.depart(scope, "c1", "left", joined.member.generation, author())
    else:
        worker.stacks.delete(scope, author())
    with pytest.raises(NotFound):
        waiting.result(60)


def test_results_count_for_a_member_that_includes_them(worker: Worker, scope: Scope) -> None:
    join(worker, scope)
    copy = Copy(worker, scope, reads(worker, scope, "a").read_set)
    copy.view = replace(copy.view, results=True)
    worker.put(scope, "results/c1/x")
    assert "results" in copy.poll(30).text
