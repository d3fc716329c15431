"""Sealed values that an attacker with access to the database moves or changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from factstore.core.errors import (
    SealBroken,
)
from factstore.core.model.data_key import DataKey
from factstore.core.model.fact import Put
from factstore.core.model.secret_readers import SecretReader
from factstore.core.operations.encryption import _of_stack
from factstore.core.ports import Transaction
from factstore.keys.keyring import RepositoryKeyring
from factstore.keys.repository import Repository
from tests.sealing_keys import sealing_with
from tests.unit.core.factories import SCOPE
from tests.unit.core.sensitive import ALL, TEXT, put, revealed, seal_of, stored
from tests.unit.core.service import Service


@pytest.fixture
def service(keys: Path) -> Service:
    return Service(encryption=sealing_with(keys))


def attacked(service: Service, **changes: object) -> None:
    """Change a stored fact as an attacker with write access to the database can."""
    stack = service.store.known.stack(SCOPE)
    assert stack is not None
    fact = replace(stored(service), **changes)  # type: ignore[arg-type]
    expected = {"nothing": 0}
    assert service.store.commit(Transaction(stack, 0, puts=(fact,), fact_revisions=expected), 0)


def test_a_sealed_value_that_was_moved_to_another_path_cannot_be_opened(service: Service) -> None:
    put(service)
    attacked(service, path="nodes/c1/mine")
    with pytest.raises(SealBroken):
        revealed(service, "nodes/c1/mine", SecretReader(member="c1"))
    assert revealed(service) == TEXT


def test_a_sealed_value_whose_readers_were_changed_cannot_be_opened(service: Service) -> None:
    put(service, readers=["group/head"])
    attacked(service, readers=("group/compute",))
    with pytest.raises(SealBroken):
        revealed(service, reader=SecretReader(group="compute"))


@pytest.mark.parametrize("junk", ["", "x", "1.", "1.AAAA", "2." + "A" * 80, "1." + "A" * 81])
def test_junk_in_place_of_a_sealed_value_cannot_be_opened(service: Service, junk: str) -> None:
    put(service)
    attacked(service, sealed=junk)
    with pytest.raises(SealBroken):
        revealed(service)


@pytest.mark.parametrize("what", ["project_id", "id"])
def test_a_sealed_value_moved_with_its_data_key_to_another_stack_cannot_be_opened(
    service: Service, keys: Path, what: str
) -> None:
    put(service)
    stack = service.store.known.stack(SCOPE)
    assert stack is not None
    there = replace(stack, **{what: "another"})
    with pytest.raises(SealBroken):
        sealing_with(keys).open(there, seal_of(service), stored(service))
    theirs = sealing_with(keys).seal(
        there, None, [Put.of("x", 1, sensitive=True)], {"x": None}, ALL
    )
    (seal,) = theirs.records
    with pytest.raises(SealBroken):
        sealing_with(keys).open(there, seal, stored(service))


@pytest.mark.parametrize("what", ["project_id", "id"])
def test_a_sealed_value_cannot_be_opened_elsewhere_even_with_its_own_data_key(
    service: Service, keys: Path, what: str
) -> None:
    put(service)
    stack = service.store.known.stack(SCOPE)
    assert stack is not None
    there, sealing = replace(stack, **{what: "another"}), sealing_with(keys)
    key = sealing.data_key(stack, seal_of(service))
    same_key = DataKey(
        RepositoryKeyring(Repository(keys), service.clock).wrap(key, _of_stack(there))
    )
    assert sealing.data_key(there, same_key) == key
    with pytest.raises(SealBroken):
        sealing.open(there, same_key, stored(service))
