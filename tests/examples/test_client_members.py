"""The client's members, waiters and convergence against the service itself."""

from __future__ import annotations

import threading

import pytest

from factstore.client import Event, Put, Stack, WaiterRecord, connect, errors
from tests.http import fresh_stack

STARTED = {"every_member": {"group": "compute", "fact": "up", "equals": True, "at_least": 2}}


@pytest.fixture
def stack(environ: dict[str, str]) -> Stack:
    """Return a stack that does not exist yet."""
    return connect(environ).stack(fresh_stack())


def test_a_member_joins_changes_and_departs(stack: Stack) -> None:
    c1 = stack.member("c1")
    joined = c1.join("compute", ttl=60, attributes={"rack": 7})
    assert (joined.state, joined.group, joined.attributes) == ("joining", "compute", {"rack": 7})
    with stack.watch(types=["member.change", "member.depart"]) as watch:
        assert c1.ready().state == "ready"
        assert c1.drain().state == "draining"
        assert c1.show().version == 3
        stack.member("head").join("head")
        assert [member.name for member in stack.members()] == ["c1", "head"]
        assert [member.name for member in stack.members(group="compute")] == ["c1"]
        c1.depart(reason="scaled_in")
        events = [next(watch) for _ in range(3)]
    changes = [event.changes[0] for event in events if isinstance(event, Event)]
    assert [change.type for change in changes] == ["member.change"] * 2 + ["member.depart"]
    assert changes[2].reason == "scaled_in"
    assert changes[2].member is not None
    assert changes[2].member.state == "departed"
    assert changes[2].former is not None
    assert changes[2].former.state == "draining"
    with pytest.raises(errors.NotFound):
        c1.show()


def test_a_member_is_declared_adopted_and_removed(stack: Stack) -> None:
    c1, agent = stack.member("c1"), stack.member("c1")
    with pytest.raises(errors.NotFound):
        c1.declare("compute", "heat:1")
    stack.configure()
    declared = c1.declare("compute", "heat:1", reason="scaled_out", attributes={"index": 1})
    assert (declared.declared, declared.reason, declared.ttl) == ("heat:1", "scaled_out", None)
    assert c1.declare("compute", "heat:1", attributes={"index": 1}).unchanged
    with pytest.raises(errors.Conflict) as refused:
        c1.declare("compute", "heat:2")
    assert refused.value.code == "contextualization.member_declared"
    with stack.watch(types=["member.join", "member.change", "member.depart"]) as watch:
        adopted = agent.join("compute", ttl=60)
        assert (adopted.declared, adopted.ttl, adopted.joined_at) == (
            *("heat:1", 60),
            declared.joined_at,
        )
        agent.heartbeat()
        assert [each.name for each in stack.members(declared="heat:1")] == ["c1"]
        assert list(stack.members(declared="heat:2")) == []
        with pytest.raises(errors.Conflict):
            c1.depart(declared="heat:2")
        c1.depart(declared="heat:1", reason="scaled_in")
        events = [next(watch) for _ in range(2)]
    changes = [event.changes[0] for event in events if isinstance(event, Event)]
    assert [change.type for change in changes] == ["member.change", "member.depart"]
    with pytest.raises(errors.Conflict):
        agent.heartbeat()


def test_a_client_with_its_old_generation_is_still_the_same_member(stack: Stack) -> None:
    first = stack.member("c1").join("compute")
    again = stack.member("c1", generation=first.generation).join("compute")
    assert again.unchanged
    assert again.generation == first.generation
    other = stack.member("c1").join("compute")
    assert other.generation != first.generation
    ghost = stack.member("c1", generation=first.generation)
    for call in (lambda: ghost.join("compute"), ghost.heartbeat, ghost.ready, ghost.depart):
        with pytest.raises(errors.Conflict):
            call()


def test_facts_are_deleted_with_their_member(stack: Stack) -> None:
    c1 = stack.member("c1")
    c1.join("compute")
    put = stack.put("nodes/c1/ip", "10.0.0.1", member="c1", generation=c1.generation)
    assert put.member == "c1"
    stack.batch([Put("nodes/c1/up", True, member="c1"), Put("elsewhere", 1)])
    ghost = c1.generation
    c1.depart()
    assert [fact.path for fact in stack.snapshot().facts] == ["elsewhere"]
    for write in (
        lambda: stack.put("elsewhere", 2, generation=ghost),
        lambda: stack.delete("elsewhere", generation=ghost),
        lambda: stack.batch([Put("elsewhere", 2)], generation=ghost),
    ):
        with pytest.raises(errors.Conflict):
            write()
    assert stack.get("elsewhere").value == 1


def test_a_waiter_is_met_when_all_members_are_up(stack: Stack) -> None:
    waiter = stack.waiter("ready")
    armed = waiter.arm(STARTED, timeout=60)
    assert (armed.state, armed.satisfied, armed.needed) == ("pending", 0, 2)
    ends: list[WaiterRecord] = []
    waiting = threading.Thread(target=lambda: ends.append(waiter.wait(60)))
    waiting.start()
    with stack.watch(types=["waiter.met"]) as watch:
        for name in ("c1", "c2"):
            stack.member(name).join("compute")
            stack.put(f"nodes/{name}/up", True)
        event = next(watch)
    waiting.join()
    assert ends[0].state == "met"
    assert isinstance(event, Event)
    assert event.changes[0].name == "ready"
    assert event.changes[0].waiter is not None
    assert event.changes[0].waiter.ended
    assert [(found.name, found.state) for found in stack.waiters()] == [("ready", "met")]
    with pytest.raises(errors.PreconditionFailed):
        waiter.arm(STARTED, create_only=True)
    waiter.delete()
    waiter.delete()
    with pytest.raises(errors.NotFound):
        waiter.show()


def test_a_waiter_states_the_missing_paths_and_the_failed_members(stack: Stack) -> None:
    waiter = stack.waiter("signals")
    waiter.arm({"signals": 3}, extend_on_progress=True)
    waiter.signal(identifier="a", data={"ip": "10.0.0.1"})
    shown = waiter.show()
    assert (shown.satisfied, shown.needed) == (1, 3)
    assert waiter.show(if_none_match=shown.etag or "") is None
    waiter.signal("FAILURE", identifier="b", reason="no disk")
    end = waiter.wait(60)
    assert end.state == "failed"
    assert "no disk" in (end.reason or "")
    assert end.signals is not None
    assert end.signals["a"]["data"] == {"ip": "10.0.0.1"}


def test_convergence_is_waited_for(stack: Stack) -> None:
    c1 = stack.member("c1")
    c1.join("compute")
    known = stack.convergence()
    assert known.lagging == ("c1",)
    assert stack.convergence(if_none_match=known.etag) is None
    context = stack.context(member="c1")
    assert context.members == {"c1": {"group": "compute", "state": "joining", "attributes": {}}}
    assert context.document["self"]["name"] == "c1"
    c1.heartbeat(applied=context.cursor)
    reached = stack.convergence(group="compute", wait=30)
    assert reached.converged
    assert reached.applied == {"c1": context.cursor}


def test_a_member_is_woken_for_what_it_reads(stack: Stack) -> None:
    c1 = stack.member("c1")
    c1.join("compute")
    digest = c1.store_read_set(["nodes/", "nodes/*/ip"], members=["h1"], groups=["head"])
    assert c1.show().read_set == digest
    mirror = stack.mirror(member="c1", view="none")
    c1.heartbeat(applied=mirror.update().cursor)
    stack.put("kpi", 1)
    assert stack.convergence().concerned == 0
    assert stack.convergence().converged
    assert list(stack.members(reads="kpi")) == []
    assert [member.name for member in stack.members(reads="nodes/h1/ip")] == ["c1"]
    stack.put("nodes/h1/ip", "10.0.0.1")
    assert mirror.update(30, digest).facts["nodes"] == {"h1": {"ip": "10.0.0.1"}}
    c1.delete_read_set()
    assert c1.show().read_set is None


def test_a_settled_watch_and_context_include_every_change(stack: Stack) -> None:
    stack.put("a", 0)
    etag = stack.context().etag
    with stack.watch(settle=0.2, max_settle=5) as watch:
        for n in range(1, 6):
            stack.put("a", n)
        values = []
        for _ in range(5):
            event = next(watch)
            assert isinstance(event, Event)
            assert event.changes[0].fact is not None
            values.append(event.changes[0].fact.value)
    assert values == [1, 2, 3, 4, 5]
    context = stack.context(if_none_match=etag, wait=30, settle=0.2)
    assert context is not None
    assert context.facts == {"a": 5}
