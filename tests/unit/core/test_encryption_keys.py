"""Sensitive facts and the keys that are rotated, retired and lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from factstore.core.errors import (
    SealBroken,
    SealingUnavailable,
)
from factstore.core.model.data_key import DATA_KEY
from factstore.keys.keyring import CHECK_SECONDS
from tests.sealing_keys import lose_keys, rotate_keys, sealing_with
from tests.unit.core.factories import SCOPE
from tests.unit.core.sensitive import (
    ALL,
    TEXT,
    another_worker,
    put,
    remove,
    revealed,
    seal_of,
    stored,
)
from tests.unit.core.service import Service


@pytest.fixture
def service(keys: Path) -> Service:
    return Service(encryption=sealing_with(keys))


def test_without_keys_only_sensitive_facts_are_refused(tmp_path: Path) -> None:
    service = Service(encryption=sealing_with(tmp_path / "none"))
    with pytest.raises(SealingUnavailable):
        put(service)
    assert service.store.known.stack(SCOPE) is None
    put(service, "open", sensitive=False)


def test_without_a_keyring_only_sensitive_facts_are_refused() -> None:
    service = Service()
    with pytest.raises(SealingUnavailable):
        put(service)
    put(service, "open", sensitive=False)


def test_a_rotation_changes_no_fact(service: Service, keys: Path) -> None:
    put(service)
    before = stored(service)
    rotate_keys(keys)
    assert revealed(service) == TEXT
    assert put(service).results[0].fact == before


def test_a_read_succeeds_while_its_key_is_being_retired(service: Service, keys: Path) -> None:
    put(service)
    rotate_keys(keys)
    other = another_worker(service, keys)
    assert other.key_rewrap.run().renewed == 1
    lose_keys(keys, 1)
    service.clock.advance(CHECK_SECONDS)
    assert seal_of(service) != seal_of(other), "this worker has not reloaded its keys yet"
    late = sealing_with(keys)
    service.facts._encryption = late  # type: ignore[attr-defined]
    assert service.facts.reveal(SCOPE, "password", ALL)[1] == TEXT


def test_a_lost_key_breaks_only_the_values_that_need_it(service: Service, keys: Path) -> None:
    put(service)
    put(service, "open", sensitive=False)
    rotate_keys(keys)
    lose_keys(keys, 1)
    there = Service(encryption=sealing_with(keys))  # a worker that never knew the key
    there.store, there.facts._store = service.store, service.store  # type: ignore[attr-defined]
    with pytest.raises(SealBroken):
        revealed(there)
    assert there.facts.get(SCOPE, "open").fact.text == TEXT
    assert [fact.text for fact in there.facts.list(SCOPE, limit=9).items] == [TEXT, "null"]


def test_a_lost_data_key_can_be_deleted_and_its_facts_written_again(service: Service) -> None:
    put(service)
    put(service, "another")
    remove(service, DATA_KEY)
    with pytest.raises(SealBroken):
        revealed(service)
    put(service)
    assert revealed(service) == TEXT
    with pytest.raises(SealBroken):
        revealed(service, "another")
