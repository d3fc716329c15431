"""A batch does to facts, members, waiters and alarms what its dry run states, which changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import Conflict, FactstoreError, Invalid, PreconditionFailed
from factstore.core.model.alarm import Alarm
from factstore.core.model.batch_plan import BatchPlan
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import (
    DropFact,
    DropRecord,
    Mutation,
    PutFact,
    PutRecord,
    PutStack,
    Step,
)
from factstore.core.model.fact import Author, Delete, DeletePrefix, Put
from factstore.core.model.member import Applied
from factstore.core.model.quota import UNLIMITED_QUOTA
from factstore.core.model.read_set import ReadSet
from factstore.core.model.record import RecordKey
from factstore.core.model.secret_readers import NOBODY, SecretReader
from factstore.core.model.transaction import Transaction
from factstore.core.model.waiter import Timer, Waiter
from factstore.core.operations.batch_plans import Preview, PreviewFacts, WritePlannedFacts
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.facts import WriteFacts
from factstore.core.operations.keyring import NoKeyring
from factstore.core.operations.planner import Planner
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State
from factstore.keys.keyring import RepositoryKeyring
from tests.sealing_keys import Nowhere
from tests.unit.core.conditions import VALUES, documents
from tests.unit.core.factories import EPOCH, SCOPE, ManualClock, fact, stack
from tests.unit.core.records import alarm, member, waiter

PATHS = ("a", "x/1", "nodes/c1/s", "nodes/c2/s", "nodes/c3/s/t", "y/c1/z", "results/c1/s")
NAMES = ("c1", "c2", "c3", "c4")
ALARMS: tuple[dict[str, Any], ...] = (
    {"condition": {"facts": "nodes/*/s", "equals": "up", "count": 2}},
    {"condition": {"facts": "a", "present": True}, "for": 60},
    {"condition": {"aggregate": {"facts": "*", "function": "max", "at_least": 1}}},
    {"condition": {"every_member": {"group": "compute", "fact": "s", "equals": "up"}}},
    {"condition": {"converged": {}}},
)
READ_SETS = (("*",), ("nodes/*/s",), ("nodes/",), ("a",), ("x/1/below", "results/c1"), ("x",))

requests = st.one_of(
    st.builds(Put.of, st.sampled_from(PATHS), st.sampled_from(VALUES)),
    st.builds(Put.of, st.sampled_from(PATHS), st.sampled_from(VALUES)),
    st.builds(Delete, st.sampled_from(PATHS)),
    st.builds(DeletePrefix, st.sampled_from(["nodes/c1", "nodes/c2", "x"])),  # none is in another
)


@st.composite
def states(draw: Callable[..., Any]) -> State:
    """Draw a stack with facts, members, waiters and alarms, each written at a revision of its own."""
    state = State(epoch=EPOCH)
    written: list[Any] = [PutStack(stack())]
    written += [
        PutFact("s1", fact(path, draw(st.sampled_from(VALUES)), version=draw(st.integers(1, 3))))
        for path in draw(st.lists(st.sampled_from(PATHS), unique=True))
    ]
    for lease, name in enumerate(draw(st.lists(st.sampled_from(NAMES), unique=True)), 70):
        group = draw(st.sampled_from(["compute", "head"]))
        ready = draw(st.sampled_from(["ready", "ready", "draining"]))
        ttl = draw(st.sampled_from([30, 30, None]))
        made = member(name, 0, lease, group=group, state=ready, ttl=ttl)
        written.append(PutRecord("s1", made))
        if draw(st.booleans()):
            found = ReadSet.of(name, draw(st.sampled_from(READ_SETS)), (), ())
            written.append(PutRecord("s1", found))
    for number, document in enumerate(draw(st.lists(documents, max_size=3))):
        name = f"w{number}"
        written += [PutRecord("s1", Timer(name)), PutRecord("s1", waiter(name, 0, **document))]
    for number, wanted in enumerate(draw(st.lists(st.sampled_from(ALARMS), unique_by=str))):
        written.append(PutRecord("s1", alarm(f"l{number}", 0, **wanted)))
    order = draw(st.permutations(written[1:]))
    for revision, mutation in enumerate([*written[:1], *order], 1):
        state.apply(Step(revision, (_at(mutation, revision),)))
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):  # some have nothing left to do
        revision = state.revision + 1
        made = Applied(name, state.revision, revision=revision)
        state.apply(Step(revision, (PutRecord("s1", made),)))
    return state


def _at(mutation: Any, revision: int) -> Mutation:
    if isinstance(mutation, PutFact):
        return PutFact("s1", replace(mutation.fact, revision=revision, created=revision))
    if isinstance(mutation, PutRecord):
        return PutRecord("s1", replace(mutation.record, revision=revision))
    assert isinstance(mutation, PutStack | DropFact | DropRecord)
    return mutation


AUTHOR = Author("u", "r")


def planner() -> Planner:
    clock = ManualClock()
    clock.timestamp = lambda: "now"  # type: ignore[method-assign]
    return Planner(clock, lambda project_id: UNLIMITED_QUOTA, lambda: "new-id")


def write(batch: Sequence[Any], **fields: Any) -> WriteFacts:
    return WriteFacts(SCOPE, batch, (), AUTHOR, Encryption(NoKeyring()), **fields)


def preview(state: State, batch: Sequence[Any]) -> Preview:
    return planner().plan(PreviewFacts(write(batch)), state)[0].outcome


def carry_out(state: State, transaction: Transaction) -> None:
    revision = state.revision + 1
    mutations: list[Mutation] = []
    for put in transaction.puts:
        known = state.fact(SCOPE, put.path)
        created = known.created if known is not None else revision
        mutations.append(PutFact("s1", put.stored(revision, created, put.version, put.lease)))
    mutations += [DropFact("s1", path) for path in transaction.deletes]
    mutations += [PutRecord("s1", replace(each, revision=revision)) for each in transaction.records]
    state.apply(Step(revision, tuple(mutations)))


def picture(stack_state: StackState) -> dict[str, Any]:
    """Return all that a dry run speaks of, and must not change."""
    waiters, alarms = stack_state.pending_waiters, stack_state.alarms
    convergence = stack_state.convergence
    return {
        "progress": {each.name: waiters.progress(each) for each in waiters.waiters()},
        "outcomes": {n: (o.state, o.progress, o.reason) for n, o in waiters.outcomes.items()},
        "decisions": {n: (d.step, d.state, d.reading) for n, d in alarms.decisions.items()},
        "targets": {name: convergence.target_of(name) for name in stack_state.live_members},
        "lagging": set(convergence.lagging),
        "faults": dict(stack_state.conditions.faults),
        "usage": (stack_state.count, stack_state.bytes),
    }


@given(states(), st.lists(requests, min_size=1, max_size=4, unique_by=lambda each: each.path))
def test_a_batch_does_what_its_dry_run_says(state: State, batch: list[Any]) -> None:
    stack_state = state.stack_state(SCOPE)
    assert stack_state is not None
    before = picture(stack_state)
    try:
        draft, transaction = planner().plan(write(batch), state)
    except FactstoreError as refusal:
        with pytest.raises(type(refusal)):
            preview(state, batch)
        return
    assert transaction is not None
    found = preview(state, batch)
    assert picture(stack_state) == before, "a dry run changes nothing"
    assert preview(state, batch) == found, "nor does it depend on earlier ones"
    planned = WritePlannedFacts(
        SCOPE, batch, (), AUTHOR, Encryption(NoKeyring()), expected=found.plan
    )
    assert planner().plan(planned, state)[0].puts == draft.puts

    assert found.results == draft.outcome
    carry_out(state, transaction)
    after = picture(stack_state)

    assert (found.stack.facts, found.stack.bytes) == after["usage"]
    moved = {name for name, at in after["targets"].items() if at != before["targets"][name]}
    living = {n for n in moved if not stack_state.live_members[n].declared_only}
    assert {each.name for each in found.forecast.woken} == living
    outcomes = {n: o for n, o in after["outcomes"].items() if n not in before["outcomes"]}
    said = {
        each.waiter.name: (each.state, each.progress, each.reason)
        for each in found.forecast.waiters
        if each.state != "pending"
    }
    assert said == outcomes
    progress = {
        each.waiter.name: each.progress
        for each in found.forecast.waiters
        if each.state == "pending"
    }
    changed = {
        name: now
        for name, now in after["progress"].items()
        if now != before["progress"][name] and name not in after["outcomes"]
    }
    assert progress == changed
    decisions = {n: d for n, d in after["decisions"].items() if n not in before["decisions"]}
    assert {
        each.alarm.name: (each.step, each.state, each.reading) for each in found.forecast.alarms
    } == decisions


def small(*written: Any) -> State:
    """Return a stack in which these are written, each at a revision of its own."""
    state = State(epoch=EPOCH)
    for revision, mutation in enumerate([PutStack(stack()), *written], 1):
        state.apply(Step(revision, (_at(mutation, revision),)))
    return state


def joins(name: str, lease: int, *reads: str) -> list[Any]:
    made: list[Any] = [PutRecord("s1", member(name, 0, lease))]
    return [*made, PutRecord("s1", ReadSet.of(name, reads, (), ()))] if reads else made


def woken(state: State, *batch: Any) -> list[str]:
    return [each.name for each in preview(state, batch).forecast.woken]


def test_listings_are_concerned_by_what_is_created_or_deleted_only() -> None:
    known = PutFact("s1", fact("nodes/c1/s", "up"))
    state = small(
        known, *joins("c1", 70, "nodes/"), *joins("c2", 71, "nodes/*/s"), *joins("c3", 72)
    )
    assert woken(state, Put.of("nodes/c1/s", "down")) == ["c2", "c3"]
    assert woken(state, Put.of("nodes/c2/s", "up")) == ["c1", "c2", "c3"]
    assert woken(state, Delete("nodes/c1/s")) == ["c1", "c2", "c3"]
    assert woken(state, Put.of("other", 1)) == ["c3"]
    assert woken(state, Put.of("nodes/c1/s", "up"), Put.of("results/c1/x", 1)) == []


def test_a_waiter_that_would_fail_names_who_is_missing() -> None:
    success = {"every_member": {"group": "compute", "fact": "s", "equals": "up"}}
    failure = {"facts": "nodes/*/s", "equals": "down"}
    armed = PutRecord("s1", waiter("ready", 0, success, failure=failure))
    timer = PutRecord("s1", Timer("ready"))
    state = small(*joins("c1", 70), *joins("c2", 71), timer, armed)
    (found,) = preview(state, [Put.of("nodes/c1/s", "up")]).forecast.waiters
    assert (found.state, found.progress.missing) == ("pending", ("c2",))
    batch = [Put.of("nodes/c1/s", "up"), Put.of("nodes/c2/s", "down")]
    (found,) = preview(state, batch).forecast.waiters
    assert (found.state, found.progress.failing) == ("failed", ("nodes/c2/s",))


# Plans


def apply(state: State, plan: BatchPlan, batch: Sequence[Any], **fields: Any) -> Transaction:
    write = WritePlannedFacts(
        SCOPE, batch, (), AUTHOR, Encryption(NoKeyring()), expected=plan, **fields
    )
    transaction = planner().plan(write, state)[1]
    assert transaction is not None
    return transaction


BATCH = [Put.of("nodes/c1/s", "up"), Delete("old"), DeletePrefix("nodes/c9")]
RESET = {"success": {"facts": "nodes/*/s", "equals": "up", "count": 2}}


def planned() -> tuple[State, BatchPlan]:
    state = small(
        PutFact("s1", fact("old")),
        PutFact("s1", fact("nodes/c9/x")),
        *joins("c1", 70),
        *[PutRecord("s1", Timer(name)) for name in ("ready", "other")],
        PutRecord("s1", waiter("ready", 0, **RESET)),
        PutRecord("s1", alarm("busy", 0, condition={"facts": "nodes/*/s", "equals": "up"})),
    )
    plan = preview(state, BATCH).plan
    apply(state, plan, BATCH)
    return state, plan


@pytest.mark.parametrize(
    ("part", "mutation"),
    [
        ("facts", PutFact("s1", fact("nodes/c1/s", "down"))),
        ("facts", PutFact("s1", fact("old", 2, version=2))),
        ("facts", DropFact("s1", "old")),
        ("facts", PutFact("s1", fact("nodes/c9/y"))),
        ("facts", DropFact("s1", "nodes/c9/x")),
        ("members", PutRecord("s1", member("c2", 0, 71))),
        ("members", PutRecord("s1", member("c1", 0, 79))),
        ("members", PutRecord("s1", ReadSet.of("c1", ("x",), (), ()))),
        ("waiters", PutRecord("s1", waiter("ready", 0, **RESET, timeout=60))),
        ("waiters", PutRecord("s1", waiter("other", 0, **RESET, timeout=9))),
        ("waiters", PutFact("s1", fact("nodes/c2/s", "up"))),
        ("waiters", DropRecord("s1", RecordKey(Waiter, "ready"))),
        ("alarms", PutRecord("s1", alarm("busy", 0, condition={"facts": "no", "present": True}))),
        ("alarms", DropRecord("s1", RecordKey(Alarm, "busy"))),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_plan_is_refused_once_what_it_depends_on_has_moved(part: str, mutation: Any) -> None:
    state, plan = planned()
    revision = state.revision + 1
    state.apply(Step(revision, (_at(mutation, revision),)))
    with pytest.raises(PreconditionFailed) as caught:
        apply(state, plan, BATCH)
    assert (caught.value.code, part in caught.value.extra["moved"]) == ("plan_outdated", True)  # type: ignore[operator]


def test_a_plan_stays_valid_while_other_things_change() -> None:
    state, plan = planned()
    others = [
        PutFact("s1", fact("nodes/c1/other", 1)),
        PutRecord("s1", waiter("else", 0, {"facts": "x", "present": True})),
        PutRecord("s1", Applied("c1", state.revision)),
    ]
    for mutation in others:
        revision = state.revision + 1
        state.apply(Step(revision, (_at(mutation, revision),)))
    transaction = apply(state, plan, BATCH)
    assert [put.path for put in transaction.puts] == ["nodes/c1/s"]
    guarded = {key.name for key in transaction.record_revisions}
    assert guarded == {"ready", "busy", "room"}, "they are compared when it is written, too"


def test_a_plan_is_refused_with_another_batch_and_in_another_life_of_the_store() -> None:
    state, plan = planned()
    others: list[tuple[Sequence[Any], dict[str, Any]]] = [
        ([*BATCH, Put.of("more", 1)], {}),
        ([Put.of("nodes/c1/s", "up", ttl=60), *BATCH[1:]], {}),
        ([Put.of("nodes/c1/s", "up"), Delete("old"), Delete("nodes/c9")], {}),
        (BATCH[::-1], {}),
        (BATCH, {"fences": (f"{70:x}",)}),
    ]
    for batch, fields in others:
        with pytest.raises(Conflict) as mismatch:
            apply(state, plan, batch, **fields)
        assert mismatch.value.code == "plan_mismatch"
    former = plan._replace(cursor=Cursor("f" * 16, plan.cursor.revision))
    with pytest.raises(PreconditionFailed, match="restored or replaced"):
        apply(state, former, BATCH)


def test_a_plan_survives_being_sent_and_nothing_else_is_a_plan() -> None:
    _, plan = planned()
    damaged_plans(plan)


def damaged_plans(plan: BatchPlan) -> None:
    """Check that a plan of which anything was lost, added or changed is refused as malformed."""
    text = str(plan)
    assert BatchPlan.parse(text) == plan
    for at in range(len(text)):
        other = "A" if text[at] != "A" else "B"
        for damaged in (text[:at], text[:at] + text[at + 1 :], text[:at] + other + text[at + 1 :]):
            with pytest.raises(Invalid) as caught:
                BatchPlan.parse(damaged)
            assert caught.value.code == "plan_invalid"
    for damaged in (f"{text}0", f"{text}=", f" {text}", f"{text}\n", text.upper(), text * 2):
        with pytest.raises(Invalid):
            BatchPlan.parse(damaged)


def test_the_plan_of_sensitive_values_reveals_none_of_them() -> None:
    encryption = Encryption(RepositoryKeyring(Nowhere(), ManualClock()))
    state = small()
    batch = [Put.of("password", "hunter-2", sensitive=True)]

    def wanted(batch: Sequence[Put], **fields: Any) -> Any:
        kind: Any = WritePlannedFacts if fields else WriteFacts
        return kind(SCOPE, batch, (), AUTHOR, encryption, **fields)

    def dry_run() -> Preview:
        return planner().plan(PreviewFacts(wanted(batch)), state)[0].outcome

    found = dry_run()
    assert found.plan != dry_run().plan, "equal values do not have equal plans"
    assert "hunter-2" not in repr(found)
    damaged_plans(found.plan)
    plan = BatchPlan.parse(str(found.plan))
    draft, transaction = planner().plan(wanted(batch, expected=plan), state)
    assert draft.puts[0].sensitive
    for other in (
        [Put.of("password", "hunter-3", sensitive=True)],
        [Put.of("password", "hunter-2")],
        [Put.of("login", "hunter-2", sensitive=True)],
    ):
        with pytest.raises(Conflict, match="another batch"):
            planner().plan(wanted(other, expected=plan), state)
    # Only callers who may read a value learn from a dry run whether another is equal.
    assert transaction is not None
    carry_out(state, transaction)
    readers = {NOBODY: "updated", SecretReader(may_read_sensitive=True): "unchanged"}
    for reader, outcome in readers.items():
        write = WriteFacts(SCOPE, batch, (), replace(AUTHOR, reader=reader), encryption)
        (result,) = planner().plan(PreviewFacts(write), state)[0].outcome.results
        assert result.outcome == outcome
