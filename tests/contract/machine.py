"""Two workers that share a database, a model of the same stack, and the events of each worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant

from factstore.core.errors import FactstoreError
from factstore.core.model.fact import Put
from tests.contract.compare_workers import compare, unstored_outcomes
from tests.contract.lagging_backend import Database, LaggingBackend, ManualWorker, wait_for
from tests.contract.model import Line, Model, ModelFact
from tests.contract.world import Worker, new_scope, soon

Delivered = tuple[int, list[Line]]


class TwoWorkers(RuleBasedStateMachine):
    """The base of a state machine, without its rules.

    :ivar behind: the number of the worker that lags, if any; it is not compared meanwhile.
    :ivar expected: the events that the model explains.
    :ivar delivered: the events that each worker has delivered.
    """

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.scope, self.model = new_scope(), Model()
        self.database = self.make_database()
        self.backends = [LaggingBackend(self.database.backend()) for _ in range(2)]
        self.workers = [ManualWorker(backend).start() for backend in self.backends]  # type: ignore[arg-type]
        self.behind: int | None = None
        self.former: list[str] = ["7"]
        start = self.workers[0].store.refresh(soon()).revision
        self.at = [start, start]
        self.expected: list[Delivered] = []
        self.delivered: list[list[Delivered]] = [[], []]

    def make_database(self) -> Database:
        raise NotImplementedError

    def teardown(self) -> None:
        for worker in self.workers:
            worker.stop()
        for backend in self.backends:
            backend.close()

    # Events

    def moment(self, *changes: Callable[[], Line | None], revision: int = 0) -> None:
        """Change the model by one revision; if it has events, assert that a worker delivers them."""
        lines = [line for line in [change() for change in changes] if line is not None]
        if lines:
            news = self.news()
            assert news, f"no worker delivered {lines}"
            seen, received = news[0]
            assert sorted(received) == sorted(lines)
            assert revision in (0, seen)
            self.expected.append(news[0])
            revision = seen
        self.model.settle(revision)

    def news(self) -> list[Delivered]:
        """Return the events of a worker without lag that the model has not explained yet."""
        self.listen()
        return self.delivered[1 if self.behind == 0 else 0][len(self.expected) :]

    def use(self, number: int) -> Worker:
        """Return a worker for a request, after which it no longer lags."""
        if self.behind == number:
            self.behind = None
        return self.workers[number]

    def listen(self) -> None:
        """Record the new events of each worker that does not lag."""
        for number, worker in enumerate(self.workers):
            if number == self.behind:
                continue
            revision = worker.store.refresh(soon()).revision
            wait_for(worker.hub, revision)
            found = worker.hub.read(
                self.scope, worker.cursor(self.at[number]), events=1000, size=10**9
            )
            assert [e.revision for e in found.events] == sorted({e.revision for e in found.events})
            assert all(event.revision > self.at[number] for event in found.events)
            self.at[number] = found.upto
            self.delivered[number] += [
                (event.revision, [(c.type, c.path or _named(c)) for c in event.changes])
                for event in found.events
            ]

    def refused(self, wanted: str | None, call: Callable[[], Any]) -> Any:
        """Return the result of the call, or None if it was refused with the expected code."""
        if wanted is not None:
            with pytest.raises(FactstoreError) as refused:
                call()
            assert refused.value.code == wanted
            return None
        result = call()
        self.model.lives = True
        return result

    @invariant()
    def all_agree(self) -> None:
        self.listen()
        for number, worker in enumerate(self.workers):
            if number == self.behind:
                continue
            assert self.delivered[number] == self.expected
            compare(worker.store.state(), self.scope, self.model)
            assert unstored_outcomes(worker.store.state(), self.scope) == {
                name: a.decided[0]
                for name, a in self.model.waiters.items()
                if a.state == "pending" and a.decided
            }

    def generation(self, name: str, choice: str) -> tuple[str | None, str | None]:
        """Return a generation, and the name of the living member that has it."""
        if choice == "none":
            return None, None
        if choice == "present" and name in self.model.members:
            return self.model.members[name].generation, name
        if choice == "strange":
            for other, member in self.model.members.items():
                if other != name:
                    return member.generation, other
        return self.former[-1], None

    def request(
        self, path: str, value: int, ttl: bool, name: str | None, choice: str
    ) -> tuple[Put, str | None]:
        """Return a request, and the code of its refusal."""
        generation, whose = self.generation(name or "a", choice)
        request = Put.of(
            path,
            value,
            ttl=60 if ttl and name is None else None,
            member=name,
            generation=generation,
        )
        if generation is not None and whose is None:
            return request, "generation_stale"
        if name is not None and (
            name not in self.model.members or self.model.members[name].declared_only
        ):
            return request, "member_missing"
        if name is not None and whose not in (None, name):
            return request, "generation_stale"
        return request, None

    def differs(self, request: Put) -> bool:
        """Return True if a request, once accepted, changes a fact."""
        known = self.model.facts.get(request.path)
        if known is None:
            return True
        lease = self.model.members[request.member].lease if request.member else known.lease
        return known != ModelFact(request.text, request.ttl, request.member, lease)

    def unless_living(self, name: str, generation: str | None, whose: str | None) -> str | None:
        if not self.model.lives:
            return "not_found"
        if generation is not None and whose != name:
            return "generation_stale"
        return None if name in self.model.members else "not_found"

    def expire_lease(self, lease: int) -> None:
        """Delete the records that are attached to a lease from the model, in one revision."""
        model = self.model
        gone: list[Callable[[], Line | None]] = [
            lambda path=path: model.drop(path, "fact.expire")  # type: ignore[misc]
            for path in model.on(lease)
        ]
        for name, member in list(model.members.items()):
            if lease and member.lease == lease:
                self.former.append(member.generation)
                gone.append(lambda name=name: model.leave(name, "member.expire"))  # type: ignore[misc]
        if gone:
            self.moment(*gone)
        for waiter in model.waiters.values():
            if waiter.timer == lease and waiter.state == "pending":
                waiter.over = True
                self.moment()
                # The timer ends at this revision only, and the outcome is decided now.
                waiter.over = False


def _named(change: Any) -> str:
    about = change.record or change.former
    return about.name if about else ""
