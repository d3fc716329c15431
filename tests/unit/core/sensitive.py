"""Sensitive facts for tests: written, read as stored, and revealed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.fact import Author, Fact, Put
from factstore.core.model.precondition import ANY
from factstore.core.model.record import RecordKey
from factstore.core.model.secret_readers import SecretReader
from factstore.core.operations.idempotency import Idempotency
from factstore.core.ports import Transaction
from factstore.core.services.written_facts import WrittenFacts
from tests.sealing_keys import sealing_with
from tests.unit.core.factories import SCOPE, author
from tests.unit.core.service import Service

SECRET = "hunter2-canary"
ALL = SecretReader(may_read_sensitive=True)
TEXT = f'"{SECRET}"'


def owner() -> Author:
    return replace(author(), reader=ALL)


def put(
    service: Service,
    path: str = "password",
    value: object = SECRET,
    by: Author | None = None,
    idempotency: Idempotency | None = None,
    **fields: object,
) -> WrittenFacts:
    request = Put.of(path, value, **{"sensitive": True, **fields})  # type: ignore[arg-type]
    return service.facts.put(SCOPE, request, by or owner(), ANY, idempotency)


def stored(service: Service, path: str = "password") -> Fact:
    fact = service.store.known.fact(SCOPE, path)
    assert fact is not None
    return fact


def seal_of(service: Service) -> DataKey:
    seal = service.store.known.record(SCOPE, DATA_KEY)
    assert isinstance(seal, DataKey)
    return seal


def revealed(service: Service, path: str = "password", reader: SecretReader = ALL) -> str:
    return service.facts.reveal(SCOPE, path, reader)[1]


def another_worker(service: Service, keys: Path) -> Service:
    """Return another worker on the same database."""
    other = Service(encryption=sealing_with(keys))
    other.store.backend = service.store.backend
    other.store.known.epoch = service.store.known.epoch
    other.store.refresh(0)
    return other


def remove(service: Service, place: RecordKey) -> None:
    stack = service.store.known.stack(SCOPE)
    assert stack is not None
    commit = Transaction(
        stack, 0, removes=(place,), record_revisions={place: seal_of(service).revision}
    )
    assert service.store.commit(commit, 0)
