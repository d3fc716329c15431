"""After any sequence of operations, all workers have the state and the events of a model.

Two workers share a database.  Every operation through either is also applied to a model.  After each
step, the records, totals, events and outcomes of both workers are compared with the model.  Waiters'
outcomes are stored only on request, so that the operations before that are tried too.

The module is longer than 300 lines because its rules share one model and belong side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.model.cursor import Cursor
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Delete, Put
from factstore.core.model.member import Declaration, JoinRequest
from factstore.core.model.record import RecordKey
from factstore.core.operations.signals import SignalRequest
from tests.contract.compare_workers import compare
from tests.contract.lagging_backend import Database, InEtcd, InMemory, LaggingBackend, ManualWorker
from tests.contract.model import Arming, Line, Model, ModelFact, ModelMember, ModelReadSet
from tests.contract.read_set_rules import ReadSetRules, read_sets
from tests.contract.world import author, note_followed, soon

PATHS = ["nodes/a/x", "nodes/b/x", "nodes/c/x", "cfg", "results/a"]
NAMES = ["a", "b", "c"]
SUCCESSES: list[dict[str, Any]] = [
    {"success": {"facts": "nodes/*/x", "equals": 1, "count": 2}},
    {"success": {"facts": "cfg", "present": True}, "failure": {"facts": "results/*", "equals": 2}},
    {"success": {"every_member": {"group": "compute", "fact": "x", "equals": 1}}},
    {
        "success": {"every_member": {"fact": "x", "present": True, "at_least": 2}},
        "extend_on_progress": True,
    },
    {"success": {"converged": {"include_draining": True}}},
    {"success": {"converged": {"group": "compute"}}, "failure": {"facts": "cfg", "equals": 2}},
    {"success": {"signals": 2}},
    {"success": {"any": [{"signals": 1}, {"all": [{"converged": {}}, {"facts": "cfg", "equals": 1}]}]}},
    {"success": {"facts": "never", "present": True}, "timeout": 45},
]  # fmt: skip

paths, names = st.sampled_from(PATHS), st.sampled_from(NAMES)
values, which = st.integers(1, 2), st.integers(0, 1)
definitions = st.sampled_from(SUCCESSES).map(Definition.of)
groups, words = st.sampled_from(["compute", "head"]), st.sampled_from(["x", "yy"])
generations = st.sampled_from(["none", "none", "present", "former", "strange"])

cursors = st.sampled_from(["", "target", "head", "old", "far"])


class Machine(ReadSetRules):
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

    # Facts

    @rule(
        w=which, path=paths, value=values, ttl=st.booleans(), name=st.none() | names, g=generations
    )
    def put(self, w: int, path: str, value: int, ttl: bool, name: str | None, g: str) -> None:
        request, code = self.request(path, value, ttl, name, g)
        changes = code is None and self.differs(request)
        self.refused(code, lambda: self.write(w, [request], [request] if changes else []))

    @rule(w=which, path=paths)
    def delete(self, w: int, path: str) -> None:
        known = path in self.model.facts
        gone = [Delete(path)]
        if known:
            self.write(w, gone, gone)
        else:
            self.refused("not_found", lambda: self.use(w).delete(self.scope, path))

    @rule(
        w=which,
        requests=st.dictionaries(
            paths, st.tuples(st.none() | values, st.none() | names), min_size=1
        ),
        g=generations,
    )
    def batch(self, w: int, requests: dict[str, tuple[int | None, str | None]], g: str) -> None:
        made: list[Put | Delete] = []
        changes: list[Put | Delete] = []
        codes: list[str | None] = []
        for path, (value, name) in requests.items():
            if value is None:
                made.append(Delete(path))
                if path in self.model.facts:
                    changes.append(made[-1])
            else:
                request, code = self.request(path, value, False, name, g)
                made.append(request)
                codes.append(code)
                if code is None and self.differs(request):
                    changes.append(request)
        code = next((code for code in codes if code), None)
        if not codes and not self.model.lives:
            code = "not_found"
        self.refused(code, lambda: self.write(w, made, changes))

    def write(self, w: int, requests: list[Any], changes: list[Any]) -> bool:
        written = self.use(w).facts.batch(self.scope, requests, [], author())
        by_path = {result.path: result for result in written.results}
        done: list[Callable[[], Line | None]] = []
        for request in changes:
            fact = by_path[request.path].fact
            if fact is None:
                done.append(lambda path=request.path: self.model.drop(path, "fact.delete"))
            else:
                new = ModelFact(request.text, request.ttl, request.member, fact.lease)
                done.append(lambda path=request.path, new=new: self.model.put(path, new))
        if done:
            self.moment(*done, revision=written.revision)
        return True

    # Members

    @rule(w=which, name=names, group=groups, g=generations)
    def join(self, w: int, name: str, group: str, g: str) -> None:
        model, known = self.model, self.model.members.get(name)
        generation, whose = self.generation(name, g)
        code = "generation_stale" if generation is not None and whose != name else None
        if generation is not None and code is None and known is not None and known.declared_only:
            code = "member_ttl_fixed"
        joined = self.refused(
            code,
            lambda: self.use(w).members.join(
                self.scope, name, JoinRequest.of(group, 30, {}, generation), author()
            ),
        )
        if joined is None:
            return
        if generation is not None and known is not None:
            if known.group != group:
                member = replace(known, group=group)
                self.moment(lambda: model.join(name, member), revision=joined.cursor.revision)
            return
        declared = known.declared if known else None
        member = ModelMember(group, "joining", joined.member.lease, declared)
        outcome = ("adopted" if known.declared_only else "replaced") if known else "created"
        assert joined.outcome == outcome
        self.moment(lambda: model.join(name, member), revision=joined.cursor.revision)
        if known is not None:
            self.former.append(known.generation)
            self.expire_lease(known.lease)

    @rule(w=which, name=names, group=groups, word=words)
    def declare(self, w: int, name: str, group: str, word: str) -> None:
        model, known = self.model, self.model.members.get(name)
        other = known is not None and known.declared not in (None, word)
        request = JoinRequest.of(group, declared=word)
        code = "member_declared" if other else None
        declared = self.refused(
            code if model.lives else "not_found",
            lambda: self.use(w).members.join(self.scope, name, request, author()),
        )
        if declared is None:
            return
        number, outcome = declared.member.number, declared.outcome
        record = self.use(w).store.refresh(soon()).record(self.scope, RecordKey(Declaration, name))
        assert isinstance(record, Declaration)  # its number may be a random one
        model.declarations[name] = ModelMember(group, "joining", 0, word, record.number)
        if known is None:
            member = ModelMember(group, "joining", 0, word, number)
            assert outcome == "created"
            self.moment(lambda: model.join(name, member), revision=declared.cursor.revision)
        elif known.declared is None:
            assert outcome == "updated"
            self.moment(lambda: model.note(name, word), revision=declared.cursor.revision)
        elif known.declared_only and known.group != group:
            member = replace(known, group=group)
            assert outcome == "updated"
            self.moment(lambda: model.join(name, member), revision=declared.cursor.revision)
        else:
            assert outcome == "unchanged"

    @rule(w=which, name=names, state=st.sampled_from(["ready", "draining"]), g=generations)
    def set_state(self, w: int, name: str, state: Any, g: str) -> None:
        generation, whose = self.generation(name, g)
        changed = self.refused(
            self.unless_living(name, generation, whose),
            lambda: self.use(w).members.set_state(self.scope, name, state, generation, author()),
        )
        known = self.model.members.get(name)
        if changed is not None and known is not None and known.state != state:
            member = replace(known, state=state)
            self.moment(lambda: self.model.join(name, member), revision=changed.member.revision)

    @rule(w=which, name=names, g=generations, word=st.none() | words, own=st.booleans())
    def depart(self, w: int, name: str, g: str, word: str | None, own: bool) -> None:
        generation, whose = self.generation(name, g)
        code = self.unless_living(name, generation, whose)
        if code is None and word not in (None, self.model.members[name].declared):
            code = "member_declared"
        departed = self.refused(
            code,
            lambda: self.use(w).members.depart(
                self.scope, name, "left", generation, author(), word, keeps_declaration=own
            ),
        )
        if departed is not None:
            revision = departed.revision
            known = self.model.members[name]
            self.former.append(known.generation)
            awaited = self.model.declarations.get(name)
            if own and awaited is not None and not known.declared_only:
                state = "draining" if known.state == "draining" else "joining"
                awaited = replace(awaited, state=state)
                self.moment(lambda: self.model.join(name, awaited), revision=revision)
            else:
                self.moment(lambda: self.model.leave(name, "member.depart"), revision=revision)
            self.expire_lease(known.lease)

    @rule(w=which, name=names, g=generations, seen=cursors)
    def heartbeat(self, w: int, name: str, g: str, seen: str) -> None:
        model, worker = self.model, self.use(w)
        generation, whose = self.generation(name, g)
        head = worker.store.refresh(soon()).revision
        revision = {"target": model.target, "head": head, "old": model.target - 1, "far": 10**12}
        code = self.unless_living(name, generation, whose)
        cursor = Cursor(worker.store.state().epoch, revision[seen]) if seen else None
        if code is None and seen == "far":
            code = "cursor_expired"
        self.refused(
            code, lambda: (worker.members.heartbeat(self.scope, name, generation, cursor),)
        )
        if code is not None or cursor is None:
            return
        if model.lags(name) and model.applied.get(name, 0) < cursor.revision:
            self.moment(lambda: model.applied.__setitem__(name, cursor.revision))

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

    # Waiters

    @rule(w=which, name=names, definition=definitions, create_only=st.booleans())
    def arm(self, w: int, name: str, definition: Definition, create_only: bool) -> None:
        known = self.model.waiters.get(name)
        code = "precondition_failed" if known and create_only else None
        armed = self.refused(
            code,
            lambda: self.use(w).waiters.put(
                self.scope, name, definition, author(), create_only=create_only
            ),
        )
        if armed is None:
            return
        shown, outcome, cursor = armed
        same = known is not None and (known.state, known.text) == ("pending", definition.text)
        assert outcome == ("unchanged" if same else "armed" if known else "created")
        if not same:
            arming = Arming(definition.text, shown.waiter.timer)
            self.moment(lambda: self.model.arm(name, arming), revision=cursor.revision)

    @rule(w=which, name=names, key=names, status=st.sampled_from(["SUCCESS", "SUCCESS", "FAILURE"]))
    def signal(self, w: int, name: str, key: str, status: str) -> None:
        request = SignalRequest.of({"status": status, "id": key, "reason": "r"})
        known = name in self.model.waiters
        signalled = self.refused(
            None if known else "not_found",
            lambda: self.use(w).waiters.signal(self.scope, name, request, author()),
        )
        if signalled is not None and self.model.signals[name].get(key) != status:
            of_waiter = self.model.signals[name]
            self.moment(lambda: of_waiter.__setitem__(key, status), revision=signalled[1].revision)

    @rule(w=which, name=names)
    def delete_waiter(self, w: int, name: str) -> None:
        known = name in self.model.waiters
        revision = self.refused(
            None if known else "not_found",
            lambda: self.use(w).waiters.delete(self.scope, name, author()),
        )
        if revision is not None:
            del self.model.waiters[name], self.model.signals[name]

    @rule(w=which)
    def evaluate_waiters(self, w: int) -> None:
        """Store the outcomes that a refreshed worker finds; they must be those of the model."""
        waiters = self.model.waiters
        ended = {name: a for name, a in waiters.items() if a.state == "pending" and a.decided}
        self.use(w).evaluate_waiters()
        self.note_marker()
        assert self.ends() == ended.keys()

    @rule(w=which)
    def evaluate_outdated(self, w: int) -> None:
        """Store the outcomes that a worker finds in a state that may be outdated."""
        self.use(w).waiter_controller.run_once()
        self.note_marker()
        self.ends()

    def ends(self) -> set[str]:
        """Return the waiters whose end was delivered; each must have the outcome in the model."""
        found = set()
        for revision, lines in self.news():
            ((kind, name),) = lines
            arming = self.model.waiters[name]
            assert arming.state == "pending"
            assert arming.decided is not None
            assert kind == f"waiter.{arming.decided[0]}"
            arming.state = arming.decided[0]
            self.expected.append((revision, lines))
            found.add(name)
        return found

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
