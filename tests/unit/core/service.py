"""Facts and stacks over a store that fails when told to."""

from __future__ import annotations

from dataclasses import dataclass, field

from factstore.core.errors import (
    OutcomeUnknown,
)
from factstore.core.model.precondition import ANY
from factstore.core.model.quota import no_quotas
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.keyring import NoKeyring
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Transaction
from factstore.core.services.facts import FactService
from factstore.core.services.stacks import StackService
from factstore.watch.hub import Hub
from tests.unit.core.direct import DirectStore
from tests.unit.core.factories import SCOPE, ManualClock, author, put

TIMEOUT = 5.0
KEY = Idempotency("key", "print")


@dataclass
class Service:
    clock: ManualClock = field(default_factory=ManualClock)
    sealing: Encryption = Encryption(NoKeyring())  # noqa: RUF009 - it has no state

    def __post_init__(self) -> None:
        self.store = DirectStore(self.clock)
        ids = iter(f"id{n}" for n in range(1000))
        self.stacks = StackService(self.store, self.clock, lambda: next(ids), TIMEOUT)
        self.facts = FactService(
            self.store,
            Hub(9, 9999),
            self.clock,
            self.stacks.new,
            TIMEOUT,
            Transactor(self.store, self.clock, no_quotas),
            self.sealing,
        )

    def put(self, path: str, value: object, **fields: object) -> int:
        wish = put(path, value, **fields)  # type: ignore[arg-type]
        return self.facts.put(SCOPE, wish, author(), ANY).revision

    def others_write(self, path: str, value: object) -> int:
        """A write that the known state does not show yet."""
        wish = put(path, value)
        there = DirectStore(self.clock)
        there.backend, there.epoch = self.store.backend, self.store.epoch
        there.known.epoch = self.store.epoch
        there.facts_at, there.stacks_at = self.store.facts_at, self.store.stacks_at
        there.receipt = self.store.receipt
        stacks = StackService(there, self.clock, lambda: f"other-{path}-{value}", TIMEOUT)
        facts = FactService(
            there,
            Hub(9, 9999),
            self.clock,
            stacks.new,
            TIMEOUT,
            Transactor(there, self.clock, no_quotas),
        )
        return facts.put(SCOPE, wish, author("others"), ANY).revision

    def head(self) -> int:
        return self.store.backend.head(0)

    def value(self, path: str) -> str:
        return self.facts.get(SCOPE, path).text

    # Faults, in the place of a commit

    def lost_answer(self, commit: Transaction, deadline: float) -> int | None:
        assert self.store.backend.commit(commit, deadline)
        raise OutcomeUnknown("the answer was lost")

    def lost_request(self, commit: Transaction, deadline: float) -> int | None:
        raise OutcomeUnknown("the request was lost")
