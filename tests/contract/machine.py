"""Two workers that share a database, a model beside them, and whoever watches each from the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant

from factstore.core.errors import FactstoreError
from factstore.core.model.fact import Put
from tests.contract.comparing import compare, pendings
from tests.contract.lagging import Database, Lagging, Quiet, wait_for
from tests.contract.model import Line, Model, ModelFact
from tests.contract.world import Worker, new_scope, soon

Told = tuple[int, list[Line]]


class Twins(RuleBasedStateMachine):
    """What a machine is made of; its rules are elsewhere.

    :ivar behind: the worker that lags, if one does: nobody looks at it meanwhile.
    :ivar happened: what was told and accounted for.
    :ivar told: what each worker told.
    """

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.scope, self.model = new_scope(), Model()
        self.database = self.make_database()
        self.backends = [Lagging(self.database.backend()) for _ in range(2)]
        self.workers = [Quiet(backend).start() for backend in self.backends]  # type: ignore[arg-type]
        self.behind: int | None = None
        self.former: list[str] = ["7"]
        start = self.workers[0].store.refresh(soon()).revision
        self.at = [start, start]
        self.happened: list[Told] = []
        self.told: list[list[Told]] = [[], []]

    def make_database(self) -> Database:
        raise NotImplementedError

    def teardown(self) -> None:
        for worker in self.workers:
            worker.stop()
        for backend in self.backends:
            backend.close()

    # What happens

    def moment(self, *changes: Callable[[], Line | None], revision: int = 0) -> None:
        """One revision: the model changes, and who watches hears of it if there is anything to hear."""
        lines = [line for line in [change() for change in changes] if line is not None]
        if lines:
            news = self.news()
            assert news, f"nobody told of {lines}"
            seen, heard = news[0]
            assert sorted(heard) == sorted(lines)
            assert revision in (0, seen)
            self.happened.append(news[0])
            revision = seen
        self.model.settle(revision)

    def news(self) -> list[Told]:
        """What a worker that does not lag told of that is not accounted for yet."""
        self.listen()
        return self.told[1 if self.behind == 0 else 0][len(self.happened) :]

    def use(self, number: int) -> Worker:
        """A worker that is going to be asked; it may have lagged until now."""
        if self.behind == number:
            self.behind = None
        return self.workers[number]

    def listen(self) -> None:
        """What each worker told since it was listened to last."""
        for number, worker in enumerate(self.workers):
            if number == self.behind:
                continue
            revision = worker.store.refresh(soon()).revision
            wait_for(worker.hub, revision)
            found = worker.hub.read(self.scope, self.at[number], events=1000, size=10**9)
            assert [e.revision for e in found.events] == sorted({e.revision for e in found.events})
            assert all(event.revision > self.at[number] for event in found.events)
            self.at[number] = found.upto
            self.told[number] += [
                (event.revision, [(c.type, c.path or _named(c)) for c in event.changes])
                for event in found.events
            ]

    def refused(self, wanted: str | None, call: Callable[[], Any]) -> Any:
        """Call; None if it was refused, as it should be."""
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
            assert self.told[number] == self.happened
            compare(worker.store.state(), self.scope, self.model)
            assert pendings(worker.store.state(), self.scope) == {
                name: a.decided[0]
                for name, a in self.model.waiters.items()
                if a.state == "pending" and a.decided
            }

    def generation(self, name: str, choice: str) -> tuple[str | None, str | None]:
        """A generation of a member, and the name of the living member whose it is."""
        if choice == "none":
            return None, None
        if choice == "present" and name in self.model.members:
            return self.model.members[name].generation, name
        if choice == "strange":
            for other, member in self.model.members.items():
                if other != name:
                    return member.generation, other
        return self.former[-1], None

    def wish(
        self, path: str, value: int, ttl: bool, name: str | None, choice: str
    ) -> tuple[Put, str | None]:
        """A wish, and the code of its refusal."""
        generation, whose = self.generation(name or "a", choice)
        wish = Put.of(
            path,
            value,
            ttl=60 if ttl and name is None else None,
            member=name,
            generation=generation,
        )
        if generation is not None and whose is None:
            return wish, "generation_stale"
        if name is not None and (
            name not in self.model.members or self.model.members[name].declared_only
        ):
            return wish, "member_missing"
        if name is not None and whose not in (None, name):
            return wish, "generation_stale"
        return wish, None

    def differs(self, wish: Put) -> bool:
        """Whether a wish, once granted, changes anything."""
        known = self.model.facts.get(wish.path)
        if known is None:
            return True
        lease = self.model.members[wish.member].lease if wish.member else known.lease
        return known != ModelFact(wish.text, wish.ttl, wish.member, lease)

    def unless_living(self, name: str, generation: str | None, whose: str | None) -> str | None:
        if not self.model.lives:
            return "not_found"
        if generation is not None and whose != name:
            return "generation_stale"
        return None if name in self.model.members else "not_found"

    def lease_ends(self, lease: int) -> None:
        """What hung on a lease goes in one revision."""
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
                waiter.over = False  # seen at this revision only, and decided


def _named(change: Any) -> str:
    about = change.record or change.former
    return about.name if about else ""
