"""After any sequence of operations, all workers have the state and the events of a model.

Two workers share a database.  Every operation through either is also applied to a model.  After each
step, the records, totals, events and outcomes of both workers are compared with the model.  Waiters'
outcomes are stored only on request, so that the operations before that are tried too.

The rules for each noun are in a module of their own; here are those that concern several nouns.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.model.definition import Definition
from tests.contract.compare_workers import compare
from tests.contract.fact_rules import FactRules
from tests.contract.lagging_backend import Database, InEtcd, InMemory, LaggingBackend, ManualWorker
from tests.contract.member_rules import MemberRules
from tests.contract.model import Model, ModelReadSet
from tests.contract.read_set_rules import ReadSetRules, read_sets
from tests.contract.rule_inputs import (
    cursors,
    definitions,
    names,
    paths,
    values,
    which,
)
from tests.contract.waiter_rules import WaiterRules
from tests.contract.world import author, note_followed, soon


class Machine(FactRules, MemberRules, WaiterRules, ReadSetRules):
    """The operations on a stack, as rules."""

    def teardown(self) -> None:
        try:
            self.behind = None
            self.all_agree()
            self.evaluate_waiters(0)
            self.evaluate_waiters(1)
            self.all_agree()
            self.a_new_worker_would_agree()
        finally:
            super().teardown()

    @initialize(some=st.sets(names))
    def begin(self, some: set[str]) -> None:
        """Begin with some members and facts, without which most failures cannot occur."""
        for name in sorted(some):
            self.join(0, name, "compute", "none")
            self.put(1, f"nodes/{name}/x", 1, False, name, "present")

    @rule(w=which, name=names, definition=definitions, seen=cursors)
    def all_apply(self, w: int, name: str, definition: Definition, seen: str) -> None:
        """Let all members apply: random rules alone hardly ever make a waited-for stack converge."""
        self.join(1 - w, name, "compute", "present" if name in self.model.members else "none")
        self.arm(w, name, definition, create_only=False)
        for member in sorted(self.model.members):
            self.heartbeat(w, member, "present", seen)

    @rule(w=which, name=names, wanted=read_sets, path=paths, value=values, seen=cursors)
    def read_and_change(
        self, w: int, name: str, wanted: ModelReadSet, path: str, value: int, seen: str
    ) -> None:
        """Let a member apply what it reads before a change: random rules alone hardly ever do."""
        self.join(w, name, "compute", "present" if name in self.model.members else "none")
        self.store_read_set(w, name, wanted, "none")
        self.heartbeat(w, name, "present", seen)
        self.put(1 - w, path, value, False, None, "none")

    @rule(pick=st.integers(0, 99))
    def expire_a_lease(self, pick: int) -> None:
        model = self.model
        leases = [
            *(member.lease for member in model.members.values() if not member.declared_only),
            *(fact.lease for fact in model.facts.values() if fact.ttl is not None),
            *(w.timer for w in model.waiters.values() if w.state == "pending" and not w.decided),
        ]
        if leases and pick % 2:
            lease = leases[pick % len(leases)]
            self.backends[0].revoke_lease(lease, soon())
            self.expire_lease(lease)

    @rule(w=which)
    def lag(self, w: int) -> None:
        """Let a worker lag until its next request."""
        if self.behind is None:
            self.backends[w].lag()
            self.behind = w

    @rule(w=which, name=names, path=paths, value=values, one=definitions, other=definitions)
    def race(
        self, w: int, name: str, path: str, value: int, one: Definition, other: Definition
    ) -> None:
        """Replace records through one worker before the lagging one writes."""
        present = "present" if name in self.model.members else "none"
        self.join(1 - w, name, "compute", present)
        self.arm(1 - w, name, one, create_only=False)
        self.lag(w)
        self.join(1 - w, name, "head", "none")
        self.put(w, path, value, False, None, "former")
        self.lag(w)
        self.arm(1 - w, name, other, create_only=False)
        self.evaluate_outdated(w)
        self.signal(w, name, "a", "SUCCESS")

    # The whole

    @rule(w=which, pick=st.integers(0, 9))
    def delete_stack(self, w: int, pick: int) -> None:
        if pick < 9:  # nine of ten cases
            return
        known = self.model.lives

        def delete() -> bool:
            self.use(w).stacks.delete(self.scope, author())
            return True

        if self.refused(None if known else "not_found", delete):
            self.former += [member.generation for member in self.model.members.values()]
            self.model = Model()
            self.moment(lambda: ("stack.delete", ""))
            self.evaluate_waiters(w)  # pending outcomes of the deleted stack block nothing

    @rule(w=which)
    def restart(self, w: int) -> None:
        note_followed(self.use(w))
        self.use(w).stop()
        self.backends[w].interrupt()
        self.backends[w] = LaggingBackend(self.database.another(self.backends[w]))
        self.workers[w] = ManualWorker(self.backends[w]).start()  # type: ignore[arg-type]
        self.forget_readers(w)

    @rule()
    def a_new_worker_would_agree(self) -> None:
        # Outcomes must be stored first, since deleted facts leave no trace.
        self.evaluate_waiters(0)
        compare(self.database.fresh(), self.scope, self.model, reloaded=True)


class MemoryMachine(Machine):
    def make_database(self) -> Database:
        return InMemory()

    @rule(seconds=st.sampled_from([5, 5, 5, 5, 10, 31, 46]))
    @precondition(lambda self: self.model.lives)
    def time_passes(self, seconds: int) -> None:
        assert isinstance(self.database, InMemory)
        for lease in self.database.advance(seconds):
            self.expire_lease(lease)


EXAMPLES = settings().max_examples
"""Of the profile: many where they are random."""


def test_workers_agree_with_the_model() -> None:
    run_state_machine_as_test(
        MemoryMachine,
        settings=settings(
            max_examples=EXAMPLES // 2,
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_workers_on_etcd_agree_with_the_model(etcd: EtcdServer) -> None:
    class EtcdMachine(Machine):
        def make_database(self) -> Database:
            return InEtcd(etcd)

        def teardown(self) -> None:
            super().teardown()
            assert isinstance(self.database, InEtcd)
            self.database.world.close()

    run_state_machine_as_test(
        EtcdMachine,
        settings=settings(
            max_examples=EXAMPLES // 10,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
        ),
    )
