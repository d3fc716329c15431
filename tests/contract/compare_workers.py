"""Compares a worker's state with a model whose totals are counted from scratch."""

from __future__ import annotations

from factstore.core.model.fact import Scope
from factstore.core.model.member import Applied, Declaration, Member
from factstore.core.model.read_set import ReadSet
from factstore.core.model.waiter import Signal, Waiter
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State
from tests.contract.model import Model, ModelFact, ModelMember, ModelReadSet
from tests.contract.world import PROJECT


def unstored_outcomes(state: State, scope: Scope) -> dict[str, str]:
    """Return the outcomes of waiters that are decided but not stored yet, by waiter name."""
    with state.read():
        space = state.stack_state(scope)
        found = space.pending_waiters.outcomes if space else {}
        return {name: verdict.state for name, verdict in found.items()}


def compare(state: State, scope: Scope, model: Model, *, reloaded: bool = False) -> None:
    """Assert that a state has the records and the totals of a model.

    :param reloaded: the state was loaded from the database, which does not contain deletions that
        preceded the first member; the target revision is compared only if there are members.
    """
    with state.read():
        space = state.stack_state(scope)
        assert (space is not None) == model.lives
        if space is None:
            assert state.project_usage(PROJECT).facts == 0
            return
        assert {
            path: ModelFact(fact.text, fact.ttl, fact.member, fact.lease)
            for path, fact in space.facts.items()
        } == model.facts
        assert space.paths == sorted(model.facts)
        assert {
            name: ModelMember(m.group, m.state, m.lease, m.declared, m.number)
            for name, m in space.live_members.items()
        } == model.members
        assert space.records(Member) == space.live_members
        assert {name: d.group for name, d in space.records(Declaration).items()} == {
            name: declaration.group for name, declaration in model.declarations.items()
        }
        assert set(space.generations) == {m.generation for m in model.members.values()}
        assert space.convergence.applied == model.applied
        assert {r.member: r.seen for r in space.records(Applied).values()} == model.applied
        assert {
            r.member: ModelReadSet(r.facts, r.members, r.groups)
            for r in space.records(ReadSet).values()
        } == model.read_sets
        compare_convergence(space, model)
        assert space.leases.paths == {
            m.lease: set(model.on(m.lease)) for m in model.members.values() if model.on(m.lease)
        }
        assert {w.name: (w.state, w.definition) for w in space.records(Waiter).values()} == {
            name: (arming.state, arming.text) for name, arming in model.waiters.items()
        }
        for waiter in space.records(Waiter).values():
            decided = model.waiters[waiter.name].decided
            if waiter.state != "pending" and decided and decided[1]:
                assert waiter.decided_revision == decided[1]
        assert {(s.waiter, s.id): s.status for s in space.records(Signal).values()} == {
            (name, key): status
            for name, given in model.signals.items()
            for key, status in given.items()
        }
        if not reloaded or model.members:
            assert space.target == model.target
        counted = [*space.facts.values()]
        sizes = [len(fact.path) + len(fact.text) for fact in counted]
        sizes += [
            len(m.name) + len(m.group) + 2 + len(m.declared or "")
            for m in space.records(Member).values()
        ]
        sizes += [len(w.name) + len(w.definition) for w in space.records(Waiter).values()]
        sizes += [len(s.id) + len("r") + len("null") for s in space.records(Signal).values()]
        sizes += [len(r.member) + len(r.text) for r in space.records(ReadSet).values()]
        usage, project = state.usage(scope), state.project_usage(PROJECT)
        assert usage is not None
        assert (usage.facts, usage.bytes) == (len(sizes), sum(sizes))
        assert (project.stacks, project.facts, project.bytes) == (1, len(sizes), sum(sizes))


def compare_convergence(stack_state: StackState, model: Model) -> None:
    """Assert that the same members lag as in the model, and have the same targets."""
    convergence = stack_state.convergence
    assert convergence.lagging == {name for name in model.members if model.lags(name)}
    for name, member in stack_state.live_members.items():
        if name in model.read_sets:
            # A worker that starts later need not know of a deletion that preceded the member.
            found, wanted = convergence.target_of(name), model.target_of(name)
            assert found == wanted or max(found, wanted) < member.visible_revision
