"""The services on a store that tests can make fail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from factstore.core.errors import (
    OutcomeUnknown,
)
from factstore.core.model.cursor import Cursor
from factstore.core.model.precondition import ANY
from factstore.core.model.transaction import Transaction
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.keyring import NoKeyring
from factstore.core.services.composition import Services, build_services
from factstore.watch.history import HistoryLimits
from factstore.watch.hub import Hub
from tests.unit.core.direct import DirectStore
from tests.unit.core.factories import SCOPE, ManualClock, author, put

TIMEOUT = 5.0
KEY = Idempotency("key", "print")


def services_over(
    store: DirectStore,
    clock: ManualClock,
    new_id: Callable[[], str],
    encryption: Encryption | None = None,
    on_write_retry: Callable[[], None] = lambda: None,
) -> Services:
    hub = Hub(HistoryLimits(9, 9999, 900))
    hub.reset(Cursor(store.state().epoch, 0))
    return build_services(
        store,
        hub,
        clock,
        new_id=new_id,
        new_wake_up=threading.Event,
        timeout=TIMEOUT,
        encryption=encryption,
        on_write_retry=on_write_retry,
    )


@dataclass
class Service:
    clock: ManualClock = field(default_factory=ManualClock)
    encryption: Encryption = Encryption(NoKeyring())  # noqa: RUF009 - it has no state

    def __post_init__(self) -> None:
        self.retries = 0
        self.store = DirectStore(self.clock)
        ids = iter(f"id{n}" for n in range(1000))
        services = services_over(
            self.store, self.clock, lambda: next(ids), self.encryption, self._count_retry
        )
        self.services = services
        self.stacks, self.facts = services.stacks, services.facts
        self.key_rewrap = services.key_rewrap

    def _count_retry(self) -> None:
        self.retries += 1

    def put(self, path: str, value: object, **fields: object) -> int:
        request = put(path, value, **fields)  # type: ignore[arg-type]
        return self.facts.put(SCOPE, request, author(), ANY).revision

    def others_write(self, path: str, value: object) -> int:
        """Write a fact that the known state does not contain yet."""
        others = self.another_worker(f"other-{path}-{value}")
        return others.facts.put(SCOPE, put(path, value), author("others"), ANY).revision

    def another_worker(self, new_id: str = "other") -> Services:
        """Return the services of another worker on the same backend."""
        there = DirectStore(self.clock)
        there.backend = self.store.backend
        there.known.epoch = self.store.known.epoch
        there.facts_at, there.stacks_at = self.store.facts_at, self.store.stacks_at
        return services_over(there, self.clock, lambda: new_id)

    def head(self) -> int:
        return self.store.backend.head(0)

    def value(self, path: str) -> str:
        return self.facts.get(SCOPE, path).fact.text

    # Faults that replace a commit

    def lost_answer(self, commit: Transaction, deadline: float) -> int | None:
        assert self.store.backend.commit(commit, deadline)
        raise OutcomeUnknown("the answer was lost")

    def lost_request(self, commit: Transaction, deadline: float) -> int | None:
        raise OutcomeUnknown("the request was lost")
