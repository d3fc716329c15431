"""Rules that arm, signal and delete waiters, and compare their outcomes with those of the model."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from factstore.core.model.definition import Definition
from factstore.core.operations.signals import SignalRequest
from tests.contract.machine import TwoWorkers
from tests.contract.model import Arming
from tests.contract.rule_inputs import (
    definitions,
    names,
    which,
)
from tests.contract.world import author


class WaiterRules(TwoWorkers):
    """The operations on waiters, as rules."""

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
